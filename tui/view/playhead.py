"""Playhead: where in a saved session the reader is, and the listener with them."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

AUDIBLE_SPEED = 2.0
"""Up to here it is heard, an octave higher at most; what is faster is no longer understood, and silent."""


class Sound(Enum):
    """Which of the tracks are heard: the value is the track of the file, None for all."""

    BOTH = None
    USER = 0
    AGENT = 1
    OFF = -1


class Playhead:
    """An instant of the session that moves by itself while it plays, or as it is told. One thread.

    Instants are in ns on the session's own clock, that of its events; ``clock_ns`` is the clock of now.
    """

    def __init__(
        self,
        first_ns: int,
        last_ns: int,
        *,
        clock_ns: Callable[[], int],
        audio_path: str = "",
        audio_starts_ns: int = 0,
        speed: float = 1.0,
        folds: bool = False,
    ) -> None:
        self.first_ns = first_ns
        self.last_ns = max(last_ns, first_ns)
        self.at_ns = first_ns
        self.playing = False
        self.speed = speed
        self.sound = Sound.BOTH if audio_path else Sound.OFF
        self.audio_path = audio_path
        """The two tracks; empty without."""
        self.audio_starts_ns = audio_starts_ns
        self.folds = folds
        """Events come when the playhead reaches them, as they did in the call; else all are there at once."""
        self.jumps = 0
        """How often it was put somewhere else, or set to play otherwise: what sounds is no longer right then."""
        self._clock_ns = clock_ns
        self._polled_ns = clock_ns()

    @property
    def audible(self) -> bool:
        """Whether the tracks are to be heard now."""
        return self.playing and self.sound is not Sound.OFF and self.speed <= AUDIBLE_SPEED

    @property
    def audio_ms(self) -> float:
        """Where in the tracks it is."""
        return (self.at_ns - self.audio_starts_ns) / 1e6

    def reach(self, at_ns: int) -> None:
        """The session goes on at least until then."""
        self.last_ns = max(self.last_ns, at_ns)

    def play(self) -> None:
        """Move on, from the beginning when it is at the end."""
        if not self.playing:
            if self.at_ns >= self.last_ns:
                self.at_ns = self.first_ns
            self.playing, self._polled_ns = True, self._clock_ns()
            self.jumps += 1

    def pause(self) -> None:
        """Stand still."""
        if self.playing:
            self.playing = False
            self.jumps += 1

    def toggle(self) -> None:
        """Play, or pause while it plays."""
        self.pause() if self.playing else self.play()

    def seek_by(self, seconds: float) -> None:
        """Go forward by so many seconds, or back if negative."""
        self.seek(self.at_ns + round(seconds * 1e9))

    def seek(self, at_ns: int) -> None:
        """Go there, and on from there if it plays."""
        self.at_ns = min(max(at_ns, self.first_ns), self.last_ns)
        self._polled_ns = self._clock_ns()
        self.jumps += 1

    def set_speed(self, speed: float) -> None:
        """Go so many times as fast as it was."""
        self.speed = speed
        self.jumps += 1

    def change_sound(self) -> None:
        """Hear both tracks, the user alone, the agent alone, none, and both again."""
        if self.audio_path:
            choices = list(Sound)
            self.sound = choices[(choices.index(self.sound) + 1) % len(choices)]
            self.jumps += 1

    def advance(self, heard_ms: float | None = None) -> None:
        """Time has gone by: be where the speaker is in the tracks, or where the clock says."""
        now_ns = self._clock_ns()
        passed_ns, self._polled_ns = now_ns - self._polled_ns, now_ns
        if not self.playing:
            return
        if heard_ms is None:
            self.at_ns += round(passed_ns * self.speed)
        else:
            self.at_ns = self.audio_starts_ns + round(heard_ms * 1e6)
        if self.at_ns >= self.last_ns:
            self.at_ns = self.last_ns
            self.pause()

    def wait(self) -> None:
        """Time has gone by, and nothing was heard of the tracks yet: stand still until it is."""
        self._polled_ns = self._clock_ns()
