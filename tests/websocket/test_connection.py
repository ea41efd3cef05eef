"""Tests replacing the socket of a session, against a real server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.waiting import wait_for
from tui.callbacks import spawn
from tui.protocols.base import Outgoing
from tui.websocket import connection as module
from tui.websocket.client import WebSocketClient
from tui.websocket.connection import Connection
from tui.websocket.failure import ConnectionFailed


def message(name: str) -> Outgoing:
    return Outgoing(frame=name, kind="k", audio_ms=20)


class Line:
    """A `Connection` to a server that loses the first socket, and the events of both ends."""

    def __init__(self, url: str) -> None:
        self.dropped: list[str | bytes] = []
        self.read: list[str | bytes] = []
        self.connection = Connection(
            lambda: WebSocketClient(url, headers={}),
            timeout_s=5,
            on_sending=lambda _: None,
            on_dropped=lambda message: self.dropped.append(message.frame),
            on_sent=lambda _: None,
        )

    async def handle(self, frame: str | bytes, at_ns: int) -> None:
        self.read.append(frame)


@asynccontextmanager
async def server(heard: list[tuple[int, str | bytes]]) -> AsyncIterator[str]:
    """Runs a server that greets each caller with its number and loses the first; yields its URL."""
    callers = 0

    async def hold(socket: ServerConnection) -> None:
        nonlocal callers
        callers += 1
        number = callers
        await socket.send(f"hello {number}")
        if number == 1:
            await asyncio.sleep(0.05)
            socket.transport.abort()
        async for frame in socket:
            heard.append((number, frame))  # noqa: PERF401 - each as it comes

    async with serve(hold, "127.0.0.1", 0, compression=None) as running:
        yield f"ws://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}/"


async def test_a_dropped_socket_is_replaced_once_the_fault_is_over() -> None:
    heard: list[tuple[int, str | bytes]] = []
    async with server(heard) as url:
        line = Line(url)
        await line.connection.open()
        line.connection.faults.drop(20_000_000)
        await line.connection.read(line.handle)
        dropped = [line.connection.faults.breaks]
        assert line.connection.client.lost
        assert "the scenario dropped the connection" in line.connection.client.close_reason
        assert not await line.connection.reopen(0.001, lambda _: None)
        dropped.append(line.connection.faults.breaks)
        assert await line.connection.reopen(5, lambda _: None)
        dropped.append(line.connection.faults.breaks)
        assert dropped == [True, True, False]
        line.connection.send([message("on the second socket")])
        writing = spawn(line.connection.write(), "writer")
        await wait_for(lambda: heard == [(2, "on the second socket")])
        writing.cancel()
        await line.connection.close()


async def test_what_a_stall_holds_up_is_sent_before_the_goodbye_is_over() -> None:
    heard: list[tuple[int, str | bytes]] = []
    async with server(heard) as url:
        line = Line(url)
        await line.connection.open()
        await line.connection.read(line.handle)
        assert await line.connection.reopen(5, lambda _: None)
        line.connection.faults.stall(60_000_000_000)
        writing = spawn(line.connection.write(), "writer")
        line.connection.send([message("1"), message("2")])
        await wait_for(lambda: line.connection.faults.sent.holds)
        line.connection.faults.lift()
        assert await line.connection.drained(5)
        await line.connection.close()
        await wait_for(lambda: heard == [(2, "1"), (2, "2")])
        writing.cancel()


async def test_a_lost_socket_is_replaced_and_both_ways_flow_on_the_new_one() -> None:
    heard: list[tuple[int, str | bytes]] = []
    async with server(heard) as url:
        line = Line(url)
        await line.connection.open()
        await line.connection.read(line.handle)
        assert line.connection.client.lost
        line.connection.send([message("for the lost socket")])
        assert await line.connection.reopen(5, lambda failure: pytest.fail(str(failure)))
        assert line.connection.client.is_open
        writing = spawn(line.connection.write(), "writer")
        reading = spawn(line.connection.read(line.handle), "reader")
        line.connection.send([message("for the new one")])
        await wait_for(lambda: heard and len(line.read) == 2)
        await line.connection.close()
        writing.cancel()
        reading.cancel()
    assert line.read == ["hello 1", "hello 2"]
    assert heard == [(2, "for the new one")]
    assert line.dropped == ["for the lost socket"]


async def test_a_writer_that_lost_its_socket_goes_on_with_the_new_one() -> None:
    heard: list[tuple[int, str | bytes]] = []
    async with server(heard) as url:
        line = Line(url)
        await line.connection.open()
        writing = spawn(line.connection.write(), "writer")
        await line.connection.read(line.handle)
        line.connection.send([message("too late")])
        await asyncio.sleep(0)
        assert await line.connection.reopen(5, lambda failure: pytest.fail(str(failure)))
        line.connection.send([message("in time")])
        await wait_for(lambda: heard)
        await line.connection.close()
        writing.cancel()
    assert heard == [(2, "in time")]


async def test_a_server_that_is_gone_is_tried_until_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REOPEN_INTERVAL_S", 0.02)
    failures: list[ConnectionFailed] = []
    async with server([]) as url:
        line = Line(url)
        await line.connection.open()
        await line.connection.read(line.handle)
    assert not await line.connection.reopen(0.2, failures.append)
    assert len(failures) > 1
    assert {failure.code for failure in failures} == {"unreachable"}
