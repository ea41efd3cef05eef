from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.protocols.twilio.twiml import (
    MAX_BYTES,
    TwimlError,
    TwimlStream,
    call_fields,
    fetch_twiml,
    form_signature,
    parse_twiml,
)

SAMPLE = """<?xml version="1.0" encoding="UTF-8"?>
<Response>
  <Connect>
    <Stream url="wss://bot.example/media?x=1&amp;y=2">
      <Parameter name="scenario" value="smoke"/>
      <Parameter name="empty"/>
    </Stream>
  </Connect>
</Response>
"""
STREAM = TwimlStream("wss://bot.example/media?x=1&y=2", {"scenario": "smoke", "empty": ""})
ENTITIES = (
    '<!DOCTYPE r [<!ENTITY a "{}">]><Response><Connect><Stream url="wss://x/&a;"/></Connect></Response>'
)


def stream(attributes: str, before: str = "") -> str:
    return f"<Response>{before}<Connect><Stream {attributes}/></Connect></Response>"


class TestADocument:
    def test_a_stream_and_its_parameters(self) -> None:
        assert parse_twiml(SAMPLE) == parse_twiml(SAMPLE.encode()) == STREAM

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
    def test_encodings(self, encoding: str) -> None:
        declared = SAMPLE.replace("UTF-8", {"utf-8-sig": "utf-8"}.get(encoding, encoding)).replace(
            "smoke", "grün"
        )
        assert parse_twiml(declared.encode(encoding)).parameters["scenario"] == "grün"

    @pytest.mark.parametrize("url", ["ws://localhost:8000/twilio", " wss://[::1]:1/x "])
    def test_urls_that_are_fine(self, url: str) -> None:
        assert parse_twiml(stream(f'url="{url}"')).url == url.strip()

    @pytest.mark.parametrize(
        ("document", "note"),
        [
            (stream('url="wss://x/"', "<Say>Hi</Say><Pause/>"), "in the TwiML were skipped: <Say>, <Pause>."),
            (stream('url="ws://x/"'), "begins with ws://; Twilio itself only dials wss://."),
            (stream('url="wss://x/" track="both_tracks"'), "must be inbound_track (error 31941)."),
            ('<Response><Connect><Stream url="wss://x/"><Parameter value="1"/></Stream></Connect></Response>',
             "A <Parameter> without a name was ignored."),
        ],
    )  # fmt: skip
    def test_remarks_about_the_document(self, document: str, note: str) -> None:
        (told,) = parse_twiml(document).notes
        assert told.endswith(note)
        assert parse_twiml(stream('url="wss://x/" track="inbound_track"')).notes == ()

    @pytest.mark.parametrize(
        ("document", "sentence"),
        [
            ("", "The TwiML is empty."),
            (b" \n", "The TwiML is empty."),
            ("Not found", "The TwiML is not XML: syntax error: line 1, column 0."),
            ("<Response>", "The TwiML is not XML: no element found: line 1, column 10."),
            ('{"url": 1}', "The TwiML is not XML: "),
            ("<Response>&nbsp;</Response>", "The TwiML is not XML: undefined entity"),
            ("<Response>\ud800</Response>", "The TwiML is not XML: "),
            (b'<?xml version="1.0" encoding="martian"?><Response/>', "The TwiML is not XML: unknown encoding"),
            ("<html><body/></html>", "This is not TwiML: it begins with <html>; expected <Response>."),
            ("<Response/>", "The TwiML has no verbs; Twilio would hang up."),
            ('<Response><Start><Stream url="wss://x/"/></Start><Say>x</Say></Response>',
             "has its <Stream> in <Start>, where an agent can listen but not answer; use <Connect><Stream>."),
            ("<Response><Connect><ConversationRelay/></Connect></Response>",
             "The TwiML has <ConversationRelay> in <Connect>; only <Stream> is supported."),
            ("<Response><Connect/></Response>", "The TwiML has nothing in <Connect>;"),
            ("<Response><Redirect>/x</Redirect></Response>", "redirects to another document (<Redirect>);"),
            ("<Response><Say>x</Say><Hangup/></Response>", "has no <Connect><Stream>, only <Say>, <Hangup>."),
            (stream(""), "The <Stream> in the TwiML has no url attribute."),
            (stream('url="/media"'), "The url of the <Stream>, /media, has no host; it must be absolute."),
            (stream('url="wss:///media"'), "has no host; it must be absolute."),
            (stream('url="https://u:p@x/a?secret"'), "<Stream>, https://x/a?…, must begin with wss://."),
            (stream('url="ftp://x/"'), "The url of the <Stream> begins with ftp:; expected wss://."),
            (stream('url="wss://u:pass/word@x/"'), "The url of the <Stream>, wss://x/, is not a valid URL."),
            (ENTITIES.format("b"), "The TwiML was rejected: it has a DOCTYPE, which TwiML does not allow."),
            ('<!DOCTYPE r SYSTEM "file:///etc/passwd"><Response/>', "The TwiML was rejected"),
            (b"<Response>" + b"<a>" * MAX_BYTES, "The TwiML is longer than 64 kB, which Twilio refuses"),
        ],
    )  # fmt: skip
    def test_a_faulty_one_is_refused_in_a_sentence(self, document: str | bytes, sentence: str) -> None:
        with pytest.raises(TwimlError) as raised:
            parse_twiml(document)
        assert sentence in str(raised.value)
        assert str(raised.value).endswith(".")

    @settings(derandomize=True, max_examples=1_000, deadline=None)
    @given(st.data())
    def test_only_a_twiml_error_escapes(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(SAMPLE)))
        spoilt = data.draw(
            st.text(max_size=6) | st.sampled_from(["<!DOCTYPE a>", "<![CDATA[", "&#0;", "<?x?>", '"'])
        )
        document = SAMPLE[:at] + spoilt + SAMPLE[at + data.draw(st.integers(0, 12)) :]
        for variant in (document, document.encode(errors="replace"), document.encode("utf-16", "replace")):
            with contextlib.suppress(TwimlError):
                parse_twiml(variant)


