"""Makes load-test calls in virtual time: ``python -m tests.load.side_by_side FILE PROTOCOL…``.

Prints a line of JSON for each call: its edges of speech, the edges that an ordinary call's detectors find on
its recorded tracks, and the figures of the call and of an ordinary call.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.scenario.virtual import run


async def play(file: Path, protocols: list[str]) -> None:
    """Makes all calls at once, and prints their figures."""
    from tui.agent.server import AgentServer
    from tui.agent.settings import AgentSettings
    from tui.audio.crowd import Crowd
    from tui.audio.detector_pool import DetectorPool
    from tui.audio.formats import AudioFormat
    from tui.audio.speech import make_detector
    from tui.models import events as e
    from tui.models.sound.speech import HeardSpeech
    from tui.models.target import Target
    from tui.protocols.registry import protocol_named
    from tui.scenario.holding import hold
    from tui.scenario.lines import lines_of
    from tui.scenario.player import Aids
    from tui.scenario.reading import read_scenario
    from tui.session.live import LiveSession

    class Recorded:
        """Stores both tracks of a call, like a saved call."""

        def __init__(self) -> None:
            self.user: list[tuple[int, bytes, int]] = []
            self.agent: list[tuple[int, bytes, int]] = []

        def user_format(self, audio_format: AudioFormat) -> None:
            pass

        def user_sent(self, end_ns: int, pcm: bytes, rate: int) -> None:
            self.user.append((end_ns, pcm, rate))

        def agent_heard(self, start_ns: int, pcm: bytes, rate: int) -> None:
            self.agent.append((start_ns, pcm, rate))

        def agent_cut(self, at_ns: int) -> None:
            pass

        def edges(self) -> list[tuple[str, bool, int]]:
            """Returns the edges that an ordinary call finds on the tracks."""
            found: list[tuple[str, bool, int]] = []
            detector = make_detector(self.user[0][2])
            for end_ns, pcm, _ in self.user:
                found += [("user", edge.started, edge.at_ns) for edge in detector.feed(pcm, end_ns)]
            found += [("user", edge.started, edge.at_ns) for edge in detector.finish(self.user[-1][0])]
            pool = DetectorPool()
            heard = HeardSpeech(
                lambda edge: found.append(("agent", edge.started, edge.at_ns)), lambda *_: None, pool
            )
            for start_ns, pcm, rate in self.agent:
                heard.feed(start_ns, pcm, rate, start_ns)
                pool.judge_due(start_ns)
            heard.finish()
            return sorted(found, key=lambda edge: edge[2])

    scenario, crowd = read_scenario(file), Crowd()

    async def one(url: str, protocol: str, shared: Crowd | None) -> dict[str, object]:
        sessions: list[LiveSession] = []
        edges: list[tuple[str, bool, int]] = []
        recorded = Recorded()

        def take(event: e.SessionEvent) -> None:
            if isinstance(event, e.SpeechEdge):
                edges.append((event.speaker, event.started, event.at_ns))

        def follow(session: LiveSession) -> None:
            sessions.append(session)
            session.audio.tracks = [recorded]
            session.audio.playback.add_track(recorded)

        target = Target(url=url + protocol_named(protocol).path, protocol=protocol)
        aids = Aids(lines_of(scenario))
        run = await hold(scenario, target, aids=aids, show=take, follow=follow, crowd=shared)
        metrics = sessions[0].state.metrics
        began_ns = metrics.started_ns or 0

        def in_ms(found: list[tuple[str, bool, int]]) -> list[tuple[str, bool, float]]:
            return [
                (who, started, (at_ns - began_ns) / 1e6)
                for who, started, at_ns in sorted(found, key=lambda edge: edge[2])
            ]

        return {
            "verdicts": [f"{case.verdict} {case.name}" for case in run.cases],
            "edges_ms": in_ms(edges),
            "on_tracks_ms": in_ms(recorded.edges()),
            "response_ms": metrics.response_latencies_ms,
            "barge_ins_ms": [barge_in.silence_ms for barge_in in metrics.barge_ins],
            "audio_ms": (metrics.audio_sent_ms, metrics.audio_received_ms),
            "messages": (metrics.messages_sent, metrics.messages_received),
            "events": sessions[0].journal.number,
            "send_p99_ms": metrics.send_p99_ms,
        }

    async with AgentServer(AgentSettings(interrupt_ms=500)) as server, asyncio.timeout(600):
        serving = asyncio.ensure_future(crowd.run())
        made = await asyncio.gather(
            *(one(server.url, protocol, shared) for protocol in protocols for shared in (None, crowd))
        )
        serving.cancel()
    for index, protocol in enumerate(protocols):
        alone, in_crowd = made[2 * index : 2 * index + 2]
        print(json.dumps({"protocol": protocol, "alone": alone, "crowd": in_crowd}), flush=True)


if __name__ == "__main__":
    run(lambda: play(Path(sys.argv[1]), sys.argv[2:]))
