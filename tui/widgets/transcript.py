"""TranscriptPane: shows what both parties said, and which tools were called. Partial text changes in place."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Sequence
from functools import cache
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.strip import Strip

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.models.events import Party, Status, ToolChanged
from tui.models.transcript import Entry, Heard, ToolUse, Utterance
from tui.protocols.registry import BUILT_IN, protocol_named
from tui.text import numbers
from tui.text.visible import one_line, visible
from tui.widgets.hints import nothing_shown
from tui.widgets.lines import FollowView, Piece, components_in, line_of
from tui.widgets.wrap import wrap

MAX_CHARACTERS = 4000
"""Maximum number of characters drawn of an utterance, followed by its full length."""
MAX_ARGUMENTS, MAX_OUTCOME = 80, 160
"""Maximum number of characters drawn of a tool call. The event in the log has the full text."""
CUT = "┊"
"""Symbol between words that were heard and words that were not, placed by the share of audio played."""
_HEAD_CELLS = 16
_NOWHERE, _BEFORE_ALL = -2, -1
"""Values for a playhead that is not in any entry: no playhead, or a playhead before the first entry."""


class TranscriptPane(FollowView, inherit_bindings=False):
    """Shows time, speaker and words of each entry.

    An entry is wrapped only when it changes, and drawn only when it is visible.
    """

    TITLE = "Transcript"
    HELP = (
        "… not final yet · [queued] not played yet · [speaking] · [cut off] by a barge-in: judging by the audio "
        "played, the words after ┊ were not heard"
    )
    DEFAULT_CSS = """
    TranscriptPane {
        .transcript--time { color: $foreground-muted; }
        .transcript--user { color: $secondary; text-style: bold; }
        .transcript--agent { color: $primary; text-style: bold; }
        .transcript--tool { color: $accent; text-style: bold; }
        .transcript--words { color: $foreground; }
        .transcript--partial { color: $foreground-muted; text-style: italic; }
        .transcript--queued { color: $foreground-muted; }
        .transcript--mark { color: $primary; }
        .transcript--cut { color: $text-warning; }
        .transcript--unheard { color: $foreground-muted; text-style: strike; }
        .transcript--failed { color: $text-error; }
        .transcript--now { background: $block-cursor-background; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = components_in(DEFAULT_CSS)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Line up", show=False, id="transcript.up"),
        Binding("down,j", "scroll_down", "Line down", show=False, id="transcript.down"),
        Binding("pageup", "page_up", "Page up", show=False, id="transcript.page_up"),
        Binding("pagedown", "page_down", "Page down", show=False, id="transcript.page_down"),
        Binding("home", "scroll_home", "First words", show=False, id="transcript.first"),
        Binding("end", "follow_end", "Go to the latest words and follow", show=False, id="transcript.last"),
    ]
    FOOTER: ClassVar[Sequence[str]] = ("follow",)

    def __init__(self, bridge: Bridge, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.bridge = bridge
        self._wrapped: list[list[str]] = []
        self._starts: list[int] = []
        self._wrapped_at = 0
        self._stale_from = 0
        self._now = _NOWHERE
        """Index of the entry under the playhead."""

    def listen(self) -> Iterable[Registration]:
        """Subscribes to changes of the transcript and of the status.

        The times in the pane count from the start of the session.
        """
        yield self.bridge.transcript.add_change_callback(self._changed_from)
        yield self.bridge.state.add_status_change_callback(self.changed)
        yield self.bridge.log.add_clear_callback(self.begin_anew)

    def refresh_from_model(self) -> None:
        """Wraps the entries that have changed, and redraws the pane."""
        width = self.line_width - _HEAD_CELLS
        if width != self._wrapped_at:
            self._wrapped_at, self._stale_from = width, 0
        entries = self.bridge.transcript.entries
        first = min(self._stale_from, len(self._wrapped), len(entries))
        lines = self._starts[first] if first < len(self._starts) else self._end()
        del self._wrapped[first:], self._starts[first:]
        for entry in entries[first:]:
            text = wrap(words_of(entry), width)
            self._starts.append(lines)
            self._wrapped.append(text)
            lines += len(text)
        self._stale_from = len(entries)
        self.grow(lines, len(entries))

    def show_instant(self, at_ns: int) -> None:
        """Marks the entry that was heard at ``at_ns``, and scrolls it into view."""
        entries = enumerate(self.bridge.transcript.entries)
        begun = [(entry.began_ns, index) for index, entry in entries if entry.began_ns <= at_ns]
        now = max(begun)[1] if begun else _BEFORE_ALL
        if now == self._now or not self._starts or now >= len(self._starts):
            return
        self._now = now
        if not self.following:
            first = max(now, 0)
            with self._moving_ourselves():
                self.show_line(self._starts[first] + len(self._wrapped[first]) - 1)
                self.show_line(self._starts[first])
        self.refresh()

    def on_resize(self) -> None:
        """Wraps the words to the new width."""
        if self.line_width - _HEAD_CELLS != self._wrapped_at:
            self.refresh_from_model()

    def why_empty(self) -> str:
        """Returns the text for an empty pane."""
        state = self.bridge.state
        if wordless := _wordless(state.protocol):
            return f"{wordless} carries audio only, so there is no transcript."
        if state.status in (Status.ENDED, Status.ERROR):
            return "The agent sent no transcript in this session."
        return nothing_shown(self.bridge.state, "No transcript", "It appears when the agent sends one.")

    def line_key(self, index: int) -> Hashable:
        """Returns the cache key of a line: its pieces, and whether the playhead is in its entry."""
        which, line = self._place(index)
        return which == self._now, *self._pieces(which, line)

    def draw_line(self, index: int, width: int) -> Strip:
        """Draws one line of an entry. The first line starts with time and speaker."""
        which, line = self._place(index)
        highlight = "transcript--now" if which == self._now else ""
        return line_of(*((text, self.component(look, highlight)) for text, look in self._pieces(which, line)))

    def _place(self, index: int) -> tuple[int, int]:
        """Returns the index of the entry to which a line belongs, and the number of the line in that entry."""
        which = bisect_right(self._starts, index) - 1
        return which, index - self._starts[which]

    def _pieces(self, which: int, line: int) -> Iterable[Piece]:
        entry = self.bridge.transcript.entries[which]
        time = numbers.since(entry.at_ns, self._start_ns()) if line == 0 else ""
        words, mark = self._wrapped[which][line], ""
        if line == len(self._wrapped[which]) - 1 and _mark(entry):
            words, mark = words.removesuffix(_mark(entry)), _mark(entry)
        yield f"{time:>9} ", "transcript--time"
        yield f"{'' if line else _who(entry):<5} ", f"transcript--{_who(entry)}"
        yield from self._heard_pieces(which, line, words)
        yield mark, _mark_look(entry)

    def _heard_pieces(self, which: int, line: int, words: str) -> list[Piece]:
        """Returns the words of a line as pieces: words that were heard, then unplayed words."""
        entry = self.bridge.transcript.entries[which]
        look = _look(entry)
        place = _cut_place(self._wrapped[which], entry)
        if place is None or line < place[0]:
            return [(words, look)]
        at = place[1] if line == place[0] else 0
        cut = CUT if line == place[0] else ""
        unheard = words[at + len(cut) :]
        blanks = len(unheard) - len(unheard.rstrip(" "))
        return [
            (words[:at], look),
            (cut, "transcript--cut"),
            (unheard.rstrip(" "), "transcript--unheard"),
            (" " * blanks, look),
        ]

    def _changed_from(self, index: int) -> None:
        self._stale_from = min(self._stale_from, index)
        self.changed()

    def _end(self) -> int:
        return self._starts[-1] + len(self._wrapped[-1]) if self._starts else 0

    def _start_ns(self) -> int:
        began = self.bridge.state.began_ns
        if began is None:
            return self.bridge.transcript.entries[0].at_ns
        return began


@cache
def _wordless(protocol: str) -> str:
    """Returns the title of a built-in protocol without transcripts.

    Empty for a protocol that has transcripts or is custom.
    """
    known = protocol_named(protocol) if protocol in BUILT_IN else None
    return known.title if known is not None and not known.has_words else ""


def words_of(entry: Entry) -> str:
    """Returns the words of an entry, followed by its mark."""
    text = _call(entry.event) if isinstance(entry, ToolUse) else _words(entry)
    return f"{text}  {_mark(entry)}" if _mark(entry) else text


def _words(said: Utterance) -> str:
    text = visible(said.text[:MAX_CHARACTERS]).expandtabs(4)
    heard = _heard_characters(said)
    if heard is not None:
        shown = len(visible(said.text[:heard]).expandtabs(4))
        text = f"{text[:shown].rstrip(' ')} {CUT} {text[shown:].lstrip(' ')}".strip(" ")
    if len(said.text) > MAX_CHARACTERS:
        text += f"… ({len(said.text):,} characters)"
    return text if said.final else f"{text} …"


def _heard_characters(said: Utterance) -> int | None:
    """Returns how many characters of a cut-off text were heard, up to the end of a word.

    Returns None for a text that was not cut off, or if the number is unknown.
    """
    if said.heard is not Heard.CUT or said.heard_share is None:
        return None
    text = said.text[:MAX_CHARACTERS]
    reached = round(len(said.text) * said.heard_share)
    if reached >= len(text):
        return len(text)
    before, after = max(text.rfind(" ", 0, reached + 1), 0), text.find(" ", reached)
    after = len(text) if after < 0 else after
    return before if reached - before < after - reached else after


def _cut_place(lines: list[str], entry: Entry) -> tuple[int, int] | None:
    """Returns the line and column at which an entry was cut off; None if it was not cut off."""
    heard = _heard_characters(entry) if isinstance(entry, Utterance) else None
    if heard is None or not isinstance(entry, Utterance):
        return None
    earlier = entry.text[:heard].count(CUT)  # the agent may also use this character
    for number, line in enumerate(lines):
        count = line.count(CUT)
        if earlier < count:
            at = -1
            for _ in range(earlier + 1):
                at = line.index(CUT, at + 1)
            return number, at
        earlier -= count
    return None


def _call(event: ToolChanged) -> str:
    call = f"{one_line(event.name, MAX_ARGUMENTS)}({one_line(event.arguments, MAX_ARGUMENTS)})"
    if not event.finished:
        return call
    outcome = f"error: {event.error}" if event.error else f"result: {event.result}"
    return f"{call} → {one_line(outcome, MAX_OUTCOME)}"


def _who(entry: Entry) -> str:
    return "tool" if isinstance(entry, ToolUse) else entry.speaker.value


def _mark(entry: Entry) -> str:
    """Returns a mark in brackets that says how much of an entry was heard, or how long a tool ran.

    Empty if all of the entry was heard. The mark contains no-break spaces, so that it is not wrapped.
    """
    match entry:
        case ToolUse(event=event):
            mark = numbers.milliseconds(event.duration_ms) if event.finished else "running"
        case Utterance(speaker=Party.USER) | Utterance(heard=Heard.HEARD):
            return ""
        case Utterance(heard=Heard.CUT, heard_share=float(share)):
            # What was cut off was not heard completely, however little is missing.
            mark = f"{entry.heard.value}, {min(share, 0.99):.0%} heard"
        case _:
            mark = entry.heard.value
    return f"[{mark}]".replace(" ", "\u00a0")


def _mark_look(entry: Entry) -> str:
    cut = isinstance(entry, Utterance) and entry.heard is Heard.CUT
    return "transcript--cut" if cut else "transcript--mark"


def _look(entry: Entry) -> str:
    match entry:
        case ToolUse(event=event):
            return "transcript--failed" if event.error else "transcript--words"
        case Utterance(final=False):
            return "transcript--partial"
        case _:
            return "transcript--queued" if entry.heard is Heard.QUEUED else "transcript--words"
