"""Choice: a selection from a list.

The selected value may be missing from the list: for example, a file, or a device that is not plugged in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textual.content import Content
from textual.widgets import Select

from tui.text.visible import one_line

_SHOWN = 60


class Choice(Select[str]):
    """A `Select` of strings that always has a value."""

    DEFAULT_CSS = """
    Choice:focus > SelectCurrent {
        background: $primary;
        background-tint: transparent;
        Static#label { color: $background; text-style: bold; }
        .arrow { color: $background; }
        &:nocolor Static#label { text-style: reverse; }
    }
    """

    def __init__(
        self,
        names: Iterable[str] | Mapping[str, str],
        *,
        id: str,  # noqa: A002 - Textual's name for it
    ) -> None:
        """Creates a list of ``names``: values, or values with their labels."""
        self._offered = dict(names) if isinstance(names, Mapping) else {name: name for name in names}
        super().__init__(self._prompts(), allow_blank=False, id=id, compact=True)

    @property
    def chosen(self) -> str:
        """The selected value."""
        return self.value if isinstance(self.value, str) else next(iter(self._offered))

    def offer(self, labels: dict[str, str]) -> None:
        """Replaces the list with these values and labels; keeps the selected value."""
        chosen, self._offered = self.chosen, dict(labels)
        self.set_options(self._prompts())
        self.choose(chosen)

    def choose(self, value: str) -> None:
        """Selects a value, even if it is not in the list."""
        if value not in self._offered:
            self._offered[value] = value
            self.set_options(self._prompts())
        self.value = value

    def _prompts(self) -> list[tuple[Content, str]]:
        return [(Content(one_line(label, _SHOWN)), value) for value, label in self._offered.items()]
