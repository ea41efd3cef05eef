"""Turns that are slow for different reasons."""

from __future__ import annotations

from tui.models.turns.turns import LatencyParts, Turn


def late_notice() -> list[Turn]:
    """Returns two turns whose end of speech the agent noticed late, and whose time is mostly unexplained."""
    return [
        Turn(
            number=number,
            response_latency_ms=latency_ms,
            user_text="Hello?",
            parts=LatencyParts(
                capture_ms=0.0, sending_ms=0.8, agent_ms=latency_ms - 50, transport_ms=5.0, prebuffer_ms=44.2
            ),
            reported_ms={"speech stopped": 632.0, "recognised": 638.0},
            unexplained_ms=latency_ms - 682,
        )
        for number, latency_ms in ((1, 2175.2), (2, 2175.4))
    ]
