from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from tests.waiting import wait_for
from tests.websocket.pongs import ignore_pings
from tui.callbacks import spawn
from tui.models.target import Target
from tui.protocols.registry import protocol_named
from tui.text.redaction import Redactor, safe_url
from tui.websocket.client import Closed, Liveness, WebSocketClient, client_of
from tui.websocket.failure import ConnectionFailed, os_reason


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def server(
    handler: object = echo,
    status: HTTPStatus | None = None,
    tls: ssl.SSLContext | None = None,
    body: str = "No.\n",
    location: str = "",
) -> AsyncIterator[str]:
    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        if status is None:
            return None
        response = connection.respond(status, body)
        if location:
            response.headers["Location"] = location
        return response

    async with serve(handler, "127.0.0.1", 0, process_request=refuse, ssl=tls) as running:  # type: ignore[arg-type]
        port = next(iter(running.sockets)).getsockname()[1]
        yield f"{'wss' if tls else 'ws'}://localhost:{port}/bot?key=secret"


@asynccontextmanager
async def raw_server(answer: bytes, *, reads: bool = True, reset: bool = False) -> AsyncIterator[int]:
    """Runs a server that answers every request with these bytes and closes; yields its port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reads:
            await reader.read(4096)
        writer.write(answer)
        if reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as running:
        yield running.sockets[0].getsockname()[1]


async def failure(url: str, *, limit_s: float = 10, **options: object) -> ConnectionFailed:
    client = WebSocketClient(url, **{"headers": {}, **options})  # type: ignore[arg-type]
    with pytest.raises(ConnectionFailed) as caught:
        await client.open(limit_s)
    assert "secret" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (HTTPStatus.UNAUTHORIZED, "unauthorised"),
        (HTTPStatus.FORBIDDEN, "forbidden"),
        (HTTPStatus.NOT_FOUND, "not-found"),
        (HTTPStatus.BAD_GATEWAY, "refused"),
    ],
)
async def test_a_refused_upgrade_names_its_status(status: HTTPStatus, code: str) -> None:
    async with server(status=status) as url:
        failed = await failure(url)
    assert failed.code == code
    assert f"HTTP {status.value}" in str(failed)
    assert failed.hint


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert (await failure(f"ws://127.0.0.1:{port}/")).code == "unreachable"


async def test_a_server_that_says_nothing() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}/"
        assert (await failure(url, limit_s=0.1)).code == "timeout"


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("reads", [False, True])
async def test_a_server_that_closes_without_answering_has_not_answered(reads: bool, reset: bool) -> None:
    async with raw_server(b"", reads=reads, reset=reset) as port:
        failed = await failure(f"ws://127.0.0.1:{port}/")
    assert failed.code == "not-websocket"
    assert str(failed) == f"ws://127.0.0.1:{port}/ closed the connection before it answered."


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (
            b"220 mail.example.test ESMTP secret\r\n",
            "answered, but not as a websocket: it is not valid HTTP.",
        ),
        (b"HTTP/1.1 101 Switching Pro", "closed the connection before it answered"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpg", "closed the connection in the middle of its answer"),
        (
            b"HTTP/1.1 101 x\r\nUpgrade: h2\r\nConnection: Upgrade\r\n\r\n",
            "the Upgrade header of its response is missing or invalid",
        ),
        (
            b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: secret\r\n\r\n",
            "the Sec-WebSocket-Accept header of its response is missing or invalid",
        ),
        (b"HTTP/1.1 101 x\r\n" + b"X: y\r\n" * 500, "its HTTP header is too long"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "answered with HTTP 200 and did not open a websocket",
        ),
    ],
    ids=["mail", "cut", "cut-later", "upgrade", "accept", "long", "ok"],
)
async def test_an_answer_that_opens_no_websocket_is_described(answer: bytes, what: str) -> None:
    async with raw_server(answer) as port:
        failed = await failure(f"ws://127.0.0.1:{port}/")
    assert failed.code == "not-websocket"
    assert what in str(failed)


@pytest.mark.parametrize(
    ("location", "called"),
    [
        ("ws://me:secret@other.test:8/x?token=secret#secret", "ws://other.test:8/x?token=…"),
        ("https://other.test/x?secret", "wss://other.test/x?…"),
        ("/elsewhere/open-sesame", "ws://localhost:{port}/elsewhere/[redacted]"),
        ("wss://localhost/bot", "wss://localhost/bot"),
    ],
)
async def test_a_redirect_is_not_followed(location: str, called: str) -> None:
    async with server(status=HTTPStatus.FOUND, location=location) as url:
        failed = await failure(url, redactor=Redactor(["open-sesame"]))
        called = called.format(port=urlsplit(url).port)
    assert failed.code == "redirected"
    assert str(failed) == f"{safe_url(url)} redirects to {called} (HTTP 302)."
    assert failed.hint == f"Use {called} instead."


async def test_nothing_is_sent_to_the_host_of_a_redirect() -> None:
    called: list[str] = []

    async def note(connection: ServerConnection) -> None:
        called.append(str(connection.request))

    async with server(note) as other, server(status=HTTPStatus.FOUND, location=other) as url:
        assert (await failure(url, headers={"xi-api-key": "secret"})).code == "redirected"
    assert not called


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            json.dumps({"error": {"message": "Incorrect API key.", "code": 1}}, indent=2),
            ": Incorrect API key.",
        ),
        ('{"message": "Bad key", "error": "Unauthorized"}', ": Bad key."),
        ('{"detail": [{"loc": ["header"], "msg": "field required"}]}', ": field required."),
        ('{"detail": {"status": "x", "message": "Not yours."}}', ": Not yours."),
        ('{"reason": "quota"}', ": quota."),
        ('{"error": "invalid_token"}', ": invalid_token."),
        ('{"status": 7}', ': {"status": 7}.'),
        ("Please pay.\nThen call.", ": Please pay."),
        ("<html>x</html>", "."),
        ('{"message": "open-sesame is not ' + "x" * 300 + '"}', ": [redacted] is not xxx"),
        ('{"message": "' + "x" * 230 + 'open-sesame"}', "x[redacted]."),
    ],
)
async def test_the_reason_of_a_refusal_is_read_from_its_body(body: str, reason: str) -> None:
    async with server(status=HTTPStatus.BAD_GATEWAY, body=body) as url:
        failed = await failure(url, redactor=Redactor(["open-sesame"]))
    assert reason in str(failed)
    assert f"refused the connection with HTTP 502{':' if reason != '.' else '.'}" in str(failed)
    assert len(str(failed)) < 400


def target(url: str, **options: object) -> Target:
    return Target(**{"url": url, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("protocol", "options", "says", "hint"),
    [
        ("pcm", {}, "refused the connection with HTTP 401", "Pass the token with --token-env NAME."),
        (
            "pcm",
            {"token": "secret-1", "token_env": "AC"},
            "rejected the token in $AC (HTTP 401)",
            "this agent's token",
        ),
        (
            "elevenlabs",
            {"token": "secret-1", "token_env": "AC"},
            "rejected the token in $AC (HTTP 401)",
            "this agent's",
        ),
        (
            "twilio",
            {"token": "secret-1", "token_env": "AC"},
            "refused the connection with HTTP 401",
            "only signs",
        ),
        (
            "pcm",
            {"headers": {"Authorization": "secret"}},
            "rejected the header Authorization (HTTP 401)",
            "--header",
        ),
        (
            "pcm",
            {"user": "me:secret@"},
            "rejected the user name and password in the URL (HTTP 401)",
            "Check both",
        ),
    ],
)
async def test_a_refusal_names_what_was_refused(
    protocol: str, options: dict[str, Any], says: str, hint: str
) -> None:
    async with server(status=HTTPStatus.UNAUTHORIZED) as url:
        url = url.replace("ws://", f"ws://{options.pop('user', '')}")
        client = client_of(target(url, **options), protocol_named(protocol), redactor=Redactor())
        with pytest.raises(ConnectionFailed) as caught:
            await client.open(5)
    assert caught.value.code == "unauthorised"
    assert says in str(caught.value)
    assert hint in caught.value.hint
    assert "secret" not in f"{caught.value} {caught.value.hint}"


async def test_a_header_that_cannot_be_sent_is_not_taken_for_an_answer() -> None:
    async with server() as url:
        failed = await failure(url, headers={"xi-api-key": "secret\n"})
    assert failed.code == "invalid-header"
    assert str(failed).startswith("The header xi-api-key contains a character that HTTP does not allow")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x28", "refused the TLS handshake with an alert: handshake failure."),
        (b"\x15\x03\x03\x00\x02\x02\x46", "refused the TLS handshake with an alert: protocol version."),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS."),
        (b"", "closed the connection during the TLS handshake."),
    ],
)
async def test_a_tls_alert_is_not_an_answer_without_tls(answer: bytes, says: str) -> None:
    async with raw_server(answer) as port:
        failed = await failure(f"wss://127.0.0.1:{port}/")
    assert failed.code == "tls"
    assert says in str(failed)


def test_the_reason_of_the_system_is_that_of_its_number() -> None:
    assert os_reason(OSError(111, "Connect call failed ('::1', 1)")) == "connection refused"
    assert os_reason(OSError(113, "Connect call failed ('10.0.0.1', 1)")) == "no route to host"
    several = OSError(
        "Multiple exceptions: [Errno 101] Connect call failed ('a', 1), [Errno 101] Connect call failed"
    )
    assert os_reason(several) == "network is unreachable"
    assert os_reason(OSError("secret")) == "OSError"


def frame(opcode: int, payload: bytes, *, flags: int = 0x80, mask: int = 0) -> bytes:
    size = bytes([len(payload)]) if len(payload) < 126 else b"\x7f" + len(payload).to_bytes(8)
    return bytes([flags | opcode, size[0] | mask]) + size[1:] + payload


@pytest.mark.parametrize(
    ("sent", "violation"),
    [
        (frame(1, b"\xff\xfe raw audio"), "the agent sent text that is not UTF-8 (closed with code 1007)"),
        (
            b"\x82\x7f" + (65 * 1024**2).to_bytes(8),
            "the agent sent a message of more than 64 MiB (closed with code 1009)",
        ),
        (frame(1, b"masked", mask=0x80), "the agent broke the rules of the websocket protocol: "),
        (frame(11, b""), "the agent broke the rules of the websocket protocol: "),
        (frame(8, b"x"), "the agent broke the rules of the websocket protocol: "),
        (frame(8, (999).to_bytes(2)), "the agent broke the rules of the websocket protocol: "),
    ],
)
async def test_a_close_of_our_own_names_what_the_agent_sent(sent: bytes, violation: str) -> None:
    async def break_a_rule(connection: ServerConnection) -> None:
        connection.transport.write(sent)
        await connection.wait_closed()

    async with server(break_a_rule) as url:
        client = WebSocketClient(url, headers={})
        await client.open(5)
        assert [received async for received in client.frames()] == []
        await client.close()
    assert client.violation.startswith(violation)
    assert client.close_reason == f"closed by opusagent-tui, because {client.violation}"
    assert not client.lost
    assert not client.failed


async def test_a_close_of_the_agent_is_not_one_of_our_own() -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.close(1007, "I refuse open-sesame")

    async with server(leave) as url:
        client = WebSocketClient(url, headers={}, redactor=Redactor(["open-sesame"]))
        await client.open(5)
        assert [received async for received in client.frames()] == []
    assert client.violation == ""
    assert client.close_reason == "closed with code 1007 (I refuse [redacted])"
    assert client.failed


async def test_a_host_that_does_not_exist() -> None:
    failed = await failure("ws://no-such-host.invalid/")
    assert failed.code == "unreachable"


@pytest.fixture
async def strict_proxy() -> AsyncIterator[str]:
    """Runs an HTTP proxy that rejects all requests; yields its address."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    running = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with running:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("strict", "The proxy refused the connection to wss://agent.example.test/ with HTTP 407."),
        ("socks5h://127.0.0.1:9", "python-socks"),
        ("me:secret@127.0.0.1:9", "not a valid proxy URL"),
        ("http://me:secret/of-mine@127.0.0.1:9", "not a valid proxy URL"),
    ],
)
async def test_a_proxy_that_cannot_be_used_is_reported(
    proxy: str, said: str, strict_proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "wss_proxy", "socks_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", strict_proxy if proxy == "strict" else proxy)
    monkeypatch.setitem(sys.modules, "python_socks", None)
    failed = await failure("wss://agent.example.test/")
    assert failed.code == "proxy"
    assert said in str(failed)
    assert "no_proxy" in failed.hint


