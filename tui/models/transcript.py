"""Transcript: the words of both parties, the tools called, and how much of each reply was played."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec

from tui.callbacks import CallbackManager, Registration
from tui.models import events as e
from tui.models.turns.barge_ins import CutReplies
from tui.text.visible import one_line


class Heard(StrEnum):
    """Whether the agent's words were played. The user's words are always HEARD."""

    IN_TEXT = "in text"
    """No audio has arrived for these words; an agent may answer in text only."""
    QUEUED = "queued"
    SPEAKING = "speaking"
    HEARD = "heard"
    CUT = "cut off"


class Utterance(msgspec.Struct):
    """One entry of the transcript. A partial text is replaced in place until the text is final."""

    speaker: e.Party
    text: str
    final: bool
    at_ns: int
    item: str = ""
    heard: Heard = Heard.HEARD
    heard_share: float | None = None
    """Share of a reply that was played before it was cut off, 0..1."""
    written: bool = False
    """Whether the utterance was sent as text, in addition to or instead of speech."""
    sounds_ns: int | None = None
    """Time of the utterance's first sound, if known."""

    @property
    def began_ns(self) -> int:
        """Time at which a listener heard the utterance begin."""
        return self.at_ns if self.sounds_ns is None else self.sounds_ns


class ToolUse(msgspec.Struct):
    """One tool call. Updated in place."""

    at_ns: int
    """Time at which the tool call began."""
    event: e.ToolChanged
    """The latest event of the call."""
    number: int = 0
    """Number of the event with which the tool call began."""

    @property
    def began_ns(self) -> int:
        """Time at which the tool call began."""
        return self.at_ns


Entry = Utterance | ToolUse
"""An entry of the transcript."""
CHANGED = "changed"


