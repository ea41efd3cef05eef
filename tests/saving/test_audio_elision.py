from __future__ import annotations

import base64
import json

from tui.saving.audio_elision import without_audio


def test_audio_is_elided_to_its_length_and_nothing_else() -> None:
    audio = "A" * 428 + "=="
    raw = json.dumps({"type": "chunk", "audio": audio, "id": "a" * 40, "text": "long " * 100})
    clean = json.loads(without_audio(raw.encode()) or b"")
    assert clean == {"type": "chunk", "audio": "(430 characters)", "id": "a" * 40, "text": "long " * 100}
    assert without_audio(b"plain words") == b"plain words"
    assert without_audio(bytes(640)) is None
    assert without_audio(b'{"' + bytes(range(256))) is None


def test_the_shortest_chunk_is_elided_and_an_identifier_is_not() -> None:
    identifier, audio = "0d9a2f3e-8b1c-4f6e-9a57-3f2d1c0b9a88", base64.b64encode(bytes(32)).decode()
    clean = json.loads(without_audio(json.dumps({"id": identifier, "audioChunk": audio}).encode()) or b"")
    assert clean == {"id": identifier, "audioChunk": "(44 characters)"}
