"""Tests the user's actions in a call without a socket: the emitted events, and the messages queued for the agent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.events import Status
from tui.models.journal import Journal
from tui.models.session_state import SessionState
from tui.models.target import Target
from tui.session.link import AgentLink
from tui.session.user_commands import UserCommands


class Keys:
    """The user's commands in a call with a plain PCM agent."""

    def __init__(self) -> None:
        self.events: list[e.SessionEvent] = []
        self.interruptions: list[str] = []
        self.audio = AudioManager()
        self.journal = Journal(
            SessionState(), sink=self.events.append, keep_raw=lambda _: -1, clock_ns=lambda: 0
        )
        self.link = AgentLink(
            Target(url="ws://127.0.0.1:9/", protocol="pcm"),
            (),
            self.journal,
            route=self._route,
            on_fatal=lambda _: None,
            on_sent=lambda _: None,
        )
        self.user = UserCommands(self.journal, self.audio, self.link, interrupt_agent=self._interrupt)

    async def _route(self, _: object) -> None:
        pass

    async def _interrupt(self, reason: str) -> None:
        self.interruptions.append(reason)

    def accept(self) -> None:
        for status in (Status.CONNECTING, Status.INITIATING, Status.ACTIVE):
            self.journal.become(status)

    @property
    def recorded(self) -> list[bool]:
        return [event.recording for event in self.events if isinstance(event, e.RecordingChanged)]

    @property
    def notices(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, e.NoticeRaised)]


@pytest.fixture
async def keys() -> AsyncIterator[Keys]:
    keys = Keys()
    await keys.audio.configure(input="lines", output="none")
    yield keys
    await keys.audio.close()


async def test_recording_starts_and_stops_and_each_is_emitted_once(keys: Keys) -> None:
    keys.accept()
    for on in (True, True, False, False, True):
        await keys.user.record(on)
    assert keys.recorded == [True, False, True]
    assert not keys.notices


async def test_without_a_call_nothing_is_recorded_and_the_user_learns_why(keys: Keys) -> None:
    await keys.user.record(True)
    await keys.user.record(False)
    assert keys.recorded == []
    assert len(keys.notices) == 1
    assert "call" in keys.notices[0]


async def test_an_interruption_gives_its_reason(keys: Keys) -> None:
    await keys.user.interrupt()
    assert keys.interruptions == ["interrupted by the user"]


async def test_muting_is_emitted_only_when_it_changes(keys: Keys) -> None:
    for muted in (False, True, True, False):
        keys.user.set_muted(muted)
    assert [event.muted for event in keys.events if isinstance(event, e.MutedChanged)] == [True, False]
