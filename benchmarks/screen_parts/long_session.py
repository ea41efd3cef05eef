"""Measures opening a saved session of an hour in the real program in tmux."""

from __future__ import annotations

import base64
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from benchmarks.measuring import Measured, megabytes, peak_resident_bytes
from tests.e2e.terminal import Terminal
from tui.models import events as e
from tui.saving.folder_writer import FolderWriter
from tui.saving.record import SessionRecord

SIZE = (120, 40)
HOUR_S, QUICK_S = 3600, 300
SPEED = 100
TURN_S = 12
"""Length of a turn in seconds: a question of three seconds, and the answer."""
MAX_RESIDENT_BYTES = 150e6
LIMIT_S = 180.0
MS = 1_000_000
AUDIO = base64.b64encode(bytes(range(256)) * 2 + bytes(128)).decode()


def measure(*, quick: bool) -> Iterator[Measured]:
    """Yields memory and seconds, for showing the session immediately and for replaying it at high speed."""
    seconds = QUICK_S if quick else HOUR_S
    with tempfile.TemporaryDirectory() as name:
        session = Path(name, "session")
        session.mkdir()
        count = write_session(session, seconds)
        what = f"a session of {seconds // 60} minutes, {count:,} events"
        for how, options in (
            ("at once", ()),
            (f"replayed at {SPEED} times its speed", ("--speed", str(SPEED))),
        ):
            took_s, peak_bytes = _opened(session, options, count)
            yield Measured(
                f"{what}, {how}: resident at most",
                f"{megabytes(peak_bytes)}, all there after {took_s:.1f} s",
                megabytes(MAX_RESIDENT_BYTES),
                peak_bytes <= MAX_RESIDENT_BYTES,
            )


def _opened(session: Path, options: tuple[str, ...], count: int) -> tuple[float, int]:
    """Returns the seconds until the last event is on the screen, and the program's peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(Path(folder), {"XDG_CONFIG_HOME": folder, "XDG_DATA_HOME": folder}, SIZE)
        began = time.perf_counter()
        terminal.run("open", str(session), *options)
        try:
            terminal.wait_for(f"Events · {count:,}", limit_s=LIMIT_S)
            took_s = time.perf_counter() - began
            peak_bytes = peak_resident_bytes(terminal.process("tui"))
            terminal.press("q")
            terminal.wait_for("EXIT 0")
        finally:
            terminal.kill()
        return took_s, peak_bytes


def write_session(folder: Path, seconds: int) -> int:
    """Writes a session with fifty messages a second each way and a turn every `TURN_S`.

    Returns the number of events.
    """
    writing = Writing(folder)
    writing.add(e.SessionStarted, 0, session_id="1", started_utc="", target="ws://x", protocol="audiocodes")
    for old, new in pairwise((e.Status.IDLE, e.Status.CONNECTING, e.Status.INITIATING, e.Status.ACTIVE)):
        writing.add(e.StatusChanged, 0, old=old, new=new)
    for turn in range(seconds // TURN_S):
        writing.turn(turn, turn * TURN_S * 1000)
    for old, new in pairwise((e.Status.ACTIVE, e.Status.ENDING, e.Status.ENDED)):
        writing.add(e.StatusChanged, seconds * 1000, old=old, new=new)
    writing.close(seconds * 1000)
    return writing.events


class Writing:
    """A session that is saved as in a call, but faster."""

    def __init__(self, folder: Path) -> None:
        self.events = 0
        self._messages_bytes = 0
        record = SessionRecord(title="made up", protocol="audiocodes")
        self._files = FolderWriter(folder, record, began_ns=0)

    def add(self, make: Callable[..., e.SessionEvent], at_ms: float, /, **fields: object) -> None:
        """Adds the next event."""
        self.events += 1
        self._files.event(make(number=self.events, at_ns=int(at_ms * MS), **fields))

    def turn(self, number: int, begin_ms: int) -> None:
        """Adds a question and its answer, with continuous audio both ways."""
        reply, user, agent = f"play-{number}", e.Party.USER, e.Party.AGENT
        question, answer = f"what about order number {number}", f"order number {number} is on its way to you"
        steps: dict[int, tuple[Callable[..., e.SessionEvent], dict[str, object]]] = {
            500: (e.SpeechEdge, {"speaker": user, "started": True, "method": "silero"}),
            3000: (e.SpeechEdge, {"speaker": user, "started": False, "method": "silero"}),
            3200: (e.Transcribed, {"speaker": user, "text": question, "final": True}),
            3400: (e.ReplyStarted, {"reply": reply, "format": "raw/lpcm16"}),
            3500: (e.PlaybackStarted, {"reply": reply}),
            3600: (e.SpeechEdge, {"speaker": agent, "started": True, "method": "silero"}),
            3800: (e.Transcribed, {"speaker": agent, "text": answer, "final": True, "item": reply}),
            11_000: (e.SpeechEdge, {"speaker": agent, "started": False, "method": "silero"}),
            11_200: (e.ReplyEnded, {"reply": reply, "received_ms": 7_800.0}),
            11_400: (e.PlaybackEnded, {"reply": reply, "heard_ms": 7_800.0}),
        }
        for offset_ms in range(0, TURN_S * 1000, 20):
            if offset_ms in steps:
                kind, fields = steps[offset_ms]
                self.add(kind, begin_ms + offset_ms, **fields)
            self._message(begin_ms + offset_ms, e.Direction.SENT, "userStream.chunk", "user audio 20 ms")
            self._message(
                begin_ms + offset_ms + 10, e.Direction.RECEIVED, "playStream.chunk", "agent audio 20 ms"
            )
        self._files.flush(int(begin_ms * MS))

    def close(self, at_ms: int) -> None:
        """Ends the session."""
        self._files.flush(at_ms * MS)
        self._files.close(at_ms * MS)

    def _message(self, at_ms: int, direction: e.Direction, kind: str, summary: str) -> None:
        raw = f'{{"type":"{kind}","audioChunk":"{AUDIO}"}}'.encode()
        self._files.message(raw)
        self.add(
            e.MessageLogged,
            at_ms,
            direction=direction,
            kind=kind,
            summary=summary,
            size_bytes=len(raw),
            offset=self._messages_bytes,
            audio_ms=20.0,
        )
        self._messages_bytes += len(raw)
