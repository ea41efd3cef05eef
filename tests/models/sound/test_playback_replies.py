"""What is known of a reply is one record: it says the same to whoever asks, however many were interrupted."""

from __future__ import annotations

from tui.audio.formats import AudioFormat, Encoding
from tui.models.audio_manager import AudioManager

PCM_16K = AudioFormat(Encoding.PCM16, 16_000)
TEN_MS = bytes(320)


async def test_no_reply_is_being_received_after_300_were_flushed_and_half_of_them_never_ended() -> None:
    audio = AudioManager()
    await audio.configure(input="lines", output="none")
    playback = audio.playback
    for number in range(300):
        reply = str(number)
        playback.begin(reply, PCM_16K)
        playback.play(reply, TEN_MS)
        assert playback.receiving
        assert playback.speaker
        await playback.speaker.flush()
        playback.play(reply, TEN_MS)
        if number % 2:
            playback.end(reply)
    assert not playback.receiving
    assert playback.stats.unheard_frames == 300 * 2 * 160
    await audio.close()
