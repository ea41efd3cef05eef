"""TranscriptPane: who said what; a partial is dimmed and rewritten in place, cut-off words say so."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.strip import Strip

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.models.events import Speaker
from tui.models.text import visible
from tui.models.transcript import Heard, Utterance
from tui.widgets import numbers
from tui.widgets.lines import FollowView, line_of
from tui.widgets.wrap import wrap

MAX_CHARACTERS = 4000
"""Of one utterance that are drawn; how long it really is stands behind them."""
_HEAD_CELLS = 16


class TranscriptPane(FollowView, inherit_bindings=False):
    """Time, speaker and words. Wraps an utterance when it changes and draws it when it is seen."""

    TITLE = "Transcript"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "transcript--time",
        "transcript--user",
        "transcript--agent",
        "transcript--words",
        "transcript--partial",
        "transcript--queued",
        "transcript--mark",
        "transcript--cut",
    }
    DEFAULT_CSS = """
    TranscriptPane {
        .transcript--time { color: $foreground-muted; }
        .transcript--user { color: $secondary; text-style: bold; }
        .transcript--agent { color: $primary; text-style: bold; }
        .transcript--words { color: $foreground; }
        .transcript--partial { color: $foreground-muted; text-style: italic; }
        .transcript--queued { color: $foreground-muted; }
        .transcript--mark { color: $primary; }
        .transcript--cut { color: $text-warning; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_up", "Line up", show=False, id="transcript.up"),
        Binding("down", "scroll_down", "Line down", show=False, id="transcript.down"),
        Binding("pageup", "page_up", "Page up", show=False, id="transcript.page_up"),
        Binding("pagedown", "page_down", "Page down", show=False, id="transcript.page_down"),
        Binding("home", "scroll_home", "First words", show=False, id="transcript.first"),
        Binding("end", "follow_end", "Last words, and follow", show=False, id="transcript.last"),
    ]

    def __init__(self, bridge: Bridge, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.bridge = bridge
        self._wrapped: list[list[str]] = []
        self._starts: list[int] = []
        self._wrapped_at = 0
        self._stale_from = 0

    def listen(self) -> Iterable[Registration]:
        """Words that came or changed, and the session's start, which times count from."""
        yield self.bridge.transcript.add_change_callback(self._changed_from)

    def refresh_from_model(self) -> None:
        """Wrap again what has changed."""
        width = self.line_width - _HEAD_CELLS
        if width != self._wrapped_at:
            self._wrapped_at, self._stale_from = width, 0
        utterances = self.bridge.transcript.utterances
        first = min(self._stale_from, len(self._wrapped), len(utterances))
        lines = self._starts[first] if first < len(self._starts) else self._end()
        del self._wrapped[first:], self._starts[first:]
        for said in utterances[first:]:
            text = wrap(words_of(said), width)
            self._starts.append(lines)
            self._wrapped.append(text)
            lines += len(text)
        self._stale_from = len(utterances)
        self.forget_lines()
        self.grow(lines, len(utterances))

    def on_resize(self) -> None:
        """The same words on longer or shorter lines."""
        if self.line_width - _HEAD_CELLS != self._wrapped_at:
            self.refresh_from_model()

    def line_key(self, index: int) -> Hashable:
        """Lines are forgotten whenever words change."""
        return index

    def draw_line(self, index: int, width: int) -> Strip:
        """One line of an utterance; its first also says when and who."""
        which = bisect_right(self._starts, index) - 1
        said = self.bridge.transcript.utterances[which]
        line = index - self._starts[which]
        time, who = "", ""
        if line == 0:
            time, who = numbers.since(said.at_ns, self._start_ns()), said.speaker.value
        words, mark = self._wrapped[which][line], ""
        if line == len(self._wrapped[which]) - 1 and _mark(said):
            words, mark = words.removesuffix(_mark(said)), _mark(said)
        return line_of(
            (f"{time:>9} ", self.component("transcript--time")),
            (f"{who:<5} ", self.component(f"transcript--{said.speaker.value}")),
            (words, self.component(_look(said))),
            (mark, self.component(_mark_look(said))),
        )

    def _changed_from(self, index: int) -> None:
        self._stale_from = min(self._stale_from, index)
        self.changed()

    def _end(self) -> int:
        return self._starts[-1] + len(self._wrapped[-1]) if self._starts else 0

    def _start_ns(self) -> int:
        began = self.bridge.state.began_ns
        if began is None:
            return self.bridge.transcript.utterances[0].at_ns
        return began


def words_of(said: Utterance) -> str:
    """An utterance's words with what is to be known of them."""
    text = visible(said.text[:MAX_CHARACTERS]).expandtabs(4)
    if len(said.text) > MAX_CHARACTERS:
        text += f"… ({len(said.text):,} characters)"
    if not said.final:
        text += " …"
    return f"{text}  {_mark(said)}" if _mark(said) else text


def _mark(said: Utterance) -> str:
    """How far the words were heard, unless they were; kept together by no-break spaces."""
    if said.speaker is Speaker.USER or said.heard is Heard.HEARD:
        return ""
    return f"[{said.heard.value}]".replace(" ", "\u00a0")


def _mark_look(said: Utterance) -> str:
    return "transcript--cut" if said.heard is Heard.CUT else "transcript--mark"


def _look(said: Utterance) -> str:
    if not said.final:
        return "transcript--partial"
    return "transcript--queued" if said.heard is Heard.QUEUED else "transcript--words"
