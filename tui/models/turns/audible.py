"""Audible: records when each party was heard, which determines where replies, answers and barge-ins begin and end.

An agent may stream without a pause (silence, comfort noise, hold music). Neither messages nor playback
therefore show when the agent speaks; only the edges of sound on the tracks do. An edge becomes known up to
`KNOWN_AFTER_NS` after its time.
"""

from __future__ import annotations

from collections import deque

import msgspec

from tui.models import events as e

KNOWN_AFTER_NS = 600_000_000
"""Longest delay until an edge is known.

The detector needs 500 ms of silence to confirm an end, and 500 ms of a tone to confirm a tone.
"""
BACKGROUND_NS = 10_000_000_000
"""Length from which a sound other than speech counts as background (such as hold music), not as an answer."""
_ADJOINS_NS = 100_000_000
_KEPT_STRETCHES = 32


class Stretch(msgspec.Struct):
    """A period in which one party was heard."""

    began_ns: int
    ended_ns: int | None = None
    """None while the stretch lasts."""
    method: str = ""
    """Method that detected the stretch: "silero" detects only speech, "energy" any sound."""
    adjoins: bool = False
    """Whether the stretch began where another stretch ended."""

    def overlaps(self, since_ns: int, until_ns: int) -> bool:
        """Returns whether the stretch overlaps the period between two times."""
        return self.began_ns <= until_ns and (self.ended_ns is None or self.ended_ns > since_ns)


class Audible:
    """The latest stretches of both parties, folded from edges of sound.

    Each event takes constant time. Not thread-safe.
    """

    def __init__(self) -> None:
        self._stretches: dict[e.Party, deque[Stretch]] = {
            speaker: deque(maxlen=_KEPT_STRETCHES) for speaker in e.Party
        }
        self._tells_speech = False
        """Whether the detector can distinguish speech from other sounds; detection by loudness cannot."""

    def apply(self, event: e.SessionEvent) -> None:
        """Applies one event."""
        if not isinstance(event, e.SpeechEdge):
            return
        self._tells_speech = self._tells_speech or event.method != "energy"
        current = self.current(event.speaker)
        if event.started and current is None:
            before = self.last(event.speaker)
            adjoins = (
                before is not None
                and before.ended_ns is not None
                and event.at_ns - before.ended_ns <= _ADJOINS_NS
            )
            stretch = Stretch(event.at_ns, method=event.method, adjoins=adjoins)
            self._stretches[event.speaker].append(stretch)
        elif not event.started and current is not None:
            current.ended_ns = max(event.at_ns, current.began_ns)

    def last(self, speaker: e.Party) -> Stretch | None:
        """Returns the latest stretch of a party, which may not have ended; None if the party was never heard."""
        stretches = self._stretches[speaker]
        return stretches[-1] if stretches else None

    def current(self, speaker: e.Party) -> Stretch | None:
        """Returns the ongoing stretch of a party; None if the party is silent."""
        last = self.last(speaker)
        return None if last is None or last.ended_ns is not None else last

    def stretches(self, speaker: e.Party) -> list[Stretch]:
        """Returns the latest stretches of a party, in order."""
        return list(self._stretches[speaker])

    def heard_between(self, speaker: e.Party, since_ns: int, until_ns: int) -> bool:
        """Returns whether a party was heard between two times, as far as is known.

        Background sound does not count.
        """
        return any(
            stretch.overlaps(since_ns, until_ns) and not self.is_background(stretch, since_ns)
            for stretch in self._stretches[speaker]
        )

    def heard_from(self, speaker: e.Party, since_ns: int, now_ns: int) -> bool:
        """Returns whether a party became audible after a given time. Background sound does not count."""
        return self.onset_from(speaker, since_ns, now_ns) is not None

    def onset_from(self, speaker: e.Party, since_ns: int, now_ns: int) -> int | None:
        """Returns when a party first became audible after a given time; None if it did not.

        Background sound does not count.
        """
        return next(
            (
                stretch.began_ns
                for stretch in self._stretches[speaker]
                if stretch.began_ns >= since_ns
                and not self.is_background(stretch, now_ns if stretch.ended_ns is None else stretch.ended_ns)
            ),
            None,
        )

    def last_heard_ns(self, speaker: e.Party, now_ns: int) -> int | None:
        """Returns when a party was last heard. Background sound does not count.

        Returns ``now_ns`` while the party is being heard, and None if it was never heard.
        """
        for stretch in reversed(self._stretches[speaker]):
            until_ns = now_ns if stretch.ended_ns is None else stretch.ended_ns
            if not self.is_background(stretch, until_ns):
                return until_ns
        return None

    def is_background(self, stretch: Stretch, at_ns: int) -> bool:
        """Returns whether a stretch is background sound at ``at_ns``.

        Sound is background if it leads into speech, or lasts for `BACKGROUND_NS` or longer.
        """
        other_sound = stretch.method == "energy" and self._tells_speech
        return other_sound and (stretch.adjoins or at_ns - stretch.began_ns > BACKGROUND_NS)
