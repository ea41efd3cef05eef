"""Playhead: the position in a saved session that is shown and played."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

AUDIBLE_SPEED = 2.0
"""Highest speed with sound, at which the pitch is an octave higher.

Faster speech is unintelligible and therefore muted.
"""


class Sound(Enum):
    """Choice of tracks to play; the value is the track's index in the file, None for all tracks, -1 for none."""

    BOTH = None
    USER = 0
    AGENT = 1
    OFF = -1


class Playhead:
    """A position in the session that advances during playback or is moved by the user.

    Not thread-safe. Positions are times in ns on the clock of the session's events; ``clock_ns`` returns the
    current time in ns.
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
        """Path of the file with the two tracks; "" if there is none."""
        self.audio_starts_ns = audio_starts_ns
        self.folds = folds
        """Whether events arrive when the playhead reaches them, as in the call.

        Otherwise, all events are present from the start.
        """
        self.jumps = 0
        """Number of changes to the position, speed, sound or playing state.

        The audio must be restarted after each change.
        """
        self._clock_ns = clock_ns
        self._polled_ns = clock_ns()

    @property
    def audible(self) -> bool:
        """Whether the tracks should be heard now."""
        return self.playing and self.sound is not Sound.OFF and self.speed <= AUDIBLE_SPEED

    @property
    def audio_ms(self) -> float:
        """Position in the tracks in ms; negative before they begin."""
        return (self.at_ns - self.audio_starts_ns) / 1e6

    def reach(self, at_ns: int) -> None:
        """Extends the session to this time if it ends earlier."""
        self.last_ns = max(self.last_ns, at_ns)

    def play(self) -> None:
        """Plays from the current position, or from the beginning if it is at the end."""
        if not self.playing:
            if self.at_ns >= self.last_ns:
                self.at_ns = self.first_ns
            self.playing, self._polled_ns = True, self._clock_ns()
            self.jumps += 1

    def pause(self) -> None:
        """Pauses."""
        if self.playing:
            self.playing = False
            self.jumps += 1

    def toggle(self) -> None:
        """Plays, or pauses if already playing."""
        self.pause() if self.playing else self.play()

    def seek_by(self, seconds: float) -> None:
        """Moves forward by a number of seconds, or back if negative."""
        self.seek(self.at_ns + round(seconds * 1e9))

    def seek(self, at_ns: int) -> None:
        """Moves to this time, and continues from there if it is playing."""
        self.at_ns = min(max(at_ns, self.first_ns), self.last_ns)
        self._polled_ns = self._clock_ns()
        self.jumps += 1

    def set_speed(self, speed: float) -> None:
        """Sets the speed, as a multiple of the original."""
        self.speed = speed
        self.jumps += 1

    def change_sound(self) -> None:
        """Switches to the next choice of tracks: both, the user, the agent, none."""
        if self.audio_path:
            choices = list(Sound)
            self.sound = choices[(choices.index(self.sound) + 1) % len(choices)]
            self.jumps += 1

    def advance(self, heard_ms: float | None = None) -> None:
        """Advances to ``heard_ms`` in the tracks or, if that is None, by the time that has passed on the clock."""
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
        """Skips the time that has passed, because the tracks are not audible yet."""
        self._polled_ns = self._clock_ns()
