"""The caller's end of the Realtime API: acts as an ordinary client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar

from tui.audio.formats import AudioFormat
from tui.protocols.base import CallerSettings, Incoming, NewId, Outgoing, UtcNow
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import CallerDefaults
from tui.protocols.json_frames import Members, Message, cut, outgoing
from tui.protocols.openai_realtime import wire
from tui.protocols.openai_realtime.options import Wishes
from tui.protocols.openai_realtime.partial_transcripts import PartialTranscripts
from tui.protocols.openai_realtime.responses import ReplyItem, Response, Responses, part_of

_FATAL = frozenset(
    {
        "session_expired",
        "invalid_api_key",
        "beta_api_shape_disabled",
        "insufficient_quota",
        "model_not_found",
    }
)
_NOTHING_TO_CANCEL = "response_cancel_not_active"
"""The error code after a race: the response ended while its cancellation was in transit."""
_BEFORE_UPDATED = (
    "session.created",
    "session.updated",
    "error",
    "conversation.created",
    "rate_limits.updated",
)


class _Stage(Enum):
    """The stages of a call."""

    OPENING = auto()
    CONFIGURING = auto()
    ACTIVE = auto()
    ENDED = auto()


@dataclass(slots=True)
class _UserAudio:
    """The format of the user's audio, and how much of it is in the agent's input buffer."""

    format: AudioFormat | None = None
    """None until the agent has confirmed the session."""
    wanted: bool = False
    """Whether the user is recording."""
    buffered_bytes: int = 0


class OpenAICaller(CallerDefaults):
    """Acts as a client of the Realtime API in one call.

    Options:

    * ``instructions``, ``voice``, ``format``, ``output_format``.
    * ``turn_detection``: server_vad, semantic_vad or off; by default, the agent's own.
    * ``transcription``: a model, or off. ``language``: the language for transcription.
    * ``tools``: a JSON array.
    * ``session``: a JSON object with further members of the session.
    * ``greet``: on, if the agent is asked to speak first.
    * ``dialect``: ga, beta, auto, azure-voice-live or xai.
    * ``truncate``: on or off; whether to inform the agent of how much was heard. The default depends on the
      dialect.
    * ``model``: belongs in the URL (`connect_url`).
    """

    barge_in = True
    """Whether the user may interrupt."""

    def __init__(self, settings: CallerSettings, new_id: NewId, utc_now: UtcNow) -> None:
        self._wishes = Wishes(settings)
        self._new_id = new_id
        self.barge_in = settings.barge_in
        self._stage = _Stage.OPENING
        self._beta = self._wishes.dialect.beta is True
        self._update_id = ""
        wishes = self._wishes
        self._session = wire.Effective(
            wishes.input_format, wishes.output_format, {}, wishes.dialect.pcm_rates
        )
        self._input = _UserAudio()
        self._responses = Responses()
        self._transcripts = PartialTranscripts()
        self._noted: set[str] = set()

    @property
    def user_format(self) -> AudioFormat | None:
        """The audio format for `user_audio`; None until the agent has confirmed the session."""
        return self._input.format

    @property
    def play_format(self) -> AudioFormat | None:
        """The format expected for replies."""
        return self._session.output_format

    @property
    def user_stream_open(self) -> bool:
        """Whether the microphone is on and the user does not have to wait for the agent to finish."""
        may_speak = self.barge_in or not self._responses.playing
        return self._stage is _Stage.ACTIVE and self._input.wanted and may_speak

    @property
    def agent_detects_turns(self) -> bool:
        """Whether the agent detects the end of turns. If not, `stop_user_stream` requests the answer."""
        return self._session.turn_detection is not None

    # Actions of the user.

    def start_user_stream(self) -> list[Outgoing]:
        """Allows user audio to be sent. The protocol has no message for the start of user audio."""
        self._input.wanted = True
        return []

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        """Appends user audio to the agent's input buffer."""
        if not (self.user_stream_open and self._input.format and audio):
            return []
        self._input.buffered_bytes += len(audio)
        audio_ms = self._input.format.duration_ms(len(audio))
        append = {"type": "input_audio_buffer.append", "audio": audio}
        return [outgoing(append, f"user audio {audio_ms:.0f} ms", audio_ms)]

    def stop_user_stream(self) -> list[Outgoing]:
        """Stops user audio. If the agent does not detect turns, also ends the turn and requests the answer."""
        was_wanted, self._input.wanted = self._input.wanted, False
        if not was_wanted or self.agent_detects_turns or not self._input.format:
            return []
        buffered_ms = self._input.format.duration_ms(self._input.buffered_bytes)
        self._input.buffered_bytes = 0
        if buffered_ms >= wire.MIN_COMMIT_MS:
            self._responses.item_sent()
            return [self._message("input_audio_buffer.commit", "commit user audio"), *self._ask_at_once()]
        if not buffered_ms:
            return []
        summary = f"clear user audio: {buffered_ms:.0f} ms is too short for a turn"
        return [self._message("input_audio_buffer.clear", summary)]

    def user_text(self, text: str) -> list[Outgoing]:
        """Sends a typed turn and requests the answer."""
        if self._stage is not _Stage.ACTIVE or not text:
            return []
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        self._responses.item_sent()
        create = self._message("conversation.item.create", f"message: {text}", item=item)
        return [create, *self._ask_at_once()]

    def relay(self, message: Mapping[str, Any]) -> list[Outgoing]:
        """Sends a message from a `FunctionHandler`. A request for an answer may have to wait."""
        kind = message["type"]
        if kind == "response.create":
            self._responses.owe()
            return self._request_answer()
        self._responses.item_sent()
        item = message.get("item")
        about = f": {item['type']}" if isinstance(item, Mapping) and "type" in item else ""
        return [outgoing({"event_id": self._new_id(), **message}, f"{kind}{about}")]

    def update_instructions(self, text: str) -> list[Outgoing]:
        """Changes the agent's instructions.

        Before the session exists, keeps the instructions for the first update.
        """
        self._wishes.instructions = text
        if self._stage not in (_Stage.CONFIGURING, _Stage.ACTIVE):
            return []
        return [self._update({"instructions": text}, f"instructions: {text}", self._new_id())]

    def playback_finished(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Sends nothing: the agent assumes that the whole reply was heard, unless `interrupted` is called."""
        if reply := self._responses.reply(stream_id):
            reply.heard = True
        return []

    def interrupted(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Cancels the response if it is still active, and reports how much of the reply was heard."""
        reply = self._responses.reply(stream_id)
        if reply is None or self._stage is not _Stage.ACTIVE:
            return []
        reply.cut = True
        return [*self._cancel(reply.response), *self._truncate(reply, min(heard_ms, received_ms))]

    def hang_up(self, reason: str = "Client Side") -> list[Outgoing]:
        """Sends nothing: closing the socket ends the session."""
        self._stage = _Stage.ENDED
        self._input.wanted = False
        return []

    # Messages from the agent.

    def receive(self, frame: str | bytes) -> Incoming:
        """Handles one message from the agent."""
        message = Message(frame)
        kind = wire.GA_NAMES.get(message.kind(), message.kind())
        handler = self._HANDLERS.get(kind)
        if handler is None:
            known = self._wishes.dialect.knows(kind)
            return message.incoming(self._on_foreign(message) if known else message.unknown())
        self._check_common(message, kind)
        if self._stage is _Stage.CONFIGURING and kind not in _BEFORE_UPDATED:
            message.find(
                "session-not-updated", f"“{message.kind()}” was sent before the answer to “session.update”."
            )
            self._accept(message)
        return message.incoming(handler(self, message))

    def _on_session_created(self, message: Message) -> str:
        session = message.inside("session")
        if self._stage is not _Stage.OPENING:
            if self._wishes.dialect.opens_with:
                return "session created"
            message.ignore_repeated("repeated-session-created", "")
            return "session created again"
        if self._wishes.dialect.beta is None:
            self._beta = not session.has("type")
        self._session.read(session)
        self._configure(message)
        return " ".join(filter(None, ("session created", session.text("model"), "(beta)" * self._beta)))

    def _on_conversation_created(self, message: Message) -> str:
        if self._stage is _Stage.OPENING and message.kind() == self._wishes.dialect.opens_with:
            self._configure(message)
        return wire.describe(message)

    def _configure(self, message: Message) -> None:
        """Answers the agent's first message with the settings of this call."""
        self._stage = _Stage.CONFIGURING
        wanted = self._wishes.session(beta=self._beta, in_force=self._session.turn_detection)
        if self._wishes.instructions:
            wanted["instructions"] = self._wishes.instructions
        self._update_id = self._new_id()
        message.replies.append(self._update(wanted, "session settings", self._update_id))

    def _on_session_updated(self, message: Message) -> str:
        session = message.inside("session")
        self._session.read(session)
        if self._stage is _Stage.CONFIGURING:
            self._check_formats(message)
            self._accept(message)
        else:
            message.event(Type.CONFIG, params=session.body)
        return " ".join(filter(None, ("session updated", session.text("instructions"))))

    def _on_error(self, message: Message) -> str:
        error = message.inside("error")
        code = error.text("code") or error.text("type", required=True)
        text = error.text("message", required=True)
        if code == _NOTHING_TO_CANCEL:
            self._nothing_is_active(message)
            return f"nothing to cancel: {text}"
        if self._responses.refused(wire.ident(error, "event_id"), code):
            return f"requested too early; the request will be repeated: {text}"
        fatal = code in _FATAL
        # Not every server states which message an error answers.
        if (
            self._stage is _Stage.CONFIGURING
            and not fatal
            and wire.ident(error, "event_id") in ("", self._update_id)
        ):
            self._accept(message)
        message.event(Type.AGENT_ERROR, code=code, reason=_with_param(text, error), fatal=fatal)
        return f"error {code}: {text}"

    def _on_speech(self, message: Message) -> str:
        meaning = wire.SPEECH[message.kind()]
        item_id = wire.ident(message, "item_id", required=True)
        message.event(meaning, stream_id=item_id, params=message.body)
        match meaning:
            case Type.SPEECH_STARTED:
                self._yield_to_user(message)
                return f"user speech started at {message.number('audio_start_ms') or 0:.0f} ms"
            case Type.SPEECH_STOPPED:
                return f"user speech stopped at {message.number('audio_end_ms') or 0:.0f} ms"
            case _:
                self._input.buffered_bytes = 0
                message.replies += self._ask_for_detected_turn()
                return "user turn committed"

    def _on_cleared(self, message: Message) -> str:
        self._input.buffered_bytes = 0
        return "user audio cleared"

    def _on_hypothesis(self, message: Message) -> str:
        delta, item_id = message.text("delta"), wire.ident(message, "item_id", required=True)
        message.event(Type.SPEECH_HYPOTHESIS, stream_id=item_id, text=self._transcripts.add(item_id, delta))
        return f"hypothesis: {delta}"

    def _on_recognition(self, message: Message) -> str:
        item_id = wire.ident(message, "item_id", required=True)
        self._transcripts.end(item_id)
        text = message.text("transcript", required=True)
        message.event(Type.SPEECH_RECOGNITION, stream_id=item_id, text=text)
        if message.has("usage"):
            message.event(Type.USAGE, text="transcription", params=message.inside("usage").body)
        return f"recognition: {text}"

    def _on_recognition_failed(self, message: Message) -> str:
        self._transcripts.end(wire.ident(message, "item_id", required=True))
        self._report_error(message, message.inside("error"), "transcription_failed")
        return "transcription failed"

    def _on_response_created(self, message: Message) -> str:
        response = message.inside("response")
        in_conversation = response.has("conversation_id")
        if in_conversation and self._responses.active:
            text = "A response began while another was active in the same conversation."
            message.find("overlapping-responses", text)
        media = self._session.read_output_format(response) or self._session.output_format
        response_id = wire.ident(response, "id", required=True)
        self._responses.begin(response_id, media, in_conversation=in_conversation)
        return "response begins"

    def _on_audio_delta(self, message: Message) -> str:
        return self._responses.play(message, self._session.output_format)

    def _on_audio_done(self, message: Message) -> str:
        reply = self._responses.reply(wire.ident(message, "item_id", required=True))
        if reply is None or reply.done:
            return "agent audio complete again" if reply else "agent audio complete, but none was received"
        self._responses.stop(message, reply)
        return "agent audio complete"

    def _on_text_delta(self, message: Message) -> str:
        reply = self._responses.reply_for(message, self._session.output_format)
        delta = message.text("delta", required=True)
        self._add_agent_text(message, reply, reply.add_text(part_of(message), delta), final=False)
        return f"agent: {delta}"

    def _on_text_done(self, message: Message) -> str:
        reply = self._responses.reply_for(message, self._session.output_format)
        so_far = reply.texts.pop(part_of(message), "")
        text = message.text("transcript") or message.text("text") or so_far
        self._add_agent_text(message, reply, text)
        return f"agent: {text}"

    @staticmethod
    def _add_agent_text(message: Message, reply: ReplyItem, text: str, *, final: bool = True) -> None:
        part, written = part_of(message), "transcript" not in message.kind()
        if written:
            reply.written.add(part)
        message.event(
            Type.AGENT_TEXT, stream_id=reply.item_id, part=part, written=written, text=text, final=final
        )

    def _on_response_done(self, message: Message) -> str:
        body = message.inside("response")
        status = body.text("status", required=True)
        response_id = wire.ident(body, "id", required=True)
        response = self._responses.response(response_id)
        if not self._responses.end(response):
            message.find("done-without-response", "“response.done” does not match any active response.")
        if response:
            self._finish(message, response, status)
        if body.has("usage"):
            message.event(Type.USAGE, text="response", params=body.inside("usage").body)
        request = self._request_answer()
        # Not every server names the conversation; null means that there is none.
        apart = body.body.get("conversation_id", "") is None
        due = not (request or apart or self._responses.active)
        reason = self._report_outcome(message, body, status, answer_failed=due)
        message.replies += request
        return " ".join(filter(None, ("response", status, reason)))

    def _on_rate_limits(self, message: Message) -> str:
        limits = message.objects("rate_limits", required=True)
        left = {limit.text("name") or "?": limit.number("remaining") or 0.0 for limit in limits[:4]}
        message.event(Type.USAGE, text="rate limits", params=left)
        return f"left: {', '.join(f'{name} {count:.0f}' for name, count in left.items())}"

    def _on_foreign(self, message: Message) -> str:
        """Returns only a log summary of a message that only this dialect defines."""
        if not message.has("warning"):
            return wire.describe(message)
        warning = message.inside("warning")
        text, code = warning.text("message") or "no details", warning.text("code")
        message.advise("agent-warning", f"The agent warns: {' '.join(filter(None, (code, text)))}")
        return f"warning: {text}"

    # Responses and replies.

    def _finish(self, message: Message, response: Response, status: str) -> None:
        for reply in self._responses.replies_of(response):
            if reply.started and not reply.done and status == "completed":
                message.find("audio-not-done", f"No “audio.done” was received for {cut(reply.item_id, 60)}.")
            self._responses.stop(message, reply, reason=status)
            for part, text in reply.texts.items():
                written = part in reply.written
                message.event(Type.AGENT_TEXT, stream_id=reply.item_id, part=part, written=written, text=text)
            reply.texts.clear()
            if reply.dropped and not reply.started:
                message.replies += self._truncate(reply, 0.0)

    def _yield_to_user(self, message: Message) -> None:
        replies = [reply for reply in self._responses.playing if not reply.cut]
        responses = [response for response in self._responses.active if not response.cut]
        if not (self.barge_in and self._session.yields_to_speech) or not (replies or responses):
            return
        for response in responses:
            message.replies += [] if self._session.interrupts else self._cancel(response)
            response.cut = True
        for reply in replies:
            reply.cut = True
        message.event(Type.CLEAR, stream_id=replies[-1].item_id if replies else "", reason="barge-in")

    def _cancel(self, response: Response) -> list[Outgoing]:
        if response.cut or not response.active:
            return []
        response.cut = True
        named = {"response_id": response.response_id} if response.response_id else {}
        return [self._message("response.cancel", "cancel response", **named)]

    def _truncate(self, reply: ReplyItem, heard_ms: float) -> list[Outgoing]:
        """Reports how much of a reply was heard: at most the received audio, because the agent rejects more."""
        if reply.truncated or not self._wishes.truncates:
            return []
        reply.truncated = True
        end_ms = max(int(min(heard_ms, reply.received_ms)), 0)
        place = {"item_id": reply.item_id, "content_index": reply.content_index, "audio_end_ms": end_ms}
        return [self._message("conversation.item.truncate", f"heard {end_ms} ms", **place)]

    def _report_outcome(self, message: Message, body: Members, status: str, *, answer_failed: bool) -> str:
        details = body.inside("status_details")
        reason = details.text("reason")
        if status == "failed":
            failure = details.inside("error")
            self._report_error(message, failure, "response_failed", answer_failed=answer_failed)
        elif status == "incomplete":
            text = f"The response is incomplete: {reason or 'no reason given'}."
            message.event(
                Type.AGENT_ERROR, code="response_incomplete", reason=text, answer_failed=answer_failed
            )
        return reason

    @staticmethod
    def _report_error(
        message: Message, error: Members, otherwise: str, *, answer_failed: bool = False
    ) -> None:
        code = error.text("code") or error.text("type") or otherwise
        text = error.text("message") or f"The agent reported {otherwise.replace('_', ' ')} without details."
        message.event(
            Type.AGENT_ERROR,
            code=code,
            reason=_with_param(text, error),
            fatal=code in _FATAL,
            answer_failed=answer_failed,
        )

    # Requests for answers.

    def _ask_at_once(self) -> list[Outgoing]:
        """Requests the answer to a user turn. First cancels an active response, if the user may interrupt it."""
        self._responses.owe()
        active = self._responses.active if self.barge_in else []
        return [*(frame for response in active for frame in self._cancel(response)), *self._request_answer()]

    def _ask_for_detected_turn(self) -> list[Outgoing]:
        """Requests the answer to a turn that the agent detected, if the session requires such a request."""
        if not self._session.leaves_asking:
            return []
        self._responses.item_sent()
        self._responses.owe()
        return self._request_answer()

    def _request_answer(self) -> list[Outgoing]:
        if self._stage is not _Stage.ACTIVE or not (event_id := self._responses.take_request(self._new_id)):
            return []
        return [outgoing({"type": "response.create", "event_id": event_id}, "ask for an answer")]

    def _nothing_is_active(self, message: Message) -> None:
        for response in self._responses.active:
            response.active = not response.cut
        message.replies += self._request_answer()

    # The session.

    def _accept(self, message: Message) -> None:
        self._stage = _Stage.ACTIVE
        self._input.format = self._session.input_format
        message.event(Type.SESSION_ACCEPTED, format=self._input.format, text=str(self._input.format))
        if self._wishes.greet:
            message.replies += self._ask_at_once()

    def _update(self, session: dict[str, Any], summary: str, event_id: str) -> Outgoing:
        required = {} if self._beta else {"type": "realtime"}
        update = {"type": "session.update", "event_id": event_id, "session": {**required, **session}}
        return outgoing(update, summary)

    def _message(self, kind: str, summary: str, **members: Any) -> Outgoing:
        return outgoing({"type": kind, "event_id": self._new_id(), **members}, summary)

    # Checks.

    def _check_common(self, message: Message, kind: str) -> None:
        if kind != message.kind() and not self._beta:
            message.find(
                "deprecated-name", f"“{cut(message.kind(), 60)}” is the beta API's name for “{kind}”."
            )
        first = ("session.created", "error", self._wishes.dialect.opens_with)
        if self._stage is _Stage.OPENING and kind not in first:
            self._note_once(message, "before-session-created", f"“{kind}” was sent before “session.created”.")
        if not message.has("event_id") and kind != "input_audio_buffer.dtmf_event_received":
            self._note_once(message, "missing-event-id", "A message has no event_id.")

    def _note_once(self, message: Message, rule: str, text: str) -> None:
        if rule not in self._noted:
            self._noted.add(rule)
            message.find(rule, text)

    def _check_formats(self, message: Message) -> None:
        asked = self._wishes.input_format, self._wishes.output_format
        given = self._session.input_format, self._session.output_format
        if asked != given:
            text = f"The session uses {given[0]} in and {given[1]} out; {asked[0]} and {asked[1]} were requested."
            message.find("format-not-asked", text)

    _HANDLERS: ClassVar[Mapping[str, Callable[[OpenAICaller, Message], str]]] = {
        **dict.fromkeys(wire.WITHOUT_EFFECT, lambda caller, message: wire.describe(message)),
        "conversation.created": _on_conversation_created,
        "session.created": _on_session_created,
        "session.updated": _on_session_updated,
        "error": _on_error,
        **dict.fromkeys(wire.SPEECH, _on_speech),
        "input_audio_buffer.cleared": _on_cleared,
        "conversation.item.input_audio_transcription.delta": _on_hypothesis,
        "conversation.item.input_audio_transcription.completed": _on_recognition,
        "conversation.item.input_audio_transcription.failed": _on_recognition_failed,
        "response.created": _on_response_created,
        "response.output_audio.delta": _on_audio_delta,
        "response.output_audio.done": _on_audio_done,
        "response.output_audio_transcript.delta": _on_text_delta,
        "response.output_audio_transcript.done": _on_text_done,
        "response.output_text.delta": _on_text_delta,
        "response.output_text.done": _on_text_done,
        "response.done": _on_response_done,
        "rate_limits.updated": _on_rate_limits,
    }


def _with_param(text: str, error: Members) -> str:
    """Returns an error message that contains the name of the parameter that caused the error."""
    param = cut(error.text("param"), 60)
    return f"{text} ({param})" if param and param not in text else text
