"""The local agent's server: one port, a path for each protocol, a conversation for each caller."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as listen
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tui.agent.conversation import Conversation
from tui.agent.hearing import Hearing
from tui.agent.recogniser import Recogniser
from tui.agent.replies import load_prompts
from tui.agent.settings import AgentError, AgentSettings
from tui.assets import AssetsMissing, caller_lines
from tui.audio.speech import load_network
from tui.audio.wav import AudioFileError
from tui.protocols.base import Handshake, Outgoing, Protocol
from tui.protocols.registry import by_path

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_CLOSE_TIMEOUT_S = 2.0
_GOING_AWAY = 1001

_log = logging.getLogger(__name__)
_socket_log = logging.getLogger(f"{__name__}.socket")
_socket_log.setLevel(logging.CRITICAL)  # a port scan would log tracebacks


class AgentServer:
    """Listens inside ``async with``; leaving it ends all calls.

    Creating it raises `AgentError` if recordings are missing, entering it if it cannot listen on the address.
    """

    def __init__(self, settings: AgentSettings) -> None:
        self.url = ""
        """``ws://HOST:PORT``, to which a protocol's path is added."""
        self._settings = settings
        self._protocols = by_path()
        self._calls: dict[ServerConnection, Conversation] = {}
        self._server: Server | None = None
        try:
            self._recogniser = Recogniser(caller_lines())
            load_prompts()
        except (AssetsMissing, AudioFileError) as error:
            raise AgentError(str(error)) from error

    async def __aenter__(self) -> Self:
        host, port = self._settings.host, self._settings.port
        try:
            self._server = await listen(
                self._converse,
                host,
                port,
                process_request=self._admit,
                select_subprotocol=self._choose_subprotocol,
                compression=None,
                max_size=MAX_MESSAGE_BYTES,
                close_timeout=_CLOSE_TIMEOUT_S,
                logger=_socket_log,
            )
        except OSError as error:
            reason = error.strerror or str(error)
            raise AgentError(f"The agent cannot listen on {host}, port {port}: {reason}.") from error
        bound_port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"ws://[{host}]:{bound_port}" if ":" in host else f"ws://{host}:{bound_port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close(close_connections=False)
        await asyncio.gather(*(self._end(socket, call) for socket, call in list(self._calls.items())))
        await self._server.wait_closed()

    async def _end(self, socket: ServerConnection, call: Conversation) -> None:
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(
                _CLOSE_TIMEOUT_S
            ):  # a caller that does not read must not delay the shutdown
                await _send(socket, call.end())
        await socket.close(_GOING_AWAY, "the agent shuts down")

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        """Returns None for a caller that is accepted, otherwise the refusal."""
        protocol = self._protocol_at(request.path)
        if protocol is None:
            known = ", ".join(self._protocols)
            sentence = f"Unknown path {request.path[:100]!r}. This agent answers at {known}.\n"
            return socket.respond(HTTPStatus.NOT_FOUND, sentence)
        if self._settings.token and not _proves(request, protocol, self._settings.token):
            sentence = f"This agent requires a token, sent the way {protocol.title} clients send it.\n"
            return socket.respond(HTTPStatus.UNAUTHORIZED, sentence)
        return None

    def _choose_subprotocol(
        self, socket: ServerConnection, offered: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        """Returns the first subprotocol that is not a token; browsers give up unless one of theirs is chosen."""
        protocol = self._protocol_at(socket.request.path) if socket.request else None
        secret = protocol.token_subprotocols if protocol else ()
        plain = (name for name in offered if not name.startswith(secret))
        return next(plain, next(iter(offered), None))

    def _protocol_at(self, target: str) -> Protocol | None:
        return self._protocols.get(target.partition("?")[0].rstrip("/"))

    async def _converse(self, socket: ServerConnection) -> None:
        protocol = self._protocol_at(socket.request.path if socket.request else "")
        assert protocol is not None
        hearing = Hearing(self._recogniser, self._settings.silence_ms)
        call = Conversation(protocol.agent(_new_id, _utc_now), self._settings, hearing)
        self._calls[socket] = call
        try:
            # In a thread, because the calls in progress must not wait for it.
            hearing.network = await asyncio.to_thread(load_network)
            await _hold(socket, call)
        except ConnectionClosed as closed:
            _log.info("%s: the caller disconnected: %s", protocol.name, closed)
        except Exception:
            _log.exception("%s: the call failed", protocol.name)
            raise
        finally:
            del self._calls[socket]


def _proves(request: Request, protocol: Protocol, token: str) -> bool:
    """Whether the request carries or proves the token as the protocol's callers do."""
    in_subprotocols = (f"{prefix}{token}".encode() for prefix in protocol.token_subprotocols)
    offered = [name.encode() for name in _subprotocols(request)]
    if any(hmac.compare_digest(due, seen) for due in in_subprotocols for seen in offered):
        return True
    host = _header(request, "Host")
    # A proof may cover the URL that was dialled; a proxy in between may have terminated TLS.
    urls = (f"{scheme}://{host}{request.path}" for scheme in ("ws", "wss"))
    return any(_has_all(request, protocol.headers(token, url)) for url in urls)


def _has_all(request: Request, due: Mapping[str, str]) -> bool:
    given = ((_header(request, name), value) for name, value in due.items())
    return bool(due) and all(hmac.compare_digest(seen.encode(), value.encode()) for seen, value in given)


def _header(request: Request, name: str) -> str:
    return ", ".join(request.headers.get_all(name))


def _subprotocols(request: Request) -> tuple[str, ...]:
    return tuple(
        name.strip()
        for header in request.headers.get_all("Sec-WebSocket-Protocol")
        for name in header.split(",")
    )


def _handshake(socket: ServerConnection) -> Handshake:
    request = socket.request
    assert request is not None
    query = dict(parse_qsl(urlsplit(request.path).query, keep_blank_values=True))
    return Handshake(query, _header(request, "OpenAI-Beta"), _subprotocols(request))


async def _hold(socket: ServerConnection, call: Conversation) -> None:
    await _send(socket, call.opened(_handshake(socket)))
    while not call.over:
        due_ns = call.next_due_ns
        try:
            # The loop's clock is the one of time.monotonic_ns.
            async with asyncio.timeout_at(None if due_ns is None else due_ns / 1e9):
                frame = await socket.recv()
        except TimeoutError:
            pass
        else:
            await _send(socket, call.receive(frame, time.monotonic_ns()))
        await _send(socket, call.due(time.monotonic_ns()))
    await socket.close(call.close.code, call.close.reason)


async def _send(socket: ServerConnection, frames: Iterable[Outgoing]) -> None:
    for outgoing in frames:
        _log.debug("%s: %s", outgoing.kind, outgoing.summary)
        await socket.send(outgoing.frame)


def _new_id() -> str:
    return str(uuid.uuid4())


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def serve(
    settings: AgentSettings, on_ready: Callable[[str], None], *, lifeline: int | None = None
) -> None:
    """Run the agent until SIGINT or SIGTERM; ``on_ready`` is called with its URL, without a path.

    ``lifeline`` is a descriptor (a pipe) whose end of file ends the agent as well. Raises `AgentError`.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if lifeline is not None:
        _watch(lifeline, stop)
    try:
        async with AgentServer(settings) as server:
            on_ready(server.url)
            await stop.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        if lifeline is not None:
            loop.remove_reader(lifeline)


def _watch(lifeline: int, stop: asyncio.Event) -> None:
    def read() -> None:
        if not os.read(lifeline, 4096):
            asyncio.get_running_loop().remove_reader(lifeline)
            stop.set()

    try:
        asyncio.get_running_loop().add_reader(lifeline, read)
    except PermissionError as error:
        raise AgentError("The lifeline is not a pipe.") from error
