from __future__ import annotations

import json

import msgspec

from tests.builders import numbered, said, started
from tui.models import events as e
from tui.text.json_text import json_of


def test_valid_text_is_written_as_msgspec_writes_it() -> None:
    for event in numbered([started(), said(e.Party.AGENT, "Grüezi 🙂")]):
        assert json_of(event) == msgspec.json.encode(event)


def test_a_lone_surrogate_is_replaced_wherever_it_is() -> None:
    usage = e.UsageReported(at_ns=0, number=3, what="tokens\ud800", figures={"in\udfff": 1.0})
    assert json.loads(json_of(usage)) == {
        "event": "usage",
        "number": 3,
        "at_ns": 0,
        "what": "tokens?",
        "figures": {"in?": 1.0},
    }
