from __future__ import annotations

from collections.abc import Sequence

from tui.audio.echo import Echo
from tui.models import events as e
from tui.models.sound.echo_watch import EchoWatch

SECOND = 1_000_000_000


def results_of(*found: Echo | None) -> Sequence[tuple[bool, str]]:
    events: list[e.SessionEvent] = []
    watch = EchoWatch(events.append)
    for second, echo in enumerate(found):
        watch._judge(echo, second * SECOND)
    return [(event.active, event.text) for event in events if isinstance(event, e.ConditionChanged)]


def test_an_echo_is_reported_when_it_is_found_twice_at_one_delay() -> None:
    assert results_of(Echo(62, -18, 0.9)) == []
    assert results_of(Echo(62, -18, 0.3), Echo(210, -18, 0.3)) == []
    assert results_of(Echo(62, -18, 0.9), Echo(64, -17.6, 0.9), Echo(63, -18, 0.9)) == [
        (True, "The agent is hearing itself: the microphone picks up playback after 64 ms at -18 dB.")
    ]


def test_it_is_over_when_it_is_not_found_for_a_while() -> None:
    echo = Echo(62, -18, 0.9)
    assert len(results_of(echo, echo, None, None, None, echo)) == 1
    assert [active for active, _ in results_of(echo, echo, None, None, None, None)] == [True, False]
