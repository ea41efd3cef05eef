"""Explains in one sentence why a socket could not be opened, from the exception that a library raised.

The text of the exception is never passed on, because it may contain the URL with its password, a header with
a token, or bytes from the far side. Each kind of exception has its own explanation. If the cause is unknown,
the sentence does not state one.
"""

from __future__ import annotations

import os
import re
import ssl
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import websockets.exceptions as ws_errors
from websockets.http11 import Response

from tui.protocols.hosts import is_loopback
from tui.text.http_reason import reason_in_body, shortened
from tui.text.redaction import Redactor, safe_url

FAILURES = (
    OSError,  # includes TimeoutError and ssl.SSLError
    ws_errors.InvalidHandshake,
    ws_errors.InvalidURI,
    ws_errors.InvalidProxy,
    ImportError,
    ValueError,
    EOFError,
)
"""Exceptions that are raised when a socket cannot be opened, for reasons that the user may be able to fix."""
_CHECK_ADDRESS = "Check that the agent is running and that the address is right."
_CHECK_PORT = "Check the port and the path."
_NO_TLS = "Try ws:// instead of wss://."
_NO_PROXY = "To connect without a proxy, add the host to the environment variable no_proxy."
_NAME_TOKEN = "Pass the token with --token-env NAME."
_AGENT_LOG = "The agent's own log may say why."
_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "UNKNOWN_PROTOCOL",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
)
"""OpenSSL's error codes for a peer that does not answer with TLS."""
_OF_THE_ANSWER = ("upgrade", "connection", "sec-websocket-")
"""Prefixes of the headers that the library checks in the response to a websocket request."""


class ConnectionFailed(Exception):
    """A call cannot be set up.

    The message is a sentence, ``code`` is a stable name for the failure, and ``hint`` says what to do.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class Credentials(NamedTuple):
    """The credentials that were sent with a request, described for the error if the request is refused."""

    sent: str = ""
    """For example "the token in $AC" or "the header Authorization"; "" if nothing was sent."""
    hint: str = _NAME_TOKEN
    """What to do if the request is refused."""


class Attempt(NamedTuple):
    """An attempt to open a socket."""

    url: str
    timeout_s: float
    credentials: Credentials
    redactor: Redactor

    @property
    def where(self) -> str:
        """The URL without secrets."""
        return self.redactor.text(safe_url(self.url))


def failure_of(attempt: Attempt, error: Exception) -> ConnectionFailed:
    """Converts one of `FAILURES` to an error with a sentence and a hint."""
    where = attempt.where
    # The order matters: the first two are subclasses of OSError; InvalidStatus and ProxyError are subclasses
    # of InvalidHandshake.
    match error:
        case TimeoutError():
            message = f"{where} did not respond within {attempt.timeout_s:g} s."
            return ConnectionFailed("timeout", message, _CHECK_ADDRESS)
        case ssl.SSLError():
            return _tls_failed(where, error)
        case OSError():
            return _unreachable(attempt, error)
        case ws_errors.InvalidStatus():
            return _refused(attempt, error.response)
        case ws_errors.ProxyError() | ws_errors.InvalidProxy() | ImportError():
            return _proxy_failed(where, error)
        case ws_errors.InvalidHandshake() | EOFError():
            return _not_a_websocket(where, error)
        case ws_errors.InvalidURI():
            return ConnectionFailed("invalid-url", f"{where} is not a valid URL.", "Check the URL.")
        case UnicodeError():
            return ConnectionFailed(
                "unreachable", f"The host name in {where} is not valid.", "Check the URL."
            )
        case _ if is_proxied(attempt.url):
            return _proxy_failed(where, error)
        case _:
            message = f"{where} could not be reached for an unexpected reason ({type(error).__name__})."
            return ConnectionFailed("unreachable", message)


def is_proxied(url: str) -> bool:
    """Returns whether a proxy for the URL is set in the environment variables."""
    parts = urlsplit(url)
    kinds = ("wss", "socks", "https") if parts.scheme == "wss" else ("ws", "socks", "https", "http")
    proxies = getproxies()
    named = any(proxies.get(kind) for kind in (*kinds, "all"))
    return named and not is_loopback(url) and not proxy_bypass(parts.netloc.rpartition("@")[2])


def os_reason(error: OSError) -> str:
    """Returns the operating system's text for an error, such as "connection refused"."""
    # asyncio combines the errors for all addresses of a host in one text.
    numbers = {int(number) for number in re.findall(r"\[Errno (\d+)\]", str(error))}
    if not isinstance(error.errno, int) and len(numbers) == 1:
        return os.strerror(numbers.pop()).lower()
    if error.strerror and "Connect call failed" not in error.strerror:
        return error.strerror.rstrip(".")
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__


def _tls_failed(where: str, error: ssl.SSLError) -> ConnectionFailed:
    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"The certificate of {where} is not trusted: {error.verify_message.rstrip('.')}."
        hint = "Pass its certificate authority with --cacert FILE, or accept any certificate with --insecure."
        return ConnectionFailed("certificate", message, hint)
    if isinstance(error, ssl.SSLEOFError) or "UNEXPECTED_EOF" in reason:
        return _hung_up_on_tls(where)
    if any(reason.startswith(found) for found in _NOT_TLS):
        return ConnectionFailed("tls", f"{where} does not speak TLS.", _NO_TLS)
    words = re.sub(r"^(SSLV3|TLSV1[123]?)_(ALERT_)?", "", reason).lower().replace("_", " ")
    if words and (reason.startswith(("SSLV3_", "TLSV1")) or "ALERT" in reason):
        message = f"{where} refused the TLS handshake with an alert: {words}."
        hint = "It may require another TLS version, another host name or a client certificate."
        return ConnectionFailed("tls", message, hint)
    return ConnectionFailed(
        "tls", f"The TLS handshake with {where} failed: {words or 'no reason given'}.", _AGENT_LOG
    )


