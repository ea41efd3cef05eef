"""Describes events in one line each, for the event log, headless calls and exports."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from tui.models import events as e
from tui.models.turns.turns import Dispute
from tui.text import numbers


class Severity(StrEnum):
    """Severity of an event. The enum value is a glyph that is readable without color."""

    PLAIN = " "
    WARNING = "!"
    ERROR = "✗"


_STEP_LEVELS = {"failed": Severity.ERROR, "not measured": Severity.WARNING}
UNLISTED = (e.Transcribed, e.KeysPressed, e.UserSpeech, e.ReplyStarted, e.ReplyEnded, e.RoundTripMeasured)
"""Events that the log does not list, because they restate a message or only feed a figure. Models still need these
events."""


class Description(NamedTuple):
    """A description of an event in one line.

    Text from the far side is unchanged, so pass it through `visible` before drawing it.
    """

    kind: str
    summary: str
    arrow: str = "·"
    """``→`` for sent, ``←`` for received, ``·`` for an event of this program."""
    level: Severity = Severity.PLAIN


def describe(event: e.SessionEvent) -> Description:
    """Returns the description of one event."""
    match event:
        case e.MessageLogged():
            arrow = "→" if event.direction is e.Direction.SENT else "←"
            level = Severity.PLAIN if event.known else Severity.WARNING
            return Description(event.kind, event.summary, arrow, level)
        case e.ErrorRaised():
            times = f" (×{event.count})" if event.count > 1 else ""
            return Description("error", f"{event.source}: {event.message}{times}", level=Severity.ERROR)
        case e.FindingRaised():
            times = f" (×{event.count})" if event.count > 1 else ""
            text = f"{event.rule}: {event.text}{times}"
            return (
                Description("advice", text)
                if event.advice
                else Description("finding", text, level=Severity.WARNING)
            )
        case e.LossCounted():
            detail = f", {event.detail}" if event.detail else ""
            return Description(
                "loss",
                event.loss.in_words(event.count) + detail,
                level=Severity.WARNING if event.loss.is_fault else Severity.PLAIN,
            )
        case e.ConditionChanged():
            text = event.text or f"{event.path}: {event.condition}{'' if event.active else ' ended'}"
            if event.condition.is_advice:
                return Description("advice", text)
            level = Severity.WARNING if event.active else Severity.PLAIN
            return Description("condition", text, level=level)
        case e.LatenessSeen() | e.EdgeDisputed():
            return Description("self-check", _describe_doubt(event), level=Severity.WARNING)
        case e.NoticeRaised():
            return Description("notice", event.text, level=Severity.WARNING)
        case e.ScenarioChanged():
            return _describe_judged("scenario", f"{event.name} {event.verdict or event.phase}", event)
        case e.StepChanged():
            outcome = f" {event.verdict}" if event.verdict else ""
            return _describe_judged(f"step {event.step}", f"{event.text}{outcome}", event)
        case e.ToolChanged():
            return Description(
                "tool", _describe_tool(event), level=Severity.WARNING if event.error else Severity.PLAIN
            )
        case _:
            return Description(*_describe_own(event))


def _describe_judged(kind: str, text: str, event: e.ScenarioChanged | e.StepChanged) -> Description:
    reason = f": {event.reason}" if event.reason else ""
    level = _STEP_LEVELS.get(event.verdict, Severity.PLAIN)
    return Description(kind, f"{text}{reason}", level=level)


def _describe_own(event: e.SessionEvent) -> tuple[str, str]:
    match event:
        case e.SessionStarted():
            return "session", f"{event.protocol} {event.target}"
        case e.StatusChanged():
            return "status", f"{event.old} → {event.new}" + (f": {event.reason}" if event.reason else "")
        case e.EdgesCompared():
            return "self-check", _describe_comparison(event)
        case e.AudioOpened():
            return "audio", f"capture {event.capture}, playback {event.playback}"
        case e.RecordingChanged():
            return "record", "recording" if event.recording else "stopped"
        case e.MutedChanged():
            return "mute", "muted" if event.muted else "unmuted"
        case e.VolumeChanged():
            return "volume", f"{event.volume:.0%}"
        case e.LineChanged():
            words = f": {event.text}" if event.text and not event.finished else ""
            return "recorded line", f"{'finished' if event.finished else 'playing'} {event.name}{words}"
        case e.UserSpeech():
            return "user speech", f"agent reports {event.phase}"
        case e.SpeechEdge():
            return "speech", f"{event.speaker} {'started' if event.started else 'stopped'} ({event.method})"
        case e.Transcribed():
            return "transcript", f"{event.speaker}: {event.text}" + ("" if event.final else " …")
        case e.KeysPressed():
            return "keys", event.digits
        case e.ReplyStarted():
            return "reply", f"{event.reply} started, {event.format}"
        case e.ReplyEnded():
            return "reply", f"{event.reply} received, {event.received_ms / 1000:.2f} s"
        case e.PlaybackStarted():
            return "playback", f"started: {event.reply}"
        case e.PlaybackEnded():
            cut = f", {event.unheard_ms / 1000:.2f} s unplayed" if event.unheard_ms > 0 else ""
            return "playback", f"ended, {event.heard_ms / 1000:.2f} s played{cut}: {event.reply}"
        case e.Flushed():
            return "flush", f"{event.reason}, {event.unheard_ms / 1000:.2f} s unplayed"
        case e.LatencyReported():
            return "latency", f"agent reports {event.name} {event.reported_ms:.0f} ms"
        case e.SendingMeasured():
            took = f"p50 {event.p50_ms:.2f} ms, p99 {event.p99_ms:.2f} ms, worst {event.worst_ms:.0f} ms"
            return "sending", f"callback to socket {took}"
        case e.RoundTripMeasured():
            return "ping", f"round trip {event.round_trip_ms:.1f} ms"
        case e.UsageReported():
            return "usage", f"{event.what}: " + ", ".join(f"{k} {v:,.10g}" for k, v in event.figures.items())
        case _:
            return type(event).__name__, ""


def _describe_comparison(event: e.EdgesCompared) -> str:
    agreed = event.compared - event.disputed
    left_out = f"; {event.left_out:,} not compared" if event.left_out else ""
    return f"second detector: {agreed:,} of {numbers.counted(event.compared, 'edge')} confirmed{left_out}"


def _describe_doubt(event: e.LatenessSeen | e.EdgeDisputed) -> str:
    if isinstance(event, e.EdgeDisputed):
        return f"turn {event.turn}: {Dispute(event.edge, event.first_ns, event.second_ns)}"
    if event.what == "the event loop":
        return f"opusagent-tui fell {event.late_ms:.0f} ms behind"
    return f"{event.what} was {event.late_ms:.0f} ms late"


def _describe_tool(event: e.ToolChanged) -> str:
    if not event.finished:
        return f"{event.name}({event.arguments})"
    took = "" if event.duration_ms is None else f" in {event.duration_ms:.0f} ms"
    outcome = f"error: {event.error}" if event.error else event.result
    return f"{event.name} → {outcome}{took}"
