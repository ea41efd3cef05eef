"""Transcript: who said what, partials replaced in place, and how much of the agent's words was heard."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from tui.callbacks import CallbackManager, Registration
from tui.models.events import (
    PlaybackEnded,
    PlaybackStarted,
    SessionEvent,
    SessionStarted,
    Speaker,
    SpeechPhase,
    Transcribed,
    UserSpeech,
)


class Heard(StrEnum):
    """How far the words have come to the user's ear; the user's own are always HEARD."""

    QUEUED = "queued"
    SPEAKING = "speaking"
    HEARD = "heard"
    CUT = "cut off"


class Utterance(msgspec.Struct):
    """One entry of the transcript; a partial is rewritten in place until it is final."""

    speaker: Speaker
    text: str
    final: bool
    at_ns: int
    item: str = ""
    heard: Heard = Heard.HEARD


CHANGED = "changed"


class Transcript:
    """Folds events into utterances, in the order in which they began. One thread."""

    def __init__(self, callbacks: CallbackManager | None = None) -> None:
        self.callbacks = callbacks or CallbackManager()
        self.utterances: list[Utterance] = []
        self._open_user: Utterance | None = None
        self._replies: dict[str, Utterance] = {}
        self._playing: dict[str, Heard] = {}

    def add_change_callback(self, callback: Callable[[int], object]) -> Registration:
        """Call ``callback(index)`` with the first utterance that changed; any after it may have too."""
        return self.callbacks.register_callback(CHANGED, callback)

    def apply(self, event: SessionEvent) -> None:
        """Fold one event and fire the change callbacks if it concerned the transcript."""
        match event:
            case SessionStarted():
                self.utterances.clear()
                self._replies.clear()
                self._playing.clear()
                self._open_user = None
                self.callbacks.trigger(CHANGED, 0)
            case Transcribed(speaker=Speaker.USER):
                self._changed(self._user_words(event))
            case Transcribed(speaker=Speaker.AGENT):
                self._changed(self._agent_words(event))
            case UserSpeech(phase=SpeechPhase.STARTED):
                self._open_user = None
            case PlaybackStarted():
                self._mark_heard(event.reply, Heard.SPEAKING)
            case PlaybackEnded():
                self._mark_heard(event.reply, Heard.CUT if event.unheard_ms > 0 else Heard.HEARD)
            case _:
                pass

    def _user_words(self, event: Transcribed) -> Utterance:
        said = self._open_user
        if said is None:
            said = Utterance(Speaker.USER, event.text, event.final, event.at_ns)
            self.utterances.append(said)
        said.text, said.final = event.text, event.final
        self._open_user = None if event.final else said
        return said

    def _agent_words(self, event: Transcribed) -> Utterance:
        said = self._replies.get(event.item) if event.item else None
        if said is None:
            heard = self._playing.get(event.item, Heard.QUEUED) if event.item else Heard.HEARD
            said = Utterance(Speaker.AGENT, event.text, event.final, event.at_ns, event.item, heard)
            self.utterances.append(said)
            if event.item:
                self._replies[event.item] = said
        said.text, said.final = event.text, event.final
        return said

    def _mark_heard(self, reply: str, heard: Heard) -> None:
        self._playing[reply] = heard
        said = self._replies.get(reply)
        if said is not None:
            said.heard = heard
            self._changed(said)

    def _changed(self, said: Utterance) -> None:
        index = len(self.utterances) - 1
        while self.utterances[index] is not said:
            index -= 1
        self.callbacks.trigger(CHANGED, index)
