from __future__ import annotations

from tui.models import events as e
from tui.models.sound.playback import ArrivalWatch


def reported(*polls: tuple[str | None, float] | str) -> list[tuple[bool, str]]:
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


def test_missing_audio_is_reported_when_it_stops_and_when_it_arrives_again() -> None:
    assert reported(("a", 0), ("a", 480), ("a", 520), ("a", 1200), ("a", 0)) == [
        (True, "The agent stopped sending in the middle of reply a: silent for 0.5 s."),
        (False, "Audio for reply a is arriving again after 1.2 s."),
    ]


def test_a_reply_that_ends_ends_its_report_and_the_next_one_may_stall_too() -> None:
    assert reported(("a", 600), (None, 0), ("b", 700), ("c", 700)) == [
        (True, "The agent stopped sending in the middle of reply a: silent for 0.6 s."),
        (False, "Reply a ended 0.6 s after its last audio."),
        (True, "The agent stopped sending in the middle of reply b: silent for 0.7 s."),
        (False, "Reply b ended 0.7 s after its last audio."),
        (True, "The agent stopped sending in the middle of reply c: silent for 0.7 s."),
    ]


def test_a_lost_socket_suppresses_the_report_until_audio_arrives() -> None:
    assert reported(("a", 0), "lost", ("a", 600), ("a", 9000), ("a", 0), ("a", 600)) == []
    assert reported("lost", ("a", 600), "came", ("a", 0), ("a", 600)) == [
        (True, "The agent stopped sending in the middle of reply a: silent for 0.6 s.")
    ]
    assert reported(("a", 600), "lost", ("a", 620))[1:] == [
        (False, "The connection was lost, so no more audio for reply a will arrive.")
    ]


def test_silence_between_replies_is_not_reported() -> None:
    assert reported((None, 0), (None, 9000), ("a", 0)) == []
