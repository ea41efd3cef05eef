"""ToolsPane: shows one row per tool call, with its arguments and result."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.models.events import ToolChanged
from tui.models.transcript import ToolUse
from tui.text import numbers
from tui.text.visible import one_line
from tui.widgets.hints import nothing_shown
from tui.widgets.lines import Piece
from tui.widgets.rows import RowsView
from tui.widgets.wrap import fit

_TIME_CELLS, _STATE_CELLS, _DURATION_CELLS = 9, 11, 8
_MAX_NAME_CELLS = 24
_MAX_TEXT = 1000
"""Maximum number of characters drawn of the arguments and the result. The event in the log has the full text."""
_STATES = {
    "running": ("▶ running", "rows--bar"),
    "done": ("✓ done", "rows--good"),
    "failed": ("✗ failed", "rows--bad"),
    "no result": ("~ no result", "rows--slow"),
}


class ToolsPane(RowsView):
    """Draws the tool calls in the transcript."""

    TITLE = "Tools"

    def __init__(self, bridge: Bridge, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.bridge = bridge

    @property
    def calls(self) -> list[ToolUse]:
        """The tool calls of the session, in order."""
        return self.bridge.transcript.tools

    def listen(self) -> Iterable[Registration]:
        """Subscribes to changes of tool calls and of the status.

        When the session ends, running calls no longer get a result.
        """
        yield self.bridge.transcript.add_change_callback(self.changed)
        yield self.bridge.log.add_clear_callback(self.begin_anew)
        yield self.bridge.state.add_status_change_callback(self.changed)

    def title_parts(self) -> list[str]:
        """Returns the number of calls, of failed calls and of running calls."""
        states = [self.state(call.event) for call in self.calls]
        counts = [
            f"{states.count(state):,} {state}"
            for state in ("running", "failed", "no result")
            if state in states
        ]
        return [self.TITLE, *([f"{len(states):,}"] if states else []), *counts]

    def state(self, event: ToolChanged) -> str:
        """Returns the word for the state of a call."""
        if event.finished:
            return "failed" if event.error else "done"
        return "running" if self.bridge.state.status.live else "no result"

    def count(self) -> int:
        """Returns the number of calls."""
        return len(self.calls)

    def event_of(self, index: int) -> int:
        """Returns the number of the event with which the call began."""
        return self.calls[index].number

    def heads(self, width: int, height: int) -> Sequence[Sequence[Piece]]:
        """Returns the names of the columns."""
        columns = f"{'time':>{_TIME_CELLS}} {'state':<{_STATE_CELLS}} {'took':>{_DURATION_CELLS}}"
        return [[(fit(f"{columns}  tool, arguments → result", width), "rows--muted")]]

    def why_empty(self) -> str:
        """Returns the text for an empty pane."""
        return nothing_shown(
            self.bridge.state, "No tool calls", "Each call will be listed with its arguments and result."
        )

    def row_key(self, index: int) -> Hashable:
        """Returns the call's latest event and its state, as the cache key of the row."""
        event = self.calls[index].event
        return event.number, self.state(event)

    def row(self, index: int, width: int) -> Sequence[Piece]:
        """Returns the columns of a call: time, state, duration, name, arguments, and result or error."""
        call = self.calls[index]
        event = call.event
        state, look = _STATES[self.state(event)]
        words = max(width - _TIME_CELLS - _STATE_CELLS - _DURATION_CELLS - 4, 0)
        name = one_line(event.name, _MAX_NAME_CELLS)
        text = f"{name}({one_line(event.arguments, words)})"
        if event.finished:
            # The arguments are cut first, because the result is needed more often.
            outcome = f" → {one_line(_outcome(event), words)}"
            text = fit(text, max(words - len(outcome), words // 2)).rstrip() + outcome
        return [
            (f"{numbers.since(call.at_ns, self._start_ns()):>{_TIME_CELLS}} ", "rows--muted"),
            (fit(state, _STATE_CELLS) + " ", look),
            (f"{numbers.milliseconds(event.duration_ms):>{_DURATION_CELLS}}  ", "rows--plain"),
            (fit(text, words), "rows--bad" if event.error else "rows--plain"),
        ]

    def in_full(self, index: int) -> Sequence[Piece]:
        """Returns all details of a call."""
        event = self.calls[index].event
        state, look = _STATES[self.state(event)]
        took = f" in {numbers.milliseconds(event.duration_ms)}" if event.finished else ""
        pieces = [(one_line(event.name, 100), "rows--heading"), (state + took, look)]
        pieces += [(f"call {one_line(event.call, 60)}", "rows--muted")] if event.call else []
        pieces += [("\n", ""), (f"arguments: {one_line(event.arguments, _MAX_TEXT) or '–'}", "rows--plain")]
        if event.finished:
            kind = "error" if event.error else "result"
            style = "rows--bad" if event.error else "rows--plain"
            pieces += [("\n", ""), (f"{kind}: {one_line(_outcome(event), _MAX_TEXT) or '–'}", style)]
        return pieces

    def _start_ns(self) -> int:
        began = self.bridge.state.began_ns
        return self.calls[0].at_ns if began is None else began


def _outcome(event: ToolChanged) -> str:
    return event.error or event.result
