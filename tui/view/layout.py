"""Decides which side panes are shown, and stores their order and sizes between runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated

import msgspec

LEAST_SHARE, MOST_SHARE = 0.15, 0.85
"""Smallest and largest share of the space for the log."""
LEAST_WEIGHT, MOST_WEIGHT = 0.1, 10.0

Share = Annotated[float, msgspec.Meta(ge=LEAST_SHARE, le=MOST_SHARE)]
Weight = Annotated[float, msgspec.Meta(ge=LEAST_WEIGHT, le=MOST_WEIGHT)]


class Layout(msgspec.Struct, frozen=True, omit_defaults=True):
    """The layout of the panes that is stored between runs. Unknown fields from other versions are ignored."""

    panes: tuple[str, ...] = ("transcript", "turns", "health")
    """Names of the side panes, most recently requested first. Panes that are not named come last."""
    log_share_beside: Share = 0.55
    """The log's share of the width while the side panes are beside it."""
    log_share_below: Share = 0.6
    """The log's share of the height while the side panes are below it."""
    weights: dict[str, Weight] = {}
    """Relative heights of stacked side panes, by name; 1 by default."""


OPENED = Layout(panes=("turns", "transcript", "health"))
"""Layout of a saved session if the user has not chosen a layout: the turns show why the agent was slow."""


class Arrangement:
    """Decides which side panes are shown: as many as fit, the most recently requested ones first.

    A transient pane is removed when it is hidden, or when other panes take its place.
    """

    def __init__(
        self, names: Sequence[str], transient: Collection[str] = (), wanted: Sequence[str] = ()
    ) -> None:
        self.names = tuple(names)
        self.transient = frozenset(transient)
        lasting = [name for name in self.names if name not in self.transient]
        self.order = list(dict.fromkeys([*(name for name in wanted if name in lasting), *lasting]))
        """Names of the panes, the most recently requested first."""
        self.room = 1

    @property
    def shown(self) -> list[str]:
        """Names of the panes that are shown, in their fixed order on the screen."""
        chosen = self.order[: self.room]
        return [name for name in self.names if name in chosen]

    @property
    def lasting(self) -> tuple[str, ...]:
        """Names of the panes that are not transient, the most recently requested first."""
        return tuple(name for name in self.order if name not in self.transient)

    @property
    def has_transient(self) -> bool:
        """Whether a transient pane is shown."""
        return not self.transient.isdisjoint(self.order)

    def bring(self, name: str) -> None:
        """Shows a pane. A pane that is already shown keeps its place."""
        if name not in self.shown:
            self.order = [name, *(other for other in self.order if other != name)]
        self._crowd_out()

    def put_away(self, name: str) -> None:
        """Hides a pane. The most recently requested pane that is not shown takes its place."""
        self.order = [other for other in self.order if other != name]
        if name not in self.transient:
            self.order.append(name)

    def make_room(self, room: int) -> None:
        """Sets how many panes fit. At least one pane is always shown."""
        self.room = max(room, 1)
        self._crowd_out()

    def _crowd_out(self) -> None:
        chosen = self.order[: self.room]
        self.order = [name for name in self.order if name in chosen or name not in self.transient]


def share_of(wanted: float) -> Share:
    """Limits the log's share of the space, so that both sides stay readable."""
    return round(min(max(wanted, LEAST_SHARE), MOST_SHARE), 3)


def weight_of(wanted: float) -> Weight:
    """Limits the relative height of a pane, so that the other panes stay readable."""
    return round(min(max(wanted, LEAST_WEIGHT), MOST_WEIGHT), 3)
