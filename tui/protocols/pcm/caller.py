"""The caller's end of plain PCM: acts as the client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import CallerSettings, Incoming, NewId, Outgoing, UtcNow, check_formats
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.implied_replies import ImplyingCaller
from tui.protocols.json_frames import Members, Message, audio_frame, cut, encode, outgoing
from tui.protocols.options import is_on
from tui.protocols.pcm import wire

_OPTIONS = ("rate", "play_rate", "hello", "end")


class PcmCaller(wire.PcmEnd, ImplyingCaller):
    """Acts as the client in one call.

    Options:

    * ``rate``: rate of the user's audio; by default 16000, or that of the first format.
    * ``play_rate``: rate of the agent's audio; by default, the same. A ``ready`` message with an
      ``output_sample_rate`` overrides it.
    * ``hello``: on, to begin with ``{"type":"start",…}``.
    * ``end``: on, to send ``{"type":"end"}`` and no more audio when the user stops.
    """

    def __init__(self, settings: CallerSettings, new_id: NewId, utc_now: UtcNow) -> None:
        options = settings.options
        settings.check_options("Plain PCM", _OPTIONS)
        check_formats("Plain PCM", settings.formats, wire.FORMATS)
        offered = wire.FORMATS[settings.formats[0]].rate if settings.formats else wire.DEFAULT_RATE
        rate = _rate_option(options, "rate", offered)
        wire.PcmEnd.__init__(self, rate, _rate_option(options, "play_rate", rate))
        ImplyingCaller.__init__(self)
        self._says_hello = is_on(options, "hello")
        self._says_end = is_on(options, "end")

    @property
    def user_stream_open(self) -> bool:
        """Whether audio may be sent: always during a call; with the option ``end``, only while the user speaks."""
        return self._in_call and (self._user_speaks or not self._says_end)

    @property
    def agent_detects_turns(self) -> bool:
        """Whether the agent detects the end of a turn; with the option ``end``, the caller announces the end."""
        return not self._says_end

    # Actions of the user.

    def opened(self) -> list[Outgoing]:
        """Sends the hello message if the option ``hello`` is on."""
        self._in_call = True
        if not self._says_hello:
            return []
        audio = {"sample_rate": self._user_format.rate, "channels": 1, "encoding": "pcm_s16le"}
        return [outgoing({"type": "start", **audio}, f"start, {self._user_format}")]

    def start_user_stream(self) -> list[Outgoing]:
        """Sends nothing: no message announces user audio."""
        self._user_speaks = True
        return []

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        """Sends user audio in one frame."""
        if not (self.user_stream_open and audio):
            return []
        return [audio_frame(audio, self._user_format, "user")]

    def stop_user_stream(self) -> list[Outgoing]:
        """With the option ``end``, ends the turn with a message.

        Without the option, sends nothing: the agent hears silence.
        """
        was_open, self._user_speaks = self.user_stream_open, False
        return [outgoing({"type": "end"}, "end")] if was_open and self._says_end else []

    def hang_up(self, reason: str = "Client Side") -> list[Outgoing]:
        """Ends an open turn. Closing the socket ends the call."""
        frames = self.stop_user_stream()
        self._in_call = False
        return frames

    # Messages from the agent.

    def _receive_audio(self, frame: bytes) -> Incoming:
        message = Message()
        if not frame:
            message.events += self._replies.stop()
            return message.incoming("end of audio")
        return message.incoming(self._play(message, frame))

    def _play(self, message: Message, frame: bytes) -> str:
        audio = self._samples.read(frame, message)
        message.audio_ms = self._play_format.duration_ms(len(audio))
        if audio:
            message.events += self._replies.audio(audio, self._play_format)
        return f"agent audio {message.audio_ms:.0f} ms"

    def _on_ready(self, message: Message) -> str:
        user_rate = wire.rate_in(message, "input_sample_rate", "sample_rate")
        if user_rate not in (None, self._user_format.rate):
            text = f"The agent expects {user_rate} Hz but receives {self._user_format.rate} Hz (set --option rate)."
            message.advise("other-rate", text)
        play_rate = wire.rate_in(message, "output_sample_rate")
        if play_rate:
            self._play_format = AudioFormat(Encoding.PCM16, play_rate)
        message.event(Type.CONFIG, params=message.body)
        return f"ready, sends {self._play_format}"

    def _on_transcript(self, message: Message) -> str:
        inner = message.inside("data") if isinstance(message.body.get("data"), dict) else message
        text, role = inner.text("text", required=True), (inner.text("role") or message.text("role")).lower()
        final = _is_final(inner)
        if role in ("", "user", "caller", "human"):
            message.event(Type.SPEECH_RECOGNITION if final else Type.SPEECH_HYPOTHESIS, text=text)
        else:
            # Text that arrives between replies may belong to the previous or the next one.
            stream_id = self._replies.stream_id if self._replies.open else ""
            # A final text is one sentence of the reply, and the next text is another sentence.
            part = self._replies.next_part(stream_id, final=final)
            message.event(Type.AGENT_TEXT, text=text, stream_id=stream_id, part=part, final=final)
        return f"{role or 'user'}{'' if final else ', so far'}: {text}"

    def _on_audio(self, message: Message) -> str:
        name = "audio" if message.has("audio") else "data"
        return self._play(message, message.audio(name))

    def _on_flush(self, message: Message) -> str:
        message.events += self._replies.clear(message.kind())
        return message.kind()

    def _on_end(self, message: Message) -> str:
        message.events += self._replies.stop(message.kind())
        return message.kind()

    def _on_error(self, message: Message) -> str:
        members = [message.body.get(name) for name in ("message", "error", "reason", "detail")]
        told = [member for member in members if isinstance(member, str)]
        reason = told[0] if told else cut(encode(message.body))
        # The protocol cannot mark a reply as failed, so after any error a client cannot expect an answer.
        message.event(Type.AGENT_ERROR, reason=reason, code=message.code(), answer_failed=True)
        return f"error: {reason}"

    _HANDLERS: ClassVar[Mapping[str, Callable[[PcmCaller, Message], str]]] = {
        "ready": _on_ready,
        "transcript": _on_transcript,
        "audio": _on_audio,
        "error": _on_error,
        "ping": wire.answer_ping,
        **dict.fromkeys(wire.FLUSH, _on_flush),
        **dict.fromkeys(wire.END, _on_end),
    }


def _is_final(members: Members) -> bool:
    """Returns whether ``final``, ``is_final`` or ``partial`` marks the text as final. True if all are absent."""
    for name, final in (("final", True), ("is_final", True), ("partial", False)):
        flag = members.flag(name)
        if flag is not None:
            return flag is final
    return True


def _rate_option(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default))
    rate = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not (wire.LOWEST_RATE <= rate <= wire.HIGHEST_RATE):
        limits = f"a whole number from {wire.LOWEST_RATE} to {wire.HIGHEST_RATE}"
        raise ValueError(f"The {name} option must be {limits} (Hz), not {cut(text, 60)!r}.")
    return rate
