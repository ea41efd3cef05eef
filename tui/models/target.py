"""Target: whom to call and how; what a connect command carries."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import msgspec


class TargetError(ValueError):
    """A target that cannot be called, as one sentence."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to call, with which protocol, secrets, devices and settings."""

    url: str
    protocol: str = "audiocodes"
    title: str = ""
    token: str = ""
    """A secret: never shown, logged or put into an error."""
    token_env: str = ""
    """Name of the environment variable the token came from: what may be kept of it."""
    headers: dict[str, str] = {}
    """Extra request headers; their values are secrets too."""
    insecure: bool = False
    """Accept any TLS certificate."""
    cacert: str = ""
    """A PEM file with the authority to trust instead of the system's."""
    input: str = "auto"
    """``auto``, a device (index or part of its name), or a WAV file."""
    output: str = "auto"
    """``auto``, a device, a WAV file to write, or ``none``."""
    latency: str = "auto"
    """Of the playback device: ``auto``, ``low``, ``high``, or seconds."""
    block_ms: int = 20
    """What one audio callback carries: 20, or 10."""
    echo: str = "none"
    """Against the agent hearing itself: ``none``, ``gate`` (half-duplex), ``cancel`` (an extra)."""
    fade_ms: int = 0
    """Fade playback out on a flush instead of cutting it; costs the device's latency."""
    stop: str = "silence"
    """What stopping means on the wire: ``silence`` keeps flowing, or ``close`` the user stream."""
    formats: tuple[str, ...] = ()
    barge_in: bool = True
    agent_name: str = "opusagent-tui"
    caller: str = "+15550100"
    tools: str = ""
    """A Python file whose functions the agent may call."""
    params: dict[str, str] = {}
    options: dict[str, str] = {}
    connect_timeout_s: float = 10.0
    accept_timeout_s: float = 5.0
    save: str = ""
    """The folder in which the session gets one of its own; empty: it is not saved."""
    save_audio: bool = True
    """Whether the two tracks, and the audio in messages, are saved too."""
    redact: tuple[str, ...] = ()
    """Names of JSON fields whose values are not saved."""

    @property
    def safe_url(self) -> str:
        """The URL without user, password and query values."""
        return safe_url(self.url)

    @property
    def name(self) -> str:
        """What to call it on the screen."""
        return self.title or urlsplit(self.url).netloc.rpartition("@")[2] or self.url


def safe_url(url: str) -> str:
    """The URL as it may be shown: credentials removed, query values replaced by an ellipsis."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(unreadable URL)"
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(pair.partition("=")[0] + "=…" for pair in parts.query.split("&")) if parts.query else ""
    return urlunsplit((parts.scheme, host, parts.path, query, ""))


def check_url(url: str) -> str:
    """The URL, if it can be dialled. Raises `TargetError` with a sentence that says what to write instead."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise TargetError(f"{safe_url(url)} is not a URL: {error}.") from error
    if parts.scheme in ("http", "https"):
        right = "wss" if parts.scheme == "https" else "ws"
        raise TargetError(
            f"{safe_url(url)} is a web address; a voice agent's websocket starts with {right}://."
        )
    if parts.scheme not in ("ws", "wss") or "://" not in url:
        raise TargetError(
            f"{safe_url(url)} has no ws:// or wss:// in front: write ws://{url.split('://')[-1]}."
        )
    if not parts.hostname:
        raise TargetError(f"{safe_url(url)} names no host: write ws://HOST:PORT/PATH.")
    return url
