"""Tests findings and advice about the agent's audio itself, in calls with several protocols."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

import pytest

from tests.session.scripted import Peer, accepts, call_to
from tui.assets import prompts
from tui.audio.formats import AudioFormat, Encoding, encode
from tui.audio.wav import read_wav
from tui.models import events as e
from tui.protocols.base import Finding
from tui.session.reply_checks import ReplyChecks

MULAW_8K = AudioFormat(Encoding.MULAW, 8_000)
PCM = read_wav(prompts()["greeting"].path, 8_000)[:48_000]
MULAW = encode(PCM, MULAW_8K)


def audiocodes(audio: bytes, media: str) -> Callable[[Peer], Awaitable[None]]:
    return accepts(lambda peer: peer.play("a", audio=audio, media=media))


def twilio(audio: bytes) -> Callable[[Peer], Awaitable[None]]:
    async def script(peer: Peer) -> None:
        started = await peer.until("start", "event")
        payload = base64.b64encode(audio).decode()
        media = {"event": "media", "streamSid": started["streamSid"], "media": {"payload": payload}}
        await peer.send(media, {"event": "mark", "streamSid": started["streamSid"], "mark": {"name": "m"}})
        await peer.stay()

    return script


@pytest.mark.parametrize(
    ("protocol", "script", "says"),
    [
        ("audiocodes", audiocodes(PCM, "raw/mulaw"), "labeled mulaw 8 kHz is actually 16-bit PCM"),
        ("audiocodes", audiocodes(MULAW, "raw/lpcm16_8"), "labeled pcm16 8 kHz is actually mu-law"),
        ("audiocodes", audiocodes(PCM, "raw/lpcm16_8"), ""),
        ("audiocodes", audiocodes(MULAW, "raw/mulaw"), ""),
        ("twilio", twilio(PCM), "labeled mulaw 8 kHz is actually 16-bit PCM"),
        ("twilio", twilio(MULAW), ""),
    ],
)
async def test_audio_in_another_encoding_than_its_label_is_a_finding(
    protocol: str, script: Callable[[Peer], Awaitable[None]], says: str
) -> None:
    async with call_to(script, protocol=protocol, formats=()) as held:
        await held.until(e.ReplyStarted)
        await held.until(e.PlaybackStarted)
        found = [event for event in held.of(e.FindingRaised) if event.rule == "wrong-encoding"]
    assert [(says in event.text, event.advice) for event in found] == ([(True, False)] if says else [])
    assert held.session.state.metrics.findings == len(found)


@pytest.mark.parametrize(
    ("received_ms", "ratio", "slow"),
    [(4_000, 0.33, True), (4_000, 0.79, True), (4_000, 0.9, False), (900, 0.33, False), (4_000, None, False)],
)
def test_a_reply_slower_than_real_time_is_advice(received_ms: float, ratio: float | None, slow: bool) -> None:
    found: list[Finding] = []
    ReplyChecks(found.append).ended(received_ms, ratio)
    assert [(each.rule, each.advice) for each in found] == ([("slower-than-real-time", True)] if slow else [])
    if found and ratio == 0.33:
        assert "A 4.0 s reply arrived at 0.33 × real time" in found[0].text
