"""Targets: lists who can be called from the screen: profiles, the targets called last, and the local agent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from tui.config.targets import Listed
from tui.models.target import Target

DEMO_TITLE = "demo"
"""Title of the local agent as a target."""
START_FAILURES = (OSError, RuntimeError, ValueError)
"""What the start of a process beside the screen may raise: the engine or the local agent."""


class Targets:
    """The lists that the connect screen offers, kept up to date during this run.

    ``base`` is what a target begins with whose URL is typed. ``protocols`` may take its time to return: it asks
    packages. ``start_demo`` returns where the local agent is, starting it if need be. ``on_remembered`` gets each
    target that the next run is to offer again.
    """

    def __init__(
        self,
        *,
        base: Target | None = None,
        profiles: Sequence[Listed] = (),
        recent: Sequence[Target] = (),
        protocols: Callable[[], Sequence[str]] = lambda: ("audiocodes",),
        saved: Callable[[], Sequence[str]] = lambda: (),
        start_demo: Callable[[], Target] | None = None,
        on_remembered: Callable[[Target], None] = lambda _: None,
    ) -> None:
        self.base = base or Target(url="")
        self.profiles = tuple(profiles)
        self.recent = list(recent)
        self.protocols = protocols
        self.saved = saved
        """Returns a line for each of the newest saved sessions. Reads files; any thread."""
        self._start_demo = start_demo
        # The connect screen and a repeated call may both want it, each on a separate thread.
        self._demo_lock = threading.Lock()
        self._demo_urls: set[str] = set()
        """Where demos were; a local agent that was started again is somewhere else."""
        self._on_remembered = on_remembered

    @property
    def has_demo(self) -> bool:
        """Whether there is a local agent."""
        return self._start_demo is not None

    def demo(self) -> Target:
        """Returns where the local agent is; starts it if need be. Blocks; any thread.

        Raises one of `START_FAILURES`.
        """
        assert self._start_demo is not None
        with self._demo_lock:
            target = self._start_demo()
            self._demo_urls.add(target.url)
            return target

    def is_demo(self, target: Target) -> bool:
        """Returns whether it is the local agent of this run."""
        return target.url in self._demo_urls

    def remember(self, target: Target) -> None:
        """Offer it again, in this run and in the next, unless it always is: the demo and profiles are."""
        if self.is_demo(target) or target.title in {profile.target.title for profile in self.profiles}:
            return
        self.recent = [target, *(known for known in self.recent if known.safe_url != target.safe_url)]
        self._on_remembered(target)
