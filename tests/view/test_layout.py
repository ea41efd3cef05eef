from __future__ import annotations

from tui.view.layout import LEAST_SHARE, MOST_WEIGHT, Arrangement, share_of, weight_of

NAMES = ("transcript", "turns", "health", "detail")


def arrangement(room: int = 1, *, wanted: tuple[str, ...] = ()) -> Arrangement:
    it = Arrangement(NAMES, {"detail"}, wanted)
    it.make_room(room)
    return it


def test_the_last_requested_pane_is_shown_and_the_previous_one_returns() -> None:
    panes = arrangement()
    assert panes.shown == ["transcript"]
    panes.bring("health")
    assert panes.shown == ["health"]
    panes.put_away("health")
    assert panes.shown == ["transcript"]


def test_more_room_shows_more_panes_in_the_same_order() -> None:
    panes = arrangement(2)
    panes.bring("health")
    assert panes.shown == ["transcript", "health"]
    panes.make_room(3)
    assert panes.shown == ["transcript", "turns", "health"]


def test_requesting_a_visible_pane_hides_no_other() -> None:
    panes = arrangement(2)
    panes.bring("transcript")
    panes.bring("turns")
    assert panes.shown == ["transcript", "turns"]


def test_a_transient_pane_is_dropped_once_hidden() -> None:
    panes = arrangement(2)
    panes.bring("detail")
    assert panes.shown == ["transcript", "detail"]
    panes.make_room(1)
    assert panes.shown == ["detail"]
    panes.bring("turns")
    panes.make_room(3)
    assert "detail" not in panes.shown
    panes.bring("detail")
    panes.put_away("detail")
    panes.make_room(9)
    assert panes.shown == ["transcript", "turns", "health"]


def test_a_remembered_layout_with_unknown_names_is_accepted() -> None:
    panes = arrangement(2, wanted=("turns", "turns", "detail", "gone", "health"))
    assert panes.shown == ["turns", "health"]
    assert panes.lasting == ("turns", "health", "transcript")


def test_no_side_can_be_dragged_to_nothing() -> None:
    assert share_of(0.6) == 0.6
    assert share_of(-3) == LEAST_SHARE
    assert weight_of(100.0) == MOST_WEIGHT
