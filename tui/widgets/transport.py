"""Transport: one line with the playhead's position and speed, and the tracks that are heard."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from tui.text import numbers
from tui.text.visible import one_line
from tui.view.playhead import AUDIBLE_SPEED, Playhead, Sound
from tui.widgets.strip import Group, spread

LEGEND = "1 2 3 turns  ▼ barge-in  ✗ error"
_MUTED, _PLAIN, _WARN = "$foreground-muted", "bold $foreground", "$text-warning"
_SOUNDS = {Sound.BOTH: "both tracks", Sound.USER: "user only", Sound.AGENT: "agent only", Sound.OFF: "off"}


class Transport(Static):
    """Shows the playhead of a saved session. Redraws only if the text has changed."""

    DEFAULT_CSS = """
    Transport { height: 1; padding: 0 1; text-wrap: nowrap; }
    """

    def __init__(self, playhead: Playhead, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(markup=False, id=id)
        self.playhead = playhead
        self._shown: Content | None = None

    def poll(self, turn: int, problem: str) -> None:
        """Shows the position and the turn. ``problem`` is the reason why nothing can be heard."""
        head = self.playhead
        glyph, look = ("▶", "bold $text-success") if head.playing else ("‖", "bold $foreground")
        at = f"{_clock(head.at_ns - head.first_ns)} / {_clock(head.last_ns - head.first_ns)}"
        speed = f"{head.speed:g}x"
        room = self.content_size.width - len(f"{glyph} {at}  {speed}    ")
        left = [
            Group([(f"{glyph} ", look), (at, _PLAIN)]),
            Group([(speed, _PLAIN)]),
            Group([_heard(head, problem, max(room, 10))], 1),
        ]
        right = [Group([(LEGEND, _MUTED)], 3), Group([(f"turn {turn}" if turn else "", _PLAIN)], 2)]
        content = spread(left, right, self.content_size.width)
        if self._shown is None or content != self._shown or content.spans != self._shown.spans:
            self._shown = content
            self.update(content, layout=False)


def _heard(head: Playhead, problem: str, room: int) -> tuple[str, str]:
    if problem:
        return one_line(f"silent: {problem}", room), _WARN
    if not head.audio_path:
        return "no audio was saved", _MUTED
    if head.speed > AUDIBLE_SPEED:
        return f"muted above {AUDIBLE_SPEED:g}x", _MUTED
    return f"audio: {_SOUNDS[head.sound]}", _MUTED


def _clock(since_ns: int) -> str:
    return f"{numbers.clock(since_ns / 1e9)}.{max(since_ns, 0) // 100_000_000 % 10}"
