"""WebSocketClient: opens, reads, writes and closes a call's socket, and records when each message arrives."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

import msgspec
import websockets.exceptions as ws_errors
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.connection import broadcast
from websockets.protocol import State
from websockets.typing import Subprotocol

from tui import __version__
from tui.callbacks import spawn
from tui.models.target import Target
from tui.protocols.base import CallerEnd, Protocol, SendsHeaders
from tui.protocols.hosts import is_loopback
from tui.settings import default_of
from tui.text.redaction import Redactor, header_secrets, subprotocol_secrets, url_secrets
from tui.websocket.failure import FAILURES, Attempt, ConnectionFailed, Credentials, failure_of

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Messages with minutes of audio are normal; the library's default limit of 1 MiB would close the call."""

_LATE_PONGS = 2
"""Consecutive unanswered pings after which the missing pongs are reported."""
GOODBYE_TIMEOUT_S = 2.0
LONGEST_TURN_NS = 5_000_000
"""Maximum time for handling buffered messages before other tasks, above all sending, may run."""
_WAITED_NS = 500_000
"""A `recv` call that takes longer has waited for a message, so other tasks have had time to run."""
_ORDINARY_CODES = (1000, 1001, 1005)
"""Close codes that do not indicate an error: normal closure, going away, no code (RFC 6455, 7.4.1)."""
_VIOLATIONS = {
    1002: "the agent broke the rules of the websocket protocol",
    1007: "the agent sent text that is not UTF-8",
    1009: f"the agent sent a message of more than {MAX_MESSAGE_BYTES // 1024**2} MiB",
}
"""The close codes with which the library rejects received data (RFC 6455, 7.4.1), each with its reason."""
_RESTART_CODES = (1001, 1012)
"""Codes for going away and service restart (RFC 6455, 7.4.1; IANA registry), sent by proxies or on a restart."""


class Closed(Exception):
    """Raised when the socket is closed; see `WebSocketClient.close_reason`."""


class Liveness(msgspec.Struct, frozen=True):
    """Settings for detecting a lost connection.

    A missing pong proves nothing: a busy agent answers pings late, and some agents never answer them. Missing
    pongs are therefore only reported. The connection counts as lost if neither messages nor pongs arrive for
    ``silence_s``.
    """

    ping_s: float = default_of("ping_s")
    """Interval between pings."""
    silence_s: float = default_of("silence_timeout_s")
    """Time without any message or pong after which the connection counts as lost."""
    on_round_trip: Callable[[float], object] = lambda _: None
    """Called with the round-trip time in ms of each ping that was answered in time."""
    on_pongs: Callable[[bool], object] = lambda _: None
    """Called with False when pongs are missing, and with True when one arrives again."""


class _Connect(connect):
    """Connects, but does not follow redirects, because the request's headers must not reach another host."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Returns the exception unchanged, so that the library raises it instead of following the redirect."""
        return exc


