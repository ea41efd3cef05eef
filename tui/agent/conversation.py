"""One call from the agent's side: the agent greets, listens, answers and hangs up.

A conversation has no sockets and no clock: it receives frames and the time, and returns frames to send. The
owner of a conversation sends the frames that `opened`, `receive` and `due` return, and calls `due` again at
`next_due_ns`.

In some protocols (`RealtimeAgentEnd`) the caller controls when the agent answers. The agent then answers
typed text and tool outputs only on request. If the caller disabled automatic answers, the agent also waits
for a request after every turn. If a reply cannot be interrupted, the agent waits for a request after a turn
during that reply.

If all speech is transcribed, the agent answers a turn once its words are known, unless the user is speaking
again by then.

If the caller requests an answer before the first turn, the agent greets. An agent that has already greeted
invites the user to go ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass

from tui.agent.answers import Answers, Plan
from tui.agent.hearing import Hearing, Sound, TurnBegan, TurnEnded, Words
from tui.agent.interplay import Act, Interplay
from tui.agent.rules import AnswerRules
from tui.agent.settings import AgentSettings, Fault
from tui.agent.speaking import Mouth
from tui.protocols.base import (
    AgentEnd,
    AnswersUnreadable,
    CallsTools,
    Close,
    Handshake,
    Outgoing,
    ProtocolError,
    ReadsHandshake,
    RealtimeAgentEnd,
    TelephonyEvent,
)
from tui.protocols.base import TelephonyEventType as Type

_MEANWHILE = "fallback"
"""The prompt that the agent plays when it talks over the user."""
_CRASHED = Close(1011, "internal error")
_CRASHES_IN_TURN = 2
_GOODBYE_TIMEOUT_NS = 3_000_000_000
"""How long a caller may take to disconnect after the agent has hung up."""


@dataclass(eq=False, repr=False)
class Conversation:
    """One call with one caller. ``agent`` implements the agent's side of the caller's protocol.

    ``on_problem`` is called with a short name and a sentence for each broken rule, undecodable frame and
    refused request. ``rules`` take precedence over the recorded prompts.
    """

    agent: AgentEnd
    settings: AgentSettings
    hearing: Hearing
    on_problem: Callable[[str, str], None] = lambda rule, text: None
    _: KW_ONLY
    rules: AnswerRules | None = None

    def __post_init__(self) -> None:
        self.over = False
        """Whether the call has ended and the socket can be closed."""
        self.close = Close()
        """The close code and reason for the socket."""
        self._wishes = self.agent if isinstance(self.agent, RealtimeAgentEnd) else None
        self._fault = self.settings.fault
        self._answers = Answers(self.agent, self.settings, self.rules)
        self._mouth = Mouth(self.agent, self.settings)
        self._interplay = Interplay(self.settings)
        self._greeted = False
        self._leaves_at_ns: int | None = None

    @property
    def next_due_ns(self) -> int | None:
        """Monotonic time at which to call `due` next; None if nothing is due until the caller sends a frame."""
        if self.hearing.ear is None and self.agent.user_format is not None:
            return 0
        if self.hearing.transcripts is not None and self.hearing.transcripts.due:
            return 0
        if self._leaves_at_ns is not None:
            return self._leaves_at_ns
        dues = (self._mouth.next_due_ns, self._interplay.next_due_ns, self._idle_at_ns)
        return min((due for due in dues if due is not None), default=None)

    def opened(self, handshake: Handshake | None = None) -> list[Outgoing]:
        """Returns the messages to send once the caller has connected; sets `over` if the agent refuses the caller."""
        if isinstance(self.agent, ReadsHandshake) and (close := self.agent.admit(handshake or Handshake())):
            self.over, self.close = True, close
        return self.agent.opened()

    def receive(self, frame: str | bytes, now_ns: int) -> list[Outgoing]:
        """Handles a frame from the caller and returns the messages to send."""
        try:
            incoming = self.agent.receive(frame)
        except ProtocolError as error:
            self.on_problem(f"unreadable message ({error.code})", str(error))
            return self.agent.unreadable(error) if isinstance(self.agent, AnswersUnreadable) else []
        for finding in incoming.findings:
            self.on_problem(f"finding {finding.rule}", finding.text)
        if incoming.refused:
            self.on_problem(f"refused {incoming.kind}", incoming.refused)
        frames = list(incoming.replies)
        for event in incoming.events:
            frames += self._take(event, now_ns)
        return frames

    def due(self, now_ns: int) -> list[Outgoing]:
        """Returns the messages that are due by ``now_ns``."""
        self.hearing.prepare(self.agent.user_format)
        if self._leaves_at_ns is not None:
            self.over = self.over or now_ns >= self._leaves_at_ns
            return []
        frames = self._transcribed(now_ns) + self._mouth.due(now_ns) + self._act(now_ns)
        if self._mouth.goodbye_heard(now_ns):
            return frames + self._hang_up(now_ns)
        idle_at_ns = self._idle_at_ns
        if self._wishes is None or idle_at_ns is None or now_ns < idle_at_ns:
            return frames
        return frames + self._wishes.idle() + self._answer(Plan(self._answers.prompt("listening")), now_ns)

    def end(self) -> list[Outgoing]:
        """Ends the call because the agent shuts down; returns the last messages to send."""
        self.over = True
        return self.agent.end()

    def _take(self, event: TelephonyEvent, now_ns: int) -> list[Outgoing]:
        match event.type:
            case Type.SESSION_END:
                self.over = True
            case Type.SESSION_ERROR if event.fatal:
                self.over = True
            case _ if self._leaves_at_ns is not None:
                pass
            case Type.CALL_STARTED | Type.USER_STREAM_START:
                # Either event starts the call, because some callers never send CALL_STARTED.
                return self._greet(now_ns, event.text)
            case Type.SESSION_RESUME:
                self._greeted = True
            case Type.USER_STREAM_CHUNK if ear := self.hearing.ear_for(
                event.format or self.agent.user_format
            ):
                ear.ends_turns = self._wishes is None or self._wishes.detects_turns
                return self._hear(ear.feed(event.audio), now_ns)
            case Type.USER_STREAM_STOP if self.hearing.ear:
                return self._hear(self.hearing.ear.end_of_stream(), now_ns)
            case Type.USER_STREAM_CLEARED:
                self.hearing.ear = None
            case Type.SPEECH_COMMITTED if self.hearing.ear:
                return self._keep_turn(self.hearing.ear.commit())
            case Type.DTMF if keys := self._answers.to_keys(event.text):
                return self._mouth.say(keys, now_ns)
            case Type.USER_TEXT:
                text = self._answers.to_text(event.text)
                return self._answer(text, now_ns, unasked=self._wishes is None)
            case Type.TOOL_OUTPUT:
                output = self._answers.to_tool_output(event.text)
                return self._answer(output, now_ns, unasked=self._wishes is None)
            case Type.RESPONSE_WANTED:
                return self._answer_as_asked(event, now_ns)
            case Type.RESPONSE_CANCELLED:
                self._mouth.drop()
            case Type.PLAY_FINISHED if self._mouth.reply_heard():
                return self._hang_up(now_ns)
        return []

    def _hear(self, sounds: Iterable[Sound], now_ns: int) -> list[Outgoing]:
        frames: list[Outgoing] = []
        for sound in sounds:
            if self._overhears(sound):
                continue
            match sound:
                case TurnBegan(ago_ms):
                    frames += self.agent.speech_started()
                    self._interplay.user_began(
                        now_ns - round(ago_ms * 1e6),
                        agent_speaks=self._mouth.busy,
                        yields=self._yields_to_speech,
                    )
                    frames += self._act(now_ns)
                case Words(text):
                    frames += self.agent.hypothesis(text)
                case TurnEnded():
                    self._interplay.user_ended()
                    frames += self.agent.speech_started() if sound.brief else []
                    frames += self.agent.speech_stopped()
                    if self._transcribe(sound):
                        continue
                    unasked = self._answers_unasked
                    frames += self._recognition(sound)
                    frames += self._answer(self._answers.to_turn(sound), now_ns, unasked=unasked)
        return frames

    def _act(self, now_ns: int) -> list[Outgoing]:
        """Performs the acts that are due. Skips a backchannel if the user has stopped speaking."""
        frames: list[Outgoing] = []
        for act in self._interplay.due(now_ns):
            ear = self.hearing.ear
            if act is Act.YIELD:
                frames += self._mouth.yield_the_word(now_ns)
            elif act is Act.BACKCHANNEL and ear and ear.still_speaks:
                frames += self._mouth.say(self._answers.backchannel(), now_ns)
            elif act is Act.TALK_OVER:
                frames += self._mouth.say(self._answers.prompt(_MEANWHILE), now_ns)
        return frames

    def _overhears(self, sound: Sound) -> bool:
        """Returns whether the agent ignores ``sound`` because the agent itself is speaking."""
        ignored = self._fault is Fault.IGNORES_BARGE_IN or (isinstance(sound, TurnEnded) and sound.brief)
        return ignored and self._mouth.busy

    def _keep_turn(self, turn: TurnEnded) -> list[Outgoing]:
        """Handles a turn that the caller has ended. The caller requests the answer with another message."""
        if turn.pcm and self._transcribe(turn, committed=True):
            return []
        if turn.pcm:
            self._answers.kept = self._answers.to_turn(turn)
        return self._recognition(turn)

    def _transcribe(self, turn: TurnEnded, *, committed: bool = False) -> bool:
        """Starts transcribing a turn. Returns False if the turn was recognized or the agent does not transcribe."""
        transcripts = self.hearing.transcripts
        if transcripts is None or turn.match is not None:
            return False
        transcripts.ask(turn, committed=committed)
        return True

    def _transcribed(self, now_ns: int) -> list[Outgoing]:
        """Sends the words of newly transcribed turns to the caller and answers the newest turn."""
        frames: list[Outgoing] = []
        ear, transcripts = self.hearing.ear, self.hearing.transcripts
        for heard, answerable in transcripts.take() if transcripts else []:
            frames += self._recognition(heard.turn)
            if answerable and not (ear and ear.in_turn):
                unasked = heard.wanted or (not heard.committed and self._answers_unasked)
                frames += self._answer(self._answers.to_turn(heard.turn), now_ns, unasked=unasked)
        return frames

    def _recognition(self, turn: TurnEnded) -> list[Outgoing]:
        return self.agent.recognition(turn.text, turn.match.confidence if turn.match else 0.0)

    @property
    def _yields_to_speech(self) -> bool:
        return self._wishes is None or self._wishes.yields_to_speech

    @property
    def _answers_unasked(self) -> bool:
        may_speak = self._yields_to_speech or not self._mouth.busy
        return self._wishes is None or (self._wishes.answers_unasked and may_speak)

    @property
    def _idle_at_ns(self) -> int | None:
        """Time at which the agent speaks again if the user stays silent; None if the agent keeps waiting."""
        timeout_ms = self._wishes.idle_timeout_ms if self._wishes else None
        since_ns, ear = self._mouth.silent_since_ns, self.hearing.ear
        if timeout_ms is None or since_ns is None or (ear and ear.in_turn):
            return None
        return since_ns + round(timeout_ms * 1e6)

    def _greet(self, now_ns: int, words: str = "") -> list[Outgoing]:
        if self._greeted:
            return []
        self._greeted = True
        self.hearing.prepare(self.agent.user_format)
        return self._mouth.say(self._answers.greeting(words), now_ns)

    def _answer_as_asked(self, event: TelephonyEvent, now_ns: int) -> list[Outgoing]:
        apart = event.params.get("conversation") == "none"
        transcripts = self.hearing.transcripts
        if transcripts and transcripts.newest and not (event.text or apart):
            transcripts.newest.wanted = True
            return []
        plan = self._answers.to_text(event.text) if event.text else self._answers.kept
        if plan:
            return self._answer(plan, now_ns, apart=apart)
        if self._mouth.busy:  # it is giving an answer that the caller did not request
            return []
        if not (self._greeted or apart or (self._wishes and self._wishes.must_call_tool)):
            return self._greet(now_ns)
        return self._answer(Plan(self._answers.prompt("listening")), now_ns, apart=apart)

    def _answer(
        self, plan: Plan, now_ns: int, *, unasked: bool = True, apart: bool = False
    ) -> list[Outgoing]:
        """Gives the planned answer now if ``unasked`` is true; otherwise keeps the plan until the caller asks.

        An answer that is ``apart`` from the conversation does not count as the answer to a turn.
        """
        if self._fault is Fault.CRASHES and self._answers.turns >= _CRASHES_IN_TURN:
            self.over, self.close = True, _CRASHED
            return []
        if not unasked:
            self._answers.kept = plan
            return []
        if not apart:
            self._answers.kept = None
            self._greeted = True
        call = self._answers.call_instead(plan)
        if call is None:
            return self._mouth.say(plan.answer, now_ns, delayed=True)
        assert isinstance(self.agent, CallsTools)
        return self._mouth.yield_the_word(now_ns) + self.agent.call_tool(call.name, call.arguments)

    def _hang_up(self, now_ns: int) -> list[Outgoing]:
        self._mouth.drop()
        if self._fault is Fault.NEVER_HANGS_UP:
            return []
        self._leaves_at_ns = now_ns + _GOODBYE_TIMEOUT_NS
        frames = self.agent.hang_up("the agent said goodbye")
        self.over = not frames  # if there is no goodbye message, the caller will not disconnect by itself
        return frames