def _hung_up_on_tls(where: str) -> ConnectionFailed:
    return ConnectionFailed("tls", f"{where} closed the connection during the TLS handshake.", _CHECK_PORT)


def _unreachable(attempt: Attempt, error: OSError) -> ConnectionFailed:
    if is_proxied(attempt.url):
        message = (
            f"The proxy set in the environment for {attempt.where} cannot be reached: {os_reason(error)}."
        )
        return ConnectionFailed("proxy", message, _NO_PROXY)
    if isinstance(error, ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
        if urlsplit(attempt.url).scheme == "wss":
            return _hung_up_on_tls(attempt.where)
        return _closed_unanswered(attempt.where)
    message = f"{attempt.where} cannot be reached: {os_reason(error)}."
    return ConnectionFailed("unreachable", message, _CHECK_ADDRESS)


def _closed_unanswered(where: str) -> ConnectionFailed:
    message = f"{where} closed the connection before it answered."
    return ConnectionFailed("not-websocket", message, f"{_CHECK_PORT} {_AGENT_LOG}")


def _not_a_websocket(where: str, error: Exception) -> ConnectionFailed:
    match error:
        case ws_errors.InvalidHeader(name=name) if not name.lower().startswith(_OF_THE_ANSWER):
            # A request header, which the library rejected before sending anything.
            message = (
                f"The header {name} contains a character that HTTP does not allow, so {where} was not called."
            )
            return ConnectionFailed("invalid-header", message, "Check the value.")
        case ws_errors.InvalidHeader(name=name):
            what = f"the {name} header of its response is missing or invalid"
        case ws_errors.NegotiationError():
            what = "it chose an extension or a subprotocol that was not offered"
        case ws_errors.SecurityError():
            what = "its HTTP header is too long"
        case ws_errors.InvalidMessage() | EOFError():
            cause = error.__cause__
            if isinstance(error, EOFError) or isinstance(cause, EOFError):
                if cause is None or "status line" in str(cause):
                    return _closed_unanswered(where)
                message = f"{where} closed the connection in the middle of its answer."
                return ConnectionFailed("not-websocket", message, _CHECK_PORT)
            what = (
                "its HTTP header is too long"
                if isinstance(cause, ws_errors.SecurityError)
                else "it is not valid HTTP"
            )
        case _:
            what = "its answer breaks the rules of the handshake"
    return ConnectionFailed(
        "not-websocket", f"{where} answered, but not as a websocket: {what}.", _CHECK_PORT
    )


def _proxy_failed(where: str, error: Exception) -> ConnectionFailed:
    match error:
        case ws_errors.InvalidProxyStatus():
            message = f"The proxy refused the connection to {where} with HTTP {error.response.status_code}."
            hint = _NO_PROXY
        case ws_errors.ProxyError():
            message = f"The proxy did not connect to {where}: its response was not valid."
            hint = _NO_PROXY
        case ImportError():
            message = (
                f"The proxy set in the environment for {where} is a SOCKS proxy,"
                " which needs the python-socks package."
            )
            hint = f"Install it in the same environment as opusagent-tui. {_NO_PROXY}"
        case _:
            message = f"The proxy set in the environment for {where} is not a valid proxy URL."
            hint = f"A proxy URL looks like http://HOST:PORT. {_NO_PROXY}"
    return ConnectionFailed("proxy", message, hint)


def _refused(attempt: Attempt, response: Response) -> ConnectionFailed:
    where, status = attempt.where, response.status_code
    location = response.headers.get_all("Location")[:1]
    if 300 <= status < 400 and location:
        place = attempt.redactor.text(new_address(attempt.url, location[0]))
        return ConnectionFailed(
            "redirected", f"{where} redirects to {place} (HTTP {status}).", f"Use {place} instead."
        )
    reason = shortened(attempt.redactor.text(reason_in_body(bytes(response.body or b""))))
    why = f": {reason}" if reason else ""
    sent, hint = attempt.credentials
    match status:
        case 401 if sent:
            return ConnectionFailed("unauthorised", f"{where} rejected {sent} (HTTP 401){why}.", hint)
        case 401 | 403:
            code = "unauthorised" if status == 401 else "forbidden"
            if sent:
                why = f", even though {sent} was sent{why}"
        case 404:
            code, hint = "not-found", "Check the path of the URL."
        case _ if 200 <= status < 300:
            message = f"{where} answered with HTTP {status} and did not open a websocket{why}."
            return ConnectionFailed("not-websocket", message, _CHECK_PORT)
        case _:
            code, hint = "refused", _AGENT_LOG
    return ConnectionFailed(code, f"{where} refused the connection with HTTP {status}{why}.", hint)


def new_address(url: str, location: str) -> str:
    """Returns the target of a redirect as a URL that can be called, without secrets.

    ws:// replaces http://, and wss:// replaces https://.
    """
    scheme = urlsplit(url).scheme
    # `urljoin` does not support ws://.
    base = re.sub("^ws", "http", url) if scheme in ("ws", "wss") else url
    try:
        place = urljoin(base, location)
    except ValueError:
        return "an unreadable URL"
    return safe_url(re.sub("^http", "ws", place) if scheme in ("ws", "wss") else place)
