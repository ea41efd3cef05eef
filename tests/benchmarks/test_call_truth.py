"""Tests that the benchmark of live calls detects what it looks for."""

from __future__ import annotations

import numpy as np

from benchmarks.call_parts.devices import RATE
from benchmarks.call_parts.loss import coded
from benchmarks.call_parts.truth import account, audible, ended_sharply, find, silent_from

SENT = coded(2, seed=1)
SILENCE = np.zeros(500, np.int16)


def test_what_came_whole_is_whole() -> None:
    counted = account(SENT, np.concatenate([SILENCE, SENT, SILENCE]))
    assert (counted.lost, counted.gaps, counted.holes) == (0, [], [])


def test_silence_between_samples_is_a_gap_and_no_loss() -> None:
    counted = account(SENT, np.concatenate([SILENCE, SENT[:9_000], SILENCE, SENT[9_000:]]))
    assert (counted.lost, counted.gaps) == (0, [(9_000, 500)])


def test_every_missing_or_changed_sample_is_lost() -> None:
    without = np.concatenate([SILENCE, SENT[100:9_000], SILENCE, SENT[9_320:20_000]])
    assert account(SENT, without).holes == [(0, 100), (9_000, 320), (20_000, 12_000)]
    changed = SENT.copy()
    changed[5_000] = 0
    assert account(SENT, changed).lost == 1
    assert account(SENT, SILENCE).lost == len(SENT)


def test_sound_is_found_where_it_is_and_only_there() -> None:
    track = np.concatenate([coded(1, seed=2), SENT, SILENCE])
    assert find(track, SENT[:4_000]) == RATE
    assert find(track, coded(0.25, seed=3)) is None
    assert find(track, SENT[:4_000], RATE + 1) is None


def test_the_edges_of_what_is_heard_are_told_to_a_millisecond() -> None:
    quiet = np.full(1_600, 3, np.int16)
    assert audible(np.concatenate([quiet, SENT[:3_200], quiet])) == (1_600, 4_800)


def test_silence_begins_behind_the_last_sample_before_it() -> None:
    track = np.concatenate([SENT[:3_000], SILENCE, SENT[3_000:6_000], np.zeros(RATE, np.int16)])
    assert silent_from(track, 100) == 6_500
    assert silent_from(track, 7_000) == 7_000


def test_a_sound_that_fades_is_cut_where_it_is_still_clear() -> None:
    sound = np.random.default_rng(4).uniform(-1, 1, RATE) * np.linspace(4_000, 0, RATE)
    cut = ended_sharply(sound.astype(np.int16))
    level = np.sqrt(np.mean(cut[-RATE // 100 :].astype(float) ** 2))
    assert 100 < level < 200
    assert audible(cut)[1] == len(cut)
