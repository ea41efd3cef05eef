"""Imports scenarios from the YAML formats of other tools: streamdouble, voicebench, pipecat.

The formats are documented by streamdouble (0.3, `streamdouble.scenario`), voicebench (0.2, "Scenario format")
and pipecat (`pipecat.evals.script`, "Scripted scenarios"). `Imported.left_out` lists every part that cannot
be imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import msgspec

from tui.scenario.reading import ScenarioError
from tui.scenario.writing import toml_of
from tui.text.strict import quoted
from tui.text.visible import one_line

EXTRA = 'pip install "opusagent-tui[yaml]"'
_MOST_BYTES = 1_000_000
_PIPECAT_WITHIN_MS = 60_000
_SPOKEN = ("response", "llm_response", "tts_response")
_MOMENTS = {"bot_started_speaking": "agent speaks", "bot_stopped_speaking": "agent stops"}
"""The agent sign that corresponds to each pipecat event."""
_LIMITS = {
    "max_response_latency_ms": ("response", "max"),
    "p50_response_latency_ms": ("response", "p50"),
    "max_barge_in_stop_ms": ("barge_in", "max"),
}
"""The limit that corresponds to each voicebench assertion."""

Table = dict[str, Any]


class Imported(msgspec.Struct):
    """An imported scenario as TOML tables."""

    name: str
    source: str
    """Name of the tool for which the scenario was written."""
    head: Table = {}
    steps: list[Table] = []
    left_out: list[str] = []
    """Phrases that describe what could not be imported."""

    def move(self, source: Path, folder: Path) -> None:
        """Changes paths of WAV files from relative to ``source`` to relative to ``folder``."""
        for step in self.steps:
            if str(step.get("say", "")).lower().endswith(".wav"):
                step["say"] = Path(os.path.relpath(source / step["say"], folder)).as_posix()

    def text(self) -> str:
        """Returns the text of the scenario file."""
        lines = [
            f"name = {toml_of(self.name)}",
            *(f"# not converted: {one_line(each)}" for each in self.left_out),
        ]
        plain = {key: value for key, value in self.head.items() if not isinstance(value, dict)}
        lines += [f"{key} = {toml_of(value)}" for key, value in plain.items()]
        for key, table in self.head.items():
            if isinstance(table, dict):
                lines += ["", f"[{key}]", *(f"{inner} = {toml_of(value)}" for inner, value in table.items())]
        for step in self.steps:
            lines += ["", "[[step]]", *(f"{key} = {toml_of(value)}" for key, value in step.items())]
        return "\n".join(lines) + "\n"


def import_scenarios(path: Path) -> list[Imported]:
    """Returns the scenarios in a YAML file of another tool. Raises `ScenarioError`."""
    document, left_out = _read(path)
    if "steps" in document:
        found = [_streamdouble(document, path)]
    elif "scenarios" in document:
        shared = {key: value for key, value in document.items() if key not in ("scenarios", "name")}
        found = [_pipecat({**shared, **each}, path) for each in _tables(document["scenarios"])]
    elif any("audio" in turn and "user" not in turn for turn in _tables(document.get("turns"))):
        found = [_voicebench(document, path)]
    elif "turns" in document or "persona" in document:
        found = [_pipecat(document, path)]
    else:
        raise ScenarioError(f"{path} is not a scenario for streamdouble, voicebench or Pipecat.")
    for each in found:
        each.left_out += left_out
    if not any(each.steps for each in found):
        why = next((f": {each.left_out[0]}" for each in found if each.left_out), "")
        raise ScenarioError(f"Nothing in {path} could be imported{one_line(why)}.")
    return [each for each in found if each.steps]


def _read(path: Path) -> tuple[Table, list[str]]:
    try:
        import yaml
    except ImportError as error:
        raise ScenarioError(f"Importing scenarios needs the yaml extra: {EXTRA}.") from error

    left_out: list[str] = []

    class Loader(yaml.SafeLoader):  # type: ignore[misc, unused-ignore]  # the library may have no types
        """A YAML loader that does not load other files."""

    def include(loader: Any, node: Any) -> None:
        left_out.append(f"!include {node.value}")

    Loader.add_constructor("!include", include)
    try:
        content = path.read_bytes()
        if len(content) > _MOST_BYTES:
            raise ScenarioError(f"{path} is larger than {_MOST_BYTES:,} bytes.")
        document = yaml.load(content, Loader)
    except OSError as error:
        raise ScenarioError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ScenarioError(f"{path}{where}: this is not valid YAML.") from error
    if not isinstance(document, dict):
        raise ScenarioError(f"{path} is not a scenario for streamdouble, voicebench or Pipecat.")
    return document, left_out


# -- streamdouble --


def _streamdouble(document: Table, path: Path) -> Imported:
    found = Imported(_name(document, path), "streamdouble", head={"target": {"protocol": "twilio"}})
    steps = document["steps"]
    for number, entry in enumerate(steps if isinstance(steps, list) else [], 1):
        verb, value = next(iter(entry.items())) if isinstance(entry, dict) and entry else (entry, None)
        _streamdouble_step(found, number, str(verb), value)
    return found


def _streamdouble_step(found: Imported, number: int, verb: str, value: Any) -> None:
    match verb:
        case "say":
            # A streamdouble caller speaks immediately, even over the agent.
            found.steps.append({"say": str(value), "when": "now"})
        case "wait" if _is_number(value):
            found.steps.append({"silence": _duration(value * 1_000)})
        case "dtmf":
            found.steps.append({"press": str(value), "when": "now"})
        case "hangup":
            found.steps.append({"hang_up": True, "when": "now"})
            found.left_out.append(
                f"step {number}: hanging up without a stop message (the imported scenario hangs up properly)"
            )
        case "wait_for" | "expect":
            event = value.get("event") if isinstance(value, dict) else value
            timeout_s = value.get("timeout", 10) if isinstance(value, dict) else 10
            signs = {"audio": "agent speaks", "quiet": "agent stops", "clear": "message kind:clear"}
            if event in signs and _is_number(timeout_s):
                found.steps.append({"expect": signs[event], "within": _duration(timeout_s * 1_000)})
            elif event == "no_violations":
                found.head["limits"] = {"findings": 0}
            else:
                found.left_out.append(f"step {number}: {verb} {event}")
        case _:
            found.left_out.append(f"step {number}: {verb}")


# -- voicebench --


def _voicebench(document: Table, path: Path) -> Imported:
    found = Imported(_name(document, path), "voicebench")
    if _is_number(longest_ms := document.get("max_duration_ms", 120_000)):
        found.head["timeout"] = _duration(longest_ms)
    _voicebench_target(found, document.get("adapter"))
    limits: dict[str, Table] = {}
    for name, value in _table(document.get("assert")).items():
        if name in _LIMITS and _is_number(value):
            figure, bound = _LIMITS[name]
            limits.setdefault(figure, {})[bound] = _duration(value)
        else:
            found.left_out.append(f"assert: {name}")
    if limits:
        found.head["limits"] = limits
    defaults = _table(document.get("defaults"))
    for number, turn in enumerate(_tables(document["turns"]), 1):
        _voicebench_turn(found, number, {**defaults, **turn})
    known = ("name", "description", "max_duration_ms", "adapter", "defaults", "turns", "assert")
    found.left_out += [str(key) for key in document if key not in known]
    return found


def _voicebench_target(found: Imported, adapter: object) -> None:
    options = _table(_table(adapter).get("options"))
    kind = _table(adapter).get("type", "mock")
    if kind == "websocket" and isinstance(url := options.get("url"), str):
        found.head["target"] = {"url": url, "protocol": "pcm"}
    elif adapter is not None:
        found.left_out.append(f"adapter {kind}; name the agent with --url or --profile")


def _voicebench_turn(found: Imported, number: int, turn: Table) -> None:
    audio = _table(turn.get("audio"))
    if isinstance(file := audio.get("file"), str):
        found.steps.append({"say": file} | _voicebench_moment(found, number, _table(turn.get("start"))))
    elif audio.get("synth") == "silence" and _is_number(length_ms := audio.get("duration_ms")):
        found.steps.append({"silence": _duration(length_ms)})
    else:
        found.left_out.append(f"turn {number}: synthetic audio ({audio.get('synth', 'none')})")
        return
    if "text" in turn:
        found.left_out.append(f"turn {number}: text, the words that the agent should recognize")
    stop_ms, answer_ms = turn.get("max_stop_ms", 1_000), turn.get("response_timeout_ms", 5_000)
    match turn.get("expect", "respond"):
        case "respond" if _is_number(answer_ms):
            found.steps.append({"expect": "agent speaks", "within": _duration(answer_ms)})
        case "stop" if _is_number(stop_ms):
            found.steps.append({"expect": "agent stops", "within": _duration(stop_ms)})
        case "ignore" if _is_number(stop_ms):
            found.steps.append({"expect": "agent keeps speaking", "for": _duration(stop_ms)})
        case other:
            found.left_out.append(f"turn {number}: expect {other}")


def _voicebench_moment(found: Imported, number: int, start: Table) -> Table:
    first = number == 1
    after = start.get("after", "session_start" if first else "agent_speech_end")
    delay_ms = start.get("delay_ms", 500 if first and "after" not in start else 0)
    signs = {
        "session_start": "now",
        "previous_turn_end": "now",
        "agent_speech_start": "agent speaks",
        "agent_speech_end": "agent stops",
    }
    if after not in signs or not _is_number(delay_ms):
        found.left_out.append(f"turn {number}: start {after}")
        return {}
    if after == "agent_speech_end" and not delay_ms:
        return {}
    return {"when": signs[after] + (f" + {_duration(delay_ms)}" if delay_ms else "")}


# -- pipecat --


def _pipecat(document: Table, path: Path) -> Imported:
    found = Imported(_name(document, path), "pipecat")
    if "persona" in document:
        found.left_out.append("persona: a simulated user")
    stop = document.get("stop_on_failure", True) is True
    for number, turn in enumerate(_tables(document.get("turns")), 1):
        _pipecat_turn(found, number, turn, stop=stop)
    found.left_out += [key for key in ("judge", "context") if document.get(key)]
    return found


def _pipecat_turn(found: Imported, number: int, turn: Table, *, stop: bool) -> None:
    moment = _pipecat_moment(found, number, turn.get("send_after"))
    if words := turn.get("audio") or turn.get("user"):
        found.steps.append({"say": str(words)} | moment)
    elif keys := turn.get("dtmf"):
        found.steps.append({"press": str(keys)} | moment)
    if "image" in turn:
        found.left_out.append(f"turn {number}: image")
    for expected in _tables(turn.get("expect")):
        steps = list(_pipecat_expected(found, number, expected))
        found.steps += [step | ({"stop": True} if stop else {}) for step in steps]


def _pipecat_moment(found: Imported, number: int, after: object) -> Table:
    if not isinstance(after, dict):
        return {}
    event, delay_ms = after.get("event"), after.get("delay_ms", 0)
    sign = "now" if event is None else _MOMENTS.get(str(event))
    if sign is None or not _is_number(delay_ms):
        found.left_out.append(f"turn {number}: send_after {event}")
        return {}
    return {"when": sign + (f" + {_duration(delay_ms)}" if delay_ms else "")}


def _pipecat_expected(found: Imported, number: int, expected: Table) -> Sequence[Table]:
    event, within_ms = str(expected.get("event")), expected.get("within_ms", _PIPECAT_WITHIN_MS)
    if not _is_number(within_ms):
        within_ms = _PIPECAT_WITHIN_MS
    within = {"within": _duration(within_ms)}
    carried = {"event", "within_ms"}
    steps: list[Table] = []
    if expected.get("absent") is True:
        if event in (*_SPOKEN, "bot_started_speaking"):
            carried |= {"absent"}
            steps = [{"expect": "agent keeps silent", "for": _duration(within_ms)}]
    elif event == "function_call":
        carried |= {"calls", "name", "args"}
        calls = _tables(expected.get("calls")) or [expected]
        named = [call for call in calls if call.get("name")]
        steps = [
            {"expect": f"tool {call['name']}"} | ({"args": call["args"]} if call.get("args") else {}) | within
            for call in named
        ]
    elif event in _SPOKEN and expected.get("text_contains"):
        carried |= {"text_contains"}
        steps = [{"expect": f"transcript {one_line(str(expected['text_contains']))}"} | within]
    elif event in _SPOKEN or event in _MOMENTS:
        steps = [{"expect": _MOMENTS.get(event, "agent speaks")} | within]
    if not steps:
        found.left_out.append(f"turn {number}: event {event}")
    else:
        missing = [key for key in expected if key not in carried]
        found.left_out += [f"turn {number}: {key} of {event}" for key in missing]
    return steps


# -- values --


def _name(document: Table, path: Path) -> str:
    name = document.get("name")
    return one_line(name, 200) if isinstance(name, str) and name else path.stem


def _table(value: object) -> Table:
    return dict(value) if isinstance(value, Mapping) else {}


def _tables(value: object) -> list[Table]:
    return [dict(each) for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9


def _duration(value_ms: float) -> str:
    return f"{value_ms / 1_000:g}s" if value_ms >= 1_000 and value_ms % 10 == 0 else f"{round(value_ms)}ms"


def refusal_of(path: Path) -> str:
    """Returns an error sentence for a file that already exists."""
    return f"{quoted(str(path))} already exists. Choose another folder with --output."
