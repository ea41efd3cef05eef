from __future__ import annotations

import pytest

from tests.ui.conftest import Stage, sized
from tests.ui.fakes import Script, to_active
from tui.models import events as e
from tui.models.events import Party


def lines(s: Stage) -> list[str]:
    region = s.session.transcript.region
    rows = s.text().splitlines()[region.y + 1 : region.bottom]
    return [row[: region.width - 1].strip() for row in rows if row.strip()]


async def test_a_partial_is_rewritten_in_place(script: Script, s: Stage) -> None:
    await s.play(to_active(script).said(Party.USER, "I'd", final=False).take())
    assert lines(s) == ["+0.020 user  I'd …"]
    await s.play(script.said(Party.USER, "I'd like tea.").take())
    assert lines(s) == ["+0.020 user  I'd like tea."]


async def test_how_far_words_were_heard_is_a_word(script: Script, s: Stage) -> None:
    to_active(script).said(Party.AGENT, "Hello.", item="1")
    await s.play(script.take())
    assert lines(s) == ["+0.020 agent Hello.  [in\u00a0text]"]
    await s.play(script.add(e.ReplyStarted, reply="1", format="raw/lpcm16").take())
    assert lines(s) == ["+0.020 agent Hello.  [queued]"]
    await s.play(script.add(e.PlaybackStarted, reply="1").take())
    assert lines(s) == ["+0.020 agent Hello.  [speaking]"]
    await s.play(script.add(e.PlaybackEnded, reply="1", heard_ms=10, unheard_ms=5).take())
    assert lines(s) == ["+0.020 agent Hello. ┊  [cut\u00a0off,\u00a067%\u00a0heard]"]


async def test_a_tool_call_is_one_entry_from_its_start_to_its_end(script: Script, s: Stage) -> None:
    call = {"call": "c1", "name": "hours", "arguments": '{"day":"Thu"}'}
    await s.play(to_active(script).add(e.ToolChanged, **call).take())
    assert lines(s) == ['+0.020 tool  hours({"day":"Thu"})  [running]']
    script.said(Party.USER, "Hello?")
    script.add(e.ToolChanged, **call, result='"9 to 5"', finished=True, duration_ms=12.3)
    await s.play(script.take())
    assert lines(s) == [
        '+0.020 tool  hours({"day":"Thu"}) → result: "9 to 5"  [12\u00a0ms]',
        "+0.020 user  Hello?",
    ]


async def test_a_failed_tool_is_marked_by_a_word(script: Script, s: Stage) -> None:
    to_active(script).add(e.ToolChanged, call="c1", name="book", error="closed", finished=True)
    await s.play(script.take())
    assert lines(s) == ["+0.020 tool  book() → error: closed  [–]"]


async def test_long_tool_calls_are_cut(script: Script, s: Stage) -> None:
    long = {"name": "n" * 500, "arguments": "a" * 5000, "result": "r" * 5000}
    await s.play(to_active(script).add(e.ToolChanged, call="c1", **long, finished=True).take())
    assert len(lines(s)) < 8


async def test_long_words_wrap_and_follow_the_width(script: Script, s: Stage) -> None:
    await s.play(to_active(script).said(Party.USER, "word " * 30).take())
    narrow = len(lines(s))
    await s.pilot.resize_terminal(110, 24)
    await s.settle()
    assert 1 < len(lines(s)) < narrow


async def test_stays_where_it_is_read(script: Script, s: Stage) -> None:
    to_active(script)
    for number in range(60):
        script.said(Party.USER, f"sentence {number}")
    await s.play(script.take())
    assert lines(s)[-1].endswith("sentence 59")
    await s.press("tab", "up")
    before = lines(s)
    await s.play(script.said(Party.USER, "one more").said(Party.USER, "and another").take())
    assert lines(s) == before
    assert "Transcript · paused, +2 new, F to follow" in s.text()
    await s.press("end")
    assert lines(s)[-1].endswith("and another")


async def test_thousands_of_utterances_cost_only_what_changes(script: Script, s: Stage) -> None:
    to_active(script)
    for number in range(5000):
        script.said(Party.USER, f"sentence {number}")
    await s.play(script.take())
    wrapped = s.session.transcript._wrapped
    first, last = wrapped[0], wrapped[-1]
    await s.play(script.said(Party.USER, "the last", final=False).take())
    assert wrapped[0] is first
    assert wrapped[-2] is last
    assert lines(s)[-1].endswith("the last …")


@sized((60, 20))
async def test_words_cut_off_by_a_barge_in_follow_the_cut(script: Script, s: Stage) -> None:
    text = "one two three four ┊ five six seven eight nine ten eleven twelve thirteen fourteen"
    to_active(script).said(e.Party.AGENT, text, item="1")
    script.add(e.PlaybackStarted, reply="1").add(e.PlaybackEnded, reply="1", heard_ms=500, unheard_ms=500)
    await s.play(script.take())
    assert " ".join(" ".join(lines(s)).split()) == (
        "+0.020 agent one two three four ┊ five six seven eight ┊ nine ten eleven twelve thirteen fourteen "
        "[cut off, 50% heard]"
    )
    struck = "".join(
        segment.text
        for index in range(s.session.transcript.virtual_size.height)
        for segment in s.session.transcript.draw_line(index, 58)
        if segment.style is not None and segment.style.strike
    )
    assert struck.split() == ["nine", "ten", "eleven", "twelve", "thirteen", "fourteen"]


@pytest.mark.parametrize(
    ("heard_ms", "unheard_ms", "told"),
    [
        (0, 500, "[cut off, 0% heard]"),
        (900, 100, "[cut off, 90% heard]"),
        (-1, 500, "[cut off]"),
        (1e9, 1, "[cut off, 99% heard]"),
    ],
)
async def test_every_share_of_a_reply_can_be_shown(
    script: Script, heard_ms: float, unheard_ms: float, told: str, s: Stage
) -> None:
    for text in ("", " ", "word", "two words", "x" * 100_000, "漢字 かな"):
        to_active(script).said(e.Party.AGENT, text, item="1")
        script.add(e.PlaybackEnded, reply="1", heard_ms=heard_ms, unheard_ms=unheard_ms)
        await s.play(script.take())
        assert told in s.text().replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        ("audiocodes", "No transcript yet"),
        ("twilio", "Twilio Media Streams carries audio only"),
        ("./mine.py", "No transcript yet"),
    ],
)
async def test_an_empty_transcript_shows_why(script: Script, protocol: str, told: str, s: Stage) -> None:
    script.add(e.SessionStarted, session_id="1", started_utc="", target="ws://x", protocol=protocol)
    await s.play(script.status(e.Status.IDLE, e.Status.ACTIVE).take())
    assert told in s.text()
    await s.play(script.status(e.Status.ACTIVE, e.Status.ENDED).take())
    assert (told if protocol == "twilio" else "The agent sent no transcript") in s.text()
    await s.play(script.said(e.Party.USER, "hello").take())
    assert "hello" in s.text()
    assert "No words" not in s.text()
