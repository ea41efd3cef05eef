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
from tui.models.target import Target, safe_url
from tui.protocols.base import Protocol
from tui.protocols.hosts import is_loopback

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Minutes of audio in one message are normal; the library's 1 MiB would close the call."""

ROUND_TRIP_INTERVAL_S = 5.0
GOODBYE_TIMEOUT_S = 2.0
LONGEST_TURN_NS = 5_000_000
"""So long messages that wait are handled before whatever else the loop has to do, sending above all."""
_PROXY_HINT = "Name the host in the variable no_proxy to call it without."
_ORDINARY_CODES = (1000, 1001, 1005)
"""Closes that are no fault: done, going away, no code given (RFC 6455, 7.4.1)."""


class ConnectionFailed(Exception):
    """The call could not be set up. ``code`` is stable, the text a sentence, ``hint`` what to do."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class Closed(Exception):
    """The socket is closed: by whom is told by `WebSocketClient.close_reason`."""


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
        where = safe_url(self.url)
        try:
            self._socket = await connect(
                self.url,
                additional_headers=self._headers,
                ssl=tls_context(self.url, insecure=self._insecure, cacert=self._cacert),
                compression=None,
                max_size=MAX_MESSAGE_BYTES,
                open_timeout=timeout_s,
                close_timeout=GOODBYE_TIMEOUT_S,
                user_agent_header=f"opusagent-tui/{__version__}",
                proxy=None if is_loopback(self.url) else True,
            )
        except ws_errors.InvalidStatus as error:
            raise _refused(where, error.response.status_code, bytes(error.response.body or b"")) from error
        except TimeoutError as error:
            raise ConnectionFailed(
                "timeout",
                f"{where} did not answer the connection request within {timeout_s:g} s.",
                "Is the agent running, and is this its address?",
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise ConnectionFailed(
                "certificate",
                f"The certificate of {where} is not trusted: {error.verify_message}.",
                "Name its authority with --cacert FILE, or accept any certificate with --insecure.",
            ) from error
        except ssl.SSLError as error:
            raise ConnectionFailed(
                "tls", f"{where} does not speak TLS: {error.reason}.", "Is it ws:// rather than wss://?"
            ) from error
        except OSError as error:
            if self.url.startswith("wss:") and not _os_reason(error):
                raise ConnectionFailed(
                    "tls", f"{where} does not speak TLS.", "Is it ws:// rather than wss://?"
                ) from error
            raise ConnectionFailed(
                "unreachable",
                f"{where} cannot be reached: {_os_reason(error)}.",
                "Is the agent running, and is this its address?",
            ) from error
        except ws_errors.ProxyError as error:
            raise ConnectionFailed(
                "proxy", f"The proxy on the way to {where} does not let it through: {error}.", _PROXY_HINT
            ) from error
        except ImportError as error:
            raise ConnectionFailed(
                "proxy",
                f"The environment names a SOCKS proxy for {where}, which takes the package python-socks.",
                f"Install it beside this program. {_PROXY_HINT}",
            ) from error
        except (ws_errors.InvalidProxy, ValueError) as error:
            # Neither the proxy nor the library's words for it: both may hold a password.
            raise ConnectionFailed(
                "proxy",
                f"The environment names a proxy for {where} that is none.",
                f"One looks like http://HOST:PORT. {_PROXY_HINT}",
            ) from error
        except (ws_errors.InvalidURI, ws_errors.InvalidHandshake, EOFError) as error:
            raise ConnectionFailed(
                "not-websocket",
                f"{where} answered, but not as a websocket: {error}.",
                "Check the port and the path.",
            ) from error
        if self._on_round_trip:
            self._pinger = spawn(self._measure_round_trips(), "websocket round trips")

    async def frames(self) -> AsyncIterator[tuple[int, str | bytes]]:
        """Every message with its arrival time, until the socket closes.

        Of thousands of messages that arrived at once none is waited for; so the loop gets its turn in between.
        """
        assert self._socket is not None
        turn_ns = 0
        with contextlib.suppress(ws_errors.ConnectionClosed):
            while True:
                frame = await self._socket.recv()
                at_ns = self._clock_ns()
                yield at_ns, frame
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
        """How the socket ended, for a person: "closed with 1000 (bye)", "lost without a goodbye"."""
        socket = self._socket
        if socket is None or socket.close_code in (None, 1006):
            return "lost without a goodbye"
        words = f" ({socket.close_reason})" if socket.close_reason else ""
        return f"closed with {socket.close_code}{words}"

    @property
    def failed(self) -> bool:
        """Whether the far side closed it with a code that tells of a fault: 1011, 1008, one of its own."""
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
                await (await self._socket.ping())
                self._on_round_trip((self._clock_ns() - began_ns) / 1e6)
                await asyncio.sleep(ROUND_TRIP_INTERVAL_S)


def tls_context(url: str, *, insecure: bool, cacert: str) -> ssl.SSLContext | None:
    """Whom to trust at that URL; None for one without TLS. Raises `ConnectionFailed`."""
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
            "cacert", f"{cacert} cannot be used as a certificate authority: {error}.", "Name a PEM file."
        ) from error


def client_of(
    target: Target,
    protocol: Protocol,
    *,
    clock_ns: Callable[[], int] = time.monotonic_ns,
    on_round_trip: Callable[[float], None] | None = None,
) -> WebSocketClient:
    """The socket for a target: the URL as the protocol dials it, with the headers that carry its token."""
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


def _os_reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return "connection refused"
    return (error.strerror or str(error)).rstrip(".")


_STATUS_HINTS = {
    401: ("unauthorised", "Name the variable that holds the token with --token-env NAME."),
    403: ("forbidden", "Name the variable that holds the token with --token-env NAME."),
    404: ("not-found", "Check the path of the URL."),
}


def _refused(where: str, status: int, body: bytes) -> ConnectionFailed:
    code, hint = _STATUS_HINTS.get(status, ("refused", "The agent's own log may say why."))
    said = body[:200].decode("utf-8", "replace").strip().partition("\n")[0]
    words = f": {said.rstrip('.')}" if said and not said.startswith("<") else ""
    return ConnectionFailed(code, f"{where} refused the connection with HTTP {status}{words}.", hint)
