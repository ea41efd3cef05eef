from __future__ import annotations

import base64
import os

import pytest

from tests.ui.conftest import Stage, Staging, sized
from tests.ui.fakes import MS, START_NS, Script, to_active
from tui.models import events as e
from tui.widgets.lines import LineView


async def open_number(s: Stage, number: int) -> None:
    row = s.bridge.log.row_of(number)
    assert row is not None
    s.session.log_pane.move_to(row)
    await s.press("enter")


def shown(s: Stage) -> str:
    detail = s.session.detail
    return "\n".join(detail.draw_line(index, 200).text for index in range(detail.virtual_size.height))


async def test_enter_shows_json_with_audio_cut_to_its_length(script: Script, s: Stage) -> None:
    chunk = base64.b64encode(bytes(640)).decode()
    await s.play(to_active(script).message("userStream.chunk", {"audioChunk": chunk}, audio_ms=20).take())
    await s.press("enter")
    text = s.text()
    assert f'audioChunk: "{"A" * 24}… (856 characters)"' in text
    assert 'type: "userStream.chunk"' in text
    assert "20 ms of audio" in text
    assert "A" * 30 not in text


async def test_the_header_shows_kind_direction_time_and_size(call: Stage) -> None:
    await open_number(call, 4)
    assert "→ sent session.initiate" in call.text()
    assert "#4 · +0.012 s · 124 bytes" in call.text()


async def test_esc_closes_and_gives_the_transcript_back(booking: Stage) -> None:
    await booking.press("enter")
    assert not booking.session.transcript.region
    await booking.press("escape")
    assert booking.session.transcript.region
    assert not booking.session.detail.region


async def test_goes_along_with_the_cursor_after_a_rest(call: Stage) -> None:
    await open_number(call, 4)
    await call.press("down")
    assert "← received session.accepted" in shown(call), "the header at once"
    await call.until(lambda: 'mediaFormat: "raw/lpcm16"' in shown(call))
    assert "session.initiate" not in shown(call)


async def test_a_message_is_not_read_before_the_cursor_rests(call: Stage) -> None:
    await open_number(call, 4)
    read: list[int] = []
    call.bridge.raw_message = lambda event: read.append(event.number)  # type: ignore[method-assign]
    for _ in range(3):
        call.session.log_pane.action_cursor(1)
        await call.pilot._wait_for_screen()
    row = call.session.log_pane.row
    assert row is not None
    call.session.log_pane.action_cursor(-2)
    await call.until(lambda: read)
    assert read == [5]


async def test_a_run_shows_its_newest(script: Script, s: Stage) -> None:
    to_active(script)
    for number in range(3):
        script.message("playStream.chunk", {"n": number}, audio_ms=20)
    await s.play(script.take())
    await s.press("enter")
    assert "newest of 3 in a row, 0.06 s" in s.text()
    assert "n: 2" in s.text()


async def test_a_message_that_was_not_kept_is_marked(s: Stage) -> None:
    await s.play(to_active(Script()).take())
    await open_number(s, 4)
    assert "not kept" in s.text()


async def open_before_it_is_written(s: Stage, script: Script) -> bytes:
    """Opens a message that has just arrived; returns the future content of the file."""
    script.message("big", {"a": 1})
    assert script.path is not None
    whole = script.path.read_bytes()
    os.truncate(script.path, len(whole) - 1)
    s.clock.now_ns = script.now_ns + 40 * MS
    await s.play(script.take())
    await s.press("F", "enter")
    assert "has just arrived" in shown(s)
    return whole


async def test_a_message_that_has_just_come_is_read_as_soon_as_it_is_written(
    script: Script, call: Stage
) -> None:
    whole = await open_before_it_is_written(call, script)
    await call.tick()
    assert "has just arrived" in shown(call)
    assert script.path is not None
    script.path.write_bytes(whole)
    await call.tick()
    assert content(call) == ['  type: "big"', "  a: 1"]


async def test_a_message_that_is_never_written_is_said_to_be_unreadable(script: Script, call: Stage) -> None:
    await open_before_it_is_written(call, script)
    call.clock.now_ns += 6_000 * MS
    await call.tick()
    assert "not kept" in shown(call)


