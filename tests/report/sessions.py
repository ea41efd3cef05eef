"""Creates a saved session with audio without a call."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec

from tests.builders import MS, begins, heard, loss, message, numbered, played, plays, said, started, status
from tui.assets import caller_lines, prompts
from tui.audio.wav import read_wav
from tui.models import events as e
from tui.models.target import Target
from tui.models.turns.metrics import MetricsFold
from tui.saving.writer import SessionWriter

RATE = 16_000
GREETING_MS, QUESTION_MS, ANSWER_MS, LENGTH_MS = 300, 3_000, 6_500, 10_000
HOSTILE = "</script><script>window.hacked = 1</script> \u202egnp.exe \x1b[31m <b>bold</b> &amp; \ud800"
GREETING = "Hello."
QUESTION = f"Yes. {HOSTILE}"


def _agent_says(reply: str, text: str, at_ms: float, pcm: bytes) -> list[e.SessionEvent]:
    ms = len(pcm) / 2 / RATE * 1000
    return [
        begins(reply, at_ms - 70),
        said(e.Party.AGENT, text, item=reply, at_ms=at_ms - 65),
        plays(reply, at_ms, arrived_ms=at_ms - 60, handed_ms=at_ms - 20),
        *heard(at_ms, at_ms + ms),
        played(reply, at_ms + ms, ms),
    ]


def events_of_a_call(greeting: bytes, answer: bytes) -> list[e.SessionEvent | bytes]:
    """Returns the events of a call with hostile words, a tool call, a finding, an error and a loss."""
    s = e.Status
    raw = json.dumps({"type": "hello", "text": HOSTILE}).encode()
    hello = msgspec.structs.replace(message("hello", at_ms=30, size_bytes=len(raw)), offset=0)
    edges = [
        e.SpeechEdge(
            at_ns=int(at_ms * MS),
            speaker=e.Party.USER,
            started=begins,
            method="silero",
            captured_ns=int((at_ms + 15) * MS),
            sent_ns=int((at_ms + 18) * MS),
        )
        for at_ms, begins in ((QUESTION_MS + 30, True), (QUESTION_MS + 640, False))
    ]
    listed: list[e.SessionEvent] = [
        started(),
        status(s.IDLE, s.CONNECTING, 1),
        status(s.CONNECTING, s.INITIATING, 10),
        hello,
        status(s.INITIATING, s.ACTIVE, 40),
        *_agent_says("r1", GREETING, GREETING_MS, greeting),
        edges[0],
        *(message("userStream.chunk", e.Direction.SENT, at, audio_ms=20) for at in range(3000, 3800, 20)),
        edges[1],
        said(e.Party.USER, QUESTION, at_ms=4_900),
        e.ToolChanged(at_ns=5_000 * MS, call="c1", name="hours", arguments='{"day": "<i>today</i>"}'),
        e.ToolChanged(at_ns=5_800 * MS, call="c1", name="hours", result=HOSTILE, finished=True),
        *_agent_says("r2", "We are open.", ANSWER_MS, answer),
        e.FindingRaised(at_ns=9_000 * MS, rule="odd", text=HOSTILE),
        e.ErrorRaised(at_ns=9_100 * MS, source="agent", code="odd", message=HOSTILE),
        loss(count=1, at_ms=9_200),
        status(s.ACTIVE, s.ENDING, LENGTH_MS - 10),
        status(s.ENDING, s.ENDED, LENGTH_MS, HOSTILE),
    ]
    ordered = numbered(listed)
    return [*ordered[:3], raw, *ordered[3:]]


def save_call(parent: Path) -> Path:
    """Saves the session; returns its folder."""
    return asyncio.run(_save(parent))


async def _save(parent: Path) -> Path:
    greeting, answer = (read_wav(prompts()[name].path, RATE) for name in ("confirmed", "listening"))
    question = read_wav(next(line for line in caller_lines() if line.name == "yes").path, RATE)
    target = Target(url="ws://127.0.0.1:9/audiocodes", title="demo", save=str(parent), protocol="audiocodes")
    now_ms = 0.0
    fold = MetricsFold()
    writer = await SessionWriter.start(target, print, lambda: fold.metrics, clock_ns=lambda: int(now_ms * MS))
    for event in events_of_a_call(greeting, answer):
        if isinstance(event, bytes):
            writer.append(event)
        else:
            fold.apply(event)
            writer.take(event)
    for begin_ms, pcm in ((GREETING_MS, greeting), (ANSWER_MS, answer)):
        writer.agent_heard(int(begin_ms * MS), pcm, RATE)
    for at in range(0, len(question), 640):
        block = question[at : at + 640]
        writer.user_sent(int((QUESTION_MS + (at + len(block)) / 2 / RATE * 1000) * MS), block, RATE)
    now_ms = float(LENGTH_MS)
    await writer.close()
    return writer.folder