class TestTheSignature:
    def test_it_is_the_one_of_twilios_documentation(self) -> None:
        fields = {
            "CallSid": "CA1234567890ABCDE",
            "From": "+12349013030",
            "To": "+18005551212",
            "Caller": "+12349013030",
            "Digits": "1234",
        }
        url = "https://mycompany.com/myapp.php?foo=1&bar=2"
        assert form_signature("12345", url, fields) == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


FIELDS = call_fields(account_sid="AC1", call_sid="CA2", caller="+15550100", called="+15550199")


class Webhook(HTTPServer):
    """The user's server: gives a fixed answer to every POST, and records the requests."""

    status, body, location, cut_short = 200, SAMPLE.encode(), "", False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked: list[tuple[str, Mapping[str, str], list[tuple[str, str]]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/voice"

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores errors, because clients that hang up early are part of the tests."""


class _Answer(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append((self.path, dict(self.headers), parse_qsl(form)))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        if not self.server.cut_short:
            self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name of the method it overrides)
        """Logs nothing."""


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class TestFetching:
    def test_it_posts_an_incoming_call_signed_and_reads_the_answer(self, webhook: Webhook) -> None:
        assert fetch_twiml(f"{webhook.url}?x=1", "secret", FIELDS) == STREAM
        path, headers, form = webhook.asked[0]
        assert (path, form) == ("/voice?x=1", list(FIELDS.items()))
        assert dict(form)["CallStatus"] == "ringing"
        assert headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert headers["X-Twilio-Signature"] == form_signature("secret", f"{webhook.url}?x=1", FIELDS)

    def test_without_a_token_nothing_is_signed(self, webhook: Webhook) -> None:
        fetch_twiml(webhook.url)
        assert not {"X-Twilio-Signature", "Authorization"} & set(webhook.asked[0][1])

    def test_user_and_password_are_sent_and_never_shown(self, webhook: Webhook) -> None:
        webhook.status = 403
        with pytest.raises(TwimlError) as raised:
            fetch_twiml(webhook.url.replace("//", "//annika:pass%20word@") + "?key=hidden")
        assert webhook.asked[0][1]["Authorization"] == "Basic YW5uaWthOnBhc3Mgd29yZA=="
        assert webhook.asked[0][1]["Host"] == f"127.0.0.1:{webhook.server_port}"
        assert webhook.url in str(raised.value)
        assert not any(secret in str(raised.value) for secret in ("annika", "pass", "word", "hidden"))

    def test_a_proxy_is_not_asked_for_the_way_to_this_machine(
        self, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        assert fetch_twiml(webhook.url) == STREAM
        monkeypatch.setenv("http_proxy", webhook.url)
        for host in ("localhost", "[::1]", "127.1.2.3"):
            with pytest.raises(TwimlError):
                fetch_twiml(f"http://{host}/nobody-answers-here")
        assert len(webhook.asked) == 1

    @pytest.mark.parametrize(
        ("status", "location", "sentence"),
        [
            (404, "", "answered 404 Not Found instead of TwiML: check the path."),
            (405, "", "answered 405 Method Not Allowed instead of TwiML: it must accept POST"),
            (401, "", "answered 401 Unauthorized instead of TwiML: it requires a user name and a password"),
            (403, "", "provide your account's auth token (--token-env)."),
            (500, "", "answered 500 Internal Server Error instead of TwiML."),
            (599, "", "answered 599 instead of TwiML."),
            (302, "http://u:p@other/x?secret#s", "redirects to http://other/x?… (HTTP 302); use that URL instead."),
            (307, "/other", "/other (HTTP 307); use that URL instead."),
            (301, "", "answered 301 Moved Permanently instead of TwiML."),
        ],
    )  # fmt: skip
    def test_a_refusal_is_a_sentence(
        self, webhook: Webhook, status: int, location: str, sentence: str
    ) -> None:
        webhook.status, webhook.location = status, location
        with pytest.raises(TwimlError) as raised:
            fetch_twiml(webhook.url)
        assert str(raised.value).startswith(webhook.url)
        assert sentence in str(raised.value)
        assert len(webhook.asked) == 1

    @pytest.mark.parametrize(
        ("status", "user", "token", "sentence"),
        [
            (
                401,
                "me:hidden@",
                "",
                "TwiML: No such account: it rejected the user name and password in the URL.",
            ),
            (
                403,
                "",
                "hidden",
                "No such account: if it checks Twilio's signature, the token must be the account's",
            ),
            (500, "", "", "answered 500 Internal Server Error instead of TwiML: No such account."),
        ],
    )
    def test_a_refusal_names_its_reason_and_what_was_sent(
        self, webhook: Webhook, status: int, user: str, token: str, sentence: str
    ) -> None:
        webhook.status, webhook.body = status, b'{"error": {"message": "No such account."}}'
        with pytest.raises(TwimlError) as raised:
            fetch_twiml(webhook.url.replace("//", f"//{user}"), token)
        assert sentence in str(raised.value)
        assert "hidden" not in str(raised.value)

    def test_too_much_is_not_read(self, webhook: Webhook) -> None:
        webhook.body = b"<Response>" + bytes(1_000_000)
        with pytest.raises(TwimlError, match="longer than 64 kB"):
            fetch_twiml(webhook.url)

    def test_an_answer_cut_short(self, webhook: Webhook) -> None:
        webhook.cut_short = True
        with pytest.raises(TwimlError, match=r"is empty|did not answer"):
            fetch_twiml(webhook.url, timeout_s=0.5)

    @pytest.mark.parametrize(
        ("url", "sentence"),
        [
            ("ws://x/", "must begin with http:// or https:// and contain a host"),
            ("file:///etc/passwd", "must begin with http:// or https:// and contain a host"),
            ("http:///x", "must begin with http:// or https:// and contain a host"),
            ("http://[x/", "is not a valid URL"),
            ("http://x:99999/", "is not a valid URL"),
            (
                "http://localhost:1/a b?key=hidden",
                "contains a space or a character that must be written as %XX",
            ),
            ("http://grün.example/", "contains a space or a character"),
            (
                "http://127.0.0.1:1/x?key=hidden",
                "http://127.0.0.1:1/x?key=… cannot be reached: Connection refused.",
            ),
            ("http://" + "a" * 70 + ".example/", ".example/ cannot be reached: its host name is not valid."),
        ],
    )
    def test_an_address_that_does_not_answer_is_a_sentence(self, url: str, sentence: str) -> None:
        with pytest.raises(TwimlError) as raised:
            fetch_twiml(url, timeout_s=2)
        assert sentence in str(raised.value)
        assert "hidden" not in str(raised.value)

    def test_a_server_that_sends_nothing(self) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as silent,
            pytest.raises(TwimlError, match=r"within 0\.2 s"),
        ):
            fetch_twiml(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout_s=0.2)

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_a_server_of_something_else(self, scheme: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            thread = threading.Thread(target=_greet, args=(other,))
            thread.start()
            with pytest.raises(TwimlError, match=r"did not send an HTTP response|cannot be reached"):
                fetch_twiml(f"{scheme}://127.0.0.1:{other.getsockname()[1]}/", timeout_s=2)
            thread.join()


def _greet(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"220 mail.example ready\r\n")