async def test_lines_being_read_do_not_move_when_more_arrive(script: Script, booking: Stage) -> None:
    await booking.press("enter")
    before = shown(booking)
    await booking.play(script.message("session.end", {}, "bye").take())
    assert shown(booking) == before
    assert "+1 new" in booking.text()


# the tree


async def opened(s: Stage, script: Script, body: dict[str, object] | bytes, audio_ms: float = 0) -> None:
    """Opens a message in the detail pane, and focuses the pane."""
    await s.play(to_active(script).message("big", body, audio_ms=audio_ms).take())
    await s.press("enter")
    s.session.detail.focus()
    await s.tick()


def content(s: Stage) -> list[str]:
    """Returns the text below the header."""
    return shown(s).split("\n\n", 1)[1].splitlines()


async def test_the_tree_opens_and_closes_by_keys(script: Script, s: Stage) -> None:
    await opened(s, script, {"a": {"b": [1, 2]}, "c": "x"})
    assert [line.rstrip() for line in content(s)] == [
        '  type: "big"',
        "▾ a: {1}",
        "  ▾ b: [2]",
        "      0: 1",
        "      1: 2",
        '  c: "x"',
    ]
    await s.press("down", "left")
    assert content(s)[1:] == ["▸ a: {1} b", '  c: "x"']
    await s.press("left")
    assert content(s)[1] == "▸ a: {1} b", "at the top there is nothing to close"
    await s.press("right", "right", "right")
    assert s.session.detail.copied_path() == ("path", "$.a.b")
    await s.press("down", "left")
    assert s.session.detail.copied_path() == ("path", "$.a.b"), "out of an element, to the array"
    await s.press("enter")
    assert content(s)[2] == "  ▸ b: [2] 1, 2"
    await s.press("home", "up", "end")
    assert s.session.detail.copied_path() == ("path", "$.c")


async def test_the_tree_opens_and_closes_by_mouse(script: Script, s: Stage) -> None:
    await opened(s, script, {"a": {"b": [1, 2]}})
    detail = s.session.detail
    row = next(n for n in range(detail.virtual_size.height) if "▾ a" in detail.draw_line(n, 60).text)
    detail.scroll_to(y=0, animate=False)
    y = row - detail.scroll_offset.y + 1
    await s.pilot.click(detail, offset=(8, y))
    assert "▾ a" in shown(s)
    assert detail.copied_path() == ("path", "$.a")
    await s.pilot.click(detail, offset=(0, y))
    assert "▸ a" in shown(s)
    await s.pilot.click(detail, offset=(8, y), times=2)
    assert "▾ a" in shown(s)


async def test_a_megabyte_opens_at_once_and_line_by_line(script: Script, s: Stage) -> None:
    body: dict[str, object] = {"list": list(range(100_000)), "text": "y" * 1_000_000}
    await opened(s, script, body)
    assert content(s)[1:] == [
        "▸ list: [100,000] 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11",
        f'▸ text: "{"y" * 24}… (1,000,000 characters)"',
    ]
    await s.press("down", "right", "end", "right")
    assert s.session.detail.virtual_size.height > 100_000 + 1_000_000 / 80
    assert "▾ text: 1,000,000 characters" in s.text()
    await s.press("end")
    assert s.text().count("y" * 70) > 5
    assert s.session.detail.copied_value() == ("value of $.text", "y" * 1_000_000)
    s.session.detail.move_to(99_999)
    await s.tick()
    assert "    99998: 99998" in s.text()
    await s.press("left", "left")
    assert s.session.detail.copied_path() == ("path", "$.list")


@sized((160, 50))
async def test_opened_values_stay_open_at_another_width(script: Script, s: Stage) -> None:
    await opened(s, script, {"a": {"b": 1}, "text": "word " * 300})
    await s.press("end", "right", "home", "down", "left")
    before = len(content(s))
    await s.pilot.resize_terminal(80, 50)
    await s.tick()
    assert "▸ a: {1} b" in shown(s)
    assert len(content(s)) != before
    assert all(len(line) <= 80 for line in content(s))
    assert " ".join(" ".join(content(s)[3:]).split()) == ("word " * 300).strip()


