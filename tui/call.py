"""Runs a call in one process, without a screen and without PortAudio, for scripts and CI."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from tui.exit_code import ExitCode
from tui.handlers.tools.file import Tool
from tui.models import events as e
from tui.models.log.describe import UNLISTED, Severity, describe
from tui.models.session_state import SessionState
from tui.models.target import Target
from tui.models.turns.figures import Against, Thresholds, against, response_of, too_close
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.output import in_json, turn_lines
from tui.scenario.holding import HeadlessCall
from tui.scenario.lines import SpokenLine, spoken_line
from tui.scenario.model import Expect, Say, Scenario, Step
from tui.scenario.performance import Performance
from tui.scenario.player import Aids
from tui.scenario.values import Duration, Sign, SignKind
from tui.scenario.verdict import StepVerdict
from tui.session.answer_watch import OPEN_STREAM_HINT
from tui.session.dialling import settle
from tui.session.ending_signals import on_ending_signals
from tui.text import numbers
from tui.text.json_text import json_of
from tui.text.visible import one_line

_UNHEARABLE = ("odd-byte", "queue-full")
"""Error codes for agent audio that could not be played as it was sent."""


class Script(msgspec.Struct, frozen=True):
    """The lines to play in a call and the expected results: a short form of a scenario."""

    say: Sequence[Path]
    timeout_s: float = 10.0
    """The longest wait for each answer, measured from the end of the line."""
    max_response_ms: float | None = None
    strict: bool = False
    """Whether any error or finding makes the call fail."""

    def scenario(self) -> Scenario:
        """Converts the script to a scenario that expects an answer after each line."""
        within = Duration(self.timeout_s * 1_000)
        steps: list[Step] = []
        for text in self._texts():
            steps.append(Say(say=text))
            steps.append(Expect(expect=Sign(SignKind.ANSWERS), within=within, stop=True))
        return Scenario(name="--say", timeout=Duration(math.inf), steps=steps)

    def lines(self) -> dict[str, SpokenLine]:
        """Reads the audio of the lines, by the text of their steps. Slow. Raises `AudioFileError`."""
        return {text: spoken_line(path) for text, path in zip(self._texts(), self.say, strict=True)}

    def _texts(self) -> list[str]:
        """Returns a text for each line: the name of its file, or the path of the file if the name is unsuitable.

        Names without an extension, and names of several files, are unsuitable.
        """
        named = Counter(path.name for path in set(self.say))
        return [path.name if path.suffix and named[path.name] == 1 else str(path) for path in self.say]


class _Seen:
    """Collects the events of a call that explain its outcome."""

    def __init__(self) -> None:
        self.errors: list[e.ErrorRaised] = []
        self.reasons: list[str] = []
        """Sentences that may explain why the answer to the latest line is missing."""
        self.hint = ""
        """Advice for when an answer is missing."""
        self.unfinished = 0
        """Number of replies that the agent began but never ended."""
        self.unshown: OSError | None = None
        """First error that prevented an event from being printed."""

    def take(self, event: e.SessionEvent) -> None:
        match event:
            case e.ErrorRaised():
                self.errors.append(event)
                self.reasons.append(f"an error was reported: {one_line(event.message)}")
            case e.ConditionChanged(active=True, condition=e.Condition.STREAM_NOT_OPENED):
                self.reasons.append(one_line(event.text))
            case e.ConditionChanged(active=True, hint=hint) if hint == OPEN_STREAM_HINT:
                self.hint = hint
            case e.StepChanged(verdict="") if event.text.startswith(Say.KIND):
                self.reasons.clear()


async def call(
    target: Target,
    script: Script,
    *,
    tools: Sequence[Tool] = (),
    show: Callable[[e.SessionEvent], None],
    explain: Callable[[str], None],
    failed: Callable[[ExitCode, str, str], object] = lambda code, reason, message: None,
    summary: Callable[[SessionMetrics], None] = lambda _: None,
    shows_audio: bool = True,
) -> ExitCode:
    """Runs a call and returns its exit code. Raises `ValueError` for settings that the protocol does not support.

    ``show`` receives every event. If ``shows_audio`` is false and the call is not saved, sums replace the
    events of audio messages. ``explain`` receives sentences about the outcome. ``failed`` receives the exit
    code, the reason code and an explanation if no event shows the failure.
    """
    seen, reasons = _Seen(), list[str]()
    dialled = await settle(target)
    held = HeadlessCall(
        script.scenario(),
        dialled,
        aids=Aids(lines=await asyncio.to_thread(script.lines)),
        answer_s=script.timeout_s,
        show=lambda event: _take(event, held, seen, show),
        note=reasons.append,  # printed after the call, because a closed terminal would raise an exception here
        sums_audio=not (shows_audio or target.save),
    )
    await held.prepare(tools)
    # Includes the close, because an interrupt must not lose data that is being saved.
    with on_ending_signals(held.session.hang_up) as received:
        await held.hold(open_line=False)
    state, metrics = held.session.state, held.session.state.metrics
    if received:
        with contextlib.suppress(OSError):  # a closed terminal cannot show the summary
            summary(metrics)
        return ExitCode(128 + received[0])
    if seen.unshown is not None:
        raise seen.unshown
    seen.unfinished = held.performance.listening.unfinished
    answers, judgment = list(_answer_reasons(held.performance, seen)), list[str]()
    code = _judge(state, seen, script, _unanswered(held.performance), judgment.append)
    for reason in (*reasons, *answers):
        explain(reason)
    if code is not ExitCode.FINE and state.fatal_error is None:
        failed(code, _reason_code(code, held.performance), " ".join(judgment or answers))
    summary(metrics)
    for reason in judgment:
        explain(reason)
    return code


def _take(
    event: e.SessionEvent, held: HeadlessCall, seen: _Seen, show: Callable[[e.SessionEvent], None]
) -> None:
    seen.take(event)
    if seen.unshown is None:
        try:
            show(event)
        except OSError as error:
            # The reader has exited or the terminal was closed. Raising the error here would prevent a proper
            # end of the call.
            seen.unshown = error
            held.performance.listening.end()


def _unanswered(performance: Performance) -> bool:
    """Returns whether an answer is missing. False if the call was cut short, which explains a missing answer."""
    return not performance.cut_short and any(case.verdict is StepVerdict.FAILED for case in performance.cases)


def _reason_code(code: ExitCode, performance: Performance) -> str:
    """Returns the reason code of a failed call, which may be that of the first missing answer."""
    codes = (case.code for case in performance.cases if case.verdict is StepVerdict.FAILED)
    own = next(codes, "") if code is ExitCode.NOT_ANSWERED else ""
    return own or code.reason


def _answer_reasons(performance: Performance, seen: _Seen) -> Iterator[str]:
    """Yields sentences that explain why answers passed or failed."""
    for case in performance.cases:
        if case.verdict is StepVerdict.PASSED and case.reason:
            yield case.reason
        elif case.verdict is StepVerdict.FAILED and not performance.cut_short:
            because = "".join(f"; {reason.rstrip('.')}" for reason in seen.reasons[-2:])
            yield f"{case.reason.rstrip('.')}{because}. {seen.hint}".rstrip()


def _judge(
    state: SessionState,
    seen: _Seen,
    script: Script,
    unanswered: bool,
    explain: Callable[[str], None],
) -> ExitCode:
    metrics, fatal = state.metrics, state.fatal_error
    if fatal is not None:
        message = one_line(fatal.message)
        explain(f"{message if message.endswith(('.', '!', '?')) else message + '.'} {fatal.hint}".rstrip())
        return state.exit_code
    if any(error.source == "audio" for error in seen.errors):
        explain(one_line(next(error.message for error in seen.errors if error.source == "audio")))
        return ExitCode.USAGE
    if unanswered:
        return ExitCode.NOT_ANSWERED
    broken = [error for error in seen.errors if error.source == "protocol" or error.code in _UNHEARABLE]
    if broken:
        explain(one_line(broken[0].message))
        return ExitCode.PROTOCOL_ERROR
    if seen.unfinished:
        replies, it = ("a reply", "it") if seen.unfinished == 1 else (f"{seen.unfinished} replies", "them")
        explain(f"The agent began {replies} and never ended {it}.")
        return ExitCode.PROTOCOL_ERROR
    if script.strict and (metrics.errors or metrics.findings):
        explain(
            f"{metrics.errors} errors and {metrics.findings} findings were reported; --strict allows none."
        )
        return ExitCode.PROTOCOL_ERROR
    return _judge_latency(metrics, script, explain)


def _judge_latency(metrics: SessionMetrics, script: Script, explain: Callable[[str], None]) -> ExitCode:
    limit_ms = script.max_response_ms
    if limit_ms is None or not script.say:
        return ExitCode.FINE
    figures = [(turn.number, response_of(turn, None)) for turn in metrics.turns if turn.number]
    judged = [(number, figure, against(figure, limit_ms)) for number, figure in figures]
    if all(verdict is None for _, _, verdict in judged):
        explain("No response time could be measured, so the limit could not be checked.")
        return ExitCode.LIMIT_EXCEEDED
    over = [figure for _, figure, verdict in judged if verdict is Against.OVER]
    if over:
        worst = max(over, key=lambda figure: figure.ms or 0.0)
        explain(f"The slowest response took {worst}; the limit is {limit_ms:g} ms.")
        return ExitCode.LIMIT_EXCEEDED
    unclear = [
        too_close(number, figure) for number, figure, verdict in judged if verdict is Against.TOO_CLOSE
    ]
    if unclear:
        explain(f"{one_line(unclear[0])}. The limit is {limit_ms:g} ms.")
        return ExitCode.NOT_JUDGED
    return ExitCode.FINE


class Printer:
    """Prints a call: as lines of text for people, or every event as JSON for other programs."""

    def __init__(self, echo: Callable[[str | bytes], object], judge: Thresholds, *, as_json: bool) -> None:
        self._echo = echo
        self._judge = judge
        self._as_json = as_json
        self._began_ns: int | None = None
        self._repeated: dict[str, e.FindingRaised] = {}
        """The last event of every finding, or piece of advice, that occurred more than once, by rule."""

    def show(self, event: e.SessionEvent) -> None:
        """Prints an event. Text output leaves out audio chunks, repeated findings and repeated messages."""
        if self._as_json:
            self._echo(json_of(event))
            return
        if self._began_ns is None:
            self._began_ns = event.at_ns
        if isinstance(event, e.FindingRaised) and event.count > 1:
            # Printed only once, because a fault in every message would fill the terminal.
            self._repeated[event.rule] = event
            return
        if not isinstance(event, UNLISTED) and not (
            isinstance(event, e.MessageLogged) and event.audio_ms > 0
        ):
            self._echo(event_line(event, self._began_ns))

    def summary(self, metrics: SessionMetrics) -> None:
        """Prints the figures of the call."""
        if self._as_json:
            self._echo(json_of({"event": "metrics", **in_json(metrics, self._judge)}))
        else:
            for found in self._repeated.values():
                kind = "advice" if found.advice else "finding"
                self._echo(f"{kind} {one_line(found.rule)}: {found.count:,} times")
            for line in turn_lines(metrics, self._judge):
                self._echo(line)
            self._echo(metrics_line(metrics))


def event_line(event: e.SessionEvent, began_ns: int) -> str:
    """Returns an event as a line: seconds since ``began_ns``, direction, kind and summary."""
    described = describe(event)
    mark = "" if described.level is Severity.PLAIN else f"{described.level} "
    seconds = (event.at_ns - began_ns) / 1e9
    words = f"{one_line(described.kind)}  {one_line(described.summary, 160)}"
    return f"{seconds:+9.3f} {described.arrow} {mark}{words}"


def metrics_line(metrics: SessionMetrics) -> str:
    """Returns the figures of a call in one line. A figure that was not measured is shown as "–"."""
    latencies = ", ".join(map(numbers.milliseconds, metrics.response_latencies_ms)) or "–"
    after_tools = [turn.after_tools_ms for turn in metrics.turns if turn.after_tools_ms is not None]
    answers = f", after tools {', '.join(map(numbers.milliseconds, after_tools))}" if after_tools else ""
    if in_text := metrics.turns_answered_in_text:
        answers += f", answered in text {in_text}"
    losses = ", ".join(e.Loss(name).in_words(count) for name, count in metrics.losses.items() if count)
    stalls = "".join(f"{path} stalled {stalls}; " for path, stalls in metrics.stalls.items())
    shown_as_stalls = (e.Condition.STALLED, e.Condition.VANISHED)
    others = [f"{name} {count}" for name, count in metrics.conditions.items() if name not in shown_as_stalls]
    conditions = f"{', '.join(others)}; " if others else ""
    return one_line(
        f"response time {latencies}{answers}; sent {metrics.audio_sent_ms / 1000:.1f} s, "
        f"received {metrics.audio_received_ms / 1000:.1f} s, played {metrics.audio_heard_ms / 1000:.1f} s; "
        f"losses {losses or 'none'}; {stalls}{conditions}"
        f"{_edges(metrics)}errors {metrics.errors}, findings {metrics.findings}, advice {metrics.advice}"
    )


def _edges(metrics: SessionMetrics) -> str:
    """Returns how many edges a second detector contradicted or could not judge; empty if none."""
    if metrics.edges_compared is None:
        return ""
    disputed = f"{metrics.edges_disputed} of {numbers.counted(metrics.edges_compared, 'edge')} disputed; "
    left_out = f"{numbers.counted(metrics.edges_left_out, 'edge')} not compared; "
    return (disputed if metrics.edges_disputed else "") + (left_out if metrics.edges_left_out else "")
