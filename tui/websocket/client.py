"""The socket of one call: opens it, reads it with arrival times, writes it without ever blocking its user."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import urlsplit

import websockets.exceptions as ws_errors
from websockets.asyncio.client import ClientConnection, connect
from websockets.protocol import State

from tui import __version__
from tui.callbacks import spawn
from tui.models.target import Target
from tui.protocols.base import Protocol
from tui.protocols.hosts import is_loopback
from tui.text.redaction import safe_url

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Minutes of audio in one message are normal; the library's 1 MiB would close the call."""

ROUND_TRIP_INTERVAL_S = 5.0
GOODBYE_TIMEOUT_S = 2.0
LONGEST_TURN_NS = 5_000_000
"""The longest that buffered messages are handled before other tasks, sending above all, get their turn."""
_ORDINARY_CODES = (1000, 1001, 1005)
"""Close codes that are not a fault: done, going away, no code given (RFC 6455, 7.4.1)."""


class ConnectionFailed(Exception):
    """The call could not be set up. ``code`` is stable, the text a sentence, ``hint`` what to do."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class Closed(Exception):
    """The socket is closed; `WebSocketClient.close_reason` says how."""


class WebSocketClient:
    """One websocket, on the engine's loop. Round trips are reported to ``on_round_trip`` in ms."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        insecure: bool = False,
        cacert: str = "",
        clock_ns: Callable[[], int] = time.monotonic_ns,
        on_round_trip: Callable[[float], None] | None = None,
    ) -> None:
        self.url = url
        self._headers = dict(headers)
        self._insecure = insecure
        self._cacert = cacert
        self._clock_ns = clock_ns
        self._on_round_trip = on_round_trip
        self._socket: ClientConnection | None = None
        self._pinger: asyncio.Task[None] | None = None

    async def open(self, timeout_s: float) -> None:
        """Open the socket. Raises `ConnectionFailed`."""
        try:
            self._socket = await connect(
                self.url,
                additional_headers=self._headers,
                ssl=tls_context(self.url, insecure=self._insecure, cacert=self._cacert),
                # Audio hardly compresses, and deflating it would delay every message.
                compression=None,
                max_size=MAX_MESSAGE_BYTES,
                open_timeout=timeout_s,
                close_timeout=GOODBYE_TIMEOUT_S,
                user_agent_header=f"opusagent-tui/{__version__}",
                # The library would send loopback traffic through a proxy of the environment, too.
                proxy=None if is_loopback(self.url) else True,
            )
        except _FAILURES as error:
            raise _failed(self.url, timeout_s, error) from error
        if self._on_round_trip:
            self._pinger = spawn(self._measure_round_trips(), "websocket round trips")

    async def frames(self) -> AsyncIterator[tuple[int, str | bytes]]:
        """Yields every message with its arrival time, until the socket closes."""
        assert self._socket is not None
        turn_ns = 0
        with contextlib.suppress(ws_errors.ConnectionClosed):
            while True:
                frame = await self._socket.recv()
                at_ns = self._clock_ns()
                yield at_ns, frame
                # `recv` returns at once while messages are buffered, without giving way to other tasks: thousands
                # that arrived together would stop the sending of audio until all were handled.
                if at_ns - turn_ns > LONGEST_TURN_NS:
                    await asyncio.sleep(0)
                    turn_ns = at_ns

    async def send(self, frame: str | bytes) -> None:
        """Write one message; waits while the far side does not read. Raises `Closed`."""
        assert self._socket is not None
        try:
            await self._socket.send(frame)
        except ws_errors.ConnectionClosed as error:
            raise Closed from error

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close politely, within `GOODBYE_TIMEOUT_S`."""
        if self._pinger:
            self._pinger.cancel()
        if self._socket:
            await self._socket.close(code, reason)

    @property
    def is_open(self) -> bool:
        """Whether messages can still be sent."""
        return (
            self._socket is not None and self._socket.close_code is None and self._socket.state is State.OPEN
        )

    @property
    def close_reason(self) -> str:
        """How the socket ended, for a person: "closed with 1000 (bye)", "lost without a close message"."""
        socket = self._socket
        if socket is None or socket.close_code in (None, 1006):
            return "lost without a close message"
        words = f" ({socket.close_reason})" if socket.close_reason else ""
        return f"closed with {socket.close_code}{words}"

    @property
    def failed(self) -> bool:
        """Whether the far side closed it with a code that means a fault: 1011, 1008, one of its own."""
        return self._socket is not None and self._socket.close_code not in (None, 1006, *_ORDINARY_CODES)

    @property
    def lost(self) -> bool:
        """Whether the socket ended without a close from the far side."""
        return self._socket is not None and self._socket.close_code in (None, 1006)

    async def _measure_round_trips(self) -> None:
        assert self._socket is not None
        assert self._on_round_trip is not None
        with contextlib.suppress(ws_errors.ConnectionClosed):
            while True:
                began_ns = self._clock_ns()
                # The first call sends the ping, and returns what resolves when the pong has come.
                await (await self._socket.ping())
                self._on_round_trip((self._clock_ns() - began_ns) / 1e6)
                await asyncio.sleep(ROUND_TRIP_INTERVAL_S)


def tls_context(url: str, *, insecure: bool, cacert: str) -> ssl.SSLContext | None:
    """Returns the certificates to trust at that URL; None for one without TLS. Raises `ConnectionFailed`."""
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
    clock_ns: Callable[[], int] = time.monotonic_ns,
    on_round_trip: Callable[[float], None] | None = None,
) -> WebSocketClient:
    """Returns the client for a target: the URL as the protocol dials it, with the headers that carry its token."""
    url = protocol.dialled_url(target.url, target.options)
    headers = protocol.headers(target.token, url) if target.token else {}
    return WebSocketClient(
        url,
        headers={**headers, **target.headers},
        insecure=target.insecure,
        cacert=target.cacert,
        clock_ns=clock_ns,
        on_round_trip=on_round_trip,
    )


_FAILURES = (
    OSError,  # TimeoutError and ssl.SSLError are kinds of it
    ws_errors.InvalidHandshake,
    ws_errors.InvalidURI,
    ws_errors.InvalidProxy,
    ImportError,
    ValueError,
    EOFError,
)
"""What opening a socket raises, for reasons that a user can do something about."""
_IS_IT_THERE = "Check that the agent is running and that the address is right."
_NO_TLS = "Try ws:// instead of wss://."
_NO_PROXY = "To connect without a proxy, add the host to the environment variable no_proxy."
_TOKEN = "Pass the token with --token-env NAME."
_STATUS_HINTS = {
    401: ("unauthorised", _TOKEN),
    403: ("forbidden", _TOKEN),
    404: ("not-found", "Check the path of the URL."),
}


def _failed(url: str, timeout_s: float, error: Exception) -> ConnectionFailed:
    """Returns the sentence and the hint for what opening a socket raised."""
    where = safe_url(url)
    # In this order: the first three are kinds of OSError, and InvalidStatus and ProxyError of InvalidHandshake.
    match error:
        case TimeoutError():
            return ConnectionFailed(
                "timeout", f"{where} did not respond within {timeout_s:g} s.", _IS_IT_THERE
            )
        case ssl.SSLCertVerificationError():
            return ConnectionFailed(
                "certificate",
                f"The certificate of {where} is not trusted: {error.verify_message}.",
                "Pass its authority with --cacert FILE, or accept any certificate with --insecure.",
            )
        case ssl.SSLError():
            return ConnectionFailed("tls", f"{where} does not speak TLS: {error.reason}.", _NO_TLS)
        case OSError() if url.startswith("wss:") and not _os_reason(error):
            return ConnectionFailed("tls", f"{where} does not speak TLS.", _NO_TLS)
        case OSError():
            return ConnectionFailed(
                "unreachable", f"{where} cannot be reached: {_os_reason(error)}.", _IS_IT_THERE
            )
        case ws_errors.InvalidStatus():
            return _refused(where, error.response.status_code, bytes(error.response.body or b""))
        case _:
            return _proxy_failed(where, error) or ConnectionFailed(
                "not-websocket",
                f"{where} answered, but not as a websocket: {error}.",
                "Check the port and the path.",
            )


def _proxy_failed(where: str, error: Exception) -> ConnectionFailed | None:
    match error:
        case ws_errors.ProxyError():
            message, hint = f"The proxy refused the connection to {where}: {error}.", _NO_PROXY
        case ImportError():
            message = f"The environment sets a SOCKS proxy for {where}, which needs the package python-socks."
            hint = f"Install it next to opusagent-tui. {_NO_PROXY}"
        case ws_errors.InvalidProxy() | ValueError():
            # Neither the proxy nor the library's text is repeated: both may contain a password.
            message = f"The environment sets a proxy for {where} that is not a valid proxy URL."
            hint = f"A proxy URL looks like http://HOST:PORT. {_NO_PROXY}"
        case _:
            return None
    return ConnectionFailed("proxy", message, hint)


def _refused(where: str, status: int, body: bytes) -> ConnectionFailed:
    code, hint = _STATUS_HINTS.get(status, ("refused", "The agent's own log may say why."))
    first_line = body[:200].decode("utf-8", "replace").strip().partition("\n")[0]
    reason = f": {first_line.rstrip('.')}" if first_line and not first_line.startswith("<") else ""
    return ConnectionFailed(code, f"{where} refused the connection with HTTP {status}{reason}.", hint)


def _os_reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return "connection refused"
    return (error.strerror or str(error)).rstrip(".")
