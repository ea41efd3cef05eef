"""Layout: which side panes are wanted and how the room is shared, as a plain value; and what follows from it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated

import msgspec

LEAST_SHARE, MOST_SHARE = 0.15, 0.85
"""Of the room that the log or the side may take."""
LEAST_WEIGHT, MOST_WEIGHT = 0.1, 10.0

Share = Annotated[float, msgspec.Meta(ge=LEAST_SHARE, le=MOST_SHARE)]
Weight = Annotated[float, msgspec.Meta(ge=LEAST_WEIGHT, le=MOST_WEIGHT)]


class Layout(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered of the panes between runs. A field of another version is passed over."""

    panes: tuple[str, ...] = ("transcript", "turns", "health")
    """Names of the side panes, the one asked for last first; those not named come after them."""
    log_share_beside: Share = 0.55
    """Of the width, where the side panes are beside the log."""
    log_share_below: Share = 0.6
    """Of the height, where they are below it."""
    weights: dict[str, Weight] = {}
    """Height of a side pane among those it is stacked with, by its name; 1 unless said."""


class Arrangement:
    """Which side panes are shown: the ones asked for last, as many as there is room for.

    A transient pane is there only from when it is asked for until it is put away, or crowded out.
    """

    def __init__(
        self, names: Sequence[str], transient: Collection[str] = (), wanted: Sequence[str] = ()
    ) -> None:
        self.names = tuple(names)
        self.transient = frozenset(transient)
        lasting = [name for name in self.names if name not in self.transient]
        self.order = list(dict.fromkeys([*(name for name in wanted if name in lasting), *lasting]))
        """The one asked for last first."""
        self.room = 1

    @property
    def shown(self) -> list[str]:
        """In the order in which they stand on the screen, which is always the same."""
        chosen = self.order[: self.room]
        return [name for name in self.names if name in chosen]

    @property
    def lasting(self) -> tuple[str, ...]:
        """What to remember."""
        return tuple(name for name in self.order if name not in self.transient)

    @property
    def has_transient(self) -> bool:
        """Whether a transient pane is shown."""
        return not self.transient.isdisjoint(self.order)

    def bring(self, name: str) -> None:
        """Show a pane; one that is shown already stays where it is."""
        if name not in self.shown:
            self.order = [name, *(other for other in self.order if other != name)]
        self._crowd_out()

    def put_away(self, name: str) -> None:
        """Show the one that was asked for before it instead."""
        self.order = [other for other in self.order if other != name]
        if name not in self.transient:
            self.order.append(name)

    def make_room(self, room: int) -> None:
        """There is room for so many."""
        self.room = max(room, 1)
        self._crowd_out()

    def _crowd_out(self) -> None:
        chosen = self.order[: self.room]
        self.order = [name for name in self.order if name in chosen or name not in self.transient]


def share_of(wanted: float) -> Share:
    """The nearest share that leaves both sides readable."""
    return round(min(max(wanted, LEAST_SHARE), MOST_SHARE), 3)


def weight_of(wanted: float) -> Weight:
    """The nearest weight that leaves the others readable."""
    return round(min(max(wanted, LEAST_WEIGHT), MOST_WEIGHT), 3)