async def test_an_untrusted_certificate_and_the_two_ways_to_accept_it(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, key = tmp_path / "authority.pem", tmp_path / "key.pem"
    authority.cert_pem.write_to_path(str(certificate))
    authority.private_key_pem.write_to_path(str(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with server(tls=context) as url:
        failed = await failure(url)
        assert failed.code == "certificate"
        assert "--cacert" in failed.hint
        for options in ({"insecure": True}, {"cacert": str(certificate)}):
            client = WebSocketClient(url, headers={}, **options)
            await client.open(5)
            assert client.is_open
            await client.close()
        assert (await failure(url.replace("wss", "ws", 1), limit_s=0.5)).code in (
            "not-websocket",
            "unreachable",
            "timeout",
        )
        assert (await failure(url, cacert=str(key))).code == "cacert"


async def test_messages_that_came_at_once_leave_turns_to_the_rest_of_the_loop() -> None:
    async def burst(connection: ServerConnection) -> None:
        for _ in range(500):
            await connection.send("tiny")
        await connection.wait_closed()

    turns = 0

    async def other_work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with server(burst) as url:
        now_ns = 0
        client = WebSocketClient(url, headers={}, clock_ns=lambda: now_ns)
        await client.open(5)
        await asyncio.sleep(0.1)
        working = spawn(other_work(), "other work")
        read = 0
        async for _ in client.frames():
            read += 1
            now_ns += 1_000_000  # the time that each message takes
            if read == 500:
                break
        assert turns > 50
        working.cancel()
        await client.close()


async def test_frames_come_with_their_arrival_time_until_the_close() -> None:
    async def bye(connection: ServerConnection) -> None:
        await connection.send("one")
        await connection.send(b"two")
        await connection.close(1000, "bye")

    async with server(bye) as url:
        client = WebSocketClient(url, headers={}, clock_ns=iter(range(100)).__next__)
        await client.open(5)
        frames = [frame async for frame in client.frames()]
    assert frames == [(1, "one"), (3, b"two")]
    assert client.close_reason == "closed with code 1000 (bye)"
    assert not client.is_open
    assert not client.lost
    with pytest.raises(Closed):
        await client.send("too late")


async def test_round_trips_are_measured() -> None:
    measured: asyncio.Queue[float] = asyncio.Queue()
    async with server() as url:
        client = WebSocketClient(url, headers={}, liveness=Liveness(on_round_trip=measured.put_nowait))
        await client.open(5)
        assert 0 < await asyncio.wait_for(measured.get(), 5) < 1000
        await client.close()


class Watched:
    """A client with a liveness check of milliseconds, and its reports about pongs."""

    def __init__(self, url: str) -> None:
        self.pongs: list[bool] = []
        self.trips = 0
        liveness = Liveness(ping_s=0.02, silence_s=0.1, on_round_trip=self._trip, on_pongs=self.pongs.append)
        self.client = WebSocketClient(url, headers={}, liveness=liveness)

    def _trip(self, _: float) -> None:
        self.trips += 1

    async def read(self) -> None:
        async for _ in self.client.frames():
            pass


async def test_missing_pongs_end_nothing_while_messages_arrive() -> None:
    async def talks(connection: ServerConnection) -> None:
        answers = ignore_pings(connection)
        for _ in range(40):
            await connection.send("still here")
            await asyncio.sleep(0.01)
        answers.set()
        await connection.wait_closed()

    async with server(talks) as url:
        watched = Watched(url)
        await watched.client.open(5)
        reading = spawn(watched.read(), "reader")
        await wait_for(lambda: watched.pongs == [False, True])
        assert watched.client.is_open
        await watched.client.close()
        await reading
    assert not watched.client.lost


async def test_a_far_side_that_sends_nothing_at_all_is_given_up_and_that_is_reported_as_ours() -> None:
    async def dead(connection: ServerConnection) -> None:
        ignore_pings(connection)
        await connection.wait_closed()

    async with server(dead) as url:
        watched = Watched(url)
        await watched.client.open(5)
        await watched.read()
    assert watched.pongs == [False]
    assert watched.client.lost
    assert not watched.client.failed
    assert watched.client.close_reason == (
        "closed by opusagent-tui, because no message and no pong arrived for 0.1 s"
    )


async def test_a_silent_far_side_that_answers_pings_is_not_given_up() -> None:
    async with server() as url:
        watched = Watched(url)
        await watched.client.open(5)
        reading = spawn(watched.read(), "reader")
        await wait_for(lambda: watched.trips >= 8)
        assert watched.client.is_open
        await watched.client.close()
        await reading
    assert watched.pongs == []


async def test_headers_are_sent() -> None:
    seen: list[str] = []

    async def look(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request.headers["Authorization"])

    async with server(look) as url:
        client = WebSocketClient(url, headers={"Authorization": "Bearer t"})
        await client.open(5)
        async for _ in client.frames():
            pass
    assert seen == ["Bearer t"]


def test_every_code_of_a_failure_is_documented() -> None:
    root = Path(__file__).parents[2]
    source = (root / "tui/websocket/failure.py").read_text() + (root / "tui/websocket/client.py").read_text()
    codes = {
        *re.findall(r'ConnectionFailed\(\s*"([a-z-]+)"', source),
        *re.findall(r'code(?:, hint)? = "([a-z-]+)"', source),
    }
    assert len(codes) > 10
    documented = (root / "docs/exit-codes.md").read_text()
    assert [code for code in codes if f"| `socket` | `{code}` |" not in documented] == []


@pytest.mark.parametrize("protocol", ["openai", "elevenlabs", "twilio"])
@pytest.mark.parametrize(
    ("offer", "offered", "chosen"),
    [
        ({}, "", None),
        ({"subprotocols": ("realtime", "bearer.key-of-agent")}, "realtime, bearer.key-of-agent", "realtime"),
        ({"headers": {"sec-websocket-protocol": "realtime , x"}}, "realtime, x", "realtime"),
        ({"subprotocols": ("other",)}, "other", None),
    ],
)
async def test_subprotocols_are_offered_only_when_they_are_asked_for(
    protocol: str, offer: dict[str, Any], offered: str, chosen: str | None
) -> None:
    seen: list[tuple[str, str | None]] = []

    async def note(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append((connection.request.headers.get("Sec-WebSocket-Protocol", ""), connection.subprotocol))

    def choose(connection: ServerConnection, names: list[str]) -> str | None:
        return "realtime" if "realtime" in names else None

    async with serve(note, "127.0.0.1", 0, select_subprotocol=choose) as running:  # type: ignore[arg-type]
        url = f"ws://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}/bot"
        redactor = Redactor()
        client = client_of(Target(url=url, **offer), protocol_named(protocol), redactor=redactor)
        await client.open(5)
        await client.close()
    assert seen == [(offered, chosen)]
    assert ("key-of-agent" in redactor.text("it said key-of-agent")) is ("key-of-agent" not in offered)