@dataclass(eq=False, repr=False)
class WebSocketClient:
    """One websocket, on the engine's loop. Sends pings only if ``liveness`` is given.

    ``credentials`` describe what authenticates the request. ``redactor`` removes the secrets of the call from
    errors.
    """

    url: str
    _: KW_ONLY
    headers: Mapping[str, str]
    subprotocols: Sequence[str] = ()
    insecure: bool = False
    cacert: str = ""
    credentials: Credentials = Credentials()  # noqa: RUF009 - immutable
    redactor: Redactor = field(default_factory=Redactor)
    clock_ns: Callable[[], int] = time.monotonic_ns
    liveness: Liveness | None = None

    def __post_init__(self) -> None:
        self._socket: ClientConnection | None = None
        self._pinger: asyncio.Task[None] | None = None
        self._messages = 0
        self._gave_up = ""
        """Why this side closed the socket on its own; empty if it did not."""

    async def open(self, timeout_s: float) -> None:
        """Opens the socket. Raises `ConnectionFailed`."""
        try:
            self._socket = await _Connect(
                self.url,
                additional_headers=self.headers,
                subprotocols=[Subprotocol(name) for name in self.subprotocols] or None,
                ssl=tls_context(self.url, insecure=self.insecure, cacert=self.cacert),
                # Audio hardly compresses, and deflating it would delay every message.
                compression=None,
                max_size=MAX_MESSAGE_BYTES,
                open_timeout=timeout_s,
                close_timeout=GOODBYE_TIMEOUT_S,
                # The library would end the call over a single late pong; `Liveness` explains why that is wrong.
                ping_interval=None,
                user_agent_header=f"opusagent-tui/{__version__}",
                # The library would send even loopback traffic through a proxy that is set in the environment.
                proxy=None if is_loopback(self.url) else True,
            )
        except FAILURES as error:
            attempt = Attempt(self.url, timeout_s, self.credentials, self.redactor)
            # Not "from error": a traceback would show the library's text.
            raise failure_of(attempt, error) from None
        if self.liveness:
            self._pinger = spawn(self._watch(self._socket, self.liveness), "websocket liveness")

    async def frames(self) -> AsyncIterator[tuple[int, str | bytes]]:
        """Yields the arrival time and the content of every message, until the socket closes."""
        assert self._socket is not None
        turn_ns = 0
        with contextlib.suppress(ws_errors.ConnectionClosed):
            while True:
                asked_ns = self.clock_ns()
                frame = await self._socket.recv()
                at_ns = self.clock_ns()
                self._messages += 1
                yield at_ns, frame
                # While messages are buffered, `recv` returns at once, without letting other tasks run: if
                # thousands arrived together, no audio would be sent until all of them were handled.
                if at_ns - asked_ns > _WAITED_NS:
                    turn_ns = at_ns
                elif at_ns - turn_ns > LONGEST_TURN_NS:
                    await asyncio.sleep(0)
                    turn_ns = at_ns

    async def send(self, frame: str | bytes) -> None:
        """Writes one message. Waits while the far side does not read. Raises `Closed`."""
        assert self._socket is not None
        try:
            await self._socket.send(frame)
        except ws_errors.ConnectionClosed as error:
            raise Closed from error

    @property
    def writable(self) -> bool:
        """Whether the socket is open and has no unsent messages, so that a message would be sent at once."""
        socket = self._socket
        return (
            socket is not None and socket.state is State.OPEN and not socket.transport.get_write_buffer_size()
        )

    def send_now(self, frame: str | bytes) -> None:
        """Writes one message without waiting. Call it only while `writable` is true."""
        assert self._socket is not None
        broadcast((self._socket,), frame)

    async def wait_closed(self) -> None:
        """Waits until the socket is closed."""
        if self._socket:
            await self._socket.wait_closed()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes the socket with a close frame. Takes at most `GOODBYE_TIMEOUT_S`."""
        if self._pinger:
            self._pinger.cancel()
        if self._socket:
            await self._socket.close(code, reason)

    def abort(self, why: str) -> None:
        """Closes the socket without a close frame, as if the network had failed. ``why`` is the reason."""
        if self._socket and self.is_open:
            self._gave_up = why
            self._socket.transport.abort()

    @property
    def is_open(self) -> bool:
        """Whether messages can still be sent."""
        return (
            self._socket is not None and self._socket.close_code is None and self._socket.state is State.OPEN
        )

    @property
    def violation(self) -> str:
        """The rule violation by the agent that made this side close the socket; "" if there was none."""
        sent = self._socket.protocol.close_sent if self._socket else None
        # If this side received a code before it sent its own, it only repeated the received code.
        if self._socket is None or sent is None or self._socket.protocol.close_rcvd_then_sent:
            return ""
        because = _VIOLATIONS.get(sent.code, "")
        if sent.code == 1009 and "fragments" in sent.reason:
            because = "the agent sent a message in too many fragments"
        # Only this text from the library is passed on: it contains rules and numbers, but no bytes from the far side.
        rule = f": {sent.reason}" if because and sent.code == 1002 and sent.reason else ""
        return f"{because}{rule} (closed with code {sent.code})" if because else ""

    @property
    def close_reason(self) -> str:
        """How the socket was closed, as a phrase: "closed with code 1000 (bye)", "lost without a close message"."""
        socket = self._socket
        if reason := self._gave_up or self.violation:
            return f"closed by opusagent-tui, because {reason}"
        if socket is None or socket.close_code in (None, 1006):
            return "lost without a close message"
        words = f" ({self.redactor.text(socket.close_reason)})" if socket.close_reason else ""
        return f"closed with code {socket.close_code}{words}"

    @property
    def failed(self) -> bool:
        """Whether the far side closed the socket with a code that indicates an error.

        Codes that indicate an error are, for example, 1008, 1011 and private codes.
        """
        if self._socket is None or self.lost or self.violation:
            return False
        return self._socket.close_code not in _ORDINARY_CODES

    @property
    def lost(self) -> bool:
        """Whether the far side sent no close frame, or this side gave up on the connection."""
        if self._socket is None or self.violation:
            return False
        return bool(self._gave_up) or self._socket.close_code in (None, 1006)

    @property
    def restarts(self) -> bool:
        """Whether the far side closed the socket because it was going away or restarting."""
        return self._socket is not None and self._socket.close_code in _RESTART_CODES

    async def _watch(self, socket: ClientConnection, liveness: Liveness) -> None:
        """Sends pings until the socket closes, and closes a lost connection.

        Counts pings instead of measuring time, so that a suspended program does not mistake the pause for a
        lost connection.
        """
        missing = silent = 0
        with contextlib.suppress(ws_errors.ConnectionClosed):
            while silent * liveness.ping_s < liveness.silence_s:
                messages = self._messages
                round_trip_ms = await self._round_trip_ms(socket, liveness.ping_s)
                if round_trip_ms is not None:
                    liveness.on_round_trip(round_trip_ms)
                    if missing >= _LATE_PONGS:
                        liveness.on_pongs(True)
                    missing = silent = 0
                    await asyncio.sleep(liveness.ping_s)
                    continue
                missing += 1
                silent = 0 if self._messages > messages else silent + 1
                if missing == _LATE_PONGS:
                    liveness.on_pongs(False)
            self._gave_up = f"no message and no pong arrived for {liveness.silence_s:g} s"
            await socket.close(1011, "nothing arrives")

    async def _round_trip_ms(self, socket: ClientConnection, limit_s: float) -> float | None:
        """Sends a ping. Returns the time until the pong in ms; None if no pong arrived within ``limit_s``."""
        began_ns = self.clock_ns()
        try:
            # The timeout also covers sending, which waits while the far side is not reading.
            async with asyncio.timeout(limit_s):
                # The inner await sends the ping and returns a future for its pong or a later one.
                await (await socket.ping())
        except TimeoutError:
            return None
        return (self.clock_ns() - began_ns) / 1e6


def tls_context(url: str, *, insecure: bool, cacert: str) -> ssl.SSLContext | None:
    """Returns the TLS settings for a URL; None for a URL without TLS. Raises `ConnectionFailed`."""
    if urlsplit(url).scheme not in ("wss", "https"):
        return None
    if insecure:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        return ssl.create_default_context(cafile=cacert or None)
    except OSError as error:
        raise ConnectionFailed(
            "cacert", f"{cacert} cannot be used as a certificate authority: {error}.", "Use a PEM file."
        ) from error


def client_of(
    target: Target,
    protocol: Protocol,
    *,
    redactor: Redactor,
    caller: CallerEnd | None = None,
    clock_ns: Callable[[], int] = time.monotonic_ns,
    liveness: Liveness | None = None,
) -> WebSocketClient:
    """Returns the client for a target, with the protocol's URL and the headers that carry the token.

    ``caller`` may add headers with the ids of its call. The secrets of the target and of the caller are added
    to ``redactor``. Raises `ConnectionFailed` for a token that the protocol cannot use.
    """
    url = protocol.dialled_url(target.url, target.options)
    of_token = protocol.headers(target.token, url) if target.token else {}
    of_call: Mapping[str, str] = {}
    if isinstance(caller, SendsHeaders):
        try:
            of_call = caller.request_headers(url, target.token)
        except ValueError as error:
            raise ConnectionFailed("token", str(error), "Check the token.") from error
    return client_for(
        target, url, of_token, of_call=of_call, redactor=redactor, clock_ns=clock_ns, liveness=liveness
    )


def client_for(
    target: Target,
    url: str,
    of_token: Mapping[str, str],
    *,
    of_call: Mapping[str, str] = MappingProxyType({}),
    redactor: Redactor,
    clock_ns: Callable[[], int] = time.monotonic_ns,
    liveness: Liveness | None = None,
) -> WebSocketClient:
    """Returns the client for a target's URL.

    ``of_token`` contains the headers that carry the token, or a signature made with the token. ``of_call``
    contains headers without secrets, whose values also appear in messages.
    """
    headers = {**of_token, **target.headers}
    redactor.add([*header_secrets(headers), *url_secrets(url)])
    headers = {**of_call, **headers}
    subprotocols = [*target.subprotocols, *_offered_by_header(headers)]
    redactor.add(subprotocol_secrets(subprotocols))
    return WebSocketClient(
        url,
        headers=headers,
        subprotocols=subprotocols,
        insecure=target.insecure,
        cacert=target.cacert,
        credentials=_credentials(target, url, of_token),
        redactor=redactor,
        clock_ns=clock_ns,
        liveness=liveness,
    )


def _offered_by_header(headers: dict[str, str]) -> list[str]:
    """Removes the header that offers subprotocols, and returns its values.

    The library has to send this header itself.
    """
    named = next((name for name in headers if name.lower() == "sec-websocket-protocol"), "")
    value = headers.pop(named) if named else ""
    return [name.strip() for name in value.split(",") if name.strip()]


def _credentials(target: Target, url: str, of_token: Mapping[str, str]) -> Credentials:
    """Describes what authenticates a request to the target.

    A header from ``--header`` overrides the token.
    """
    token = f"the token in ${target.token_env}" if target.token_env else "the token"
    own = next(
        (name for name in target.headers if name.lower() in ("authorization", *map(str.lower, of_token))), ""
    )
    if own:
        return Credentials(f"the header {own}", "Check the value given with --header.")
    if any(target.token in value for value in of_token.values()):
        return Credentials(token, "Check that it is this agent's token.")
    if of_token:
        return Credentials(
            "",
            f"{token[0].upper()}{token[1:]} only signs the request. Check that it is the account's auth token.",
        )
    if "@" in urlsplit(url).netloc:
        return Credentials("the user name and password in the URL", "Check both.")
    return Credentials()
