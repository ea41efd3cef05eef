"""TwiML: the document that tells Twilio which websocket to dial, and its parameters.

The facts come from Twilio's pages "TwiML Voice: Stream" and "Security", its pages on the errors 11200, 11750,
31408 and 31941, and the request validators of twilio-python 9.13 and of twilio-node 5.8.
"""

from __future__ import annotations

import http.client
import re
import ssl
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import SplitResult, unquote, urlencode, urljoin, urlsplit, urlunsplit
from xml.etree import ElementTree

from tui.protocols.hosts import is_loopback
from tui.protocols.json_frames import cut
from tui.protocols.twilio import signature
from tui.text.http_reason import reason_in_body, shortened
from tui.text.redaction import safe_url

MAX_BYTES = 64 * 1024
"""Maximum size of a document that Twilio accepts (error 11750)."""
TIMEOUT_S = 15.0
"""How long Twilio waits for a document."""

_NOT_OF_A_URL = re.compile("[^!-~]")
_HINTS = {
    HTTPStatus.UNAUTHORIZED: "it requires a user name and a password; put them in the URL: https://USER:PASSWORD@…",
    HTTPStatus.FORBIDDEN: "if it checks Twilio's signature, provide your account's auth token (--token-env)",
    HTTPStatus.NOT_FOUND: "check the path",
    HTTPStatus.METHOD_NOT_ALLOWED: "it must accept POST, which Twilio sends",
}


class TwimlError(ValueError):
    """Raised if TwiML names no stream that can be dialed. The message is one sentence with the reason."""