async def test_raw_is_all_of_it_as_it_came_to_the_edge_of_the_pane(script: Script, s: Stage) -> None:
    raw = (
        b'{"type": "big",  "list": ['
        + b", ".join(b"%d" % n for n in range(400))
        + b'], "e": "\xc3\xa9\xe6\xbc\xa2"}'
    )
    await opened(s, script, raw)
    await s.press("v")
    lines = content(s)
    assert "".join(line.rstrip("\n") for line in lines) == raw.decode()
    assert {len(line) for line in lines[:-1]} == {s.session.detail.line_width}
    await s.press("v")
    assert content(s)[0] == '  type: "big"'


async def test_bytes_are_shown_in_hex(script: Script, s: Stage) -> None:
    await opened(s, script, b"RIFF\x00\x01\xff" + bytes(16))
    assert "00000000  52 49 46 46 00 01 ff 00 00 00 00 00 00 00 00 00  RIFF············" in s.text()
    assert s.session.detail.copied_path() is None


async def test_audio_is_described(script: Script, s: Stage) -> None:
    loud = base64.b64encode(b"\xff\x7f" * 160 + bytes(320)).decode()
    await opened(s, script, {"audioChunk": loud}, audio_ms=20)
    assert "pcm16 16 kHz · peak 0.0 dBFS, RMS -3.0" in s.text()
    assert "clipped, 160 samples" in s.text()
    await s.play(script.message("quiet", {"audioChunk": "A" * 856}, audio_ms=20).take())
    await s.play(script.message("quiet", {"audioChunk": "A" * 856}, audio_ms=20).take())
    await s.press("escape", "F", "enter")
    assert "peak -90.0 dBFS, RMS -90.0 · not clipped" in shown(s)
    assert "p plays the run" in " ".join(shown(s).split())
    await s.play(script.message("lost", {"audioChunk": "(856 characters)"}, audio_ms=20).take())
    await s.press("escape", "F", "enter")
    assert "audio: not saved" in shown(s)


async def test_lines_are_not_wrapped_before_the_pane_has_a_width(call: Stage) -> None:
    call.session.detail.show(call.bridge.log.rows[0], at_once=True)
    assert call.session.detail.virtual_size.height == 0, "a line of letters one below the other"
    await call.press("enter")
    assert shown(call).startswith("status\n")


async def test_instants_of_an_event_are_times_of_the_session_and_lengths_have_a_unit(
    script: Script, s: Stage
) -> None:
    to_active(script).after(1000)
    script.add(e.PlaybackStarted, reply="r", arrived_ns=START_NS + 250 * MS)
    script.add(e.PlaybackEnded, reply="r", heard_ms=959.93754, unheard_ms=0.0)
    await s.play(script.take())
    await s.press("up", "enter")
    assert "arrived: +0.250 s" in s.text()
    assert "handed: –" in s.text()
    assert "_ns" not in s.text()
    await s.press("down")
    await s.until(lambda: "heard: 959.938 ms" in s.text())
    assert "unheard: 0 ms" in s.text()


async def test_without_colours_the_cursor_is_seen_all_the_same(
    stage: Staging, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage((80, 24)) as s:
        await s.play(to_active(script).message("hello", {"b": 1}).take())
        await s.press("enter", "enter", "down")

        def reversed_lines(view: LineView) -> list[str]:
            s.text()  # paints, which determines the width of lines
            strips = [view.render_line(y) for y in range(view.size.height)]
            return [
                strip.text.strip()
                for strip in strips
                if any(part.style and part.style.reverse for part in strip)
            ]

        assert reversed_lines(s.session.detail) == ["b: 1"]
        assert reversed_lines(s.session.log_pane) == []
        await s.press("l")
        assert reversed_lines(s.session.detail) == []
        [line] = reversed_lines(s.session.log_pane)
        assert "hello" in line
