"""Lines for texts that need immediate attention: the last error, and notices."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.models.events import ConditionChanged, ErrorRaised, FindingRaised, NoticeRaised
from tui.text.visible import one_line
from tui.widgets.panel import ModelPanel
from tui.widgets.strip import Group, spread
from tui.widgets.wrap import fit, wrap

Notice = ConditionChanged | NoticeRaised | FindingRaised
_REMEMBERED = 20
_MOST_LINES, _MOST_NOTICE_LINES = 2, 4
"""Maximum number of lines of an error or a hint, and of a notice.

Text is never shortened to make room for its hint."""
_DISMISS = "esc dismiss"
_TEXT_CHARS = 1_000


class ErrorBanner(Static, ModelPanel):
    """Shows the last error and a hint.

    The banner is hidden if there is no error, or if the user has dismissed the error.
    """

    DEFAULT_CSS = """
    ErrorBanner {
        display: none; height: auto; padding: 0 1; text-wrap: nowrap;
        background: $error-muted; color: $foreground;
        &:ansi { background: ansi_default; }
        &:hover { background: $error 60%; }
    }
    """

    class Clicked(Message):
        """Requests that the log show the error's event."""

    def __init__(self, bridge: Bridge, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(markup=False, id=id)
        self.bridge = bridge
        self._dismissed: ErrorRaised | None = None
        self.tooltip = "Show the error's event in the log (e)"

    @property
    def error(self) -> ErrorRaised | None:
        """The error that is shown."""
        error = self.bridge.state.last_error
        return None if error is self._dismissed else error

    def listen(self) -> Iterable[Registration]:
        """Subscribes to errors, and to status changes, because a new session clears the error."""
        yield self.bridge.state.add_error_callback(self.changed)
        yield self.bridge.state.add_status_change_callback(self.changed)

    def dismiss(self) -> None:
        """Hides the current error. The banner appears again for later errors."""
        self._dismissed = self.bridge.state.last_error
        self.refresh_from_model()

    def refresh_from_model(self) -> None:
        """Shows the current error, or hides the banner if there is none."""
        error = self.error
        self.display = error is not None
        if error is None:
            return
        width = self.content_size.width or self.screen.size.width - 2
        count = max(self.bridge.state.metrics.errors, error.count)
        keys = "e show · esc dismiss"
        if count > 1:
            keys = f"{count} errors · {keys}"
        head = f"✗ {one_line(error.source, 40)}: "
        first, *more = _lines(head + one_line(error.message, _TEXT_CHARS), width)
        # Only the first line of the hint shares its line with the keys.
        hint = one_line(error.hint, _TEXT_CHARS)
        beside_keys = next(iter(wrap(hint, max(width - len(keys) - 6, 8))), "")
        rest = _lines(hint.removeprefix(beside_keys).strip(), width) if hint != beside_keys else []
        lines = [
            Content.assemble((head, "bold $text-error"), (first[len(head) :], "bold $foreground")),
            *(Content.styled(f"  {line}", "bold $foreground") for line in more),
            spread([Group([(f"  {beside_keys}", "")])], [Group([(keys, "")])], width),
            *(Content(f"  {line}") for line in rest),
        ]
        self.update(Content("\n").join(lines))

    def on_resize(self) -> None:
        """Wraps the lines to the new width."""
        self.refresh_from_model()

    def on_click(self) -> None:
        """Requests that the log show the error's event."""
        self.post_message(self.Clicked())


def _lines(text: str, width: int, most: int = _MOST_LINES) -> list[str]:
    """Wraps a text to at most ``most`` lines. The last line of a longer text ends with an ellipsis.

    The lines are short enough to be indented.
    """
    lines = wrap(text, width - 2)
    if len(lines) > most:
        lines[most - 1 :] = [fit(" ".join(lines[most - 1 :]), width - 2).rstrip()]
    return lines


def _with_hint(text: str, hint: str, width: int) -> list[str]:
    """Returns the lines of a text and its hint.

    A hint that fits continues the last line of the text; any other hint begins a new line.
    """
    whole = wrap(f"{text} {hint}".strip(), width - 2)
    if len(whole) <= len(wrap(text, width - 2)) <= 2:
        return whole
    return [*_lines(text, width, _MOST_NOTICE_LINES), *(_lines(hint, width) if hint else ())]


class NoticeLine(Static, ModelPanel):
    """Shows the latest audio problem; without a problem, shows the last notice or the latest advice.

    The line is hidden if there is nothing to show. For a saved session, the line shows only notices about
    opening the session, because other notices are out of date.
    """

    DEFAULT_CSS = """
    NoticeLine { display: none; height: auto; padding: 0 1; text-wrap: nowrap; background: $surface; }
    """

    def __init__(self, bridge: Bridge, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(markup=False, id=id)
        self.bridge = bridge
        self.saved = False
        """Whether a saved session is shown; set by the screen."""
        self._dismissed: list[Notice] = []

    @property
    def notice(self) -> Notice | None:
        """The audio problem, notice or advice to show; None if there is nothing to show."""
        state = self.bridge.state
        candidates: list[Notice] = [*reversed(state.conditions.values())] if state.status.live else []
        if state.notice is not None and self._is_so(state.notice):
            candidates.append(state.notice)
        if state.advice is not None and state.status.live and not self.saved:
            candidates.append(state.advice)
        return next((one for one in candidates if not any(one is other for other in self._dismissed)), None)

    def _is_so(self, notice: NoticeRaised) -> bool:
        """Returns whether a notice still applies."""
        if self.saved:
            return notice.of_opening
        return self.bridge.state.status.live or not notice.of_call

    def listen(self) -> Iterable[Registration]:
        """Subscribes to changes of the controls, which include notices, and to status changes.

        A new session clears the notice.
        """
        yield self.bridge.state.add_controls_change_callback(self.changed)
        yield self.bridge.state.add_status_change_callback(self.changed)

    def dismiss(self) -> None:
        """Hides the text that is shown."""
        if self.notice is not None:
            self._dismissed = [*self._dismissed[-_REMEMBERED:], self.notice]
        self.refresh_from_model()

    def refresh_from_model(self) -> None:
        """Shows the current text, or hides the line if there is none."""
        notice = self.notice
        self.display = notice is not None
        if notice is None:
            return
        width = self.content_size.width or self.screen.size.width - 2
        text = one_line(notice.text, _TEXT_CHARS)
        is_advice = isinstance(notice, FindingRaised)
        hint = "" if isinstance(notice, FindingRaised) else one_line(notice.hint, _TEXT_CHARS)
        self.tooltip = Content(f"{text} {hint}".strip())
        lines = _with_hint(text, hint, width)
        if cell_len(lines[-1]) + len(_DISMISS) + 4 <= width:
            lines[-1] = fit(lines[-1], width - 2 - len(_DISMISS)) + _DISMISS
        first, *more = lines
        glyph = ("i ", "$text-muted") if is_advice else ("! ", "bold $text-warning")
        head = Content.assemble(glyph, first)
        content = Content("\n").join([head, *(Content(f"  {line}") for line in more)])
        self.update(content, layout=self.size.height != 1 + len(more))

    def on_resize(self) -> None:
        """Wraps the text to the new width."""
        self.refresh_from_model()

    def on_click(self) -> None:
        """Hides the text. A click has the same effect as the key esc."""
        self.dismiss()
