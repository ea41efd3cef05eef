from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import said
from tui.models import events as e
from tui.models.target import Target
from tui.saving.redaction import REDACTED, Redactor, secrets_of, without_audio

SECRET = 'k"ey\\/ü-1234'


@pytest.mark.parametrize(
    "raw",
    [
        SECRET,
        json.dumps({"a": SECRET}),
        json.dumps({"a": SECRET}, ensure_ascii=False),
        json.dumps({"a": json.dumps({"b": SECRET})}),
        "wss://host/?token=k%22ey%5C%2F%C3%BC-1234&x=1",
    ],
)
def test_a_secret_is_found_however_it_is_written(raw: str) -> None:
    clean = Redactor([SECRET, json.dumps(SECRET)[1:-1]]).message(raw.encode()).decode()
    assert REDACTED in clean
    assert "1234" not in clean


def test_text_without_secrets_is_unchanged() -> None:
    for raw in (b"\xff\xfe{\x00", b'{"type":  "x",\n"\\u00e9": 1e5}', b""):
        assert Redactor([SECRET], ["card"]).message(raw) == raw


def test_short_values_are_not_taken_for_secrets() -> None:
    assert Redactor(["1", "true"]).text("1 is true") == "1 is true"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_listed_fields_are_redacted_whatever_their_value(value: object) -> None:
    raw = json.dumps({"before": 1, "card": value, "deep": [{"Card": value}], "after": 2}).encode()
    clean = Redactor(fields=["card"]).message(raw)
    assert json.loads(clean)["card"] == REDACTED
    assert json.loads(clean)["deep"] == [{"Card": REDACTED}]
    assert clean.startswith(b'{"before": 1, "card": ')
    assert clean.endswith(b', "after": 2}')


def test_fields_are_found_in_json_inside_a_string() -> None:
    arguments = json.dumps({"card": "4111 1111", "note": json.dumps({"card": [1, 2]})})
    raw = json.dumps({"arguments": arguments}).encode()
    clean = json.loads(Redactor(fields=["card"]).message(raw))
    inner = json.loads(clean["arguments"])
    assert inner["card"] == REDACTED
    assert json.loads(inner["note"]) == {"card": REDACTED}


def test_an_incomplete_field_is_redacted_to_the_end() -> None:
    assert Redactor(fields=["card"]).message(b'{"a":1,"card":"4111 11') == b'{"a":1,"card":"[redacted]"'


def test_a_word_that_resembles_a_field_is_not_redacted() -> None:
    raw = json.dumps({"text": 'he said "card": 5', "card_count": 3, "x": "card"}).encode()
    clean = json.loads(Redactor(fields=["card"]).message(raw))
    assert clean["card_count"] == 3
    assert clean["x"] == "card"


def test_the_value_of_a_field_is_redacted_where_it_is_repeated() -> None:
    redactor = Redactor(fields=["name"])
    redactor.message(b'{"name": "Ada Lovelace", "x": {"name": "no"}}')
    assert redactor.event(said(e.Party.AGENT, "Hello Ada Lovelace, no more")).text == (
        f"Hello {REDACTED}, no more"
    )


def test_events_keep_their_kind_and_lose_their_secrets() -> None:
    event = e.ToolChanged(at_ns=1, call="c", name="pay", arguments='{"card": 4111}', result="sesame-open")
    clean = Redactor(["sesame-open"], ["card"]).event(event)
    assert clean == e.ToolChanged(
        at_ns=1, call="c", name="pay", arguments=f'{{"card": "{REDACTED}"}}', result=REDACTED
    )
    status = e.StatusChanged(at_ns=1, old=e.Status.ACTIVE, new=e.Status.ENDING, reason="x")
    assert Redactor(["active", "ending"]).event(status) is status


def test_the_secrets_of_a_target() -> None:
    target = Target(
        url="wss://user:pass%20word@host/x?key=abc%2Fdef1&mode=fast",
        token="token-1",
        headers={"Authorization": "Bearer header-2"},
    )
    redactor = Redactor(secrets_of(target))
    text = "token-1 Bearer header-2 header-2 pass word abc/def1 abc%2Fdef1 fast"
    assert redactor.text(text) == " ".join([REDACTED] * 6 + ["fast"])


def test_audio_is_elided_to_its_length_and_nothing_else() -> None:
    audio = "A" * 428 + "=="
    raw = json.dumps({"type": "chunk", "audio": audio, "id": "a" * 40, "text": "long " * 100})
    clean = json.loads(without_audio(raw.encode()) or b"")
    assert clean == {"type": "chunk", "audio": "(430 characters)", "id": "a" * 40, "text": "long " * 100}
    assert without_audio(b"plain words") == b"plain words"
    assert without_audio(bytes(640)) is None
    assert without_audio(b'{"' + bytes(range(256))) is None


def test_the_shortest_chunk_is_elided_and_an_identifier_is_not() -> None:
    identifier, audio = "0d9a2f3e-8b1c-4f6e-9a57-3f2d1c0b9a88", base64.b64encode(bytes(32)).decode()
    clean = json.loads(without_audio(json.dumps({"id": identifier, "audioChunk": audio}).encode()) or b"")
    assert clean == {"id": identifier, "audioChunk": "(44 characters)"}
