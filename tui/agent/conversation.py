"""One call, from the agent's side: greets, listens, answers, hangs up.

No sockets and no clock: frames and the time go in, frames to send come out. Whoever drives it sends what
`opened`, `receive` and `due` give, and calls `due` again at `next_due_ns`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from tui.agent.hearing import Ear, Sound, TurnBegan, TurnEnded, Words
from tui.agent.recogniser import Recogniser
from tui.agent.replies import Answer, Reply, prompt_answer
from tui.agent.settings import AgentSettings, ReplyMode
from tui.assets import caller_lines, prompts
from tui.protocols.base import AgentEnd, Outgoing, ProtocolError, TelephonyEvent
from tui.protocols.base import TelephonyEventType as Type

_log = logging.getLogger(__name__)

_PLAYOUT_MARGIN_NS = 200_000_000
"""A caller's speaker runs behind what has been sent."""
_HANG_UP_MARGIN_NS = 1_000_000_000
"""How much longer than the goodbye sounds a caller has to say that it was heard."""
_GOODBYE_TIMEOUT_NS = 3_000_000_000
"""How long a caller has to leave after the agent has hung up."""


class Conversation:
    """One call. ``agent`` is the protocol's end of it."""

    def __init__(self, agent: AgentEnd, settings: AgentSettings, recogniser: Recogniser) -> None:
        self.over = False
        """Nothing more will be said or heard: the socket can be closed."""
        self._agent = agent
        self._settings = settings
        self._recogniser = recogniser
        self._ear: Ear | None = None
        self._reply: Reply | None = None
        self._replies_begun = 0
        self._replies_heard = 0
        self._greeted = False
        self._leaves_at_ns: int | None = None

    @property
    def next_due_ns(self) -> int | None:
        """When `due` has something to do, unless a frame comes before; None: not before a frame comes."""
        if self._ear is None and self._agent.user_format is not None:
            return 0
        reply = self._reply
        if self._leaves_at_ns is not None or reply is None:
            return self._leaves_at_ns
        return reply.next_due_ns if not reply.sent or not reply.then_hang_up else self._hang_up_ns(reply)

    def opened(self) -> list[Outgoing]:
        """The caller has connected."""
        return self._agent.opened()

    def receive(self, frame: str | bytes, now_ns: int) -> list[Outgoing]:
        """A frame of the caller has come."""
        try:
            incoming = self._agent.receive(frame)
        except ProtocolError as error:
            _log.warning("not understood (%s): %s", error.code, error)
            return []
        for finding in incoming.findings:
            _log.info("%s: %s", finding.rule, finding.text)
        frames = list(incoming.replies)
        for event in incoming.events:
            frames += self._take(event, now_ns)
        return frames

    def due(self, now_ns: int) -> list[Outgoing]:
        """What is to be sent by now."""
        user_format = self._agent.user_format
        if self._ear is None and user_format is not None:
            # Loading the detector takes a while: here it delays neither the caller's first answer nor any audio.
            self._ear = Ear(user_format, self._recogniser, self._settings.silence_ms)
        if self._leaves_at_ns is not None:
            self.over = self.over or now_ns >= self._leaves_at_ns
            return []
        reply = self._reply
        if reply is None:
            return []
        frames = reply.due(now_ns, self._agent)
        if reply.sent and reply.then_hang_up and now_ns >= self._hang_up_ns(reply):
            frames += self._hang_up(now_ns)
        return frames

    def end(self) -> list[Outgoing]:
        """The agent shuts down."""
        self.over = True
        return self._agent.end()

    def _take(self, event: TelephonyEvent, now_ns: int) -> list[Outgoing]:
        match event.type:
            case Type.CALL_STARTED:
                return self._greet(now_ns)
            case Type.USER_STREAM_START:
                # Some callers never say that the call has started.
                return self._greet(now_ns)
            case Type.SESSION_RESUME:
                self._greeted = True
            case Type.USER_STREAM_CHUNK if ear := self._ear_for(event):
                return self._hear(ear.feed(event.audio), now_ns)
            case Type.USER_STREAM_STOP if self._ear:
                return self._hear(self._ear.end_of_stream(), now_ns)
            case Type.DTMF:
                return self._answer_keys(event.text, now_ns)
            case Type.USER_TEXT:
                return self._answer_text(event.text, now_ns)
            case Type.PLAY_FINISHED:
                return self._play_finished(now_ns)
            case Type.SESSION_END:
                self.over = True
            case Type.SESSION_ERROR if event.fatal:
                self.over = True
            case _:
                pass
        return []

    def _ear_for(self, event: TelephonyEvent) -> Ear | None:
        audio_format = event.format or self._agent.user_format
        if audio_format and (self._ear is None or self._ear.format != audio_format):
            self._ear = Ear(audio_format, self._recogniser, self._settings.silence_ms)
        return self._ear

    def _hear(self, sounds: Iterable[Sound], now_ns: int) -> list[Outgoing]:
        frames: list[Outgoing] = []
        for sound in sounds:
            match sound:
                case TurnBegan():
                    frames += self._agent.speech_started() + self._yield_the_word(now_ns)
                case Words(text):
                    frames += self._agent.hypothesis(text)
                case TurnEnded(match=match):
                    confidence = match.confidence if match else 0.0
                    frames += self._agent.speech_stopped() + self._agent.recognition(sound.text, confidence)
                    frames += self._say(self._answer_to(sound), now_ns, self._settings.reply_delay_ms)
        return frames

    def _answer_to(self, turn: TurnEnded) -> Answer:
        answer = turn.match.line.answer if turn.match else "fallback"
        if self._settings.reply is ReplyMode.ECHO and answer != "goodbye":
            return Answer(turn.text, turn.pcm, turn.rate)
        return self._prompt(answer)

    def _answer_text(self, text: str, now_ns: int) -> list[Outgoing]:
        said = text.strip().casefold()
        answers = (line.answer for line in caller_lines() if line.text.casefold() == said)
        return self._say(self._prompt(next(answers, "fallback")), now_ns, self._settings.reply_delay_ms)

    def _answer_keys(self, digits: str, now_ns: int) -> list[Outgoing]:
        names = [f"dtmf-{digit}" for digit in digits.upper() if f"dtmf-{digit}" in prompts()]
        if not names:
            return []
        if "dtmf-#" in names:
            names = [*names[: names.index("dtmf-#") + 1], "goodbye"]
        return self._say(self._prompt(*names), now_ns)

    def _greet(self, now_ns: int) -> list[Outgoing]:
        if self._greeted:
            return []
        self._greeted = True
        return self._say(self._prompt("greeting"), now_ns)

    def _prompt(self, *names: str) -> Answer:
        play_format = self._agent.play_format
        return prompt_answer(play_format.rate if play_format else 16_000, *names)

    def _say(self, answer: Answer, now_ns: int, delay_ms: float = 0.0) -> list[Outgoing]:
        play_format = self._agent.play_format
        if play_format is None or self._leaves_at_ns is not None:
            return []
        frames = self._yield_the_word(now_ns)
        self._replies_begun += 1
        starts_ns = now_ns + round(delay_ms * 1e6)
        self._reply = Reply(f"play-{self._replies_begun}", answer, play_format, starts_ns, self._settings)
        return frames + self._reply.due(now_ns, self._agent)

    def _yield_the_word(self, now_ns: int) -> list[Outgoing]:
        """The user takes it: stop what is being said, and what is still to be heard of it."""
        reply, self._reply = self._reply, None
        if reply is None:
            return []
        if not reply.started:
            self._replies_begun -= 1
            return []
        if reply.sent and now_ns > reply.heard_until_ns + _PLAYOUT_MARGIN_NS:
            return []
        return self._agent.say_stop(reply.stream_id, interrupted=True)

    def _play_finished(self, now_ns: int) -> list[Outgoing]:
        self._replies_heard += 1
        reply = self._reply
        if reply is None or not reply.sent or self._replies_heard < self._replies_begun:
            return []
        self._reply = None
        return self._hang_up(now_ns) if reply.then_hang_up else []

    def _hang_up_ns(self, reply: Reply) -> int:
        return reply.heard_until_ns + _HANG_UP_MARGIN_NS

    def _hang_up(self, now_ns: int) -> list[Outgoing]:
        self._reply = None
        self._leaves_at_ns = now_ns + _GOODBYE_TIMEOUT_NS
        return self._agent.hang_up("the agent said goodbye")
