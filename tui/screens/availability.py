"""Availability: determines which actions of the session screen apply now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.binding import Binding

from tui.bridge import Bridge
from tui.protocols.abilities import lacking
from tui.screens.needs import Origin, Situation
from tui.screens.session_actions import ACTIONS_BY_ID

if TYPE_CHECKING:
    from tui.screens.session import SessionScreen


class Availability:
    """Determines which actions apply, from the current state of the models and the screen.

    The footer, the help and the palette use `state_of`, by way of the screen's `check_action`. Call `update`
    when actions may have changed.
    """

    def __init__(self, bridge: Bridge, screen: SessionScreen) -> None:
        self._bridge = bridge
        self._screen = screen
        self._offered: Situation | None = None

    @property
    def situation(self) -> Situation:
        """The state of the session and the screen that determines which actions apply."""
        state, screen = self._bridge.state, self._screen
        return Situation(
            origin=Origin.CALL if screen.replay is None else Origin.SAVED,
            status=state.status,
            lacking=lacking(state.protocol),
            recording=state.controls.recording,
            can_call=screen.controls.can_call,
            saved=self._bridge.folder.path is not None,
            has_words=bool(self._bridge.transcript.entries),
            has_events=bool(self._bridge.log.rows),
            has_turns=bool(state.metrics.turns),
            has_error=state.last_error is not None,
            has_marks=bool(screen.log_pane.view.marks.numbers),
            detail_open=screen.reading.is_open,
            panes_stacked=screen.panes.stacked,
            searching=screen.search.active,
            filtered=screen.log_pane.filtered,
            scenario=self._bridge.scenario.phase,
        )

    def state_of(self, action_id: str) -> bool | None:
        """Returns whether an action applies, in the same form as `Action.state`."""
        return ACTIONS_BY_ID[action_id].state(self.situation)

    def why_not(self, action_id: str) -> str:
        """Returns why an action is not available at the moment; "" if it is available.

        Also returns "" for an action of another screen.
        """
        action = ACTIONS_BY_ID.get(action_id)
        return "" if action is None else action.needs(self.situation)

    def why_not_here(self, bound: Iterable[Binding]) -> str:
        """Returns a sentence if a key works only in calls but this is a saved session, or the other way round.

        The sentence names one of the key's actions. For any other key, returns "".
        """
        here = self.situation.origin
        for binding in bound:
            action = ACTIONS_BY_ID.get(binding.id or "")
            if action is not None and action.origin not in (None, here):
                where = "this is a saved session" if here is Origin.SAVED else "this is not a saved session"
                return f"{action.name}: {where}"
        return ""

    def update(self) -> None:
        """Updates the footer, the help and the talk button if the available actions have changed."""
        now = self.situation
        if now != self._offered:
            self._offered = now
            self._screen.tab_line.talk.show_state(ready=now.talking, recording=now.recording)
            self._screen.refresh_bindings()
