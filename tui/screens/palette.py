"""The command palette, which lists the available actions by area."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from textual.actions import parse
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode
from textual.widgets import Input

from tui.screens.actions import APP, LINE_KEYS, Action, ActionArea, HasActions, spoken
from tui.screens.themes import OFFERED
from tui.widgets.keys import in_order


class Command(NamedTuple):
    """An entry of the palette."""

    area: str
    label: str
    """Label in the footer."""
    name: str
    """The label or a longer text, such as the words of a recorded line."""
    help: str
    key: str
    run: Callable[[], Awaitable[object]]

    @property
    def title(self) -> Content:
        """Area, name and key of the command, as shown in the palette."""
        return Content.assemble(
            (f"{self.area}: ", "$foreground-muted"), self.name, (f"  {self.key}", "$primary")
        )


class ThemeCommands(Provider):
    """Palette entries that select a theme."""

    async def discover(self) -> Hits:
        """Yields all themes."""
        for name, look in OFFERED.items():
            yield DiscoveryHit(name, partial(self._use, name), help=look)

    async def search(self, query: str) -> Hits:
        """Yields the themes whose names match the query."""
        matcher = self.matcher(query)
        for name, look in OFFERED.items():
            score = matcher.match(f"{name} {look}")
            if score > 0:
                yield Hit(score, name, partial(self._use, name), help=look)

    def _use(self, name: str) -> None:
        self.app.theme = name


class ActionCommands(Provider):
    """Palette entries for the actions of the screen below and of the program.

    Keys of the focused pane come last.
    """

    async def discover(self) -> Hits:
        """Yields all available commands."""
        for command in self._commands():
            yield DiscoveryHit(command.title, command.run, help=command.help)

    async def search(self, query: str) -> Hits:
        """Yields the available commands that match the query."""
        matcher = self.matcher(query)
        for command in self._commands():
            # A fuzzy search of whole sentences would match nearly anything.
            literally = query.casefold() in f"{command.area}: {command.name} {command.help}".casefold()
            score = matcher.match(command.label) or 0.1 * literally
            if score > 0:
                yield Hit(score, command.title, command.run, help=command.help)

    def _commands(self) -> list[Command]:
        places: list[str] = list(ActionArea)
        found = [*self._actions(), *self._other_keys()]
        return sorted(found, key=lambda c: places.index(c.area) if c.area in places else len(places))

    def _actions(self) -> Iterator[Command]:
        from tui.screens.help import name_of  # late: not needed for the first paint

        here: Sequence[Action] = self.screen.ACTIONS if isinstance(self.screen, HasActions) else ()
        keys = {
            entry.binding.id or "": self.app.get_key_display(entry.binding)
            for entry in reversed(self.screen.active_bindings.values())
        }
        for action in (*here, *APP):
            owner: DOMNode = self.app if action in APP else self.screen
            _, name, parameters = parse(action.action)
            if action.palette and owner.check_action(name, parameters) is True:
                key = keys.get(action.id, "")
                yield Command(
                    action.area or name_of(owner),
                    action.name,
                    spoken().get(action.id, action.name),
                    action.tooltip,
                    action.keys if key == LINE_KEYS else key,
                    partial(self._run, action.action, owner),
                )

    def _other_keys(self) -> Iterator[Command]:
        """Yields a command for each key of the focused pane.

        Also yields the keys of the screen, unless the screen lists its actions.
        """
        from tui.screens.help import name_of

        listed = isinstance(self.screen, HasActions)
        seen: set[str] = set()
        for entry in in_order(self.screen.active_bindings.values()):
            binding, node = entry.binding, entry.node
            ours = (
                node is not self.app and not (listed and node is self.screen) and not isinstance(node, Input)
            )
            if ours and entry.enabled and binding.description and binding.action not in seen:
                seen.add(binding.action)
                yield Command(
                    name_of(node),
                    binding.description,
                    binding.description,
                    binding.tooltip or f"{binding.description}.",
                    self.app.get_key_display(binding),
                    partial(self._run, binding.action, node),
                )

    async def _run(self, action: str, owner: DOMNode) -> None:
        await self.app.run_action(action, default_namespace=owner)
