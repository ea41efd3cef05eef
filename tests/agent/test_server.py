"""The server over real sockets on the loopback; everything the caller does, it does as fast as it can."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import tui.agent.server
from tests.agent.calls import SECOND_OF_SILENCE, prompt, spoken
from tui.agent.server import AgentServer
from tui.agent.settings import EVERYTHING_AT_ONCE, AgentError, AgentSettings, ReplyMode
from tui.assets import caller_lines, prompts
from tui.protocols.audiocodes import AudioCodesCaller
from tui.protocols.base import CallerSettings, Outgoing, TelephonyEvent
from tui.protocols.base import TelephonyEventType as Type

_FAST = AgentSettings(pace=100)
_LIMIT_S = 10


class Caller:
    """A caller on a real socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.end = AudioCodesCaller(CallerSettings(), lambda: "id", lambda: "2026-01-01T00:00:00.000Z")
        self.events: list[TelephonyEvent] = []

    async def send(self, frames: list[Outgoing]) -> None:
        for frame in frames:
            await self.socket.send(frame.frame)

    async def until(self, kind: Type) -> TelephonyEvent:
        """Listen until this has happened."""
        async with asyncio.timeout(_LIMIT_S):
            while True:
                incoming = self.end.receive(await self.socket.recv())
                self.events += incoming.events
                await self.send(list(incoming.replies))
                found = next((event for event in incoming.events if event.type is kind), None)
                if found:
                    return found

    async def speak(self, pcm: bytes) -> None:
        if not self.end.user_stream_open:
            await self.send(self.end.start_user_stream())
            await self.until(Type.USER_STREAM_STARTED)
        for at in range(0, len(pcm), 6_400):
            await self.send(self.end.user_audio(pcm[at : at + 6_400]))

    def take_chunks(self) -> list[bytes]:
        chunks = [event.audio for event in self.events if event.type is Type.PLAY_STREAM_CHUNK]
        self.events.clear()
        return chunks


@asynccontextmanager
async def answered(server: AgentServer, *, greeted: bool = True) -> AsyncIterator[Caller]:
    # A bounded queue that nobody reads would hold up the close at the end of a test.
    async with connect(f"{server.url}/audiocodes", compression=None, max_size=None, max_queue=None) as socket:
        caller = Caller(socket)
        await caller.send(caller.end.opened())
        if greeted:
            await caller.until(Type.PLAY_STREAM_STOP)
            await caller.send(caller.end.playback_finished("play-1", heard_ms=1, received_ms=1))
            caller.events.clear()
        yield caller


async def test_the_greeting_arrives_whole() -> None:
    async with AgentServer(_FAST) as server, answered(server, greeted=False) as caller:
        start = await caller.until(Type.PLAY_STREAM_START)
        await caller.until(Type.PLAY_STREAM_STOP)
        assert start.text == prompts()["greeting"].text
        assert b"".join(caller.take_chunks()) == prompt("greeting")


async def test_a_spoken_line_is_recognised_and_answered_whole() -> None:
    async with AgentServer(_FAST) as server, answered(server) as caller:
        await caller.speak(spoken("number"))
        recognition = await caller.until(Type.SPEECH_RECOGNITION)
        assert recognition.text == "The order number is four seven one, two nine zero, five."
        await caller.until(Type.PLAY_STREAM_STOP)
        assert b"".join(caller.take_chunks()) == prompt("order")


async def test_echo_returns_the_users_words() -> None:
    async with (
        AgentServer(AgentSettings(pace=100, reply=ReplyMode.ECHO)) as server,
        answered(server) as caller,
    ):
        await caller.speak(SECOND_OF_SILENCE + prompt("listening") + SECOND_OF_SILENCE)
        await caller.until(Type.PLAY_STREAM_STOP)
        assert prompt("listening") in b"".join(caller.take_chunks())


async def test_everything_at_once_is_one_large_message() -> None:
    async with AgentServer(AgentSettings(pace=EVERYTHING_AT_ONCE)) as server, answered(server) as caller:
        await caller.speak(spoken("services"))
        await caller.until(Type.PLAY_STREAM_STOP)
        assert caller.take_chunks() == [prompt("workshop")]


async def test_speech_stops_what_is_being_said() -> None:
    async with AgentServer(AgentSettings()) as server, answered(server, greeted=False) as caller:
        await caller.until(Type.PLAY_STREAM_CHUNK)
        await caller.speak(spoken("interrupt"))
        await caller.until(Type.SPEECH_STARTED)
        await caller.until(Type.PLAY_STREAM_STOP)
        assert len(b"".join(caller.take_chunks())) < len(prompt("greeting"))
        await caller.until(Type.SPEECH_RECOGNITION)


