"""A fake engine made of lists, and a call to show."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from tui.audio.devices import Device
from tui.callbacks import CallbackStats
from tui.engine.wire import (
    CallbackFigures,
    Command,
    DeviceList,
    EventItem,
    FrameItem,
    MessagesFile,
    TelemetryItem,
)
from tui.models import events as e
from tui.models.telemetry import Telemetry

START_NS = 1_000_000_000_000
MS = 1_000_000


class FakeEngine:
    """A fake `EngineLink`.

    Items put into `frames` arrive at the next tick, and sent commands are stored in `sent`.
    """

    def __init__(self) -> None:
        self.frames: list[FrameItem] = []
        self.sent: list[Command] = []
        self.alive = True
        self.log_path = "/tmp/engine.log"

    def drain(self) -> list[FrameItem]:
        frames, self.frames = self.frames, []
        return frames

    def send(self, command: Command) -> None:
        self.sent.append(command)


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now_ns: int = START_NS) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


class Script:
    """Writes numbered events in order of time, and their raw messages, to a session file."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.items: list[FrameItem] = []
        self._number = 0
        self.now_ns = START_NS
        self._offset = 0
        if path is not None:
            path.write_bytes(b"")
            self.items.append(MessagesFile(path=str(path), session=str(path.parent)))

    def after(self, ms: float) -> Script:
        self.now_ns += int(ms * MS)
        return self

    def add(self, event_type: type[e.Event], /, **fields: object) -> Script:
        self._number += 1
        fields.setdefault("at_ns", self.now_ns)
        event = event_type(number=self._number, **fields)  # type: ignore[arg-type]
        self.items.append(EventItem(event=event))  # type: ignore[arg-type]
        return self

    def started(
        self,
        title: str = "demo",
        target: str = "ws://127.0.0.1:38211/audiocodes",
        protocol: str = "audiocodes",
    ) -> Script:
        return self.add(
            e.SessionStarted,
            session_id="1f0c",
            started_utc="2025-01-01T00:00:00Z",
            target=target,
            protocol=protocol,
            title=title,
        )

    def status(self, old: e.Status, new: e.Status, reason: str = "") -> Script:
        return self.add(e.StatusChanged, old=old, new=new, reason=reason)

    def message(
        self,
        kind: str,
        body: Mapping[str, object] | bytes,
        summary: str = "",
        *,
        sent: bool = False,
        audio_ms: float = 0.0,
        known: bool = True,
    ) -> Script:
        raw = body if isinstance(body, bytes) else json.dumps({"type": kind, **body}).encode()
        offset = -1
        if self.path is not None:
            offset = self._offset
            with self.path.open("ab") as file:
                file.write(raw)
            self._offset += len(raw)
        return self.add(
            e.MessageLogged,
            direction=e.Direction.SENT if sent else e.Direction.RECEIVED,
            kind=kind,
            summary=summary or kind,
            size_bytes=len(raw),
            offset=offset,
            audio_ms=audio_ms,
            known=known,
        )

    def audio(self, *, sent: bool, every_ms: float = 20) -> Script:
        """Adds a message with 20 ms of audio."""
        kind, speaker = ("userStream.chunk", "user") if sent else ("playStream.chunk", "agent")
        body: dict[str, object] = {"audioChunk": base64.b64encode(bytes(642)).decode()}
        self.after(every_ms)
        return self.message(kind, body, f"{speaker} audio 20 ms", sent=sent, audio_ms=20)

    def said(self, speaker: e.Party, text: str, *, final: bool = True, item: str = "") -> Script:
        return self.add(e.Transcribed, speaker=speaker, text=text, final=final, item=item)

    def edge(self, speaker: e.Party, started: bool, **fields: object) -> Script:
        """Adds the start or end of audible speech."""
        return self.add(e.SpeechEdge, speaker=speaker, started=started, method="silero", **fields)

    def error(self, message: str, *, source: str = "agent", code: str = "x", **fields: object) -> Script:
        return self.add(e.ErrorRaised, source=source, code=code, message=message, **fields)

    def take(self) -> list[FrameItem]:
        items, self.items = self.items, []
        return items


def to_active(script: Script, protocol: str = "audiocodes") -> Script:
    """Adds the beginning of a call, until it is active."""
    s = e.Status
    script.started(protocol=protocol)
    script.status(s.IDLE, s.CONNECTING).after(12).status(s.CONNECTING, s.INITIATING)
    initiate = {
        "conversationId": "4c1c",
        "expectAudioMessages": True,
        "supportedMediaFormats": ["raw/lpcm16"],
    }
    script.message("session.initiate", initiate, "caller +15550100, raw/lpcm16", sent=True)
    script.after(8).message("session.accepted", {"mediaFormat": "raw/lpcm16"}, "raw/lpcm16")
    script.add(e.AudioOpened, capture="caller lines", playback="USB Headset", playback_rate=48000)
    return script.status(s.INITIATING, s.ACTIVE)