@dataclass(frozen=True, slots=True)
class TwimlStream:
    """The URL and parameters in ``<Connect><Stream>``."""

    url: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The custom parameters of the stream."""
    notes: tuple[str, ...] = ()
    """Remarks about the document for the user, in sentences."""


# Parsing of a document.


def parse_twiml(document: str | bytes) -> TwimlStream:
    """Returns the first bidirectional stream of a document. Raises `TwimlError`."""
    root = _read(document)
    if root.tag != "Response":
        raise TwimlError(f"This is not TwiML: it begins with {_shown(root)}; expected <Response>.")
    skipped: list[ElementTree.Element] = []
    for verb in root:
        stream = verb.find("Stream") if verb.tag == "Connect" else None
        if stream is not None:
            parameters = dict(_parameters(stream))
            return TwimlStream(_url_of(stream), parameters, tuple(_notes(stream, skipped)))
        skipped.append(verb)
    raise TwimlError(_why_no_stream(root))


class _Builder(ElementTree.TreeBuilder):
    """An XML builder that rejects a DOCTYPE, because a DOCTYPE could declare entities."""

    def doctype(self, name: str, pubid: str, system: str) -> NoReturn:
        """Called at the start of a DOCTYPE, before its content is read."""
        raise TwimlError("The TwiML was rejected: it has a DOCTYPE, which TwiML does not allow.")


def _read(document: str | bytes) -> ElementTree.Element:
    if len(document) > MAX_BYTES:
        raise TwimlError(
            f"The TwiML is longer than {MAX_BYTES // 1024} kB, which Twilio refuses (error 11750)."
        )
    if not document.strip():
        raise TwimlError("The TwiML is empty.")
    parser = ElementTree.XMLParser(target=_Builder())
    try:
        parser.feed(document)
        root: ElementTree.Element = parser.close()
    except TwimlError:
        raise
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise TwimlError(f"The TwiML is not XML: {error}.") from error
    return root


def _why_no_stream(root: ElementTree.Element) -> str:
    if not len(root):
        return "The TwiML has no verbs; Twilio would hang up."
    if root.find("Start/Stream") is not None:
        return (
            "The TwiML has its <Stream> in <Start>, where an agent can listen but not answer; "
            "use <Connect><Stream>."
        )
    connect = root.find("Connect")
    if connect is not None:
        inside = ", ".join(map(_shown, connect)) or "nothing"
        return f"The TwiML has {inside} in <Connect>; only <Stream> is supported."
    redirect = root.find("Redirect")
    if redirect is not None:
        return "The TwiML redirects to another document (<Redirect>); use the address of that document."
    return f"The TwiML has no <Connect><Stream>, only {', '.join(map(_shown, root[:5]))}."


def _url_of(stream: ElementTree.Element) -> str:
    url = stream.get("url", "").strip()
    if not url:
        raise TwimlError("The <Stream> in the TwiML has no url attribute.")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        # The library's text may contain a part of the password.
        raise TwimlError(f"The url of the <Stream>, {_shown_url(url)}, is not a valid URL.") from None
    if parts.scheme in ("http", "https"):
        raise TwimlError(f"The url of the <Stream>, {_shown_url(url)}, must begin with wss://.")
    if not parts.scheme or (parts.scheme in ("ws", "wss") and not parts.hostname):
        raise TwimlError(f"The url of the <Stream>, {_shown_url(url)}, has no host; it must be absolute.")
    if parts.scheme not in ("ws", "wss"):
        raise TwimlError(f"The url of the <Stream> begins with {cut(parts.scheme, 20)}:; expected wss://.")
    return url


def _parameters(stream: ElementTree.Element) -> Iterator[tuple[str, str]]:
    for parameter in stream.iterfind("Parameter"):
        if name := parameter.get("name"):
            yield name, parameter.get("value", "")


def _notes(stream: ElementTree.Element, skipped: list[ElementTree.Element]) -> Iterator[str]:
    if skipped:
        verbs = ", ".join(map(_shown, skipped[:5]))
        yield f"Verbs before <Connect> in the TwiML were skipped: {verbs}."
    if urlsplit(stream.get("url", "").strip()).scheme == "ws":
        yield "The url of the <Stream> begins with ws://; Twilio itself only dials wss://."
    if stream.get("track", "inbound_track") != "inbound_track":
        yield "The track of a <Stream> in <Connect> must be inbound_track (error 31941)."
    if any(not parameter.get("name") for parameter in stream.iterfind("Parameter")):
        yield "A <Parameter> without a name was ignored."


def _shown_url(url: str) -> str:
    return cut(safe_url(url))


def _shown(element: ElementTree.Element) -> str:
    return f"<{cut(element.tag, 40)}>"


# Requests for a document.


def call_fields(*, account_sid: str, call_sid: str, caller: str, called: str) -> dict[str, str]:
    """Returns the form fields that Twilio posts for an incoming call. The SIDs must be those of the stream."""
    return {
        "AccountSid": account_sid,
        "ApiVersion": "2010-04-01",
        "CallSid": call_sid,
        "CallStatus": "ringing",
        "Called": called,
        "Caller": caller,
        "Direction": "inbound",
        "From": caller,
        "To": called,
    }


def form_signature(token: str, url: str, fields: Mapping[str, str]) -> str:
    """Returns Twilio's signature of a URL and all form fields (name and value), sorted by name."""
    return signature(token, url + "".join(name + fields[name] for name in sorted(fields)))


def fetch_twiml(
    url: str,
    token: str = "",
    fields: Mapping[str, str] | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
    context: ssl.SSLContext | None = None,
) -> TwimlStream:
    """Posts an incoming call to the user's webhook, as Twilio does; returns the stream in the answer. Blocks.

    ``token`` is the account's auth token, which signs the request; ``fields`` come from `call_fields`. A user
    name and password in the URL are sent with the first request, whereas Twilio waits for a challenge.
    Redirects are not followed. Raises `TwimlError`.
    """
    fields = fields or {}
    where = _shown_url(url)
    try:
        request = _request(url, token, fields)
        return parse_twiml(_ask(request, where, timeout_s, context))
    except urllib.error.HTTPError as error:
        with error:
            raise TwimlError(_refusal(url, token, error)) from None
    except urllib.error.URLError as error:
        raise TwimlError(f"{where} cannot be reached: {_reason(error.reason)}.") from error
    except TimeoutError as error:
        raise TwimlError(f"{where} did not answer within {timeout_s:g} s.") from error
    except UnicodeError as error:
        raise TwimlError(f"{where} cannot be reached: its host name is not valid.") from error
    except (OSError, http.client.HTTPException) as error:
        raise TwimlError(f"{where} did not send an HTTP response: {_reason(error)}.") from error


