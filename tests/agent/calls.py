"""A call in memory: both ends of a protocol, the conversation between them, and a manually driven clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from tui.agent.callers_time import conversation_with
from tui.agent.conversation import Conversation
from tui.agent.hearing import Hearing
from tui.agent.recogniser import Recogniser
from tui.agent.settings import AgentSettings
from tui.assets import Line, caller_lines, prompts
from tui.audio.formats import AudioFormat, encode
from tui.audio.resample import LiveResampler
from tui.audio.wav import read_wav
from tui.protocols.audiocodes import AUDIOCODES
from tui.protocols.base import (
    AgentEnd,
    CallerSettings,
    Handshake,
    Outgoing,
    Protocol,
    RunsOnUserAudio,
    TelephonyEvent,
)
from tui.protocols.base import TelephonyEventType as Type

SECOND_OF_SILENCE = bytes(32_000)
_UTC = "2026-01-01T00:00:00.000Z"


@cache
def recogniser() -> Recogniser:
    return Recogniser(caller_lines())


@cache
def spoken(name: str, rate: int = 16_000) -> bytes:
    """Returns a recorded line, including its second of silence."""
    return read_wav(line_named(name).path, rate)


@cache
def prompt(*names: str, rate: int = 16_000) -> bytes:
    """Returns a prompt's audio; at rates other than 16 kHz, as converted by the live resampler."""
    resampled = []
    for name in names:
        resampler = LiveResampler(16_000, rate)
        resampled += [resampler.feed(read_wav(prompts()[name].path, 16_000)), resampler.finish()]
    return b"".join(resampled)


def line_named(name: str) -> Line:
    return next(line for line in caller_lines() if line.name == name)


def conversation(
    settings: AgentSettings | None = None,
    agent: AgentEnd | None = None,
    on_problem: Callable[[str, str], None] = lambda rule, text: None,
) -> Conversation:
    agent = agent or AUDIOCODES.agent(lambda: "activity", lambda: _UTC)
    settings = settings or AgentSettings()
    return conversation_with(agent, settings, Hearing(recogniser(), settings), on_problem)


