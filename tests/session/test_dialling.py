from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs

import pytest

from tests.session.scripted import Peer, agent
from tui.models.target import Target
from tui.protocols.twilio.twiml import form_signature
from tui.session.dialling import DiallingError, ProtocolNotDetected, settle

TWIML = """<?xml version="1.0"?><Response><Connect><Stream url="wss://agent.example.test/media">
<Parameter name="scenario" value="smoke"/><Parameter name="lang" value="en"/></Stream></Connect></Response>"""


async def test_the_url_tells_where_it_can() -> None:
    dialled = await settle(Target(url="wss://api.openai.com/v1/realtime?model=m", protocol="auto"))
    assert dialled.target.protocol == "openai"
    assert "api.openai.com is OpenAI" in dialled.advice[0].text
    assert dialled.advice[0].advice


async def test_an_agent_that_speaks_first_gives_itself_away() -> None:
    async def speaks_first(peer: Peer) -> None:
        await peer.send({"type": "session.created", "session": {"type": "realtime"}})
        await peer.stay()

    async with agent(speaks_first) as url:
        dialled = await settle(Target(url=url, protocol="auto"))
    assert dialled.target.protocol == "openai"
    assert "sent the first message" in dialled.advice[0].text


async def test_an_agent_that_waits_has_to_be_named() -> None:
    async with agent(Peer.stay) as url:
        with pytest.raises(ProtocolNotDetected, match="--protocol"):
            await settle(Target(url=url, protocol="auto"))


async def test_a_known_protocol_is_left_alone() -> None:
    target = Target(url="ws://127.0.0.1:9/", protocol="audiocodes")
    assert (await settle(target)).target is target


class Webhook(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[dict[str, str], str]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        fields = {name: values[0] for name, values in parse_qs(body).items()}
        self.asked.append((fields, self.headers.get("X-Twilio-Signature", "")))
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.end_headers()
        self.wfile.write(TWIML.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        pass


@pytest.fixture
def webhook() -> Iterator[str]:
    Webhook.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Webhook) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/voice"
        server.shutdown()
        thread.join(5)


async def test_a_twiml_webhook_is_asked_as_twilio_asks_it(webhook: str) -> None:
    dialled = await settle(Target(url=webhook, protocol="auto", token="secret", params={"lang": "de"}))
    target = dialled.target
    assert (target.protocol, target.url) == ("twilio", "wss://agent.example.test/media")
    assert target.params == {"scenario": "smoke", "lang": "de"}
    fields, signature = Webhook.asked[0]
    assert signature == form_signature("secret", webhook, fields)
    assert (fields["AccountSid"], fields["CallSid"]) == (
        target.options["account_sid"],
        target.options["call_sid"],
    )
    assert any("returned the stream" in note for note in dialled.notes)


async def test_an_authority_that_is_none_is_told_of_a_webhook_too(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for cacert, why in (
        (tmp_path / "ca.pem", "NO_CERTIFICATE_OR_CRL_FOUND"),
        (tmp_path / "gone", "No such file"),
    ):
        target = Target(url="https://127.0.0.1:9/voice", protocol="twilio", cacert=str(cacert))
        with pytest.raises(
            DiallingError, match=f"{cacert} cannot be used as a certificate authority: .*{why}"
        ):
            await settle(target)


async def test_a_web_address_is_twilios_alone(webhook: str) -> None:
    with pytest.raises(DiallingError, match="Only Twilio"):
        await settle(Target(url=webhook, protocol="pcm"))
