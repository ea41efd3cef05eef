from __future__ import annotations

import msgspec
import pytest

from tests.builders import begins, ends, loss, played, plays, said, started, tool, user_speaks
from tui.callbacks.testing import MockCallback
from tui.models import events as e
from tui.models.events import Party
from tui.models.transcript import Heard, ToolUse, Transcript, Utterance

AGENT, USER = Party.AGENT, Party.USER


def transcript(*events: e.SessionEvent) -> Transcript:
    folded = Transcript()
    for event in events:
        folded.apply(event)
    return folded


def words_of(folded: Transcript) -> list[Utterance]:
    return [entry for entry in folded.entries if isinstance(entry, Utterance)]


def test_partials_are_replaced_in_place_until_the_final_words() -> None:
    folded = transcript(said(USER, "what", final=False), said(USER, "what time", final=False))
    assert [(u.text, u.final) for u in words_of(folded)] == [("what time", False)]
    folded.apply(said(USER, "what time is it"))
    folded.apply(said(USER, "and where", final=False))
    assert [(u.text, u.final) for u in words_of(folded)] == [("what time is it", True), ("and where", False)]


def test_new_speech_does_not_change_an_unfinished_partial() -> None:
    started_again = user_speaks()
    folded = transcript(said(USER, "well", final=False), started_again, said(USER, "hello"))
    assert [u.text for u in words_of(folded)] == ["well", "hello"]


def test_agent_words_follow_the_playback_of_their_reply() -> None:
    folded = transcript(said(AGENT, "Good morning", item="r1"))
    heard = [words_of(folded)[0].heard]
    for event in (begins("r1"), plays("r1"), played("r1", 0, 900)):
        folded.apply(event)
        heard.append(words_of(folded)[0].heard)
    assert heard == [Heard.IN_TEXT, Heard.QUEUED, Heard.SPEAKING, Heard.HEARD]


@pytest.mark.parametrize("unheard_ms", [100, 0])
@pytest.mark.parametrize("reports_all", [False, True])
def test_sound_that_arrives_after_the_cut_was_not_heard_either(unheard_ms: int, reports_all: bool) -> None:
    folded, callback = Transcript(), MockCallback()
    folded.apply(said(AGENT, "Good morning", item="r1"))
    folded.apply(played("r1", 0, 1000, unheard_ms))
    folded.add_change_callback(callback)
    folded.apply(loss(e.Loss.UNHEARD, 4000 - unheard_ms, "r1"))
    folded.apply(ends("r1", received_ms=10_000 if reports_all else 1000))
    (words,) = words_of(folded)
    assert (words.heard, words.heard_share) == (Heard.CUT, 0.1 if reports_all else 0.2)
    callback.assert_called_with(0)


def test_a_completely_played_reply_is_heard_in_spite_of_rounding() -> None:
    whole = played("r1", 0, 1000)
    ended = ends("r1", received_ms=1000.1)
    (words,) = words_of(transcript(said(AGENT, "Good morning", item="r1"), whole, ended))
    assert (words.heard, words.heard_share) == (Heard.HEARD, None)


@pytest.mark.parametrize(
    ("reply", "heard"), [(begins("r1"), Heard.QUEUED), (plays("r1"), Heard.SPEAKING)], ids=["begun", "plays"]
)
def test_words_that_arrive_after_their_audio_have_its_state(reply: e.SessionEvent, heard: Heard) -> None:
    assert words_of(transcript(reply, said(AGENT, "late", item="r1")))[0].heard is heard


def test_callbacks_get_the_first_changed_entry() -> None:
    folded, callback = Transcript(), MockCallback()
    folded.add_change_callback(callback)
    folded.apply(said(AGENT, "one", item="r1"))
    folded.apply(said(USER, "two"))
    folded.apply(plays("r1"))
    assert [args[0] for args, _ in callback.calls] == [0, 1, 0]


def test_a_new_session_empties_it() -> None:
    call = tool("c1")
    assert transcript(said(USER, "old"), call, started()).entries == []


