from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from tui.callbacks import spawn
from tui.websocket.client import Closed, ConnectionFailed, WebSocketClient


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def server(
    handler: object = echo, status: HTTPStatus | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        return connection.respond(status, "No.\n") if status else None

    async with serve(handler, "127.0.0.1", 0, process_request=refuse, ssl=tls) as running:  # type: ignore[arg-type]
        port = next(iter(running.sockets)).getsockname()[1]
        yield f"{'wss' if tls else 'ws'}://localhost:{port}/bot?key=secret"


async def failure(url: str, **options: object) -> ConnectionFailed:
    client = WebSocketClient(url, headers={}, **options)  # type: ignore[arg-type]
    with pytest.raises(ConnectionFailed) as caught:
        await client.open(0.5)
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
        assert (await failure(f"ws://127.0.0.1:{silent.getsockname()[1]}/")).code == "timeout"


async def test_a_server_that_is_no_websocket() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.test ESMTP\r\n")
        await writer.drain()
        writer.close()

    running = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with running:
        failed = await failure(f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/")
    assert failed.code == "not-websocket"


async def test_a_host_that_does_not_exist() -> None:
    failed = await failure("ws://no-such-host.invalid/")
    assert failed.code == "unreachable"


@pytest.fixture
async def strict_proxy() -> AsyncIterator[str]:
    """An HTTP proxy that lets nobody through."""

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
        ("strict", "The proxy refused the connection to wss://agent.example.test/: proxy rejected"),
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
        assert (await failure(url.replace("wss", "ws", 1))).code in (
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
        client = WebSocketClient(url, headers={}, clock_ns=itertools.count(0, 1_000_000).__next__)
        await client.open(5)
        await asyncio.sleep(0.1)
        working = spawn(other_work(), "other work")
        read = 0
        async for _ in client.frames():
            read += 1
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
    assert frames == [(0, "one"), (1, b"two")]
    assert client.close_reason == "closed with 1000 (bye)"
    assert not client.is_open
    assert not client.lost
    with pytest.raises(Closed):
        await client.send("too late")


async def test_round_trips_are_measured() -> None:
    measured: asyncio.Queue[float] = asyncio.Queue()
    async with server() as url:
        client = WebSocketClient(url, headers={}, on_round_trip=measured.put_nowait)
        await client.open(5)
        assert 0 < await asyncio.wait_for(measured.get(), 5) < 1000
        await client.close()


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
