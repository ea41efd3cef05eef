"""The figures in the header and the health pane, with their names and meanings."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from tui.models.events import Loss


class ShownFigure(StrEnum):
    """A figure that the screen shows. The enum value is the name of the figure on the screen."""

    meaning: str
    """Explanation for the help: one or two sentences, with the unit."""

    def __new__(cls, name: str, meaning: str) -> Self:
        """Creates a member whose value is ``name``."""
        figure = str.__new__(cls, name)
        figure._value_ = name
        figure.meaning = meaning
        return figure

    # the header
    # fmt: off
    RESPONSE = ("last response",
                "Response time of the latest turn: from the user's last sound to the agent's first audible one.")
    LOSS = "loss", "What was lost unintentionally in this call, by kind; the kinds are explained below."
    STALLED = "stalled", "How long an open sound device delivered or accepted no audio."
    ERRORS = "errors", "Errors of the agent, the connection or this program. Press e to go to the last one."
    FINDINGS = "findings", "Messages that violate the specification of the agent's protocol."
    ADVICE = ("advice",
              ("Agent behavior that is allowed but unwise, and guesses made by this program. Never counted as a "
               "fault."))
    GREETING = "greeting", "Time from the start of the session to the agent's first sound."
    PING = "ping", "Round trip of the latest websocket ping."
    FLUSHED = "flushed", "How often the agent's queued audio was discarded, by a barge-in or with the i key."
    RECEIVED = "received", "Messages received from the agent."
    SENT = "sent", "Messages sent to the agent."
    TOKENS = "tokens", "Tokens used, as reported by the agent."
    TOKENS_LEFT = "tokens left", "Tokens left in the agent's rate limit, as reported by the agent."
    VOLUME = "volume", "Playback volume. Shown only when it isn't 100%."
    QUEUED = "queued", "Agent audio that has arrived and is waiting to be played."
    LEVEL = "level", "Current RMS level and held peak, in dB relative to full scale (0 dB)."
    CLIPPING = "clipping", "Whether the microphone reaches full scale and distorts. If it does, lower its gain."
    SILENCE = "silence", "Whether the microphone sends only zeros, as it does when it is muted or access is denied."
    DC_OFFSET = "DC offset", "Mean of the microphone's samples, which should be 0%."
    ECHO = "echo", "The agent's sound as the microphone picks it up: level relative to playback, and delay."
    CLOCK = "clock", "The microphone's clock relative to the speaker's, in parts per million."
    QUEUE = "queued now, worst", "Agent audio waiting to be played: the current amount, and the most in this call."
    BUFFER = ("buffer",
              ("How much of a reply must arrive before playback starts. A larger buffer prevents dropouts but "
               "delays the response."))
    DEVICE_LATENCY = "device latency", "Audio held in the playback device, as reported by the device."
    TIMING = ("timing",
              "How accurate response times are with these devices. Measure this with `opusagent-tui calibrate`.")
    JITTER = ("arrival jitter p95",
              "In the last 10 s, 95% of the current reply's chunks were at most this late relative to real time.")
    DELIVERY = ("delivery",
                "Audio received, divided by the time it took to arrive; above 1 is faster than real time.")
    SENDING = ("callback to socket",
               "Time that a microphone block takes to reach the socket: median and 99th percentile.")
    SENDING_WORST = ("worst of last second",
                     "The longest time that a block took from the microphone to the socket in the last second.")
    LOOP_LAG = "event loop lag", "The longest delay of this program's event loop during the last second."
    CALLBACK_LOAD = ("callback load",
                     "Largest share of a block's length spent in an audio callback in the last second.")
    ROUND_TRIP = "websocket round trip", "Round trip of the latest websocket ping."
    CAPTURE_STALLED = "capture stalled", "How often, and for how long, the microphone delivered no audio."
    PLAYBACK_STALLED = "playback stalled", "How often, and for how long, the speaker accepted no audio."
    # fmt: on


LOSS_MEANINGS: Mapping[Loss, str] = {
    Loss.CAPTURE_OVERFLOW: "Microphone blocks lost by the sound system; shown as “overflow” in the header.",
    Loss.CAPTURE_DROPPED: (
        "Microphone blocks lost because this program fell behind or was reopening the device; "
        "shown as “dropped” in the header."
    ),
    Loss.UNSENT: "Microphone blocks recorded while the agent was not accepting audio.",
    Loss.WITHHELD: "Microphone blocks withheld on purpose while the agent spoke. Not a fault.",
    Loss.UNDERRUN: "How often playback ran dry during a reply, because its audio came too late.",
    Loss.DEVICE_UNDERFLOW: (
        "Blocks during which the speaker had nothing to play; shown as “underflow” in the header."
    ),
    Loss.UNHEARD: "Agent audio that was discarded unplayed, by a barge-in or with the i key. Not a fault.",
    Loss.QUEUE_FULL: "Agent audio dropped because the playback queue was full.",
    Loss.UNDECODABLE: "Messages that could not be decoded.",
    Loss.LATE_TOOL_RESULT: "Tool results that arrived after the time limit and were not sent.",
    Loss.CALLBACK_FAILED: (
        "Callbacks that raised an exception; shown as “callbacks” in the header. Press T to list them."
    ),
}
"""Amounts lost, with their unit; the name of each is `Loss.label`."""

SIGNS: Mapping[str, str] = {
    "✓ ~ ✗": "A response time that is good, slow or bad; the thresholds are in the settings.",
    "? uncertain": "The figure may be wrong; the reason is shown with the turn.",
    "–": "Not measured, or not measured yet.",
    "p50, p95": "Half (p50) or 95% (p95) of the response times are at most this long. Shown after 20 turns.",
    "1 2 3 ▼ ✗": "On the timeline of a saved session: the start of a turn, a barge-in, and an error.",
    "┄ ╳ ▼ ◦ …": "In the floor pane: a gap, an overlap at a change of speaker, talk-over, a backchannel, a pause.",
    "talk-over": "How long the user and the agent spoke at the same time.",
    "floor": "The right to speak, judged by sound: a party that speaks alone has it until the other takes it.",
    "yield": "Time from when the other party begins to speak until the party that held the floor is silent.",
    "backchannel": "Short speech that does not take the floor, as defined by backchannel_ms and backchannel_gap_ms.",
    "false interruption": "The party that held the floor stopped for a backchannel, then continued.",
    "mic on, mic off": "Whether the microphone's audio is sent to the agent. The call is saved either way.",
    "saving, not saved": "Whether the call is being saved to disk.",
    "MUTED": "Silence is sent instead of the microphone's audio.",
}
"""Symbols and words that are shown next to the figures."""