@pytest.mark.parametrize("item", ["", "7"])
def test_the_agents_partials_with_and_without_an_item_are_replaced_too(item: str) -> None:
    folded = transcript(
        said(AGENT, "Let", final=False, item=item),
        said(USER, "hm", final=False),
        said(AGENT, "Let me", final=False, item=item),
        said(AGENT, "Let me.", item=item),
    )
    assert [(u.speaker, u.text, u.final) for u in words_of(folded)] == [
        (AGENT, "Let me.", True),
        (USER, "hm", False),
    ]


def test_a_tool_call_is_one_entry_where_it_began() -> None:
    folded = transcript(tool("c1"), said(USER, "hello"), tool("c2"), tool("c1", finished=True))
    uses = [entry for entry in folded.entries if isinstance(entry, ToolUse)]
    assert folded.entries[0] is uses[0]
    assert [(use.event.call, use.event.finished, use.at_ns) for use in uses] == [
        ("c1", True, 0),
        ("c2", False, 0),
    ]
    assert [u.text for u in words_of(folded)] == ["hello"]


def test_calls_without_an_id_follow_each_other() -> None:
    folded = transcript(tool(""), tool("", finished=True), tool(""), tool("", finished=True))
    assert [isinstance(entry, ToolUse) and entry.event.finished for entry in folded.entries] == [True, True]


def test_a_late_transcription_is_shown_before_its_answer() -> None:
    folded, callback = Transcript(), MockCallback()
    folded.add_change_callback(callback)
    for event in (
        user_speaks(0, e.SpeechPhase.STARTED, "u1"),
        user_speaks(900, e.SpeechPhase.COMMITTED, "u1"),
        said(AGENT, "Answer one", item="a1", at_ms=1_000),
        user_speaks(3_000, e.SpeechPhase.STARTED, "u2"),
        said(USER, "SECOND", final=False, item="u2", at_ms=3_200),
        said(USER, "FIRST QUESTION", item="u1", at_ms=3_300),
        said(USER, "SECOND QUESTION", item="u2", at_ms=4_300),
        said(AGENT, "Answer two", item="a2", at_ms=4_400),
    ):
        folded.apply(event)
    assert [u.text for u in words_of(folded)] == [
        "FIRST QUESTION",
        "Answer one",
        "SECOND QUESTION",
        "Answer two",
    ]
    assert (0,) in [args for args, _ in callback.calls]


def test_without_items_words_are_shown_as_they_come() -> None:
    folded = transcript(said(AGENT, "Answer one", item="a1", at_ms=10), said(USER, "QUESTION", at_ms=20))
    assert [u.text for u in words_of(folded)] == ["Answer one", "QUESTION"]


def test_a_written_part_is_an_entry_of_its_own_that_is_never_cut_off() -> None:
    written = msgspec.structs.replace(said(AGENT, "written link", item="r1"), part=1, written=True)
    folded = transcript(
        said(AGENT, "spoken words", item="r1"),
        written,
        plays("r1"),
        ends("r1", received_ms=4_000),
        played("r1", 0, 1_000, 3_000),
    )
    assert [(u.text, u.heard, u.heard_share) for u in words_of(folded)] == [
        ("spoken words", Heard.CUT, 0.25),
        ("written link", Heard.HEARD, None),
    ]


def test_a_correction_ends_where_the_reply_was_cut_so_no_share_of_it_is_struck() -> None:
    cut = (
        said(AGENT, "One two three four", item="r1"),
        plays("r1"),
        ends("r1", received_ms=4_000),
        played("r1", 0, 1_000, 3_000),
    )
    (whole,) = words_of(transcript(*cut))
    (corrected,) = words_of(transcript(*cut, said(AGENT, "One...", item="r1")))
    assert (whole.text, whole.heard, whole.heard_share) == ("One two three four", Heard.CUT, 0.25)
    assert (corrected.text, corrected.heard, corrected.heard_share) == ("One...", Heard.CUT, None)
