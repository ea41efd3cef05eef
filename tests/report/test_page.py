"""Tests the report without a browser: the content that is visible with and without scripts."""

from __future__ import annotations

import base64
import re
import shutil
import time
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.builders import MS
from tests.models.turns.slow_turns import late_notice
from tests.report.sessions import ANSWER_MS, GREETING_MS, HOSTILE, QUESTION_MS
from tui.models import events as e
from tui.models.log.marks import Marking
from tui.models.turns.figures import Thresholds
from tui.models.turns.floor import Speech, floor_of
from tui.models.turns.turns import LEAST_TURNS, LatencyParts, Turn
from tui.report.content import read_content
from tui.report.page import page_of, render
from tui.report.sections import local_time
from tui.saving.marks_file import append_marking
from tui.saving.reading import SavedSession, open_session
from tui.saving.remeasure import remeasure
from tui.text.visible import visible


class Elements(HTMLParser):
    """The elements of a page, and the texts outside scripts and styles."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.packed: dict[str, str] = {}
        self._inside = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.packed[self.elements[-1][1].get("id") or "script"] = data
        elif not self._inside:
            self.texts.append(data)

    def data(self) -> Any:
        return msgspec.json.decode(zlib.decompress(base64.b64decode(self.packed["data"])))


def words_of(page: bytes) -> str:
    return " ".join(" ".join(Elements(page).texts).split())


def words_with(saved: SavedSession, *turns: Turn) -> str:
    """Returns the words of the report of a session with these turns in place of its own."""
    content = read_content(saved)
    content.metrics.turns = list(turns)
    return words_of(page_of(content, None))


def test_the_report_shows_what_was_called_and_how_it_went(saved: SavedSession) -> None:
    words = words_of(render(saved))
    for said in ("demo", "ended", "ws://127.0.0.1:9/audiocodes", "Hello.", "We are open.", "dropout 1"):
        assert said in words
    turn = remeasure(saved).turns[1]
    assert f"{turn.response_latency_ms:.0f} ms" in words
    assert f"needs at least {LEAST_TURNS} turns" in words


def test_nothing_in_it_points_outside(saved: SavedSession) -> None:
    page = Elements(render(saved))
    for tag, attributes in page.elements:
        assert "src" not in attributes, tag
        assert attributes.get("href", "data:,") == "data:,", tag
    policy = next(each["content"] for _, each in page.elements if "http-equiv" in each)
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert not re.search(r"https?:|//\w", policy)


def test_the_sound_is_in_it_sample_by_sample(
    saved: SavedSession, saved_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    sound = zlib.decompress(base64.b64decode(Elements(render(saved)).packed["sound"]))
    assert sound == (saved_folder / "audio.wav").read_bytes()


def test_with_the_extra_the_sound_is_opus_a_fraction_of_the_size(
    saved: SavedSession, saved_folder: Path
) -> None:
    page = Elements(render(saved))
    sound = zlib.decompress(base64.b64decode(page.packed["sound"]))
    assert page.data()["sound"] == "audio/ogg"
    assert sound.startswith(b"OggS")
    assert len(sound) < (saved_folder / "audio.wav").stat().st_size / 5


def test_without_audio_it_is_drawn_and_not_heard(saved: SavedSession) -> None:
    page = Elements(render(saved, with_audio=False))
    assert page.packed.get("sound", "") == ""
    assert page.data()["user"]


def test_a_session_without_tracks_has_its_report(saved_folder: Path, tmp_path: Path) -> None:
    silent = shutil.copytree(saved_folder, tmp_path / "silent")
    (silent / "audio.wav").unlink()
    with open_session(silent) as saved:
        page = Elements(render(saved))
    assert page.data()["bin_s"] is None
    assert "audio.wav" in " ".join(page.texts)


def test_peaks_are_where_the_sound_is(saved: SavedSession) -> None:
    data = Elements(render(saved)).data()
    user_ms, agent_ms = (
        np.flatnonzero(np.frombuffer(base64.b64decode(data[who]), np.uint8)) * data["bin_s"] * 1000
        for who in ("user", "agent")
    )
    assert abs(user_ms[0] - QUESTION_MS) < 200
    assert abs(agent_ms[0] - GREETING_MS) < 200
    assert not any((agent_ms > QUESTION_MS) & (agent_ms < ANSWER_MS - 50))


def test_percentiles_are_shown_from_enough_turns_on(saved: SavedSession) -> None:
    parts = LatencyParts(agent_ms=60.0)
    words = words_with(saved, *(Turn(n, response_latency_ms=100.0 + n, parts=parts) for n in range(1, 25)))
    assert "112 ms" in words
    assert "123 ms" in words
    assert "not measured 41 ms" in words


def test_the_floor_is_drawn_and_its_events_are_listed(saved: SavedSession) -> None:
    content = read_content(saved)
    content.metrics.floor = floor_of(
        Speech(content.began_ns + began_ms * MS, by, 0, content.began_ns + ended_ms * MS)
        for by, began_ms, ended_ms in (
            (e.Party.AGENT, 100, 2_400),
            (e.Party.USER, 2_000, 4_000),
            (e.Party.AGENT, 4_640, 8_000),
            (e.Party.USER, 6_000, 6_400),
        )
    )
    page = page_of(content, None)
    words = words_of(page)
    assert "agent 640 ms after the other's end (median of 1)" in words
    assert "user speaks over agent, agent gives way 400 ms" in words
    assert "user backchannel 400 ms" in words
    for look, count in (("user", 2), ("agent", 2), ("talk-over", 1), ("backchannel", 1), ("gap", 1)):
        assert page.count(f'class="floor-{look}"'.encode()) == count, look


def test_a_floor_that_never_changed_hands_is_left_out(saved: SavedSession) -> None:
    content = read_content(saved)
    content.metrics.floor = floor_of([])
    assert b'id="floor"' not in page_of(content, None)


def test_the_report_begins_with_the_verdict_and_grades_every_response(saved: SavedSession) -> None:
    content = read_content(saved)
    content.metrics.turns = late_notice()
    page = Elements(page_of(content, None))
    words = " ".join(" ".join(page.texts).split())
    verdict = (
        "2 of 2 turns were slow (2.2 s): 0.6 s until the agent noticed the end of speech, "
        "1.5 s from the agent's last report to its answer."
    )
    assert words.index(verdict) < words.index("Figures")
    assert "2175 ms ✗" in words
    assert "agent reports: speech stopped 632 ms, recognised 638 ms" in words
    assert ("td", {"class": "figure strong grade-bad"}) in page.elements
    lenient = Elements(page_of(content, None, Thresholds(good_ms=3000, slow_ms=4000)))
    assert "2 of 2 turns were good (2.2 s)." in lenient.texts
    assert not any("grade-bad" in str(attributes.get("class")) for _, attributes in lenient.elements)


def test_a_figure_that_was_not_measured_is_a_dash(saved: SavedSession) -> None:
    words = words_with(saved, Turn(number=1, unmeasured="the agent did not answer"))
    assert "Worst response –" in words
    assert "the agent did not answer" in words


def test_long_words_of_a_turn_are_cut_with_an_ellipsis(saved: SavedSession) -> None:
    content = read_content(saved)
    content.metrics.turns = [Turn(number=1, user_text="w" * 1999 + "…", agent_text="a" * 400)]
    page = Elements(page_of(content, None))
    assert "w" * 1999 + "…" in page.texts
    timeline = page.data()["turns"][0]
    assert (timeline[5], timeline[6]) == ("w" * 399 + "…", "a" * 400)


def test_a_turn_of_pressed_keys_names_them(saved: SavedSession) -> None:
    assert "keys 5#" in words_with(saved, Turn(number=1, began_ns=1, keys="5#", method="keys"))


def test_a_turn_in_which_nobody_spoke_is_listed_and_not_counted(saved: SavedSession) -> None:
    nobody = "only the agent detected speech"
    spoken = Turn(number=1, began_ns=1, replies=["r"], response_latency_ms=900.0)
    words = words_with(saved, spoken, Turn(number=2, unmeasured=nobody))
    assert "Turns 1 1 with a measured response" in words
    assert nobody in words


def test_unreadable_parts_are_named(saved_folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(saved_folder, tmp_path / "broken")
    with (broken / "events.jsonl").open("ab") as file:
        file.write(b'{"event":"sta')
    with open_session(broken) as saved:
        assert "is truncated" in words_of(render(saved))


def test_the_events_are_the_rows_of_the_log(saved: SavedSession) -> None:
    rows = Elements(render(saved)).data()["rows"]
    assert ["userStream.chunk", "40 × audio, 0.80 s, 50/s"] in [row[4:6] for row in rows]
    hello = next(row for row in rows if row[4] == "hello")
    assert '"type": "hello"' in hello[6]


def test_marks_and_notes_are_in_the_report_with_their_events(saved_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "with notes"
    shutil.copytree(saved_folder, folder)
    with open_session(folder) as saved:
        words = words_of(render(saved))
    assert "Marks and notes" not in words
    append_marking(folder, Marking(4, marked=True))
    append_marking(folder, Marking(5, note=f"slow <b>here</b> {HOSTILE}"))
    with open_session(folder) as saved:
        page = render(saved)
    words = words_of(page)
    assert "Marks and notes" in words
    assert "#4 hello" in words
    assert visible("slow <b>here</b>") in words
    looks = [mark for mark in Elements(page).data()["marks"] if mark[2] == "note"]
    assert [mark[3] for mark in looks][:1] == ["mark"]
    assert words.index("Marks and notes") < words.index("Figures")


@pytest.mark.parametrize(
    ("zone", "utc", "shown"),
    [
        ("Europe/Berlin", "2026-11-29T22:52:04.123+00:00", "2026-11-29 23:52:04 (UTC+01:00)"),
        ("Asia/Kolkata", "2026-11-29T22:52:04Z", "2026-11-30 04:22:04 (UTC+05:30)"),
        ("UTC", "2026-11-29T22:52:04", "2026-11-29 22:52:04 (UTC)"),
        ("UTC", "yesterday <b>", "yesterday <b>"),
    ],
)
def test_times_are_local_with_their_zone(
    zone: str, utc: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert local_time(utc) == shown
    finally:
        monkeypatch.undo()
        time.tzset()
