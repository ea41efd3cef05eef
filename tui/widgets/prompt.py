"""PromptLine: asks for a filter, a search text, a place, a note or a path, in place of the footer."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Input, Static

from tui.text.visible import one_line
from tui.widgets.question import Question
from tui.widgets.writing import TextLine

MAX_CHARACTERS = 2000
_MAX_MESSAGE = 400
_SHOWN_COMPLETIONS = 8
_LEAST_CELLS = 80
"""Minimum width of the screen for showing the keys next to the text."""


class PromptLine(Vertical):
    """A label and an input line, with a message above them."""

    TITLE = "Question"
    DEFAULT_CSS = """
    PromptLine {
        display: none; height: auto; padding: 0 1; background: $panel;
        .message { display: none; height: auto; max-height: 3; color: $text-warning; }
        .asked { height: 1; }
        .label { width: auto; color: $primary; text-style: bold; padding: 0 1 0 0; }
        .keys { display: none; width: auto; padding: 0 0 0 2; color: $foreground-muted; }
        &.-typed .keys { display: block; }
        Input { width: 1fr; background: $panel; background-tint: transparent; }
        &.-open { display: block; }
        &.-message .message { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close the line", show=False, id="prompt.close"),
        Binding("tab", "complete", "Complete", show=False, id="prompt.complete"),
        Binding("f1", "explain", "Explain", show=False, id="prompt.explain"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.line = TextLine(max_length=MAX_CHARACTERS, select_on_focus=False, compact=True)
        self.message = Static(classes="message", markup=False)
        self._label = Static(classes="label", markup=False)
        self._keys = Static(classes="keys", markup=False)
        self._question: Question | None = None
        self._came_from: Widget | None = None
        self._offered: list[str] = []
        self._tried = 0

    def compose(self) -> ComposeResult:
        """Yields the message and the input line."""
        yield self.message
        with Horizontal(classes="asked"):
            yield self._label
            yield self.line
            yield self._keys

    @property
    def is_open(self) -> bool:
        """Whether the prompt is shown."""
        return self._question is not None

    def ask(self, question: Question, value: str = "") -> None:
        """Opens the prompt for a question. ``value`` is the initial answer."""
        if not self.is_open:
            self._came_from = self.screen.focused
        self._question = question
        self._label.update(question.label)
        with self.line.prevent(Input.Changed):
            self.line.value = value
        self.line.cursor_position = len(value)
        self.line.placeholder = question.hint
        self._keys.update(_keys_of(question))
        self._show_keys()
        self.show_message("")
        self.add_class("-open")
        self.screen.set_focus(self.line)

    def show_message(self, message: str) -> None:
        """Shows a message above the line; an empty message hides it."""
        self.message.update(one_line(message, _MAX_MESSAGE))
        self.set_class(bool(message), "-message")

    def action_close(self) -> None:
        """Closes without an answer."""
        question = self._question
        self._shut()
        if question is not None and question.left is not None:
            question.left()

    def action_complete(self) -> None:
        """Inserts the most likely completion. If called again, replaces it with the next completion."""
        question = self._question
        if question is None or question.complete is None:
            return
        at = self.line.cursor_position
        if not self._offered:
            before = self.line.value[:at]
            self._offered, self._tried = [*question.complete(before), before], 0
            if len(self._offered) == 1:
                self._offered = []
                return
        else:
            self._tried = (self._tried + 1) % len(self._offered)
        offered, chosen = self._offered, self._offered[self._tried]
        rest = self.line.value[at:]
        with self.line.prevent(Input.Changed):
            self.line.value = chosen + rest
        self.line.cursor_position = len(chosen)
        problem = question.edited(self.line.value)
        self._offered = offered
        shown = [one_line(text, 40) for text in offered[:-1]]
        start = min(self._tried, len(shown) - 1) // _SHOWN_COMPLETIONS * _SHOWN_COMPLETIONS
        self.show_message(problem or "tab: " + "  ".join(shown[start : start + _SHOWN_COMPLETIONS]))

    def action_explain(self) -> None:
        """Shows the help page for the question."""
        if self._question is not None and self._question.explain is not None:
            self._question.explain()

    @on(Input.Changed)
    def _edited(self, event: Input.Changed) -> None:
        event.stop()
        self._offered = []
        self._show_keys()
        if self._question is not None:
            self.show_message(self._question.edited(event.value))

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if self._question is None:
            return
        problem = self._question.entered(self.line.value.strip())
        if problem:
            self.show_message(problem)
        else:
            self._shut()

    def _show_keys(self) -> None:
        """Shows the keys after the user's text if there is room. Before the user types, the hint is shown."""
        self.set_class(bool(self.line.value) and self.screen.size.width >= _LEAST_CELLS, "-typed")

    def _shut(self) -> None:
        self._question = None
        self._offered = []
        self.remove_class("-open")
        if self.line.has_focus:
            self.screen.set_focus(self._came_from)


def _keys_of(question: Question) -> str:
    keys = ["tab complete"] if question.complete is not None else []
    keys += ["F1 help"] if question.explain is not None else []
    return " · ".join([*keys, "enter accept", "esc cancel"])