class Transcript:
    """Folds events into entries, in the order in which they began. Use it from one thread only."""

    def __init__(self) -> None:
        self.callbacks = CallbackManager()
        self._begin()

    def _begin(self) -> None:
        self.entries: list[Entry] = []
        self._open: dict[e.Party, Utterance] = {}
        """Partial utterances that have no item id."""
        self._replies: dict[str, dict[int, Utterance]] = {}
        """The agent's utterances, by reply and content part."""
        self._speech: dict[str, Utterance] = {}
        """The user's utterances, by the agent's item id; they are added to the transcript as soon
        as they have words."""
        self._playing: dict[str, Heard] = {}
        self._cut = CutReplies()
        self._heard_ms: dict[str, float] = {}
        self.tools: list[ToolUse] = []
        """The tool calls among the entries."""
        self._sounds_ns: dict[str, int] = {}
        self._user_began_ns: int | None = None
        self._tools: dict[tuple[str, str], ToolUse] = {}
        """Tool calls, by call id and name."""

    def add_change_callback(self, callback: Callable[[int], object]) -> Registration:
        """Calls ``callback(index)``, where ``index`` is the first changed entry.

        Later entries may have changed too.
        """
        return self.callbacks.register_callback(CHANGED, callback)

    def apply(self, event: e.SessionEvent) -> None:
        """Applies one event. Fires the change callbacks if an entry has changed."""
        more_ms = self._cut.apply(event)
        match event:
            case e.SessionStarted():
                self._begin()
                self.callbacks.trigger(CHANGED, 0)
            case e.Transcribed(speaker=e.Party.AGENT) if event.item:
                self._changed(self._reply_words(event))
            case e.Transcribed() if event.item:
                self._changed(self._speech_words(event))
            case e.Transcribed():
                self._changed(self._words(event))
            case e.UserSpeech() if event.item:
                self._speech_of(event.item, event.at_ns, ended=event.phase is not e.SpeechPhase.STARTED)
            case e.SpeechEdge(speaker=e.Party.USER, started=True) if self._user_began_ns is None:
                self._user_began_ns = event.at_ns
            case e.UserSpeech(phase=e.SpeechPhase.STARTED):
                self._open.pop(e.Party.USER, None)
            case e.ToolChanged():
                self._changed(self._tool_use(event))
            case e.ReplyStarted() if event.reply not in self._playing:
                self._mark_heard(event.reply, Heard.QUEUED)
            case e.PlaybackStarted():
                self._sounds_ns.setdefault(event.reply, event.at_ns)
                self._mark_heard(event.reply, Heard.SPEAKING)
            case e.PlaybackEnded():
                if event.heard_ms >= 0:
                    self._heard_ms[event.reply] = event.heard_ms
                self._mark_heard(event.reply, Heard.CUT if event.unheard_ms > 0 else Heard.HEARD)
            case e.LossCounted() | e.ReplyEnded() if more_ms > 0:
                self._mark_heard(event.reply, Heard.CUT)

    def _words(self, event: e.Transcribed) -> Utterance:
        said = self._open.pop(event.speaker, None)
        if said is None:
            said = Utterance(event.speaker, event.text, event.final, event.at_ns)
            if event.speaker is e.Party.USER:
                said.sounds_ns, self._user_began_ns = self._user_began_ns, None
            self.entries.append(said)
        said.text, said.final = event.text, event.final
        if not event.final:
            self._open[event.speaker] = said
        return said

    def _reply_words(self, event: e.Transcribed) -> Utterance:
        parts = self._replies.setdefault(event.item, {})
        said = parts.get(event.part)
        if said is None:
            said = Utterance(e.Party.AGENT, event.text, False, event.at_ns, event.item)
            said.written = event.written
            parts[event.part] = said
            self._follow_playback(said, self._playing.get(event.item, Heard.IN_TEXT))
            self.entries.append(said)
        elif said.final and event.final and said.heard is Heard.CUT:
            # The agent corrected the text to end where the reply was cut off, so all of it was heard.
            said.heard_share = None
        said.text, said.final = event.text, event.final
        return said

    def _speech_words(self, event: e.Transcribed) -> Utterance:
        said = self._speech_of(event.item, event.at_ns)
        if not said.text:
            self._place(said)
        said.text, said.final = event.text, event.final
        return said

    def _speech_of(self, item: str, at_ns: int, *, ended: bool = True) -> Utterance:
        """Returns the utterance for the user speech with this id. Creates it when the speech is first reported."""
        said = self._speech.get(item)
        if said is None:
            said = self._speech[item] = Utterance(e.Party.USER, "", False, at_ns, item)
        if said.sounds_ns is None and ended:
            said.sounds_ns, self._user_began_ns = self._user_began_ns, None
        return said

    def _place(self, said: Utterance) -> None:
        """Moves late words to the place where their speech began, before the answer."""
        at = len(self.entries)
        while at and self.entries[at - 1].at_ns > said.at_ns:
            at -= 1
        self.entries.insert(at, said)

    def _tool_use(self, event: e.ToolChanged) -> ToolUse:
        key = event.call, event.name
        used = self._tools.get(key)
        if used is None:
            used = self._tools[key] = ToolUse(event.at_ns, event, event.number)
            self.entries.append(used)
            self.tools.append(used)
        used.event = event
        if event.finished and not event.call:
            del self._tools[key]
        return used

    def _mark_heard(self, reply: str, heard: Heard) -> None:
        self._playing[reply] = heard
        for said in self._replies.get(reply, {}).values():
            if not said.written:
                self._follow_playback(said, heard)
                self._changed(said)

    def _follow_playback(self, said: Utterance, heard: Heard) -> None:
        if not said.written:
            said.heard, said.sounds_ns = heard, self._sounds_ns.get(said.item)
            said.heard_share = self._heard_share(said.item)

    def _heard_share(self, reply: str) -> float | None:
        heard_ms = self._heard_ms.get(reply) if self._playing.get(reply) is Heard.CUT else None
        return None if heard_ms is None else heard_ms / self._cut.received_ms[reply]

    def _changed(self, entry: Entry) -> None:
        index = len(self.entries) - 1
        while self.entries[index] is not entry:
            index -= 1
        self.callbacks.trigger(CHANGED, index)


def in_text(entries: Iterable[Entry], start_ns: int) -> str:
    """Returns a transcript as text to paste, with one line per entry; ``start_ns`` is the start of the session."""
    return "".join(f"{_line(entry, start_ns)}\n" for entry in entries)


def _line(entry: Entry, start_ns: int) -> str:
    at = f"+{(entry.began_ns - start_ns) / 1e9:.1f} s"
    if isinstance(entry, ToolUse):
        event = entry.event
        outcome = (
            f"✗ {event.error}" if event.error else f"→ {event.result}" if event.finished else "no result"
        )
        return one_line(f"{at}  tool: {event.name}({event.arguments}) {outcome}")
    fate = f" [{entry.heard.value}]" if entry.heard is Heard.CUT else ""
    return one_line(f"{at}  {entry.speaker.value}: {entry.text}{fate}")
