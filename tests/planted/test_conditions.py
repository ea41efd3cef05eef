"""Requires, for every condition, a test in which it is reached and a test in which it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planted.codes import functions_in
from tui.models.events import Condition

_SOUND = "tests/models/sound"
_REPLIES = (
    f"{_SOUND}/test_playback_replies.py",
    "test_a_reply_that_starts_or_ends_in_the_middle_of_a_sound_is_reported",
    "test_the_end_of_a_flushed_reply_is_not_reported_as_clipped",
)
CONDITIONS: dict[Condition, tuple[str, ...]] = {
    Condition.STALLED: (
        f"{_SOUND}/test_watchdog.py",
        "test_half_a_second_without_a_callback_is_a_stall_and_the_next_one_ends_it",
        "test_a_program_that_was_stopped_itself_does_not_blame_the_device",
    ),
    Condition.VANISHED: (
        f"{_SOUND}/test_watchdog.py",
        "test_a_stalled_device_can_turn_out_to_have_gone",
        "test_half_a_second_without_a_callback_is_a_stall_and_the_next_one_ends_it",
    ),
    Condition.ONLY_ZEROS: (
        f"{_SOUND}/test_capture_health.py",
        "test_a_second_of_exact_zeros_is_reported_once_and_ends_with_the_first_sound",
        "test_a_quiet_room_is_not_muted",
    ),
    Condition.SPEECH_BEFORE_RECORDING: (
        f"{_SOUND}/test_capture_health.py",
        "test_sound_in_the_first_blocks_was_there_before_recording",
        "test_another_opening_is_judged_afresh",
    ),
    Condition.ECHO: (
        f"{_SOUND}/test_echo_watch.py",
        "test_an_echo_is_reported_when_it_is_found_twice_at_one_delay",
        "test_it_is_over_when_it_is_not_found_for_a_while",
    ),
    Condition.CLIPPED_START: _REPLIES,
    Condition.CLIPPED_END: _REPLIES,
    Condition.STREAM_NOT_OPENED: (
        "tests/session/test_session.py",
        "test_a_user_stream_that_never_opens_is_reported_and_the_waiting_audio_counted",
        "test_a_word_spoken_into_the_agents_waits_for_the_user_stream_to_open",
    ),
    Condition.NOT_ANSWERED: (
        "tests/session/test_answer_watch.py",
        "test_an_answer_that_is_missing_is_told_once_while_it_is",
        "test_a_greeting_is_not_owed_and_a_prompt_answer_is_none_too_late",
    ),
    Condition.NO_PONGS: (
        "tests/session/test_how_calls_end.py",
        "test_missing_pongs_are_a_condition_and_the_call_goes_on",
        "test_a_close_after_a_reply_is_a_fine_end",
    ),
    Condition.ARRIVAL_STALL: (
        f"{_SOUND}/test_arrival_watch.py",
        "test_missing_audio_is_reported_when_it_stops_and_when_it_arrives_again",
        "test_silence_between_replies_is_not_reported",
    ),
}
"""File, a test in which the condition is reached, and one in which it is not."""


@pytest.mark.parametrize("condition", Condition)
def test_no_condition_is_without_a_test_of_both_kinds(condition: Condition) -> None:
    path, *names = CONDITIONS[condition]
    assert set(names) <= functions_in(Path(path))