class Call:
    """A call that has been answered and, unless ``greeted`` is False, in which the greeting has been heard.

    The caller acts like a session: it flushes on request and, in `wait_for_reply`, reports what it has heard,
    unless ``tell_play_finished`` is False.
    """

    def __init__(
        self,
        settings: AgentSettings | None = None,
        *,
        protocol: Protocol = AUDIOCODES,
        agent: AgentEnd | None = None,
        offer: Sequence[str] = (),
        options: Mapping[str, str] | None = None,
        path: str = "",
        barge_in: bool = True,
        greeted: bool = True,
        reports_play_finished: bool = True,
    ) -> None:
        self.protocol = protocol
        ids = itertools.count(1)
        uuids = (f"00000000-0000-4000-8000-{number:012d}" for number in ids)
        wishes = CallerSettings(
            formats=tuple(offer), barge_in=barge_in, options=options or {}, url=f"ws://127.0.0.1{path}"
        )
        self.agent = agent or protocol.agent(lambda: f"agents-{next(ids)}", lambda: _UTC)
        self.caller = protocol.caller(wishes, lambda: next(uuids), lambda: _UTC)
        self.problems: list[tuple[str, str]] = []
        self.conversation = conversation(
            settings, self.agent, lambda rule, text: self.problems.append((rule, text))
        )
        self.now_ns = 5_000_000_000
        self.began_ns = self.now_ns
        self.over_at_ns = self.now_ns
        """When the conversation last had something to do, or its end if it is over."""
        self.events: list[tuple[float, TelephonyEvent]] = []
        """The events that the caller received, with their times in the call in ms."""
        self.received: list[Outgoing] = []
        """The frames that the caller received."""
        self.sent: list[Outgoing] = []
        self.cut_short: list[str] = []
        """The replies that the agent did not finish."""
        self._whole: list[str] = []
        self._awaited = 0
        self._unheard_ms: dict[str, float] = {}
        self._marks: list[str] = []
        self._reports_play_finished = reports_play_finished
        self._note_stops()
        self.deliver(self.conversation.opened(Handshake(path=path)))
        self.send(self.caller.opened())
        self.wait(0)
        if protocol.continuous:
            silence = encode(bytes(2 * (self.user_format.rate // 50)), self.user_format)
            self.send(self.caller.user_audio(silence))
        if greeted:
            self.wait_for_reply()
            self.events.clear()

    def _note_stops(self) -> None:
        say_stop = self.agent.say_stop

        def noted(stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
            (self.cut_short if interrupted else self._whole).append(stream_id)
            return say_stop(stream_id, interrupted=interrupted)

        self.agent.say_stop = noted  # type: ignore[method-assign]  # whichever class it is of

    def send(self, frames: Iterable[Outgoing]) -> None:
        """Sends frames from the caller, and delivers the answers."""
        for frame in frames:
            self.sent.append(frame)
            self.deliver(self.conversation.receive(frame.frame, self.now_ns))

    def deliver(self, frames: Iterable[Outgoing]) -> None:
        """Delivers frames from the agent; the caller answers according to the protocol."""
        for frame in frames:
            self.received.append(frame)
            incoming = self.caller.receive(frame.frame)
            assert [finding for finding in incoming.findings if not finding.advice] == []
            self.events += [(self.at_ms, event) for event in incoming.events]
            self.send(incoming.replies)
            for event in incoming.events:
                self._play(event)

    def _play(self, event: TelephonyEvent) -> None:
        match event.type:
            case Type.PLAY_STREAM_START:
                self._unheard_ms[event.stream_id] = 0.0
            case Type.PLAY_STREAM_CHUNK:
                assert event.format is not None
                self._unheard_ms[event.stream_id] += event.format.duration_ms(len(event.audio))
            case Type.MARK:
                self._marks.append(event.text)
            case Type.CLEAR:
                for stream_id, received_ms in self._unheard_ms.items():
                    self.send(self.caller.interrupted(stream_id, heard_ms=20, received_ms=received_ms))
                self.hear_all()
            case _:
                pass

    def hear_all(self) -> None:
        """Reports that the received audio was heard or flushed."""
        unheard_ms, self._unheard_ms = self._unheard_ms, {}
        for stream_id, received_ms in unheard_ms.items():
            heard_ms = {"heard_ms": received_ms, "received_ms": received_ms}
            self.send(self.caller.playback_finished(stream_id, **heard_ms))
        marks, self._marks = self._marks, []
        for name in marks:
            self.send(self.caller.mark_reached(name))

    def wait(self, duration_ms: float) -> None:
        """Advances the time, sending silence, which some agents need, and everything else when it is due."""
        if isinstance(self.agent, RunsOnUserAudio) and self.caller.user_stream_open:
            self.speak(bytes(2 * (self.user_format.rate * round(duration_ms) // 1000)))
        else:
            self._pass(duration_ms)

    def _pass(self, duration_ms: float) -> None:
        until_ns = self.now_ns + round(duration_ms * 1e6)
        while not self.conversation.over:
            due_ns = self.conversation.next_due_ns
            if due_ns is None or due_ns > until_ns:
                break
            self.now_ns = max(self.now_ns, due_ns)
            self.deliver(self.conversation.due(self.now_ns))
            self.over_at_ns = self.now_ns
        self.now_ns = until_ns

    def wait_for_reply(self, limit_ms: float = 30_000) -> None:
        """Waits until one more reply was completely sent and heard."""
        until_ns = self.now_ns + limit_ms * 1e6
        while len(self._whole) == self._awaited:
            assert self.now_ns < until_ns, "no reply"
            self.wait(10)
        self._awaited = len(self._whole)
        if self._reports_play_finished:
            self.hear_all()

    def say(self, name: str) -> None:
        """Sends a recorded line and a second of silence from the user."""
        self.speak(spoken(name, self.user_format.rate))

    def speak(self, pcm: bytes, chunk_ms: int = 20, *, faster: float = 1.0) -> None:
        """Sends user speech in real time or ``faster``."""
        if not self.caller.user_stream_open:
            self.send(self.caller.start_user_stream())
        audio_format = self.user_format
        wire = encode(pcm, audio_format)
        size = audio_format.bytes_per_second * chunk_ms // 1000
        for at in range(0, len(wire), size):
            self._pass(chunk_ms / faster)
            self.send(self.caller.user_audio(wire[at : at + size]))

    @property
    def at_ms(self) -> float:
        """Duration of the call so far."""
        return (self.now_ns - self.began_ns) / 1e6

    @property
    def user_format(self) -> AudioFormat:
        assert self.caller.user_format is not None
        return self.caller.user_format

    def of(self, *types: Type) -> list[TelephonyEvent]:
        return [event for _, event in self.events if event.type in types]

    def count(self, kind: Type) -> int:
        return len(self.of(kind))

    def times_ms(self, kind: Type) -> list[float]:
        return [at_ms for at_ms, event in self.events if event.type is kind]

    def kinds(self) -> list[Type]:
        """Returns the kinds of events, without audio chunks."""
        return [event.type for _, event in self.events if event.type is not Type.PLAY_STREAM_CHUNK]

    @property
    def texts(self) -> list[str]:
        """Returns the texts of the audio of each reply."""
        words = self.of(Type.PLAY_STREAM_START, Type.AGENT_TEXT)
        return [event.text for event in words if event.text and event.final]

    @property
    def recognised(self) -> list[str]:
        return [event.text for event in self.of(Type.SPEECH_RECOGNITION)]

    def audio(self, reply: int = -1) -> bytes:
        """Returns the audio of one reply."""
        stream_id = self.of(Type.PLAY_STREAM_START)[reply].stream_id
        return b"".join(
            event.audio for event in self.of(Type.PLAY_STREAM_CHUNK) if event.stream_id == stream_id
        )
