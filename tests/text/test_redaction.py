from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import said
from tui.models import events as e
from tui.models.target import Target
from tui.text.redaction import REDACTED, LogFormatter, Redactor, clean_secret, safe_url

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
        url="wss://a-user:pass%20word@host/x?key=abc%2Fdef1&mode=fast&model=gpt-voice&api-version=2026-01"
        "&lone-value#frag-ment",
        token="token-1",
        headers={"Authorization": "Bearer header-2"},
        params={"lang": "en-GB-oxendict", "api_key": "param-3"},
        options={"voice": "marlowe", "client_secret": "option-4"},
    )
    secrets = "token-1 header-2 pass%20word abc/def1 abc%2Fdef1 a-user lone-value frag-ment param-3 option-4"
    for secret in secrets.split():
        assert target.redactor().text(f"<{secret}>") == f"<{REDACTED}>"
    public = "fast gpt-voice 2026-01 en-GB-oxendict marlowe Bearer"
    assert target.redactor().text(public) == public
    assert target.redactor().text("pass word") == REDACTED


@pytest.mark.parametrize(
    "write",
    [
        lambda secret: json.dumps(secret).replace("/", "\\/"),
        lambda secret: json.dumps(json.dumps(secret)),
        lambda secret: quote(secret, safe=""),
        lambda secret: re.sub("%..", lambda match: match[0].lower(), quote_plus(secret)),
        *(
            lambda secret, before=before: base64.b64encode(before + secret.encode() + b" and more").decode()
            for before in (b"", b"x", b"xy", b"xyz")
        ),
        lambda secret: base64.urlsafe_b64encode(b"a" + secret.encode()).decode(),
    ],
)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=6, max_size=30))
def test_a_secret_is_removed_in_every_encoding(write: Callable[[str], str], secret: str) -> None:
    clean = Redactor([secret]).text(f"({write(secret)})")
    assert REDACTED in clean
    assert len(clean) <= len(f"({REDACTED})") + 20


def test_the_beginning_of_a_secret_is_removed_where_a_text_is_cut_short() -> None:
    redactor = Redactor(["open-sesame-and-more"])
    assert redactor.text("token open-sesa… and so on") == f"token {REDACTED}… and so on"
    assert redactor.text("the door is open-…") == "the door is open-…"
    assert redactor.text("open-season…") == "open-season…"


def test_everything_inside_a_listed_field_is_redacted_elsewhere() -> None:
    redactor = Redactor(fields=["card"])
    redactor.message(b'{"card": {"pin": "pin-888", "number": 4111111111111111, "valid": true, "digits": 12}}')
    assert redactor.text("pin-888, 4111111111111111, true, 12") == f"{REDACTED}, {REDACTED}, true, 12"


def test_the_log_of_the_process_has_no_secret_of_any_call(caplog: pytest.LogCaptureFixture) -> None:
    target = Target(url="ws://host/?key=query-value-77", token="the-log-token", redact=("ssn",))
    target.redactor().message(b'{"ssn": "078-05-1120"}')
    formatter = LogFormatter("%(message)s")
    try:
        raise ValueError("the-log-token 078-05-1120")
    except ValueError:
        logging.getLogger("test").exception("failed with %s", "query-value-77")
    line = formatter.format(caplog.records[-1])
    assert line.startswith(f"failed with {REDACTED}\nTraceback")
    assert line.endswith(f"ValueError: {REDACTED} {REDACTED}")


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        (
            "wss://me:secret@host.test:9/path?token=secret&agent=secret",
            "wss://host.test:9/path?token=…&agent=…",
        ),
        ("ws://secret@host/p#secret", "ws://host/p"),
        ("ws://host/p?secret", "ws://host/p?…"),
        ("ws://host/p?c2VjcmV0==", "ws://host/p?…"),
        ("ws://host/p?a=1;b=secret&secret", "ws://host/p?a=…&…"),
        ("user:secret@host/p?x=secret", "host/p?x=…"),
        ("//user:secret@host/p", "//host/p"),
        ("ws:user:secret@host", "host"),
        ("ws://user:se/cret@host/p", "ws://host/p"),
        ("ws://user:se?cret@host/p", "ws://host/p"),
        ("ws://user:se#cret@host/p", "ws://host/p"),
        ("ws://user:secr@et@host/p", "ws://host/p"),
        ("ws://[::1]:9/x@v1", "ws://[::1]:9/x@v1"),
        ("ws://[::1]/x@v1", "ws://[::1]/x@v1"),
        ("ws://host:9/x@v1", "ws://host:9/x@v1"),
        ("ws://[broken?secret", "ws://[broken?…"),
        ("ws://host/?to=wss://user:secret@other", "ws://host/?to=…"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, safe: str) -> None:
    assert safe_url(url) == safe
    assert safe_url(safe) == safe
    assert "secret" not in Target(url=url).name
    assert "secret" not in repr(Target(url=url, token="secret"))


@pytest.mark.parametrize(
    ("value", "clean"),
    [("tok\n", "tok"), ("\ufeff tok\r\n", "tok"), ("\u200btok\u00a0", "tok"), (" \n", ""), ("a b", "a b")],
)
def test_white_space_around_a_secret_is_not_part_of_it(value: str, clean: str) -> None:
    assert clean_secret(value) == clean


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("to\nken", "control character U\\+000A"),
        ("to\x1bken", "control character U\\+001B"),
        ("to\u200bken", "control character U\\+200B"),
        ("to\udcffken", "not valid UTF-8"),
    ],
)
def test_a_control_character_in_a_secret_is_refused_without_showing_it(value: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        clean_secret(value)
    assert "ken" not in str(caught.value)
