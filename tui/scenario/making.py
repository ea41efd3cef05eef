"""Makes a scenario from a saved session, so that a bug report becomes a test.

Each utterance, typed text and key press of the caller becomes a step. The other steps expect a healthy agent,
which answers and stops when interrupted, even if the agent in the session did not. Tool calls are expected
with the arguments from the session. If these arguments were wrong, correct them in the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import msgspec

from tui.assets import AssetsMissing, caller_lines
from tui.audio.formats import AudioFormat, Encoding
from tui.audio.wav import wav_header
from tui.files import write_new
from tui.models import events as e
from tui.models.turns.metrics import MetricsFold, SessionMetrics
from tui.saving.reading import SavedSession, open_session
from tui.scenario.reading import SUFFIX, ScenarioError, read_scenario
from tui.scenario.writing import toml_of
from tui.session.ending import OURS
from tui.text.numbers import counted
from tui.text.redaction import HIDDEN
from tui.text.strict import quoted
from tui.text.visible import one_line
from tui.units import NS_PER_MS, NS_PER_S

_PAUSE_NS = 1_200_000_000
"""Pauses shorter than this belong to the caller's utterance, unless the agent begins to speak during them."""
_AGENT_PAUSE_NS = 1_000_000_000
_LEAD_NS, _TAIL_NS = 200_000_000, 300_000_000
"""Length of the audio that is kept before and after an utterance."""
_BACKCHANNEL_NS = 700_000_000
"""Caller speech shorter than this while the agent speaks is not an interruption."""
_PATIENCE_NS = 3_000_000_000
"""A caller who is silent for this long is assumed to be waiting for an answer."""
_ANSWER, _ANSWER_AFTER_TOOL, _GREETING = "3s", "10s", "5s"
_MOST_CHARS = 120


class MadeScenario(msgspec.Struct):
    """A scenario file that was made from a saved session."""

    path: Path
    steps: int
    sounds: int
    """Number of WAV files next to the scenario file."""
    left_out: list[str]
    """Parts that could not be included, each described by a phrase."""

    @property
    def contents(self) -> str:
        """A phrase that describes the files that were written."""
        return f"{counted(self.steps, 'step')} and {counted(self.sounds, 'WAV file')}"


class _Act(msgspec.Struct):
    """An action of the caller: speech, typed text or key presses."""

    kind: str
    value: str
    began_ns: int
    ended_ns: int
    words: str = ""


class _Stretch(msgspec.Struct):
    """A period in which a party was heard."""

    began_ns: int
    ended_ns: int


class _Story:
    """The events and figures of a session from which the steps are made."""

    def __init__(self, saved: SavedSession) -> None:
        self.stretches: dict[e.Party, list[_Stretch]] = {party: [] for party in e.Party}
        self.tools: list[e.ToolChanged] = []
        self.acts: list[_Act] = []
        self.words: list[e.Transcribed] = []
        self.ending: e.StatusChanged | None = None
        self.failed = False
        self.first_ns = self.last_ns = 0
        fold = MetricsFold()
        for event in saved.events():
            fold.apply(event)
            self.last_ns = max(self.last_ns, event.at_ns)
            self._take(event)
        self.metrics: SessionMetrics = fold.metrics
        for stretches in self.stretches.values():
            for stretch in stretches:
                stretch.ended_ns = stretch.ended_ns or self.last_ns

    def _take(self, event: e.SessionEvent) -> None:
        match event:
            case e.StatusChanged(new=e.Status.ACTIVE) if not self.first_ns:
                self.first_ns = event.at_ns
            case e.StatusChanged(new=e.Status.ENDING):
                self.ending = event
            case e.StatusChanged(new=e.Status.ERROR):
                self.failed = True
            case e.SpeechEdge(started=True):
                self.stretches[event.speaker].append(_Stretch(event.at_ns, 0))
            case e.SpeechEdge() if self.stretches[event.speaker]:
                self.stretches[event.speaker][-1].ended_ns = event.at_ns
            case e.ToolChanged(finished=False):
                self.tools.append(event)
            case e.Transcribed(typed=True):
                self.acts.append(_Act("type", event.text, event.at_ns, event.at_ns))
            case e.Transcribed(final=True):
                self.words.append(event)
            case e.KeysPressed():
                self._press(event)

    def _press(self, event: e.KeysPressed) -> None:
        last = self.acts[-1] if self.acts else None
        if last is not None and last.kind == "press" and event.at_ns - last.ended_ns < _PAUSE_NS:
            last.value, last.ended_ns = last.value + event.digits, event.at_ns
        else:
            self.acts.append(_Act("press", event.digits, event.at_ns, event.at_ns))

    def agent(self) -> list[_Stretch]:
        """Returns the periods in which the agent was heard.

        Short pauses in the agent's speech do not separate two periods.
        """
        return list(_joined(self.stretches[e.Party.AGENT], _AGENT_PAUSE_NS, ()))

    def said(self, party: e.Party, since_ns: int, until_ns: int) -> str:
        """Returns the words of a party that arrived between ``since_ns`` and ``until_ns``."""
        found = (
            each.text for each in self.words if each.speaker is party and since_ns <= each.at_ns < until_ns
        )
        return one_line(" ".join(found), _MOST_CHARS)


