"""The agent's end of plain PCM: acts as the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import Incoming, NewId, Outgoing, TelephonyEvent, UtcNow
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import AgentDefaults
from tui.protocols.json_frames import Message, audio_frame, outgoing
from tui.protocols.pcm import wire


class PcmAgent(wire.PcmEnd, AgentDefaults):
    """Acts as the server on one socket.

    Announces the sample rates, marks the end of replies and sends transcripts.
    """

    def __init__(
        self, new_id: NewId, utc_now: UtcNow, *, rate: int = wire.DEFAULT_RATE, play_rate: int | None = None
    ) -> None:
        super().__init__(rate, play_rate or rate)
        self._open_stream_id: str | None = None
        self._last_stream_id: str | None = None

    # Actions of the agent.

    def opened(self) -> list[Outgoing]:
        """Announces the sample rates."""
        rates = {"sample_rate": self._user_format.rate, "output_sample_rate": self._play_format.rate}
        return [outgoing({"type": "ready", **rates}, f"ready, sends {self._play_format}")]

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Starts a reply by sending its text, after ending an earlier reply that is still open."""
        before = self.say_stop(self._open_stream_id) if self._open_stream_id is not None else []
        self._open_stream_id = self._last_stream_id = stream_id
        return [*before, _transcript("agent", text)] if text else before

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Sends audio of a reply in one frame. Sends nothing if the reply is not open."""
        if not (stream_id == self._open_stream_id and audio):
            return []
        return [audio_frame(audio, self._play_format, "agent")]

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Ends a reply. Flushes an interrupted reply, even if all of it has been sent."""
        was_open, was_last = stream_id == self._open_stream_id, stream_id == self._last_stream_id
        self._open_stream_id = None if was_open else self._open_stream_id
        if interrupted and was_last:
            self._last_stream_id = None
            return [outgoing({"type": "interrupt"}, "interrupt")]
        return [outgoing({"type": "end"}, "end")] if was_open else []

    def hypothesis(self, text: str) -> list[Outgoing]:
        """Sends partial text of the user's turn."""
        return [_transcript("user", text, final=False)]

    def recognition(self, text: str, confidence: float) -> list[Outgoing]:
        """Sends the final text of the user's turn."""
        return [_transcript("user", text)]

    # Messages from the caller.

    def _receive_audio(self, frame: bytes) -> Incoming:
        message = Message()
        if not frame:
            message.events += self._end_turn()
            return message.incoming("end of audio")
        audio = self._samples.read(frame, message)
        message.audio_ms = self._user_format.duration_ms(len(audio))
        message.events += self._begin_call({})
        if not self._user_speaks:
            self._user_speaks = True
            message.event(Type.USER_STREAM_START, format=self._user_format)
        if audio:
            message.event(Type.USER_STREAM_CHUNK, format=self._user_format, audio=audio)
        return message.incoming(f"user audio {message.audio_ms:.0f} ms")

    def _on_start(self, message: Message) -> str:
        rate, channels = wire.rate_in(message, "sample_rate"), message.number("channels")
        encoding = message.text("encoding")
        if channels not in (None, 1) or encoding not in ("", "pcm_s16le"):
            message.find("other-format", "Expected 16-bit little-endian mono PCM (pcm_s16le, 1 channel).")
        if rate:
            self._user_format = AudioFormat(Encoding.PCM16, rate)
        message.events += self._begin_call(message.body)
        return f"start, {self._user_format}"

    def _on_end(self, message: Message) -> str:
        message.events += self._end_turn()
        return message.kind()

    def _begin_call(self, params: Mapping[str, Any]) -> list[TelephonyEvent]:
        if self._in_call:
            return []
        self._in_call = True
        return [
            TelephonyEvent(type=Type.SESSION_INITIATE, format=self._user_format, params=params),
            TelephonyEvent(type=Type.CALL_STARTED),
        ]

    def _end_turn(self) -> list[TelephonyEvent]:
        if not self._user_speaks:
            return []
        self._user_speaks = False
        return [TelephonyEvent(type=Type.USER_STREAM_STOP)]

    _HANDLERS: ClassVar[Mapping[str, Callable[[PcmAgent, Message], str]]] = {
        "start": _on_start,
        "ping": wire.answer_ping,
        **dict.fromkeys(wire.END, _on_end),
    }


def _transcript(role: str, text: str, *, final: bool = True) -> Outgoing:
    words = {"type": "transcript", "role": role, "text": text, "final": final}
    return outgoing(words, f"{role}{'' if final else ', so far'}: {text}")
