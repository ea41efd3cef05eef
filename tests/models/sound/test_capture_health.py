from __future__ import annotations

import numpy as np

from tui.models.events import Condition
from tui.models.sound.capture_health import CaptureHealth

SILENCE = bytes(640)
QUIET = np.full(320, 3, "<i2").tobytes()
LOUD = np.tile(np.array([4000, -4000], "<i2"), 160).tobytes()


def verdicts(*blocks: bytes, health: CaptureHealth | None = None) -> list[tuple[Condition, bool]]:
    health = health or CaptureHealth()
    return [(v.condition, v.active) for block in blocks for v in health.feed(block, 20)]


def test_a_second_of_exact_zeros_is_reported_once_and_ends_with_the_first_sound() -> None:
    assert verdicts(*[SILENCE] * 49) == []
    assert verdicts(*[SILENCE] * 200) == [(Condition.ONLY_ZEROS, True)]
    assert verdicts(*[SILENCE] * 60, QUIET, *[SILENCE] * 149) == [
        (Condition.ONLY_ZEROS, True),
        (Condition.ONLY_ZEROS, False),
    ]


def test_three_seconds_of_exact_zeros_after_sound_are_reported_and_end_with_sound_each_time() -> None:
    assert verdicts(QUIET, *[SILENCE] * 149) == []
    muted_once = [QUIET, *[SILENCE] * 200]
    assert (
        verdicts(*muted_once, *muted_once, QUIET)
        == [(Condition.ONLY_ZEROS, True), (Condition.ONLY_ZEROS, False)] * 2
    )


def test_a_device_that_is_silent_to_the_bit_between_words_is_not_muted() -> None:
    assert verdicts(QUIET, *[SILENCE] * 10, QUIET, *[SILENCE] * 500) == []
    lost_block = [QUIET, *[SILENCE] * 2, QUIET]
    assert verdicts(*lost_block, *[SILENCE] * 200) == [(Condition.ONLY_ZEROS, True)]


def test_a_quiet_room_is_not_muted() -> None:
    assert verdicts(*[QUIET] * 200) == []


def test_sound_in_the_first_blocks_was_there_before_recording() -> None:
    assert verdicts(LOUD, LOUD) == [(Condition.SPEECH_BEFORE_RECORDING, True)]
    assert verdicts(QUIET, QUIET, LOUD) == []


def test_another_opening_is_judged_afresh() -> None:
    health = CaptureHealth()
    verdicts(QUIET, QUIET, health=health)
    health.opened()
    assert verdicts(LOUD, health=health) == [(Condition.SPEECH_BEFORE_RECORDING, True)]


def test_an_offset_is_measured() -> None:
    health = CaptureHealth()
    assert (health.dc, health.is_zero) == (None, False)
    for _ in range(300):
        health.feed(np.full(320, 3277, "<i2").tobytes(), 20)
    assert abs((health.dc or 0.0) - 0.1) < 0.001
