from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols import json_frames
from tui.protocols.base import Finding, ProtocolError
from tui.protocols.json_frames import (
    Members,
    Message,
    cut,
    decode_object,
    encode,
)

PCM_8 = AudioFormat(Encoding.PCM16, 8_000)


def members(**body: Any) -> tuple[Members, list[Finding]]:
    findings: list[Finding] = []
    return Members(body, findings), findings


def rules(findings: list[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"{}", "binary"),
        (b"\xff\xfe", "binary"),
        ("", "not-json"),
        ("hello", "not-json"),
        ('{"type":"a"', "not-json"),
        ('{"a":NaN}', "not-json"),
        ('{"a":Infinity}', "not-json"),
        ('{"a":1e999}', "not-json"),
        ("\ufeff{}", "not-json"),
        ('{"a":"\ud800"}', "not-utf8"),
        ("[]", "not-an-object"),
        ('"text"', "not-an-object"),
        ("null", "not-an-object"),
        ("[" * 200_000, "too-deep"),
        ('{"a":' * 65 + "1" + "}" * 65, "too-deep"),
        ('{"a":' + "[" * 64 + "]" * 64 + "}", "too-deep"),
    ],
)
def test_a_frame_that_is_not_an_object_has_a_code(frame: str | bytes, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_object(frame)
    assert caught.value.code == code


def test_the_deepest_allowed_frame_is_read() -> None:
    decode_object('{"a":' * 64 + "1" + "}" * 64)


def test_a_frame_beyond_the_limit_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_frames, "MAX_FRAME_CHARS", 10)
    with pytest.raises(ProtocolError) as caught:
        decode_object('{"type":"long"}')
    assert caught.value.code == "too-big"


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (r'{"a":"cut \ud83d"}', "cut \ufffd"),
        (r'{"a":"\ude00 cut"}', "\ufffd cut"),
        (r'{"a":"\ud83d\ud83d\ude00"}', "\ufffd\U0001f600"),
        (r'{"a":"\\ud83d \ud83d"}', "\\ud83d \ufffd"),
    ],
)
def test_half_a_surrogate_pair_is_replaced_and_reported(frame: str, text: str) -> None:
    body, findings = decode_object(frame)
    assert body == {"a": text}
    assert rules(list(findings)) == ["lone-surrogate"]


def test_a_whole_surrogate_pair_is_valid() -> None:
    assert decode_object(r'{"a":"\ud83d\ude00"}') == ({"a": "\U0001f600"}, ())


def test_encoding_is_compact_ordered_and_writes_bytes_as_base64() -> None:
    assert (
        encode({"type": "x", "é": [1, None], "audio": b"\xff\xfe"})
        == '{"type":"x","é":[1,null],"audio":"//4="}'
    )


def test_long_texts_are_cut_to_one_line() -> None:
    assert cut("a\nb") == "a b"
    assert cut("x" * 120) == "x" * 120
    assert cut("x" * 121) == "x" * 119 + "…"


def test_null_is_absent_without_a_finding() -> None:
    m, findings = members(a=None)
    assert (m.has("a"), m.text("a"), m.flag("a"), m.number("a"), m.texts("a")) == (False, "", None, None, [])
    assert (m.objects("a"), m.inside("a").body, m.ident("a")) == ([], {}, "")
    assert findings == []


@pytest.mark.parametrize("value", [1, 1.5, True, [], {}])
def test_a_member_that_is_not_text_is_absent_and_reported(value: object) -> None:
    m, findings = members(a=value)
    assert m.text("a", required=True) == ""
    assert rules(findings) == ["wrong-type-member"]


def test_a_missing_required_member_is_reported() -> None:
    m, findings = members()
    assert m.text("a", required=True) == ""
    assert findings == [Finding("missing-member", "a is missing; expected text.")]


def test_a_finding_names_the_path_of_the_member() -> None:
    m, findings = members(list=["x", {"inner": {"name": 5}}])
    (only,) = m.objects("list")
    assert only.inside("inner").text("name") == ""
    assert [finding.text for finding in findings] == [
        "list contains an element that is not an object.",
        "list[1].inner.name is a number; expected text.",
    ]


@pytest.mark.parametrize(
    ("value", "number", "noted"),
    [
        (0.5, 0.5, False),
        (1, 1.0, False),
        ("0.95", 0.95, True),
        ("nan", None, True),
        ("-inf", None, True),
        ("much", None, True),
        (True, None, True),
        ([], None, True),
    ],
)
def test_numbers_are_read_from_text_but_never_made_of_nothing(
    value: object, number: float | None, noted: bool
) -> None:
    m, findings = members(a=value)
    assert m.number("a") == number
    assert rules(findings) == ["wrong-type-member"] * noted


def test_an_integer_id_is_accepted_and_reported() -> None:
    m, findings = members(id=7, flag=True)
    assert (m.ident("id"), m.ident("flag")) == ("7", "")
    assert rules(findings) == ["wrong-type-member"] * 2


def test_texts_drop_other_elements() -> None:
    m, findings = members(a=["x", 1, "y"])
    assert m.texts("a") == ["x", "y"]
    assert rules(findings) == ["wrong-type-member"]


@pytest.mark.parametrize("text", ["-_-_", "//8", "//\r\n8=", " //8= "])
def test_loose_base64_is_decoded_and_reported(text: str) -> None:
    m, findings = members(a=text)
    assert m.audio("a") == base64.b64decode(
        text.strip().replace("-", "+").replace("_", "/").replace("\r\n", "") + "=="
    )
    assert rules(findings) == ["loose-base64"]


@pytest.mark.parametrize("text", ["*", "A", "AA==AA==", "ä", "AAA$"])
def test_invalid_base64_is_lost_audio_and_reported(text: str) -> None:
    m, findings = members(a=text)
    assert m.audio("a") == b""
    assert rules(findings) == ["bad-base64"]


@settings(derandomize=True, max_examples=100)
@given(st.binary(max_size=200))
def test_base64_survives_with_or_without_its_padding(audio: bytes) -> None:
    text = base64.b64encode(audio).decode()
    m, findings = members(a=text, b=text.rstrip("="))
    assert m.audio("a") == m.audio("b") == audio
    assert findings == [] or rules(findings) == ["loose-base64"]


@pytest.mark.parametrize(
    ("frame", "code"), [("{}", "no-type"), ('{"type":null}', "no-type"), ('{"type":1}', "wrong-type")]
)
def test_a_message_without_a_type_has_a_code(frame: str, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        Message(frame).kind()
    assert caught.value.code == code


def test_an_unknown_type_is_reported_and_cut() -> None:
    message = Message(encode({"type": "x" * 10_000}))
    incoming = message.incoming(message.unknown())
    assert not incoming.known
    assert len(incoming.kind) == 120
    assert len(incoming.summary) < 120
    assert [finding.rule for finding in incoming.findings] == ["unknown-type"]


def test_an_integer_beyond_every_float_is_not_a_number() -> None:
    message = Message('{"type":"x","n":1' + "0" * 400 + "}")
    assert message.number("n") is None