def a_call(script: Script, protocol: str = "audiocodes") -> Script:
    """Adds a short conversation that contains everything that panels can show."""
    user, agent = e.Party.USER, e.Party.AGENT
    to_active(script, protocol)
    started = {"activities": [{"type": "event", "name": "start"}]}
    script.after(3).message("activities", started, "start", sent=True)
    greeting = {"streamId": "1", "mediaFormat": "raw/lpcm16"}
    script.after(60).message("playStream.start", greeting, "stream 1, raw/lpcm16")
    script.add(e.ReplyStarted, reply="1", format="raw/lpcm16")
    for _ in range(24):
        script.audio(sent=False)
    script.add(e.PlaybackStarted, reply="1").edge(agent, True)
    script.said(agent, "Good morning, Riverside Clinic. How can I help you today?", item="1")
    script.message("playStream.stop", {"streamId": "1"}, "stream 1")
    script.after(2100).edge(agent, False).add(e.PlaybackEnded, reply="1", heard_ms=2480)
    script.after(300).add(e.RecordingChanged, recording=True)
    script.message("userStream.start", {}, "user stream", sent=True)
    script.after(9).message("userStream.started", {}, "user stream")
    for _ in range(60):
        script.audio(sent=True)
    script.message("userStream.speech.started", {}, "speech started")
    script.add(e.UserSpeech, phase=e.SpeechPhase.STARTED).said(user, "I'd like to", final=False)
    script.message("userStream.speech.hypothesis", {"alternatives": [{"text": "I'd like to"}]}, "I'd like to")
    for _ in range(40):
        script.audio(sent=True)
    script.edge(user, False)
    question = "I'd like to book an appointment for Thursday."
    recognized = {"alternatives": [{"text": question, "confidence": 0.93}]}
    script.message("userStream.speech.recognition", recognized, question).said(user, question)
    answer = {"streamId": "2", "mediaFormat": "raw/lpcm16"}
    script.after(480).message("playStream.start", answer, "stream 2, raw/lpcm16")
    script.add(e.PlaybackStarted, reply="2").edge(agent, True)
    free = "On Thursday there is a free slot at half past nine and another one at two in the afternoon."
    script.said(agent, f"Certainly. {free}", item="2")
    for _ in range(80):
        script.audio(sent=False, every_ms=0)
    script.after(900).add(e.Flushed, reason="barge-in", unheard_ms=640)
    script.add(e.PlaybackEnded, reply="2", heard_ms=960, unheard_ms=640)
    script.add(e.LossCounted, loss=e.Loss.UNHEARD, count=640, detail="barge-in")
    script.after(40).message("agent.mood", {"mood": "patient"}, "unknown message", known=False)
    text = "The agent plays raw/lpcm16_24, which was not offered."
    script.add(e.FindingRaised, rule="format-not-offered", text=text)
    script.after(200).said(user, "Half past", final=False)
    return script.add(e.RoundTripMeasured, round_trip_ms=0.42)


def with_tools(script: Script) -> Script:
    """Adds three tool calls (one failed, one still running) and the agent's usage report."""
    call = partial(script.add, e.ToolChanged)
    hours = {"call": "c1", "name": "opening_hours", "arguments": '{"day": "Thursday"}'}
    result = '{"opens": "9:00", "closes": "17:30"}'
    call(**hours).after(12)
    call(**hours, result=result, finished=True, duration_ms=12.3)
    book = {"call": "c2", "name": "book", "arguments": '{"day": "Sunday"}'}
    call(**book).after(300)
    call(**book, error="closed on Sundays", finished=True, duration_ms=300.0)
    call(call="c3", name="find_slot", arguments='{"week": 32}')
    script.add(e.UsageReported, what="response", figures={"total_tokens": 1234, "input_tokens": 1000})
    script.add(e.UsageReported, what="rate limits", figures={"tokens": 38_210, "requests": 99})
    return script.add(e.LineChanged, name="hours")


def measured(count: int = 40) -> CallbackFigures:
    """Returns realistic callback figures: some slow, some failing, some not called, some unregistered."""
    return CallbackFigures(stats=tuple(_stats(number) for number in range(count)))