def _request(url: str, token: str, fields: Mapping[str, str]) -> urllib.request.Request:
    parts = _web_address(url)
    headers = {"Accept": "text/xml, application/xml", "User-Agent": "TwilioProxy/1.1"}
    if token:
        headers["X-Twilio-Signature"] = form_signature(token, url, fields)
    if parts.username is not None:
        user_and_password = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {b64encode(user_and_password.encode()).decode()}"
    host = parts.netloc.rpartition("@")[2]
    return urllib.request.Request(
        urlunsplit(parts._replace(netloc=host, fragment="")),
        urlencode(fields).encode(),
        headers,
        method="POST",
    )


def _web_address(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise TwimlError(f"The webhook address {_shown_url(url)} is not a valid URL.") from None
    if _NOT_OF_A_URL.search(url):
        raise TwimlError("The webhook address contains a space or a character that must be written as %XX.")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TwimlError("A webhook address must begin with http:// or https:// and contain a host.")
    return parts


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Refuses a redirect: the signature is valid for one URL only, and the POST would become a GET."""


def _ask(
    request: urllib.request.Request, where: str, timeout_s: float, context: ssl.SSLContext | None
) -> bytes:
    deadline = time.monotonic() + timeout_s
    handlers = [_NoRedirection(), urllib.request.HTTPSHandler(context=context)]
    if is_loopback(request.full_url):
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    body = b""
    with opener.open(request, timeout=timeout_s) as response:
        while len(body) <= MAX_BYTES and (piece := response.read1(MAX_BYTES)):
            body += piece
            if time.monotonic() > deadline:
                raise TwimlError(f"{where} did not answer within {timeout_s:g} s.")
    return body


def _refusal(url: str, token: str, error: urllib.error.HTTPError) -> str:
    where = _shown_url(url)
    known = error.code in set(HTTPStatus)
    status = f"{error.code} {HTTPStatus(error.code).phrase}" if known else str(error.code)
    location = error.headers.get("Location", "")
    if 300 <= error.code < 400 and location:
        try:
            place = _shown_url(urljoin(url, location))
        except ValueError:
            place = "an unreadable URL"
        return f"{where} redirects to {place} (HTTP {error.code}); use that URL instead."
    match error.code:
        case HTTPStatus.UNAUTHORIZED if "@" in urlsplit(url).netloc:
            hint = "it rejected the user name and password in the URL"
        case HTTPStatus.FORBIDDEN if token:
            hint = "if it checks Twilio's signature, the token must be the account's auth token"
        case _:
            hint = _HINTS.get(HTTPStatus(error.code), "") if known else ""
    said = shortened(reason_in_body(_body_of(error)))
    more = "".join(f": {part}" for part in (said, hint) if part)
    return f"{where} answered {status} instead of TwiML{more}."


def _body_of(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read(MAX_BYTES)
    except (OSError, http.client.HTTPException):
        return b""


def _reason(error: object) -> str:
    """Returns the operating system's description of an error, without its number."""
    match error:
        case TimeoutError():
            return "it did not answer in time"
        case ssl.SSLCertVerificationError(verify_message=str() as told):
            return f"its certificate is not trusted ({told})"
        case ssl.SSLError(reason=str() as told):
            return f"the TLS handshake failed ({told.lower().replace('_', ' ')})"
        case http.client.RemoteDisconnected():
            return "it closed the connection before it answered"
        case OSError(strerror=str() as told):
            return told
        case _:
            # Does not return the exception's text, because the library may quote the far side or the URL in it.
            return type(error).__name__
