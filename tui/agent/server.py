"""The local agent's server: one port, a path for each protocol, and a `Conversation` for each caller."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import itertools
import json
import logging
import os
import signal
import ssl
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as listen
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tui import collector
from tui.agent.callers_time import conversation_with
from tui.agent.conversation import Conversation
from tui.agent.hearing import Hearing
from tui.agent.notes import CallNotes
from tui.agent.recogniser import Recogniser
from tui.agent.replies import load_prompts
from tui.agent.rules import VOICE_RATE, read_rules, spoken_rules
from tui.agent.settings import AgentError, AgentSettings
from tui.agent.transcripts import Transcripts
from tui.assets import AssetsMissing, caller_lines
from tui.audio.speech import load_detector
from tui.audio.wav import AudioFileError
from tui.callbacks import spawn
from tui.protocols.base import Handshake, Outgoing, Protocol
from tui.protocols.registry import by_path
from tui.speech.ears import missing_recognizer
from tui.speech.errors import SpeechError
from tui.speech.process import SpeechProcess
from tui.speech.voices import Voice
from tui.text.redaction import know_secrets

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_CLOSE_TIMEOUT_S = 2.0
_GOING_AWAY = 1001
_ELEVENLABS = "/v1/convai/conversation"
_SIGNED_URL, _SIGNATURE = "/get-signed-url", "conversation_signature"

_log = logging.getLogger(__name__)
_socket_log = logging.getLogger(f"{__name__}.socket")
_socket_log.setLevel(logging.CRITICAL)  # a port scan would cause tracebacks in the log


class AgentServer:
    """A websocket server that listens inside an ``async with`` block. Leaving the block ends all calls.

    ``report`` is called with a line for each call, each refusal and each finding about a client. Creating a
    server raises `AgentError` if recordings are missing. Entering the block raises `AgentError` if the
    address or the certificate cannot be used.
    """

    def __init__(self, settings: AgentSettings, report: Callable[[str], None] | None = None) -> None:
        self.url = ""
        """``ws://HOST:PORT`` or ``wss://HOST:PORT``, without a protocol's path."""
        self._settings = settings
        know_secrets([settings.token])
        self._protocols = by_path()
        self._other_paths = {path: each for each in self._protocols.values() for path in each.other_paths}
        self._calls: dict[ServerConnection, Conversation] = {}
        self._server: Server | None = None
        self._report = report or (lambda line: None)
        self._numbers = itertools.count(1)
        self._signing_key = os.urandom(32)
        self._speech = SpeechProcess(synthesizer=settings.synthesizer, model=settings.speech_model)
        try:
            self._recogniser = Recogniser(caller_lines())
            load_prompts()
            rules = read_rules(Path(settings.answers)) if settings.answers else []
            self._rules = spoken_rules(rules, partial(self._speech.speak, voice=Voice.AGENT))
        except (AssetsMissing, AudioFileError, SpeechError) as error:
            raise AgentError(str(error)) from error
        if settings.hear and (missing := missing_recognizer()):
            raise AgentError(missing)

    async def __aenter__(self) -> Self:
        host, port = self._settings.host, self._settings.port
        tls = _tls_context(self._settings)
        # Loaded before the first caller connects, because loading blocks every thread of the process.
        load_detector()
        if self._settings.hear:
            spawn(self._load_recognizer(), "loading of the recognizer")
        try:
            self._server = await listen(
                self._converse,
                host,
                port,
                process_request=self._admit,
                select_subprotocol=self._choose_subprotocol,
                ssl=tls,
                compression=None,
                max_size=MAX_MESSAGE_BYTES,
                close_timeout=_CLOSE_TIMEOUT_S,
                logger=_socket_log,
            )
        except OSError as error:
            reason = error.strerror or str(error)
            raise AgentError(f"The agent cannot listen on {host}, port {port}: {reason}.") from error
        bound_port = next(iter(self._server.sockets)).getsockname()[1]
        shown_host = f"[{host}]" if ":" in host else host
        self.url = f"{'wss' if tls else 'ws'}://{shown_host}:{bound_port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close(close_connections=False)
        await asyncio.gather(*(self._end(socket, call) for socket, call in list(self._calls.items())))
        await self._server.wait_closed()
        await asyncio.to_thread(self._speech.close)

    async def _load_recognizer(self) -> None:
        """Makes the recognizer load its model before the first turn."""
        try:
            await asyncio.to_thread(self._speech.hear, bytes(2 * VOICE_RATE), VOICE_RATE)
        except SpeechError as error:
            self._report(f"The agent cannot transcribe: {error}")

    async def _end(self, socket: ServerConnection, call: Conversation) -> None:
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(
                _CLOSE_TIMEOUT_S
            ):  # a caller that does not read must not delay the shutdown
                await _send(socket, call.end())
        await socket.close(_GOING_AWAY, "the agent is shutting down")

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        """Returns None to accept the caller; otherwise an HTTP response, which is a refusal or a signed URL."""
        if signed := self._signed_url(socket, request):
            return signed
        protocol = self._protocol_at(request.path)
        if protocol is None:
            known = ", ".join(self._protocols)
            sentence = (
                f"Unknown path {request.path.partition('?')[0][:100]!r}. This agent answers at {known}.\n"
            )
            return self._refuse(socket, HTTPStatus.NOT_FOUND, sentence)
        if self._settings.token and not (
            _proves(request, protocol, self._settings.token) or self._is_signed(request, protocol)
        ):
            sentence = f"This agent requires a token, sent the way {protocol.title} clients send it.\n"
            return self._refuse(socket, HTTPStatus.UNAUTHORIZED, sentence)
        return None

    def _signed_url(self, socket: ServerConnection, request: Request) -> Response | None:
        """Returns the response to an ElevenLabs client that requests a signed URL; None for other requests.

        The signature in the URL takes the place of the token.
        """
        path, _, query = request.path.partition("?")
        protocol = self._protocols.get(path.removesuffix(_SIGNED_URL))
        if protocol is None or protocol is not self._protocols.get(_ELEVENLABS) or path == protocol.path:
            return None
        if self._settings.token and not _proves(request, protocol, self._settings.token):
            sentence = "This agent requires its token in the xi-api-key header.\n"
            return self._refuse(socket, HTTPStatus.UNAUTHORIZED, sentence)
        scheme = self.url.partition(":")[0]
        base = f"{scheme}://{_header(request, 'Host')}{protocol.path}"
        url = f"{base}?{query}&{_SIGNATURE}={self._sign(query)}"
        answer = socket.respond(HTTPStatus.OK, json.dumps({"signed_url": url}))
        del answer.headers["Content-Type"]
        answer.headers["Content-Type"] = "application/json"
        return answer

    def _is_signed(self, request: Request, protocol: Protocol) -> bool:
        query = request.path.partition("?")[2]
        signed, _, rest = query.partition(f"&{_SIGNATURE}=")
        due, given = self._sign(signed), rest.partition("&")[0]  # clients append parameters to the signed URL
        return protocol.path == _ELEVENLABS and hmac.compare_digest(due.encode(), given.encode())

    def _sign(self, query: str) -> str:
        return hmac.new(self._signing_key, query.encode(), "sha256").hexdigest()

    def _refuse(self, socket: ServerConnection, status: HTTPStatus, sentence: str) -> Response:
        notes = CallNotes("refused", self._report)
        notes.problem(f"{_client_of(socket)}, HTTP {status.value}", sentence.strip())
        return socket.respond(status, sentence)

    def _choose_subprotocol(
        self, socket: ServerConnection, offered: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        """Returns the first subprotocol that is not a token. Browsers disconnect if the server selects none."""
        protocol = self._protocol_at(socket.request.path) if socket.request else None
        secret = protocol.token_subprotocols if protocol else ()
        plain = (name for name in offered if not name.startswith(secret))
        return next(plain, next(iter(offered), None))

    def _protocol_at(self, target: str) -> Protocol | None:
        path = _path_of(target)
        return self._protocols.get(path) or self._other_paths.get(path)

    async def _converse(self, socket: ServerConnection) -> None:
        protocol = self._protocol_at(socket.request.path if socket.request else "")
        assert protocol is not None
        notes = CallNotes(f"call {next(self._numbers)}", self._report)
        agent = protocol.agent(lambda: str(uuid.uuid4()), _utc_now)
        transcripts = Transcripts(self._speech.hear, notes.problem) if self._settings.hear else None
        hearing = Hearing(self._recogniser, self._settings, transcripts)
        call = conversation_with(agent, self._settings, hearing, notes.problem, rules=self._rules)
        self._calls[socket] = call
        notes.began(protocol.title, _client_of(socket))
        try:
            await _hold(socket, call, transcripts)
        except ConnectionClosed as closed:
            _log.info("%s: the caller disconnected: %s", protocol.name, closed)
        except Exception:
            _log.exception("%s: the call failed", protocol.name)
            raise
        finally:
            del self._calls[socket]
            notes.ended(f"closed with code {socket.close_code or 1006}")
            if not self._calls:
                await asyncio.to_thread(collector.give_back)


def _path_of(target: str) -> str:
    # SDKs that join a base URL and a path dial "//…".
    return "/" + target.partition("?")[0].strip("/")


def _tls_context(settings: AgentSettings) -> ssl.SSLContext | None:
    """Returns the TLS context; None if the settings name no certificate. Raises `AgentError`."""
    if not settings.cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = settings.cert + (f" with the key {settings.key}" if settings.key else "")
    try:
        # If a password is given, OpenSSL does not prompt for one on the terminal.
        context.load_cert_chain(settings.cert, settings.key or None, password="")
    except (OSError, ValueError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        raise AgentError(f"The certificate {files} cannot be used: {reason}.") from error
    return context


def _client_of(socket: ServerConnection) -> str:
    address = socket.remote_address
    return f"{address[0]}:{address[1]}" if address else "an unknown address"


def _proves(request: Request, protocol: Protocol, token: str) -> bool:
    """Returns whether the request contains the token, or a signature made with it, as the protocol defines."""
    in_subprotocols = (f"{prefix}{token}".encode() for prefix in protocol.token_subprotocols)
    offered = [name.encode() for name in _subprotocols(request)]
    if any(hmac.compare_digest(due, seen) for due in in_subprotocols for seen in offered):
        return True
    host = _header(request, "Host")
    # A proof may cover the dialed URL, and a proxy may have terminated TLS, so both schemes are tried.
    urls = (f"{scheme}://{host}{request.path}" for scheme in ("ws", "wss"))
    proves = protocol.proves_token
    if proves is not None:
        return any(proves(lambda name: _header(request, name), token, url) for url in urls)
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
    return Handshake(
        query=query,
        path=_path_of(request.path),
        beta=_header(request, "OpenAI-Beta"),
        subprotocols=_subprotocols(request),
    )


async def _hold(socket: ServerConnection, call: Conversation, transcripts: Transcripts | None) -> None:
    await _send(socket, call.opened(_handshake(socket)))
    while not call.over:
        due_ns = call.next_due_ns
        try:
            # The loop uses the same clock as time.monotonic_ns.
            async with asyncio.timeout_at(None if due_ns is None else due_ns / 1e9) as waiting:
                if transcripts is not None:
                    transcripts.wake(waiting)
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


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def serve(
    settings: AgentSettings,
    on_ready: Callable[[str], None],
    *,
    report: Callable[[str], None] | None = None,
    lifeline: int | None = None,
) -> None:
    """Runs the agent until SIGINT or SIGTERM.

    ``on_ready`` receives the URL, and ``report`` receives lines about calls.

    ``lifeline`` is the file descriptor of a pipe; end-of-file on it also ends the agent. Raises `AgentError`.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if lifeline is not None:
        _watch(lifeline, stop)
    try:
        async with AgentServer(settings, report) as server:
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
        raise AgentError("--lifeline requires standard input to be a pipe.") from error
