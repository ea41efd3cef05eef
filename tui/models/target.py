"""Target: the agent to call, and how to call it. The engine receives it in a `Connect` command."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from tui.settings import default_of
from tui.text.redaction import (
    Redactor,
    header_secrets,
    host_of,
    named_secrets,
    redactor_of_call,
    safe_url,
    subprotocol_secrets,
    url_secrets,
)


class TargetError(ValueError):
    """The target cannot be called. The message is one sentence for the user."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """An agent to call, with its protocol, secrets, devices and settings. `tui.settings` describes the fields."""

    url: str
    protocol: str = "audiocodes"
    title: str = ""
    token: str = ""
    """A secret that is never shown, logged or included in an error."""
    token_env: str = default_of("token_env")
    """Name of the token's environment variable, which may be saved."""
    headers: dict[str, str] = {}
    """Extra request headers; their values are secrets too."""
    subprotocols: tuple[str, ...] = ()
    """Websocket subprotocols to offer; the part after the first dot may be a key."""
    insecure: bool = default_of("insecure")
    cacert: str = default_of("cacert")
    input: str = default_of("input")
    output: str = default_of("output")
    latency: str = default_of("latency")
    """The latency as the user wrote it: ``auto``, ``low``, ``high``, or seconds."""
    block_ms: int = default_of("block_ms")
    echo: str = default_of("echo")
    fade_ms: int = default_of("fade_ms")
    on_stop: str = msgspec.field(default=default_of("on_stop"), name="stop")  # name in saved sessions
    formats: tuple[str, ...] = ()
    barge_in: bool = default_of("barge_in")
    agent_name: str = default_of("agent_name")
    caller: str = default_of("caller")
    tools: str = default_of("tools")
    params: dict[str, str] = {}
    options: dict[str, str] = {}
    connect_timeout_s: float = default_of("connect_timeout_s")
    accept_timeout_s: float = default_of("accept_timeout_s")
    resume_timeout_s: float = default_of("resume_timeout_s")
    tool_timeout_s: float = default_of("tool_timeout_s")
    ping_s: float = default_of("ping_s")
    silence_timeout_s: float = default_of("silence_timeout_s")
    greeting_timeout_s: float = default_of("greeting_timeout_s")
    quiet_s: float = default_of("quiet_s")
    max_turn_s: float = default_of("max_turn_s")
    save: str = ""
    """Parent of the session's folder; empty if the session is not saved."""
    audio: bool = default_of("audio")
    redact: tuple[str, ...] = ()

    @property
    def safe_url(self) -> str:
        """The URL without user, password, query values and fragment."""
        return safe_url(self.url)

    @property
    def name(self) -> str:
        """The name shown on the screen: the title, or the host."""
        return self.title or host_of(self.url) or self.safe_url

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must not be shown, printed or saved.

        Does not include the values of JSON fields that are to be redacted.
        """
        return (
            self.token,
            *header_secrets(self.headers),
            *subprotocol_secrets(self.subprotocols),
            *url_secrets(self.url),
            *named_secrets(self.params),
            *named_secrets(self.options),
        )

    def redactor(self) -> Redactor:
        """Returns a new redactor for a call to this target."""
        return redactor_of_call(self.secrets, self.redact)

    def __repr__(self) -> str:
        """Returns a representation without secrets, because a traceback may show it."""
        return f"Target({self.safe_url!r}, protocol={self.protocol!r})"


def check_url(url: str) -> str:
    """Returns the URL if it is valid. Raises `TargetError`, whose message suggests a correction."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        # The library's message may contain part of the password.
        raise TargetError(f"{safe_url(url)} is not a URL: check its host and port.") from None
    if parts.scheme in ("http", "https"):
        right = "wss" if parts.scheme == "https" else "ws"
        raise TargetError(f"{safe_url(url)} is a web address. A voice agent's URL starts with {right}://.")
    if parts.scheme not in ("ws", "wss") or "://" not in url:
        raise TargetError(f"Missing ws:// or wss://. Did you mean ws://{safe_url(url).split('://')[-1]}?")
    if not parts.hostname:
        raise TargetError(f"{safe_url(url)} has no host. Use ws://HOST:PORT/PATH.")
    if "#" in url:
        raise TargetError(
            f"{safe_url(url)} has a fragment (#…), which a websocket URL cannot have. Remove it."
        )
    if parts.username is not None and parts.password is None:
        raise TargetError(
            f"{safe_url(url)} has a user name without a password. Write ws://USER:PASSWORD@HOST."
        )
    return url
