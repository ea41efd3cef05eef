"""Tests a minute of a scripted full-duplex conversation with the detectors and the fold of a call."""

from __future__ import annotations

import pytest

from benchmarks.duplex import BLOCK_MS, Compared, Conversation, Script, compare, comparisons, events_of, heard
from tui.models.turns.floor import floor_of

Found = dict[str, Compared]


@pytest.fixture(scope="module")
def conversation() -> Conversation:
    return Script(seed=8).play(minutes=0.85)


@pytest.fixture(scope="module")
def found(conversation: Conversation) -> Found:
    return dict(comparisons(conversation, heard(conversation, seed=8)))


def test_what_is_said_is_found_to_within_a_block(found: Found) -> None:
    for what, compared in found.items():
        assert (what, compared.missed, compared.invented) == (what, [], [])
        assert max(compared.errors_ms) <= BLOCK_MS, what


def test_the_minute_has_everything_that_the_floor_shows(found: Found) -> None:
    assert {
        "onsets of the user",
        "ends of the agent",
        "floor transfer offsets",
        "talk-overs",
        "yields of the agent",
        "backchannels of the user",
        "pauses",
    } <= found.keys()


def test_the_script_notes_what_it_plays() -> None:
    conversation = Script(seed=5).play(minutes=20)
    events = events_of(floor_of(conversation.speech))
    assert {what: sorted(each) for what, each in events.items()} == {
        what: sorted(each) for what, each in conversation.events.items()
    }


def test_what_is_missed_and_invented_would_be_noticed() -> None:
    compared = compare([(10**9, 5.0), (3 * 10**9, 5.0)], [(10**9, 8.0), (6 * 10**9, 1.0)])
    assert (compared.errors_ms, compared.missed, compared.invented) == ([3.0], [3.0], [6.0])
    assert compared.wrong_percent == 100
