"""The command palette: lists the actions that apply now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from textual.actions import parse
from textual.app import App
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tui.screens.actions import APP, LINE_KEYS, Action, HasActions, spoken


class ActionCommands(Provider):
    """The actions of the screen below and of the program."""

    async def discover(self) -> Hits:
        """Yields every action that applies."""
        keys = self._keys()
        for action in self._applying():
            yield DiscoveryHit(_title(action, keys), partial(self._run, action), help=action.tooltip)

    async def search(self, query: str) -> Hits:
        """Yields the actions that apply and match."""
        matcher, keys = self.matcher(query), self._keys()
        for action in self._applying():
            score = matcher.match(action.name) or 0.1 * (query.casefold() in _searched(action))
            if score > 0:
                yield Hit(score, _title(action, keys), partial(self._run, action), help=action.tooltip)

    def _applying(self) -> Iterator[Action]:
        here: Sequence[Action] = self.screen.ACTIONS if isinstance(self.screen, HasActions) else ()
        for action in (*here, *APP):
            owner = self.app if action in APP else self.screen
            _, name, parameters = parse(action.action)
            if action.palette and owner.check_action(name, parameters) is True:
                yield action

    def _keys(self) -> dict[str, str]:
        """Returns the key of each action, by its id."""
        return {
            entry.binding.id or "": self.app.get_key_display(entry.binding)
            for entry in reversed(self.screen.active_bindings.values())
        }

    async def _run(self, action: Action) -> None:
        owner: App[object] | object = self.app if action in APP else self.screen
        if isinstance(owner, App):
            await owner.run_action(action.action)
        else:
            await self.screen.run_action(action.action)


def _title(action: Action, keys: dict[str, str]) -> Content:
    key = keys.get(action.id, "")
    if key == LINE_KEYS:
        key = action.keys
    return Content.assemble(_name(action), (f"  {key}", "$foreground-muted"))


def _name(action: Action) -> str:
    return spoken().get(action.id, action.name)


def _searched(action: Action) -> str:
    """Returns the text that is searched literally: a fuzzy search of whole sentences would match nearly anything."""
    return f"{_name(action)} {action.tooltip}".casefold()
