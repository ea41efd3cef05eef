"""Tests that a call offers exactly the abilities for which the caller's end has a message."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from tui.protocols.abilities import Lacking, lacking, lacking_in
from tui.protocols.base import CallerSettings
from tui.protocols.registry import BUILT_IN, protocol_named


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_reason_names_the_protocol_by_its_title(name: str) -> None:
    title = protocol_named(name).title
    assert all(reason.startswith(f"{title} ") for reason in lacking(name) if reason)


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("audiocodes", {"instructions"}),
        ("twilio", {"write", "instructions"}),
        ("openai", {"keypad"}),
        ("openai-live", {"keypad", "write"}),
        ("pcm", {"keypad", "write", "instructions"}),
        ("elevenlabs", {"keypad", "instructions"}),
        ("gemini", {"keypad"}),
        ("deepgram", {"keypad"}),
        ("genesys", {"write", "instructions"}),
        ("telnyx", {"write", "instructions"}),
        ("plivo", {"write", "instructions"}),
        ("exotel", {"write", "instructions"}),
        ("vonage", {"write", "instructions"}),
        ("signalwire", {"write", "instructions"}),
        ("asterisk", {"write", "instructions"}),
    ],
)
def test_each_protocol_lacks_what_it_has_no_message_for(name: str, lacks: set[str]) -> None:
    assert {action for action, reason in lacking(name)._asdict().items() if reason} == lacks


def test_abilities_of_a_foreign_protocol_are_unknown_before_the_call() -> None:
    pcm = protocol_named("pcm")

    def make(settings: CallerSettings, new_id: Callable[[], str], utc_now: Callable[[], str]) -> object:
        return pcm.caller(settings, new_id, utc_now)

    assert lacking("mine.py") == lacking_in(msgspec.structs.replace(pcm, caller=make)) == Lacking()
