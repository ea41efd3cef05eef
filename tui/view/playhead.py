"""Playhead: the position in a saved session that the screen shows and plays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from enum import Enum

AUDIBLE_SPEED = 2.0
"""Highest speed with sound, at which the pitch is an octave higher.

Faster speech is unintelligible and therefore muted.
"""


class Sound(Enum):
    """Choice of tracks to play.

    The value is the index of the track in the file, None for both tracks, -1 for no track.
    """

    BOTH = None
    USER = 0
    AGENT = 1
    OFF = -1


@dataclass(eq=False, repr=False)
class Playhead:
    """A position in a saved session, which advances during playback and which the user can move.

    Not thread-safe. Positions are times in ns on the clock of the session's events; ``clock_ns`` returns the
    current time in ns.
    """

    first_ns: int
    last_ns: int
    _: KW_ONLY
    clock_ns: Callable[[], int]
    audio_path: str = ""
    """Path of the file with the two tracks; "" if there is none."""
    audio_starts_ns: int = 0
    speed: float = 1.0
    folds: bool = False
    """Whether events arrive when the playhead reaches them, as in the call.

    Otherwise, all events are present from the start.
    """

    def __post_init__(self) -> None:
        self.last_ns = max(self.last_ns, self.first_ns)
        self.at_ns = self.first_ns
        self.playing = False
        self.sound = Sound.BOTH if self.audio_path else Sound.OFF
        self.jumps = 0
        """Number of changes to the position, speed, sound or playing state.

        The audio must be restarted after each change.
        """
        self._polled_ns = self.clock_ns()

    @property
    def audible(self) -> bool:
        """Whether the tracks should be playing now."""
        return self.playing and self.sound is not Sound.OFF and self.speed <= AUDIBLE_SPEED

    @property
    def audio_ms(self) -> float:
        """Position in the tracks in ms; negative before the tracks begin."""
        return (self.at_ns - self.audio_starts_ns) / 1e6

    def reach(self, at_ns: int) -> None:
        """Extends the session to ``at_ns`` if it ends earlier."""
        self.last_ns = max(self.last_ns, at_ns)

    def play(self) -> None:
        """Starts playing at the current position, or at the beginning if the position is at the end."""
        if not self.playing:
            if self.at_ns >= self.last_ns:
                self.at_ns = self.first_ns
            self.playing, self._polled_ns = True, self.clock_ns()
            self.jumps += 1

    def pause(self) -> None:
        """Stops playing, and keeps the position."""
        if self.playing:
            self.playing = False
            self.jumps += 1

    def toggle(self) -> None:
        """Pauses if the playhead is playing; otherwise plays."""
        self.pause() if self.playing else self.play()

    def seek_by(self, seconds: float) -> None:
        """Moves forward by a number of seconds, or back if the number is negative."""
        self.seek(self.at_ns + round(seconds * 1e9))

    def seek(self, at_ns: int) -> None:
        """Moves to ``at_ns``. A playhead that is playing continues from there."""
        self.at_ns = min(max(at_ns, self.first_ns), self.last_ns)
        self._polled_ns = self.clock_ns()
        self.jumps += 1

    def set_speed(self, speed: float) -> None:
        """Sets the speed; 1 is the speed of the call."""
        self.speed = speed
        self.jumps += 1

    def change_sound(self) -> None:
        """Switches to the next choice of tracks: both, the user, the agent, none."""
        if self.audio_path:
            choices = list(Sound)
            self.sound = choices[(choices.index(self.sound) + 1) % len(choices)]
            self.jumps += 1

    def advance(self, heard_ms: float | None = None) -> None:
        """Advances to ``heard_ms``, a position in the tracks in ms.

        Without ``heard_ms``, advances by the time that has passed since the previous call.
        """
        now_ns = self.clock_ns()
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
        """Keeps the position while the audio has not started yet."""
        self._polled_ns = self.clock_ns()
