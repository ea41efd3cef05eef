"""Tests Google's Python SDK as a client of the local agent, over TLS only. Its types check this program's caller."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("google.genai", reason="run: tests/peers/run")

from google import genai
from google.genai import types

from tests.agent.calls import line_named, spoken
from tests.peers.conftest import LIMIT_S, TOKEN
from tui.agent.process import AgentProcess
from tui.assets import prompts

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(LIMIT_S)]

_CONFIG: dict[str, Any] = {
    "response_modalities": ["AUDIO"],
    "speech_config": {"voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}}},
    "system_instruction": "Be brief.",
    "tools": [{"function_declarations": [{"name": "opening_hours", "parameters": {"type": "OBJECT"}}]}],
    "input_audio_transcription": {},
    "output_audio_transcription": {},
    "session_resumption": {},
}


async def test_a_whole_conversation(
    secure_agent: AgentProcess, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    url = secure_agent.url("").replace("wss:", "https:")
    client = genai.Client(api_key=TOKEN, http_options=types.HttpOptions(base_url=url))
    async with client.aio.live.connect(model="any-live-model", config=_CONFIG) as session:

        async def speak(name: str) -> None:
            pcm = spoken(name, 16_000)
            for at in range(0, len(pcm), 6_400):
                blob = types.Blob(data=pcm[at : at + 6_400], mime_type="audio/pcm;rate=16000")
                await session.send_realtime_input(audio=blob)

        async def turn() -> dict[str, Any]:
            """Returns one turn of the agent, or its tool call."""
            seen: dict[str, Any] = {"user": "", "agent": "", "bytes": 0, "interrupted": False, "call": None}
            async with asyncio.timeout(LIMIT_S):
                async for message in session.receive():
                    seen["bytes"] += len(message.data or b"")
                    if message.data:
                        speaks.set()
                    if message.tool_call and message.tool_call.function_calls:
                        seen["call"] = message.tool_call.function_calls[0]
                        return seen
                    content = message.server_content
                    if content and content.input_transcription:
                        seen["user"] += content.input_transcription.text or ""
                    if content and content.output_transcription:
                        seen["agent"] += content.output_transcription.text or ""
                    seen["interrupted"] |= bool(content and content.interrupted)
            return seen

        speaks = asyncio.Event()
        await session.send_client_content(turn_complete=True)
        greeting = await turn()
        assert (greeting["agent"], greeting["bytes"] > 24_000) == (prompts()["greeting"].text, True)

        await speak("number")
        answer = await turn()
        assert (answer["user"], answer["agent"]) == (line_named("number").text, prompts()["order"].text)

        await speak("hours")
        call = (await turn())["call"]
        assert call.name == "opening_hours"
        await session.send_tool_response(
            function_responses=types.FunctionResponse(
                id=call.id, name=call.name, response={"output": "9 to 6"}
            )
        )
        assert (await turn())["agent"].startswith(prompts()["hours"].text)

        await speak("services")
        speaks.clear()
        speaking = asyncio.ensure_future(turn())
        await speaks.wait()
        await speak("interrupt")
        assert (await speaking)["agent"] == prompts()["workshop"].text
        said = await turn()
        assert (said["user"], said["agent"]) == (line_named("interrupt").text, prompts()["listening"].text)


def test_what_our_caller_sends_and_reads_has_the_sdks_types() -> None:
    from tests.protocols.both_ends import example

    judged = 0
    for line in example("gemini"):
        kind = types.LiveServerMessage if line["dir"] == "s2c" else types.LiveClientMessage
        message = line["message"]
        if "voiceActivity" in message:
            continue  # the SDK renames this member before its types check it
        parsed = kind.model_validate(message)
        assert parsed.model_dump(exclude_none=True), json.dumps(message)
        judged += 1
    assert judged == 23
