"""What wants to be read at once: the last error, and notices."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.models.events import ConditionChanged, ErrorRaised, NoticeRaised
from tui.text.visible import one_line
from tui.widgets.panel import ModelPanel
from tui.widgets.strip import Group, spread
from tui.widgets.wrap import fit, wrap

Told = ConditionChanged | NoticeRaised
_REMEMBERED = 20
_ROOMY_ROWS = 24
"""From so many rows on, a long message and a long hint have two lines each."""
_TEXT_CHARS = 1_000


class ErrorBanner(Static, ModelPanel):
    """Names the last error and what to do about it; hidden without one and when dismissed."""

    DEFAULT_CSS = """
    ErrorBanner {
        display: none; height: auto; padding: 0 1; text-wrap: nowrap;
        background: $error-muted; color: $foreground;
        &:ansi { background: ansi_default; }
        &:hover { background: $error 60%; }
    }
    """

    class Clicked(Message):
        """The error's event is to be shown."""

    def __init__(self, bridge: Bridge, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(markup=False, id=id)
        self.bridge = bridge
        self._dismissed: ErrorRaised | None = None
        self.tooltip = "Show the error's event in the log (e)"

    @property
    def error(self) -> ErrorRaised | None:
        """The error on show."""
        error = self.bridge.state.last_error
        return None if error is self._dismissed else error

    def listen(self) -> Iterable[Registration]:
        """Errors, and the status: a new session has none."""
        yield self.bridge.state.add_error_callback(self.changed)
        yield self.bridge.state.add_status_change_callback(self.changed)

    def dismiss(self) -> None:
        """Hide this error; the next one is shown again."""
        self._dismissed = self.bridge.state.last_error
        self.refresh_from_model()

    def refresh_from_model(self) -> None:
        """Show or hide."""
        error = self.error
        self.display = error is not None
        if error is None:
            return
        width = self.content_size.width or self.screen.size.width - 2
        count = max(self.bridge.state.metrics.errors, error.count)
        keys = "e shows it · esc dismisses"
        if count > 1:
            keys = f"{count} errors · {keys}"
        most = _most_lines(self)
        head = f"✗ {one_line(error.source, 40)}: "
        first, *more = _lines(head + one_line(error.message, _TEXT_CHARS), width, most)
        hint, *rest = _lines(one_line(error.hint, _TEXT_CHARS), max(width - len(keys) - 4, 10), most)
        lines = [
            Content.assemble((head, "bold $text-error"), (first[len(head) :], "bold $foreground")),
            *(Content.styled(f"  {line}", "bold $foreground") for line in more),
            spread([Group([(f"  {hint}", "")])], [Group([(keys, "")])], width),
            *(Content(f"  {line}") for line in rest),
        ]
        self.update(Content("\n").join(lines))

    def on_resize(self) -> None:
        """Cut the texts anew."""
        self.refresh_from_model()

    def on_click(self) -> None:
        """Like the key."""
        self.post_message(self.Clicked())


def _most_lines(widget: Widget) -> int:
    """Of a text, where there may be a hint below it."""
    return 2 if widget.screen.size.height >= _ROOMY_ROWS else 1


def _lines(text: str, width: int, most: int) -> list[str]:
    """A text on as many lines as it needs, indented but the first; cut with an ellipsis where that is too many."""
    lines = wrap(text, width - 2)
    if len(lines) > most:
        lines[most - 1 :] = [fit(" ".join(lines[most - 1 :]), width - 2).rstrip()]
    return lines


def _told(text: str, hint: str, width: int, most: int) -> list[str]:
    """A text and what to do about it: that begins a line of its own, unless it costs one more or a cut."""
    whole = wrap(f"{text} {hint}".strip(), width - 2)
    if len(whole) <= len(wrap(text, width - 2)) <= 2:
        return whole
    return [*_lines(text, width, 1 if hint else 2), *(_lines(hint, width, most) if hint else ())]


class NoticeLine(Static, ModelPanel):
    """What is the matter with audio now, else the last notice; hidden without and when dismissed.

    The notices of a saved session are history: of those, only what is the matter with opening it is shown.
    """

    DEFAULT_CSS = """
    NoticeLine { display: none; height: auto; padding: 0 1; text-wrap: nowrap; background: $surface; }
    """

    def __init__(self, bridge: Bridge, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(markup=False, id=id)
        self.bridge = bridge
        self.saved = False
        """Whether a saved session is shown; the screen's business."""
        self._dismissed: list[Told] = []

    @property
    def notice(self) -> Told | None:
        """The condition or notice on show."""
        state = self.bridge.state
        told: list[Told] = [*reversed(state.conditions.values())] if state.status.live else []
        if state.notice is not None and self._is_so(state.notice):
            told.append(state.notice)
        return next((one for one in told if not any(one is other for other in self._dismissed)), None)

    def _is_so(self, notice: NoticeRaised) -> bool:
        """Whether it still concerns whoever looks at the screen."""
        if self.saved:
            return notice.of_opening
        return self.bridge.state.status.live or not notice.of_call

    def listen(self) -> Iterable[Registration]:
        """Notices are part of the controls; a new session has none."""
        yield self.bridge.state.add_controls_change_callback(self.changed)
        yield self.bridge.state.add_status_change_callback(self.changed)

    def dismiss(self) -> None:
        """Hide what is on show."""
        if self.notice is not None:
            self._dismissed = [*self._dismissed[-_REMEMBERED:], self.notice]
        self.refresh_from_model()

    def refresh_from_model(self) -> None:
        """Show or hide."""
        notice = self.notice
        self.display = notice is not None
        if notice is None:
            return
        width = self.content_size.width or self.screen.size.width - 2
        text, hint = one_line(notice.text, _TEXT_CHARS), one_line(notice.hint, _TEXT_CHARS)
        self.tooltip = Content(f"{text} {hint}".strip())
        first, *more = _told(text, hint, width, _most_lines(self))
        head = Content.assemble(("! ", "bold $text-warning"), first)
        content = Content("\n").join([head, *(Content(f"  {line}") for line in more)])
        self.update(content, layout=self.size.height != 1 + len(more))

    def on_resize(self) -> None:
        """Cut the text anew."""
        self.refresh_from_model()

    def on_click(self) -> None:
        """A click dismisses, as esc does."""
        self.dismiss()
