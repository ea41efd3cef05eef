"""Targets: the agents that the user can call from the screen: profiles, recent targets and the local agent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tui.config.targets import Listed
from tui.models.target import Target, TargetError, check_url
from tui.settings import AUTO
from tui.text.redaction import HIDDEN, host_of

DEMO_TITLE = "demo"
"""Title of the local agent as a target."""
START_FAILURES = (OSError, RuntimeError, ValueError)
"""Exceptions that may occur when the engine or the local agent is started."""
_LOCAL = ("127.0.0.1", "localhost")


class Targets:
    """The agents to list on the connect screen.

    ``base`` contains the initial settings for a typed URL. ``protocols`` may be slow, because it searches
    packages. ``start_demo`` starts the local agent if necessary, and returns the agent's address.
    ``on_remembered`` receives each target that should be offered again when the program is next started.
    """

    def __init__(
        self,
        *,
        base: Target | None = None,
        profiles: Sequence[Listed] = (),
        recent: Sequence[Target] = (),
        protocols: Callable[[], Sequence[str]] = lambda: ("audiocodes",),
        saved: Callable[[], Sequence[tuple[Path, str]]] = lambda: (),
        start_demo: Callable[[], Target] | None = None,
        on_remembered: Callable[[Target], None] = lambda _: None,
    ) -> None:
        self.base = base or Target(url="")
        self.profiles = tuple(profiles)
        self.recent = list(recent)
        self.protocols = protocols
        self.saved = saved
        """Returns the folders of the newest saved sessions, each with a line about the session.

        Reads files; may be called from any thread.
        """
        self._start_demo = start_demo
        # The connect screen and a repeated call may both request the demo, on different threads.
        self._demo_lock = threading.Lock()
        self._demo_places: set[str] = set()
        """Hosts and ports of earlier demos, because a local agent that was restarted has a different address."""
        self._on_remembered = on_remembered

    @property
    def has_demo(self) -> bool:
        """Whether the local agent is available."""
        return self._start_demo is not None

    def demo(self) -> Target:
        """Starts the local agent if necessary; returns its address. Blocks; may be called from any thread.

        Raises one of `START_FAILURES`.
        """
        assert self._start_demo is not None
        with self._demo_lock:
            target = self._start_demo()
            self._demo_places.add(urlsplit(target.url).netloc)
            return target

    def is_demo(self, target: Target) -> bool:
        """Returns whether a target is the local agent that this program has started."""
        return urlsplit(target.url).netloc in self._demo_places

    def recall(self, recorded: dict[str, Any], protocol: str) -> Target | None:
        """Returns the agent of a saved session as a target to call; None if the session does not name an agent.

        ``recorded`` is the target in the session's ``session.json``, which may come from anywhere. Token,
        headers and tools are therefore taken only from a profile or recent target with the same URL. A file
        must not decide which variable is sent to which host, or which code runs.
        """
        url, title = str(recorded.get("url", "")), str(recorded.get("title", ""))
        try:
            check_url(url)
        except TargetError:
            return None
        known = [*(each.target for each in self.profiles if not each.problem), *self.recent]
        for target in known:
            if target.safe_url == url and (target.title == title or not target.title):
                return target
        if protocol not in self.protocols():
            protocol = AUTO
        return msgspec.structs.replace(
            self.base,
            url=url,
            protocol=protocol,
            title=title,
            token="",
            token_env="",
            headers={},
            subprotocols=(),
            options=_plain(recorded.get("options")),
            params=_plain(recorded.get("params")),
        )

    def moved(self, demo: Target, fresh: Target) -> Target:
        """Returns ``demo``, the target of an earlier local agent, with the address of ``fresh``."""
        place = urlsplit(fresh.url)
        url = urlsplit(demo.url)._replace(scheme=place.scheme, netloc=place.netloc).geturl()
        return msgspec.structs.replace(demo, url=url)

    def was_demo(self, target: Target) -> bool:
        """Returns whether a target was a local agent of an earlier start of the program, at another address."""
        return (
            self.has_demo and target.title == DEMO_TITLE and host_of(target.url).partition(":")[0] in _LOCAL
        )

    def remember(self, target: Target) -> None:
        """Adds a target to the recent targets, unless it is always offered, like the local agent and profiles."""
        if self.is_demo(target) or target.title in {profile.target.title for profile in self.profiles}:
            return
        self.recent = [target, *(known for known in self.recent if known.safe_url != target.safe_url)]
        self._on_remembered(target)


def _plain(values: object) -> dict[str, str]:
    """Returns the recorded options or parameters as text, without those whose value is hidden."""
    items = values.items() if isinstance(values, dict) else ()
    return {str(key): value for key, value in items if isinstance(value, str) and value != HIDDEN}