def _stats(number: int) -> CallbackStats:
    names = (
        "UserAudio._take_chunk",
        "AgentEvents._play_chunk",
        "FunctionHandler.handle_function_call",
        "limit",
    )
    places = ("capture chunk", "play_stream.chunk", "function call", "user step")
    event, name = places[number % 4], f"{names[number % 4]}_{number}"
    if number % 10 == 3:
        return CallbackStats(event, name, 1)
    time_ms = 0.004 * (number + 1) ** 2
    errors = 3 if number % 9 == 5 else 0
    return CallbackStats(
        event,
        name,
        registered=1 if number % 7 else 0,
        calls=12 * (number + 1) ** 2,
        errors=errors,
        last_error="ValueError: [/b] no such day" if errors else None,
        mean_ms=time_ms * 0.9,
        p50_ms=time_ms * 0.7,
        p99_ms=time_ms * 1.5,
        max_ms=time_ms * 9,
    )


def telemetry(
    user: float | None,
    agent: float | None,
    *,
    queued_ms: float = 0.0,
    clipped: bool = False,
    line_progress: float | None = None,
) -> TelemetryItem:
    return TelemetryItem(
        telemetry=Telemetry(
            at_ns=START_NS,
            user_dbfs=user,
            user_peak_dbfs=user and user + 6,
            agent_dbfs=agent,
            agent_peak_dbfs=agent and agent + 5,
            queued_ms=queued_ms,
            user_clipped=clipped,
            line_progress=line_progress,
        )
    )


def devices(problem: str = "") -> DeviceList:
    if problem:
        return DeviceList(devices=(), problem=problem)
    return DeviceList(
        devices=(
            Device(
                0, "Built-in Microphone", "ALSA", 2, 0, 48_000, is_default_input=True, is_default_output=False
            ),
            Device(
                1, "Jabra [/b] Evolve", "ALSA", 1, 2, 48_000, is_default_input=False, is_default_output=True
            ),
            Device(2, "HDMI", "ALSA", 0, 2, 48_000, is_default_input=False, is_default_output=False),
            Device(3, "HDMI", "ALSA", 0, 8, 48_000, is_default_input=False, is_default_output=False),
        )
    )


NASTY: tuple[str, ...] = (
    "[/foo]",
    "[bold red]x[/] [@click=app.quit]y[/]",
    "\x1b[31mred\x1b]0;title\x07\x1b[2J",
    "\x9b31m\x85\x90q\x9c",
    "\u202eevil\u2066\u200b\u200d\ufeff",
    "漢字かな交じり文🎉👨‍👩‍👧",
    "می\u200cخواهم 👩🏽\u200d⚕\ufe0f" * 20,
    "é\u0301\u0301\u0301",
    "a\r\nb\tc\x00\x7f",
    "\ud800 alone",
    "",
    " ",
    "x" * 1_000_000,
    "ab " * 350_000,
)


def nasty(script: Script, text: str) -> Script:
    """Adds every kind of event, with this text in all its text fields."""
    add = script.add
    add(e.StatusChanged, old=e.Status.ACTIVE, new=e.Status.ACTIVE, reason=text)
    add(e.MessageLogged, direction=e.Direction.RECEIVED, kind=text, summary=text)
    add(e.ErrorRaised, source=text, code=text, message=text, hint=text)
    add(e.FindingRaised, rule=text, text=text)
    add(e.NoticeRaised, text=text, hint=text)
    add(e.AudioOpened, capture=text, playback=text)
    add(e.LineChanged, name=text, text=text)
    add(e.Transcribed, speaker=e.Party.AGENT, text=text, final=True, item=text)
    add(e.Transcribed, speaker=e.Party.USER, text=text, final=False)
    add(e.LossCounted, loss=e.Loss.UNDERRUN, count=1, detail=text)
    add(e.ToolChanged, call=text, name=text, arguments=text, result=text, finished=True)
    add(e.ToolChanged, call=text, name=text, arguments=text, error=text, finished=True)
    add(e.UsageReported, what=text, figures={text: 1e300})
    add(e.PlaybackEnded, reply=text, heard_ms=300.0, unheard_ms=700.0)
    add(e.LatencyReported, name=text, reported_ms=-1.0, reply=text)
    add(e.LatenessSeen, what=text, late_ms=90, since_ns=0)
    add(e.ConditionChanged, condition=e.Condition.STALLED, path=text, active=True, text=text, hint=text)
    add(e.ScenarioChanged, phase=e.ScenarioPhase.PLAYING, name=text, file=text, steps=(text,))
    add(e.StepChanged, step=1, text=text, place=text, verdict=text, reason=text)
    add(e.SpeechEdge, speaker=e.Party.USER, started=True, method=text)
    return add(e.SpeechEdge, speaker=e.Party.USER, started=False, method=text)
