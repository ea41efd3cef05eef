"""The caller's end of OpenAI Live: acts as a client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import CallerSettings, Finding, HangUpReason, Incoming, NewId, Outgoing, UtcNow
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import CallerDefaults
from tui.protocols.json_frames import Members, Message, cut, encode, outgoing
from tui.protocols.openai_live import wire
from tui.protocols.openai_live.start import LiveOptions
from tui.protocols.openai_live.track import FragmentLine, SpokenTrack

_BEHIND_MS = 2_000.0
"""How far the agent's track may lag behind the user's audio. Network delay causes less lag than this."""
_FULL_RATIO = 0.9
_REASONS = {
    "close_requested": "the session was closed",
    "expired": "the session reached its time limit",
    "remote_hangup": "the agent hung up",
    "content": "a safety filter ended the session",
    "connection_lost": "the service lost its connection",
}
_FAILURES = ("content", "connection_lost")


class LiveCaller(CallerDefaults):
    """Acts as a client in one call.

    The agent decides whether to stop when the user speaks, and does not announce that it stops. Options:

    * ``model``, ``instructions``, ``voice``.
    * ``greeting``: what the agent is asked to say first.
    * ``delegation``: client or responses, which is the default with tools.
    * ``delegation_model``: the model that handles delegated tasks.
    * ``result``: commentary or thinking; how the result of a task delegated to the client is returned.
    * ``tools``: a JSON array.
    * ``session``: a JSON object whose members replace those of the session.
    """

    def __init__(self, settings: CallerSettings, new_id: NewId, utc_now: UtcNow) -> None:
        self._options = LiveOptions(settings)
        self._media = self._options.media
        self._state = _SessionState()
        self._track = SpokenTrack()
        self._user_words, self._agent_words = FragmentLine(), FragmentLine()

    @property
    def user_format(self) -> AudioFormat | None:
        """The audio format in both directions; None before the session has started."""
        return wire.FORMATS[self._media] if self._state.started else None

    @property
    def user_stream_open(self) -> bool:
        """Whether audio may be sent: always during a session, because otherwise the agent's time would stop."""
        return self._state.started and not self._state.ending

    @property
    def goodbye_answered(self) -> bool:
        """Whether the agent has confirmed the end of the session, or the session never started."""
        return self._state.closed or not self._state.started

    @property
    def missing_goodbye(self) -> Finding:
        """The finding to report if the agent does not confirm the end of the session."""
        return Finding(
            "no-session-closed",
            "“session.close” was not answered with “session.closed”: the final usage is unknown.",
        )

    # Actions of the user.

    def opened(self) -> list[Outgoing]:
        """Starts the session. The agent sends nothing before that."""
        session = self._options.session()
        return [outgoing({"type": "session.start", "session": session}, f"start {session.get('model')}")]

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        """Sends user audio in one message."""
        if not (self.user_stream_open and audio):
            return []
        audio_ms = wire.FORMATS[self._media].duration_ms(len(audio))
        self._state.sent_ms += audio_ms
        body = {"type": "session.input_audio.append", "audio": audio}
        return [outgoing(body, f"user audio {audio_ms:.0f} ms", audio_ms)]

    def update_instructions(self, text: str) -> list[Outgoing]:
        """Adds to the agent's instructions, because they cannot be replaced during a session."""
        return self._append("instructions", text) if text else []

    def relay(self, message: Mapping[str, Any]) -> list[Outgoing]:
        """Sends the result of a tool, as a function's output or as the result of a delegated task."""
        item = message.get("item", {})
        if item.get("type") != "function_call_output":
            return []
        call_id, output = item["call_id"], str(item["output"])
        if call_id in self._state.tasks:
            self._state.tasks.discard(call_id)
            return self._append(self._options.appends_result, output, call_id)
        result = {"type": "function_call_output", "call_id": call_id, "output": output}
        return [
            outgoing({"type": "response.item.create", "item": result}, f"tool result: {output}"),
            outgoing({"type": "response.create"}, "the response continues"),
        ]

    @property
    def results_are_answered(self) -> bool:
        """Whether the agent speaks about the result of a tool."""
        return self._options.delegation == "responses" or self._options.appends_result == "commentary"

    def playback_finished(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Closes a reply that ran out of audio, so that later audio starts a new reply.

        After a flush, later audio of the reply is discarded.
        """
        if heard_ms >= received_ms:
            self._track.ran_dry(stream_id)
        return []

    def hang_up(self, reason: str = HangUpReason.USER) -> list[Outgoing]:
        """Requests the end of the session, which the agent confirms."""
        if self._state.ending or self._state.closed:
            return []
        self._state.ending = True
        return [outgoing({"type": "session.close"}, "close")]

    def _append(self, what: str, content: str, delegation_id: str | None = None) -> list[Outgoing]:
        if not self.user_stream_open:
            return []
        self._state.unplaced[what] += 1
        body = {"type": f"session.{what}.append", "content": content, "delegation_id": delegation_id}
        return [outgoing(body, f"{what}: {content}")]

    # Messages from the agent.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one message from the agent."""
        message = Message(frame)
        kind = message.kind()
        handler = self._HANDLERS.get(kind)
        if handler is None:
            if kind.startswith(wire.SIDEBAND_ONLY):
                text = f"“{cut(kind, 60)}” is only for observers of a session; it was ignored."
                message.find("sideband-event", text)
                return message.incoming(kind)
            return message.incoming(message.unknown())
        if kind != "session.output_audio.delta":
            message.ident("event_id", required=True)
        if not self._state.started and kind not in ("session.started", "error", "info"):
            message.find("before-session-started", f"“{kind}” was sent before “session.started”.")
        return message.incoming(handler(self, message))

    def _on_started(self, message: Message) -> str:
        session = message.inside("session")
        ident, model = session.ident("id", required=True), session.text("model", required=True)
        if self._state.started:
            message.ignore_repeated("repeated-session-started", "")
            return "session started again"
        self._state.started = True
        audio_format = session.inside("audio").inside("format")
        if audio_format.body and (media := wire.format_in(audio_format)) != self._media:
            text = (
                f"The session's audio is {cut(encode(audio_format.body), 60)}; {self._media} was requested."
            )
            message.find("other-format", text)
            self._media = media or self._media
        asked = self._options.session().get("model")
        if model and asked and not model.startswith(str(asked)):
            message.advise(
                "other-model", f"The session uses the model {cut(model, 60)}; {asked} was requested."
            )
        message.event(Type.SESSION_ACCEPTED, format=self.user_format, text=self._media)
        if self._options.greeting:
            message.replies += self._append("commentary", self._options.greeting)
        return f"session started, {cut(model, 40)}, {ident}"

    def _on_updated(self, message: Message) -> str:
        message.event(Type.CONFIG, params=message.inside("session").body)
        return "session updated"

    def _on_audio(self, message: Message) -> str:
        audio, audio_format = message.audio("delta"), wire.FORMATS[self._media]
        start_ms, end_ms = _range_in(message)
        if audio_format.encoding is Encoding.PCM16 and len(audio) % 2:
            message.find(
                "odd-bytes",
                f"The audio has {len(audio)} bytes, which is not a whole number of 16-bit samples.",
            )
        message.audio_ms = audio_format.duration_ms(len(audio))
        if audio:
            message.events += self._track.audio(audio, audio_format, start_ms, end_ms)
            self._check_time(message)
        self._finish_lines(message, self._track.now_ms)
        return f"agent audio {message.audio_ms:.0f} ms"

    def _check_time(self, message: Message) -> None:
        """Reports advice if the agent's track stops or, once, if the track is shorter than the user's audio."""
        if self._track.stalled:
            text = "The agent's audio stopped in the middle of a sound, although its track is continuous."
            message.advise("track-stalled", text)
        behind_ms = self._state.sent_ms - self._track.now_ms
        if behind_ms >= _BEHIND_MS and not self._state.reported_behind:
            self._state.reported_behind = True
            text = (
                f"The agent sent {behind_ms / 1000:.1f} s less audio than it received: its track has gaps, or it"
                " is sent more slowly than real time."
            )
            message.advise("track-behind", text)

    def _on_agent_words(self, message: Message) -> str:
        start_ms, end_ms = _range_in(message, required=True)
        text, at_ms = message.text("delta", required=True), start_ms or 0.0
        reply = self._track.reply_at(at_ms)
        if not self._agent_words.continues(reply, at_ms):
            self._finish_agent_line(message)
            self._agent_words.begin(reply)
        self._agent_words.add(text, end_ms or at_ms)
        if words := self._agent_words.text.strip():
            message.event(Type.AGENT_TEXT, stream_id=reply, text=words, final=False)
        return f"agent: {text.strip()}"

    def _on_user_words(self, message: Message) -> str:
        start_ms, end_ms = _range_in(message, required=True)
        text, at_ms = message.text("delta", required=True), start_ms or 0.0
        if not self._user_words.continues("", at_ms):
            self._finish_user_line(message)
            self._user_words.begin()
        self._user_words.add(text, end_ms or at_ms)
        if words := self._user_words.text.strip():
            message.event(Type.SPEECH_HYPOTHESIS, stream_id=self._user_words.item, text=words)
        return f"user: {text.strip()}"

    def _finish_lines(self, message: Message, now_ms: float) -> None:
        if self._user_words.is_over(now_ms):
            self._finish_user_line(message)
        if self._agent_words.is_over(now_ms):
            self._finish_agent_line(message)

    def _finish_user_line(self, message: Message) -> None:
        if words := self._user_words.close():
            self._state.request = words
            message.event(Type.SPEECH_RECOGNITION, stream_id=self._user_words.item, text=words)

    def _finish_agent_line(self, message: Message) -> None:
        if words := self._agent_words.close():
            message.event(Type.AGENT_TEXT, stream_id=self._agent_words.item, text=words)

    def _on_delegation(self, message: Message) -> str:
        delegation = message.inside("delegation")
        ident, target = delegation.ident("id", required=True), delegation.text("target", required=True)
        if target and target != self._options.delegation:
            text = f"A task was delegated to {cut(target, 40)}; the session delegates to {self._options.delegation}."
            delegation.find("other-delegation", text)
        if target == "client" and ident:
            if tool := self._options.task_tool:
                self._state.tasks.add(ident)
                words = self._user_words.text.strip() or self._state.request
                message.event(Type.TOOL_CALL, stream_id=ident, text=tool, params={"request": words})
            else:
                text = "The agent delegated a task to this client, which has no tool for it (--tools)."
                message.advise("unanswered-delegation", text)
        return f"task delegated to {cut(target, 40)}"

    def _on_response_event(self, message: Message) -> str:
        event = message.inside("event")
        kind = event.text("type", required=True)
        item = event.inside("item")
        if kind == "response.output_item.done" and item.text("type") == "function_call":
            name, call_id = item.text("name", required=True), item.ident("call_id", required=True)
            arguments = item.arguments()
            message.event(Type.TOOL_CALL, stream_id=call_id, text=name, params=arguments)
            return f"tool call: {cut(name, 60)} {encode(arguments)}"
        if kind in ("response.failed", "error"):
            error = event.inside("response").inside("error") if kind == "response.failed" else event
            reason = error.text("message") or "The delegated response failed."
            message.event(Type.AGENT_ERROR, reason=reason, code=cut(error.text("code"), 60))
            return f"response failed: {reason}"
        if usage := event.inside("response").inside("usage").body:
            message.event(Type.USAGE, text="delegated tokens", params=usage)
        return f"response: {cut(kind, 60)}"

    def _on_usage(self, message: Message) -> str:
        self._count_usage(message, message.inside("usage"))
        ratio = message.inside("context_window").number("usage_ratio")
        if ratio is None:
            return f"usage: {self._state.used_s:g} s"
        message.event(Type.USAGE, text="context window", params={"percent": round(ratio * 100, 1)})
        if ratio >= _FULL_RATIO and not self._state.reported_full:
            self._state.reported_full = True
            text = f"The context window is {ratio:.0%} full; the agent will soon forget how the call began."
            message.advise("context-window-full", text)
        return f"usage: {self._state.used_s:g} s, context window {ratio:.0%}"

    def _count_usage(self, message: Message, usage: Members) -> None:
        seconds = usage.number("seconds")
        if seconds is None:
            usage.find("missing-member", "usage.seconds is missing; expected a number.")
            return
        if seconds < self._state.used_s:
            text = (
                f"usage.seconds fell from {self._state.used_s:g} to {seconds:g}, although it is cumulative."
            )
            message.find("usage-fell", text)
        self._state.used_s = seconds
        message.event(Type.USAGE, text="session", params=usage.body)

    def _on_appended(self, message: Message) -> str:
        what = message.kind().split(".")[1]
        _range_in(message, required=True)
        if self._state.unplaced[what] <= 0:
            message.find("unexpected-appended", f"“{message.kind()}” was sent, but nothing was appended.")
        self._state.unplaced[what] -= 1
        return f"{what} placed"

    def _on_closed(self, message: Message) -> str:
        reason = message.text("reason", required=True)
        words = _REASONS.get(reason)
        if reason and words is None:
            message.find(
                "unknown-reason", f"The reason is {cut(reason, 40)}; expected one of {', '.join(_REASONS)}."
            )
        self._count_usage(message, message.inside("usage"))
        self._finish_user_line(message)
        self._finish_agent_line(message)
        message.events += self._track.replies.stop(reason)
        self._advise_unplaced(message)
        asked_for = self._state.ending and reason == "close_requested"
        self._state.closed = self._state.ending = True
        if reason in _FAILURES:
            text = f"The session ended: {words}."
            message.event(Type.AGENT_ERROR, reason=text, code=reason, fatal=True)
        elif not asked_for:
            message.event(Type.HANG_UP, reason=words or cut(reason, 60))
        return f"session closed: {cut(reason, 60)}"

    def _advise_unplaced(self, message: Message) -> None:
        missing = {what: count for what, count in self._state.unplaced.items() if count > 0}
        if missing:
            counts = ", ".join(f"{count} of {what}" for what, count in missing.items())
            message.advise(
                "not-appended", f"The session ended before the agent confirmed these additions: {counts}."
            )

    def _on_error(self, message: Message) -> str:
        error = message.inside("error")
        reason = error.text("message", required=True) or "The agent reported an error without details."
        code = error.text("code", required=True)
        # Before the session starts, an error is the answer to the start message; later errors need not end
        # the session.
        fatal = not self._state.started
        message.event(Type.AGENT_ERROR, reason=reason, code=cut(code, 60), fatal=fatal)
        return f"error: {reason}"

    def _on_info(self, message: Message) -> str:
        return f"info: {message.text('message') or message.text('code')}"

    _HANDLERS: ClassVar[Mapping[str, Callable[[LiveCaller, Message], str]]] = {
        "session.started": _on_started,
        "session.updated": _on_updated,
        "session.output_audio.delta": _on_audio,
        "session.output_transcript.delta": _on_agent_words,
        "session.input_transcript.delta": _on_user_words,
        "session.delegation.created": _on_delegation,
        "response.event": _on_response_event,
        "session.usage.updated": _on_usage,
        "session.closed": _on_closed,
        "error": _on_error,
        "info": _on_info,
        **dict.fromkeys(
            ("session.instructions.appended", "session.thinking.appended", "session.commentary.appended"),
            _on_appended,
        ),
        **dict.fromkeys(
            (
                "session.input_audio.muted",
                "session.input_audio.unmuted",
                "session.output_audio.fixture.playing",
                "session.output_audio.fixture.played",
                "decision.event",
                "decision.item.created",
                "decision.item.deleted",
            ),
            lambda caller, message: message.kind(),
        ),
    }


class _SessionState:
    """The state of the session."""

    def __init__(self) -> None:
        self.started = False
        self.ending = False
        """Whether the end was requested."""
        self.closed = False
        self.sent_ms = 0.0
        self.used_s = 0.0
        self.request = ""
        """The user's newest line."""
        self.tasks: set[str] = set()
        """Ids of tasks that were delegated to this client."""
        self.unplaced: Counter[str] = Counter()
        """Number of additions to the session that have not been confirmed, by kind."""
        self.reported_behind = False
        self.reported_full = False


def _range_in(message: Message, *, required: bool = False) -> tuple[float | None, float | None]:
    """Returns ``start_ms`` and ``end_ms``. Reports a range that is missing or goes backwards."""
    start_ms, end_ms = message.number("start_ms"), message.number("end_ms")
    if required and (start_ms is None or end_ms is None):
        message.find("missing-member", "start_ms or end_ms is missing; expected numbers.")
    if start_ms is not None and end_ms is not None and end_ms < start_ms:
        message.find("backward-range", f"The range ends ({end_ms:g} ms) before it begins ({start_ms:g} ms).")
        return start_ms, start_ms
    return start_ms, end_ms
