from __future__ import annotations

from tui.models import events as e
from tui.models.sound.playback import ArrivalWatch


def told(*polls: tuple[str | None, float] | str) -> list[tuple[bool, str]]:
    events: list[e.SessionEvent] = []
    watch = ArrivalWatch(events.append)
    for second, poll in enumerate(polls):
        match poll:
            case "lost":
                watch.excuse()
            case "came":
                watch.came()
            case (reply, gap_ms):
                watch.poll(second * 1_000_000_000, reply, gap_ms)
    return [(event.active, event.text) for event in events if isinstance(event, e.ConditionChanged)]


def test_a_reply_of_which_nothing_comes_is_told_while_it_lasts() -> None:
    assert told(("a", 0), ("a", 480), ("a", 520), ("a", 1200), ("a", 0)) == [
        (True, "The agent sends nothing in the middle of reply a: silence for 0.5 s."),
        (False, "Audio of reply a comes again after 1.2 s."),
    ]


def test_one_that_ends_so_is_over_and_the_next_may_stall_too() -> None:
    assert told(("a", 600), (None, 0), ("b", 700), ("c", 700)) == [
        (True, "The agent sends nothing in the middle of reply a: silence for 0.6 s."),
        (False, "Reply a is over, 0.6 s after its last audio."),
        (True, "The agent sends nothing in the middle of reply b: silence for 0.7 s."),
        (False, "Reply b is over, 0.7 s after its last audio."),
        (True, "The agent sends nothing in the middle of reply c: silence for 0.7 s."),
    ]


def test_a_lost_socket_explains_it_until_audio_comes_again() -> None:
    assert told(("a", 0), "lost", ("a", 600), ("a", 9000), ("a", 0), ("a", 600)) == []
    assert told("lost", ("a", 600), "came", ("a", 0), ("a", 600)) == [
        (True, "The agent sends nothing in the middle of reply a: silence for 0.6 s.")
    ]
    assert told(("a", 600), "lost", ("a", 620))[1:] == [
        (False, "The socket was lost, so that no audio of reply a comes.")
    ]


def test_silence_between_replies_is_none_of_its_business() -> None:
    assert told((None, 0), (None, 9000), ("a", 0)) == []
