from __future__ import annotations

import base64

from tests.ui.conftest import Stage, Staging
from tests.ui.fakes import Script, a_call, to_active
from tui.models import events as e


async def open_number(s: Stage, number: int) -> None:
    row = s.bridge.log.row_of(number)
    assert row is not None
    s.session.log_pane.move_to(row)
    await s.press("enter")


def shown(s: Stage) -> str:
    return "\n".join(line.text for line in s.session.detail._drawn)


async def test_enter_shows_json_with_audio_cut_to_its_length(stage: Staging, script: Script) -> None:
    chunk = base64.b64encode(bytes(640)).decode()
    async with stage((160, 50)) as s:
        await s.play(to_active(script).message("userStream.chunk", {"audioChunk": chunk}, audio_ms=20).take())
        await s.press("enter")
        text = s.text()
        assert f'"audioChunk": "{"A" * 24}… (856 characters)"' in text
        assert '"type": "userStream.chunk"' in text
        assert "20 ms of audio" in text
        assert "A" * 30 not in text


async def test_header_says_kind_direction_time_and_size(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(to_active(script).take())
        await open_number(s, 4)
        assert "→ sent session.initiate" in s.text()
        assert "#4 · +0.012 s · 124 bytes" in s.text()


async def test_esc_closes_and_gives_the_transcript_back(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(a_call(script).take())
        await s.press("enter")
        assert not s.session.transcript.region
        await s.press("escape")
        assert s.session.transcript.region
        assert not s.session.detail.region


async def test_goes_along_with_the_cursor_after_a_rest(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(to_active(script).take())
        await open_number(s, 4)
        await s.press("down")
        assert "← received session.accepted" in shown(s), "the header at once"
        await s.until(lambda: '"mediaFormat": "raw/lpcm16"' in shown(s))
        assert "session.initiate" not in shown(s)


async def test_a_message_is_not_read_before_the_cursor_rests(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(to_active(script).take())
        await open_number(s, 4)
        read: list[int] = []
        s.bridge.raw_message = lambda event: read.append(event.number)  # type: ignore[method-assign]
        for _ in range(3):
            s.session.log_pane.action_cursor(1)
            await s.pilot._wait_for_screen()
        row = s.session.log_pane.row
        assert row is not None
        s.session.log_pane.action_cursor(-2)
        await s.until(lambda: read)
        assert read == [5]


async def test_v_shows_it_raw(stage: Staging, script: Script) -> None:
    async with stage((160, 50)) as s:
        await s.play(to_active(script).take())
        await open_number(s, 5)
        await s.press("v")
        assert '{"type": "session.accepted", "mediaFormat": "raw/lpcm16"}' in s.text()
        await s.press("v")
        assert '  "mediaFormat": "raw/lpcm16"' in s.text()


async def test_a_run_shows_its_newest(stage: Staging, script: Script) -> None:
    async with stage((160, 50)) as s:
        to_active(script)
        for number in range(3):
            script.message("playStream.chunk", {"n": number}, audio_ms=20)
        await s.play(script.take())
        await s.press("enter")
        assert "the newest of 3 in a row, 0.06 s" in s.text()
        assert '"n": 2' in s.text()


async def test_other_events_show_their_fields(stage: Staging, script: Script) -> None:
    async with stage() as s:
        to_active(script).add(e.ErrorRaised, source="audio", code="busy", message="taken", hint="free it")
        await s.play(script.take())
        await s.press("enter")
        for field in (
            "source        audio",
            "code          busy",
            "message       taken",
            "hint          free it",
        ):
            assert field in s.text()


async def test_a_message_that_was_not_kept_says_so(stage: Staging) -> None:
    async with stage() as s:
        await s.play(to_active(Script()).take())
        await open_number(s, 4)
        assert "not kept" in s.text()


async def test_what_is_read_does_not_move_when_more_comes(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(a_call(script).take())
        await s.press("enter")
        before = shown(s)
        await s.play(script.message("session.end", {}, "bye").take())
        assert shown(s) == before
        assert "+1 new" in s.text()


async def test_a_megabyte_is_shown_in_part(stage: Staging, script: Script) -> None:
    body: dict[str, object] = {"list": list(range(200_000)), "text": "y" * 300_000}
    async with stage() as s:
        await s.play(to_active(script).message("big", body).take())
        await s.press("enter")
        assert len(s.session.detail._drawn) < 2100
        await s.press("v")
        assert len(s.session.detail._drawn) < 2100