async def test_digits_are_answered_and_goodbye_hangs_up() -> None:
    async with AgentServer(_FAST) as server, answered(server) as caller:
        await caller.send(caller.end.dtmf("7"))
        await caller.until(Type.PLAY_STREAM_STOP)
        assert b"".join(caller.take_chunks()) == prompt("dtmf-7")
        await caller.send(caller.end.playback_finished("play-2", heard_ms=1, received_ms=1))
        await caller.speak(spoken("goodbye"))
        await caller.until(Type.PLAY_STREAM_STOP)
        await caller.send(caller.end.playback_finished("play-3", heard_ms=1, received_ms=1))
        await caller.until(Type.HANG_UP)
        await caller.send(caller.end.hang_up())
        await caller.socket.wait_closed()
        assert caller.socket.close_code == 1000


async def test_calls_do_not_hear_each_other() -> None:
    async with AgentServer(_FAST) as server, answered(server) as one, answered(server) as other:
        await one.speak(spoken("yes"))
        await other.speak(spoken("hold"))
        assert (await one.until(Type.SPEECH_RECOGNITION)).text == "Yes."
        assert (await other.until(Type.SPEECH_RECOGNITION)).text == "Please hold on for a moment."


async def test_an_unknown_path_is_404_and_names_the_known_ones() -> None:
    async with AgentServer(AgentSettings()) as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{server.url}/nowhere")
        assert refused.value.response.status_code == 404
        assert b"/audiocodes" in refused.value.response.body


async def test_query_and_trailing_slash_are_no_other_path() -> None:
    async with AgentServer(AgentSettings()) as server, connect(f"{server.url}/audiocodes/?bot=1"):
        pass


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wröng"}, {"Authorization": "secret"}])
async def test_without_the_token_it_is_401(headers: dict[str, str]) -> None:
    async with AgentServer(AgentSettings(token="secret")) as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{server.url}/audiocodes", additional_headers=headers)
        assert refused.value.response.status_code == 401
        assert b"secret" not in refused.value.response.body


async def test_with_the_token_the_call_is_taken() -> None:
    headers = {"Authorization": "Bearer secret"}
    async with (
        AgentServer(AgentSettings(token="secret")) as server,
        connect(f"{server.url}/audiocodes", additional_headers=headers),
    ):
        pass


async def test_shutting_down_says_goodbye_before_it_closes() -> None:
    async with AgentServer(AgentSettings()) as server:
        socket = await connect(f"{server.url}/audiocodes", compression=None)
        caller = Caller(socket)
        await caller.send(caller.end.opened())
        await caller.until(Type.PLAY_STREAM_CHUNK)
    await caller.until(Type.HANG_UP)
    with pytest.raises(ConnectionClosed):
        await socket.recv()
    assert socket.close_code == 1001


async def test_a_caller_that_vanishes_leaves_nothing_behind() -> None:
    async with AgentServer(AgentSettings()) as server:
        async with answered(server, greeted=False) as caller:
            await caller.until(Type.PLAY_STREAM_CHUNK)
            caller.socket.transport.abort()
        for _ in range(100 * _LIMIT_S):
            if not server._calls:
                return
            await asyncio.sleep(0.01)
        pytest.fail("the call is still held")


async def test_a_port_in_use_is_one_sentence() -> None:
    async with AgentServer(AgentSettings()) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(AgentError, match=f"cannot listen on 127.0.0.1, port {port}"):
            async with AgentServer(AgentSettings(port=port)):
                pass


def test_missing_recordings_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = replace(caller_lines()[0], path=tmp_path / "gone.wav")
    monkeypatch.setattr(tui.agent.server, "caller_lines", lambda: (missing,))
    with pytest.raises(AgentError, match=r"no file .*gone\.wav"):
        AgentServer(AgentSettings())


async def test_a_browser_is_told_what_this_is_without_noise_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with AgentServer(AgentSettings()) as server:
        url = server.url.replace("ws:", "http:")

        def visit() -> int:
            try:
                with urllib.request.urlopen(url, timeout=_LIMIT_S) as response:
                    return int(response.status)
            except urllib.error.HTTPError as error:
                error.close()
                return error.code

        assert await asyncio.to_thread(visit) in (404, 426)
    assert caplog.records == []