def make_scenario(folder: Path, path: Path, slow_ms: float) -> MadeScenario:
    """Writes a scenario made from a session to a new file, and the caller's speech to WAV files next to it.

    ``slow_ms`` is the time above which a response counts as too slow. Takes several seconds for an
    hour-long session. Raises `ScenarioError`, `SavedSessionError`.
    """
    if not path.name.endswith(SUFFIX):
        path = path.with_name(path.name.removesuffix(".toml") + SUFFIX)
    with open_session(folder) as saved:
        maker = _Maker(saved, path, slow_ms)
        text = maker.text()
        try:
            for name, wav in maker.sounds.items():
                write_new(path.parent / name, wav)
            write_new(path, text.encode())
        except FileExistsError as error:
            existing = error.filename2 or error.filename or path
            raise ScenarioError(f"{quoted(str(existing))} already exists. Choose another name.") from error
        except OSError as error:
            raise ScenarioError(f"{path} cannot be written: {error.strerror or error}.") from error
    steps = len(read_scenario(path).steps)
    return MadeScenario(path, steps, len(maker.sounds), maker.left_out)


class _Maker:
    """Writes the text of one scenario, and the audio files that it refers to."""

    def __init__(self, saved: SavedSession, path: Path, slow_ms: float) -> None:
        self.sounds: dict[str, bytes] = {}
        self.left_out: list[str] = []
        self._saved = saved
        self._stem = path.name.removesuffix(SUFFIX)
        self._slow_ms = slow_ms
        self._call = call = _Story(saved)
        self._agent = call.agent()
        onsets = [stretch.began_ns for stretch in self._agent]
        speech = _joined(call.stretches[e.Party.USER], _PAUSE_NS, onsets)
        spoken = [_Act("say", "", each.began_ns, each.ended_ns) for each in speech]
        self._acts = sorted([*call.acts, *spoken], key=lambda act: act.began_ns)

    def text(self) -> str:
        """Returns the text of the file. Raises `ScenarioError` if the session contains no action of the caller."""
        steps = list(self._steps())
        if not self._call.first_ns or not self._acts:
            raise ScenarioError("The caller did not speak, type or press a key in this session.")
        title, session = self._saved.record.title, one_line(self._saved.folder.name)
        name = session if title in session else f"{title} {session}"
        lines = [
            f"# Made from the session {session}. The steps expect what a healthy agent would do.",
            "# Correct any expectation that is wrong, such as the arguments of a tool.",
            *(f"# not included: {one_line(each)}" for each in self.left_out),
            f"name = {toml_of(one_line(name, _MOST_CHARS))}",
            *self._target(),
            *self._limits(),
        ]
        for comment, step in steps:
            lines += ["", "[[step]]", *([f"# {comment}"] if comment else [])]
            lines += [f"{key} = {toml_of(value)}" for key, value in step.items()]
        return "\n".join(lines) + "\n"

    def _target(self) -> Iterator[str]:
        url, protocol = str(self._saved.record.target.get("url", "")), self._saved.record.protocol
        values = {"url": "" if HIDDEN in url else url, "protocol": protocol}
        if any(values.values()):
            yield from ("", "[target]", *(f"{key} = {toml_of(text)}" for key, text in values.items() if text))

    def _limits(self) -> Iterator[str]:
        """Yields limits for the problems in the session."""
        metrics, slow_ms = self._call.metrics, self._slow_ms
        found: dict[str, Any] = {}
        if (metrics.percentiles().worst_ms or 0.0) > slow_ms:
            found["response"] = {"max": _duration(slow_ms * NS_PER_MS)}
        if metrics.findings:
            found["findings"] = 0
        if metrics.errors and not self._call.failed:
            found["errors"] = 0
        if found:
            yield from ("", "[limits]", *(f"{key} = {toml_of(value)}" for key, value in found.items()))

    # -- steps: each is a comment and the keys of the step --

    def _steps(self) -> Iterator[tuple[str, dict[str, Any]]]:
        call, since_ns = self._call, self._call.first_ns
        first_ns = self._acts[0].began_ns if self._acts else call.last_ns
        if any(since_ns <= stretch.began_ns < first_ns for stretch in self._agent):
            yield call.said(e.Party.AGENT, since_ns, first_ns), _expected("agent speaks", _GREETING)
        for index, act in enumerate(self._acts):
            until_ns = self._acts[index + 1].began_ns if index + 1 < len(self._acts) else call.last_ns
            yield from self._turn(act, since_ns, until_ns, is_last=index + 1 == len(self._acts))
            since_ns = act.began_ns
        yield from self._end()

    def _turn(
        self, act: _Act, since_ns: int, until_ns: int, *, is_last: bool
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        step = self._act(act, until_ns)
        if step is None:
            return
        interrupted = next(
            (each for each in self._agent if each.began_ns < act.began_ns < each.ended_ns), None
        )
        if interrupted is not None:
            step["when"] = self._moment(act, since_ns)
        yield self._call.said(e.Party.USER, act.began_ns, until_ns) if act.kind == "say" else "", step
        if interrupted is not None and act.kind == "say":
            went_on = interrupted.ended_ns > act.began_ns + NS_PER_S
            if act.ended_ns - act.began_ns < _BACKCHANNEL_NS and went_on:
                yield "", {"expect": "agent keeps speaking", "for": "1s"}
                return
            yield "", _expected("agent stops", "1s")
        called = [tool for tool in self._call.tools if act.began_ns <= tool.at_ns < until_ns]
        yield from filter(None, map(self._tool, called))
        if self._answer_is_due(act, until_ns, is_last=is_last):
            answer = self._call.said(e.Party.AGENT, act.began_ns, until_ns)
            yield answer, _expected("agent answers", _ANSWER_AFTER_TOOL if called else _ANSWER)

    def _moment(self, act: _Act, since_ns: int) -> str:
        """Returns the moment of an action that interrupts the agent, in scenario notation."""
        onsets = (each.began_ns for each in self._call.stretches[e.Party.AGENT])
        onset_ns = next((at_ns for at_ns in onsets if since_ns <= at_ns <= act.began_ns), None)
        if onset_ns is not None:
            return f"agent speaks + {_duration(act.began_ns - onset_ns)}"
        before = max(each.ended_ns for each in self._acts if each.began_ns <= since_ns)
        return f"now + {_duration(act.began_ns - before)}"

    def _answer_is_due(self, act: _Act, until_ns: int, *, is_last: bool) -> bool:
        """Returns whether the agent answered the action, or the caller waited for an answer in vain."""
        answered = any(act.ended_ns <= each.began_ns < until_ns for each in self._agent)
        if answered or act.kind == "press":
            return answered
        if is_last and self._left_by_agent:
            return False
        waited_until_ns = self._call.ending.at_ns if is_last and self._call.ending else until_ns
        return waited_until_ns - act.ended_ns >= _PATIENCE_NS or (is_last and self._call.failed)

    def _act(self, act: _Act, until_ns: int) -> dict[str, Any] | None:
        if act.kind != "say":
            return {act.kind: act.value}
        wav, words = self._cut(act), self._call.said(e.Party.USER, act.began_ns, until_ns)
        if wav is not None:
            name = f"{self._stem}-{len(self.sounds) + 1}.wav"
            self.sounds[name] = wav
            return {"say": name}
        if words:
            return {"say": _line_named(words)}
        at_s = (act.began_ns - self._call.first_ns) / NS_PER_S
        self.left_out.append(
            f"what was said {at_s:.1f} s after the start: neither its audio nor its words were saved"
        )
        return None

    def _cut(self, act: _Act) -> bytes | None:
        """Returns the audio of a spoken action as a WAV file; None if the audio was not saved."""
        audio = self._saved.audio
        if audio is None:
            return None
        first, last = audio.frame_at(act.began_ns - _LEAD_NS), audio.frame_at(act.ended_ns + _TAIL_NS)
        pcm = audio.read(max(first, 0), last - max(first, 0)).user
        if not pcm.strip(b"\0"):
            return None
        return wav_header(AudioFormat(Encoding.PCM16, audio.rate), data_bytes=len(pcm)) + pcm

    def _tool(self, tool: e.ToolChanged) -> tuple[str, dict[str, Any]] | None:
        if not tool.name.isprintable() or " ".join(tool.name.split()) != tool.name or not tool.name:
            self.left_out.append(f"the call of a tool with an unusual name, {quoted(tool.name)}")
            return None
        step = _expected(f"tool {tool.name}", _ANSWER_AFTER_TOOL)
        try:
            args = _without_null(msgspec.json.decode(tool.arguments or "{}"))
        except (msgspec.DecodeError, RecursionError):
            args = None
        if isinstance(args, dict) and args:
            step["args"] = args
        return "", step

    @property
    def _left_by_agent(self) -> bool:
        ending = self._call.ending
        return ending is not None and ending.reason != OURS and not self._call.failed

    def _end(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if self._left_by_agent and self._call.ending is not None:
            yield one_line(self._call.ending.reason, _MOST_CHARS), _expected("hang-up", "10s")
        else:
            yield "", {"hang_up": True}


def _joined(stretches: Sequence[_Stretch], pause_ns: int, splits_ns: Sequence[int]) -> Iterator[_Stretch]:
    """Yields the periods in order. Joins two periods if the pause between them is shorter than ``pause_ns``.

    Periods whose pause contains one of the times in ``splits_ns`` are not joined.
    """
    current: _Stretch | None = None
    for each in sorted(stretches, key=lambda stretch: stretch.began_ns):
        if current is None:
            current = _Stretch(each.began_ns, each.ended_ns)
        elif each.began_ns - current.ended_ns < pause_ns and not any(
            current.ended_ns <= at_ns < each.began_ns for at_ns in splits_ns
        ):
            current.ended_ns = max(current.ended_ns, each.ended_ns)
        else:
            yield current
            current = _Stretch(each.began_ns, each.ended_ns)
    if current is not None:
        yield current


def _expected(sign: str, within: str) -> dict[str, Any]:
    return {"expect": sign, "within": within}


def _duration(duration_ns: float) -> str:
    return f"{max(ceil(duration_ns / NS_PER_MS), 0)}ms"


def _line_named(words: str) -> str:
    """Returns the name of the recorded line with these words, or the words if there is no such line."""
    try:
        found = (line.name for line in caller_lines() if line.text.casefold() == words.casefold())
        return next(found, words)
    except AssetsMissing:
        return words


def _without_null(value: Any) -> Any:
    """Returns a JSON value without nulls, which TOML does not have."""
    if isinstance(value, dict):
        return {key: _without_null(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_null(each) for each in value if each is not None]
    return value
