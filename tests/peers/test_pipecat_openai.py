"""Tests pipecat's service for OpenAI Realtime in a pipeline. Its own types parse every event."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("pipecat", reason="run: tests/peers/run")

from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.adapters.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMRunFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    SessionProperties,
    TurnDetection,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService

from tests.agent.calls import line_named, spoken
from tests.peers.conftest import LIMIT_S
from tui.agent.process import AgentProcess
from tui.assets import prompts

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(LIMIT_S)]


class Ears(FrameProcessor):
    """Passes everything on, and stores what a user would notice."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: asyncio.Queue[Any] = asyncio.Queue()
        self.errors: list[str] = []
        self.quiet = asyncio.Event()
        """Whether the user has stopped speaking."""

    async def process_frame(self, frame: Any, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, ErrorFrame):
            self.errors.append(frame.error)
        if isinstance(frame, UserStoppedSpeakingFrame):
            self.quiet.set()
        elif isinstance(frame, UserStartedSpeakingFrame):
            self.quiet.clear()
        self.frames.put_nowait(frame)
        await self.push_frame(frame, direction)

    async def until(self, kind: type) -> list[Any]:
        """Returns the frames up to the next frame of this kind."""
        seen: list[Any] = []
        async with asyncio.timeout(
            LIMIT_S / 2
        ):  # shorter than the test's own limit, after which pipecat does not end
            while not (seen and isinstance(seen[-1], kind)):
                seen.append(await self.frames.get())
        return seen


async def test_a_whole_conversation(agent: AgentProcess) -> None:
    calls: list[str] = []

    async def opening_hours(params: Any) -> None:
        calls.append(params.function_name)
        # pipecat does not request an answer if the result arrives while it assumes that the user is speaking.
        await after.quiet.wait()
        await params.result_callback("nine to six")

    heard = AudioInput(transcription=InputAudioTranscription(), turn_detection=TurnDetection())
    properties = SessionProperties(instructions="Be brief.", audio=AudioConfiguration(input=heard))
    service = OpenAIRealtimeLLMService(
        api_key="any",
        base_url=agent.url("/v1/realtime"),
        settings=OpenAIRealtimeLLMService.Settings(session_properties=properties),
    )
    service.register_function("opening_hours", opening_hours)
    schema = FunctionSchema("opening_hours", "When a customer may come.", properties={}, required=[])
    context = LLMContext([{"role": "user", "content": "Hello."}], tools=ToolsSchema([schema]))
    aggregators = LLMContextAggregatorPair(context, realtime_service_mode=True)
    before, after = Ears(), Ears()
    task = PipelineTask(
        Pipeline([aggregators.user(), before, service, after, aggregators.assistant()]),
        params=PipelineParams(audio_in_sample_rate=24_000, audio_out_sample_rate=24_000),
    )

    async def speak(name: str) -> None:
        pcm = spoken(name, 24_000)
        for at in range(0, len(pcm), 4_800):
            await task.queue_frame(InputAudioRawFrame(pcm[at : at + 4_800], 24_000, 1))

    async def answer() -> str:
        text = ""
        while not text:  # tool calls and the rest of an interrupted response have no text
            frames = await after.until(LLMFullResponseEndFrame)
            text = "".join(frame.text for frame in frames if isinstance(frame, TTSTextFrame))
        return text

    async def converse() -> list[str]:
        await task.queue_frame(LLMRunFrame())
        said = [await answer()]
        await speak("number")
        said.append(await answer())
        await speak("hours")
        said.append(await answer())
        await speak("services")
        await after.until(TTSAudioRawFrame)
        await speak("interrupt")
        await after.until(InterruptionFrame)
        said.append(await answer())
        await task.queue_frame(EndFrame())
        return said

    runner = PipelineRunner(handle_sigint=False)
    running = asyncio.ensure_future(runner.run(task))
    try:
        said = await converse()
    except TimeoutError:
        await task.cancel()
        raise
    await running
    assert before.errors == after.errors == []
    assert calls == ["opening_hours"]
    assert said[1] == prompts()["order"].text
    assert said[2:] == [prompts()["hours"].text + ' "nine to six"', prompts()["listening"].text]
    transcripts = [frame.text for frame in drained(before) if isinstance(frame, TranscriptionFrame)]
    assert transcripts == [line_named(name).text for name in ("number", "hours", "services", "interrupt")]


def drained(ears: Ears) -> list[Any]:
    frames = []
    while not ears.frames.empty():
        frames.append(ears.frames.get_nowait())
    return frames
