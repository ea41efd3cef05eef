from __future__ import annotations

import itertools

import pytest

from tests.builders import chunk, error, message, started, status
from tui.callbacks.testing import MockCallback
from tui.models import events as e
from tui.models.events import Status
from tui.models.session_state import MAX_USAGE_FIGURES, RATE_LIMITS, SessionError, SessionState

LIFE = [Status.IDLE, Status.CONNECTING, Status.INITIATING, Status.ACTIVE, Status.ENDING, Status.ENDED]


def test_a_call_goes_through_its_states_and_tells_each_step() -> None:
    state, callback = SessionState(), MockCallback()
    state.add_status_change_callback(callback)
    for old, new in itertools.pairwise(LIFE):
        assert old.may_become(new)
        state.apply(status(old, new))
    assert state.status is Status.ENDED
    assert [call[0] for call in callback.calls] == list(itertools.pairwise(LIFE))


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.ERROR])
def test_an_error_may_come_from_anywhere(status: Status) -> None:
    assert status.may_become(Status.ERROR)
    assert not Status.ERROR.may_become(status)


def test_a_session_can_be_resumed_but_not_skipped() -> None:
    assert Status.ACTIVE.may_become(Status.RESUMING)
    assert Status.RESUMING.may_become(Status.ACTIVE)
    assert not Status.IDLE.may_become(Status.ACTIVE)
    assert not Status.ENDED.may_become(Status.ACTIVE)


def test_a_new_session_starts_afresh_and_keeps_its_listeners() -> None:
    state, callback = SessionState(), MockCallback()
    state.apply(started())
    state.apply(e.RecordingChanged(at_ns=0, recording=True))
    state.apply(message())
    state.add_status_change_callback(callback)
    state.apply(started(at_ms=5))
    assert not state.controls.recording
    assert state.metrics.messages_received == 0
    assert state.began_ns == 5_000_000
    assert callback.call_count == 1


def test_errors_reach_error_callbacks_with_what_they_are_about() -> None:
    state, callback = SessionState(), MockCallback()
    state.add_error_callback(callback)
    state.apply(error("no quota", source="agent"))
    (raised, source), _ = callback.calls[0]
    assert isinstance(raised, SessionError)
    assert str(raised) == "no quota"
    assert source == "agent"
    assert state.last_error is raised.event


def test_figures_and_controls_have_callbacks_of_their_own() -> None:
    state, metrics, controls = SessionState(), MockCallback(), MockCallback()
    state.add_metrics_update_callback(metrics)
    handle = state.add_controls_change_callback(controls)
    state.apply(message())
    state.apply(e.MutedChanged(at_ns=0, muted=True))
    state.apply(e.LineChanged(at_ns=0, name="hours"))
    assert (metrics.call_count, controls.call_count) == (1, 2)
    assert (state.controls.muted, state.controls.line) == (True, "hours")
    handle.unregister()
    state.apply(e.LineChanged(at_ns=0, name="hours", finished=True))
    assert controls.call_count == 2
    assert state.controls.line == ""


def test_audio_messages_change_no_turns() -> None:
    state, metrics, turns = SessionState(), MockCallback(), MockCallback()
    state.add_metrics_update_callback(metrics)
    state.add_turns_update_callback(turns)
    state.apply(chunk())
    assert (metrics.call_count, turns.call_count) == (1, 0)
    state.apply(message())
    state.apply(e.SpeechEdge(at_ns=0, speaker=e.Party.USER, started=True, method="silero"))
    assert (metrics.call_count, turns.call_count) == (3, 2)


def test_a_failing_listener_keeps_nobody_from_hearing() -> None:
    def broken(old: Status, new: Status) -> None:
        raise RuntimeError("broken")

    state, callback = SessionState(), MockCallback()
    state.add_status_change_callback(broken)
    state.add_status_change_callback(callback)
    state.apply(status(Status.IDLE, Status.CONNECTING))
    callback.assert_called_once()


def usage(what: str, **figures: float) -> e.UsageReported:
    return e.UsageReported(at_ns=0, what=what, figures=figures)


def test_what_was_used_adds_up_and_what_is_left_is_the_latest() -> None:
    state, controls = SessionState(), MockCallback()
    state.add_controls_change_callback(controls)
    assert state.usage == {}
    for event in (
        usage("response", total_tokens=1000),
        usage("transcription", total_tokens=34),
        usage(RATE_LIMITS, tokens=40_000),
        usage(RATE_LIMITS, tokens=39_000),
    ):
        state.apply(event)
    assert state.usage == {"total_tokens": 1034, "tokens left": 39_000}
    assert controls.call_count == 4
    state.apply(started())
    assert state.usage == {}


def test_an_agent_cannot_fill_memory_with_figures() -> None:
    state = SessionState()
    for number in range(1000):
        state.apply(usage("response", **{f"figure {number}": 1}))
    assert len(state.usage) == MAX_USAGE_FIGURES
