"""The user's settings for the call, and the names of the open devices."""

from __future__ import annotations

from tui.models.events import (
    AudioOpened,
    LineChanged,
    MutedChanged,
    RecordingChanged,
    SessionEvent,
    VolumeChanged,
)


class Controls:
    """Recording, mute, volume, device names and the current recorded line, derived from events."""

    def __init__(self) -> None:
        self.recording = False
        self.muted = False
        self.volume = 1.0
        self.capture = ""
        """Name of the capture device; empty if there is none."""
        self.playback = ""
        """Name of the playback device; empty if there is none."""
        self.line = ""
        """Name of the recorded line that is playing; empty if no line is playing."""

    def apply(self, event: SessionEvent) -> bool:
        """Applies one event. Returns whether the event set a control."""
        match event:
            case RecordingChanged():
                self.recording = event.recording
            case MutedChanged():
                self.muted = event.muted
            case VolumeChanged():
                self.volume = event.volume
            case AudioOpened():
                self.capture, self.playback = event.capture, event.playback
            case LineChanged():
                self.line = "" if event.finished else event.name
            case _:
                return False
        return True
