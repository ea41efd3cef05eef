"""The model of a scenario: its steps, its caller, and its limits.

`tui.scenario.reading` reads the model from TOML. The fields of the structs are the keys of the file; the
docstring of a step describes its effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from tui.models.turns.talk import DEAD_AIR_NS
from tui.protocols.abilities import Lacking
from tui.scenario.values import Duration, FaultKind, Percent, Sign, SignKind, When
from tui.text.strict import quoted
from tui.units import NS_PER_MS

Text = Annotated[str, msgspec.Meta(min_length=1)]
LONGEST_FAULT_MS = Duration(60_000)
LONGEST_JITTER_MS = Duration(1_000)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a call. ``line`` and ``file`` are the place where the step is defined."""

    KIND: ClassVar[str] = ""
    NEEDS: ClassVar[Literal["", "keypad", "write"]] = ""
    """Ability that the protocol must have for the step: a field of `tui.protocols.abilities.Lacking`; empty
    if none.
    """
    line: int = 0
    file: str = ""

    @property
    def place(self) -> str:
        """Where the step is defined, as "FILE, line N"; empty if it does not come from a file."""
        return f"{self.file}, line {self.line}" if self.file else ""

    @property
    def title(self) -> str:
        """Description of the step, for lists."""
        return f"{self.KIND} {getattr(self, self.KIND)}"


class Expect(Step, frozen=True, kw_only=True):
    """Checks that the agent gives a sign within a time limit, or keeps speaking or silent for a given time."""

    KIND = "expect"
    expect: Sign
    within: Duration = Duration(10_000)
    for_: Duration | None = msgspec.field(default=None, name="for")
    args: dict[str, Any] = {}
    """Arguments with which a tool must be called; additional ones are allowed."""
    stop: bool = False
    """Whether the call ends if the step fails."""

    def __post_init__(self) -> None:
        if self.args and self.expect.kind is not SignKind.TOOL:
            raise ValueError('has "args", which only "tool NAME" accepts')
        if self.expect.kind.lasts and self.for_ is None:
            raise ValueError(f'"{self.expect.kind}" requires "for" (how long this must last)')
        if self.for_ is not None and not self.expect.kind.lasts:
            raise ValueError(f'"{self.expect.kind}" does not accept "for"; use "within"')

    @property
    def title(self) -> str:
        """Description of the step, with its time limit or duration."""
        if self.for_ is not None:
            return f"{self.expect} for {self.for_}"
        args = f" {msgspec.json.encode(self.args).decode()}" if self.args else ""
        return f"{self.expect}{args} within {self.within}"


class Acting(Step, frozen=True, kw_only=True):
    """A step that the caller takes. Without ``when``, the step waits until the agent has finished speaking."""

    when: When | None = None

    @property
    def title(self) -> str:
        """Description of the step, with the moment at which the caller acts."""
        moment = f" at {self.when}" if self.when else ""
        return f"{Step.title.fget(self)}{moment}"  # type: ignore[attr-defined]  # mypy does not know fget


class Say(Acting, frozen=True, kw_only=True):
    """The caller speaks a recorded line (by name or number), a WAV file, or a sentence."""

    KIND = "say"
    say: Text


class Press(Acting, frozen=True, kw_only=True):
    """The caller presses telephone keys."""

    KIND = "press"
    NEEDS = "keypad"
    press: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-D*#]+$")]


class Type(Acting, frozen=True, kw_only=True):
    """The caller types a turn."""

    KIND = "type"
    NEEDS = "write"
    type: Text


class Mute(Acting, frozen=True, kw_only=True):
    """The caller is muted (true) or unmuted (false), or muted for a duration."""

    KIND = "mute"
    mute: bool | Duration


class EndCall(Acting, frozen=True, kw_only=True):
    """The caller hangs up."""

    KIND = "hang_up"
    hang_up: Literal[True]

    @property
    def title(self) -> str:
        """Description of the step."""
        return "hang up"


class LineFault(Acting, frozen=True, kw_only=True):
    """Degrades the connection for a duration, while the steps continue."""

    KIND = "fault"
    fault: FaultKind
    for_: Duration | None = msgspec.field(default=None, name="for")
    """How long the fault lasts."""
    by: Duration | None = None
    """How long messages are delayed."""
    share: Percent | None = None
    """Share of the caller's audio messages that are overtaken by the next one."""
    direction: Literal["both", "sent", "received"] = "both"
    """Which messages are affected: "sent" are the caller's, "received" the agent's."""
    seed: int = 1

    def __post_init__(self) -> None:
        kind = quoted(self.fault)
        if self.for_ is None:
            raise ValueError(f'{kind} requires "for" (a duration)')
        if self.for_ > LONGEST_FAULT_MS:
            raise ValueError(f"{kind} cannot last longer than {LONGEST_FAULT_MS}")
        if not self.for_ and self.fault != FaultKind.DROP:
            raise ValueError(f"{kind} must last longer than 0 ms")
        for key, owner in (("by", FaultKind.DELAY), ("share", FaultKind.REORDER)):
            value = getattr(self, key)
            if value is None and self.fault == owner:
                raise ValueError(f"{kind} needs {quoted(key)}")
            if value is not None and self.fault != owner:
                raise ValueError(f"has {quoted(key)}, which only {quoted(owner)} accepts")
        if self.by is not None and self.by > LONGEST_FAULT_MS:
            raise ValueError(f"{kind} cannot delay by more than {LONGEST_FAULT_MS}")
        if self.direction != "both" and self.fault in (FaultKind.DROP, FaultKind.REORDER):
            raise ValueError(f'has "direction", which {kind} does not accept')

    @property
    def title(self) -> str:
        """Description of the step, with the strength of the fault and the moment at which it begins."""
        words = [
            f"fault {self.fault}",
            f"{self.share:.0%}" if self.share is not None else "",
            f"by {self.by}" if self.by is not None else "",
            f"for {self.for_}",
            "" if self.direction == "both" else f"({self.direction})",
            f"at {self.when}" if self.when else "",
        ]
        return " ".join(filter(None, words))


class Silence(Step, frozen=True, kw_only=True):
    """The caller stays silent for the duration ``silence``."""

    KIND = "silence"
    silence: Duration


class Hear(Step, frozen=True, kw_only=True):
    """Checks that the agent has said these words since the caller's last turn.

    The words are recognized from the agent's audio.
    """

    KIND = "hear"
    hear: Text
    wer: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.2
    """The largest word error rate that passes."""
    within: Duration = Duration(10_000)
    stop: bool = False


class Run(Step, frozen=True, kw_only=True):
    """Runs a shell command that checks something outside the call. The step passes if the exit code is 0."""

    KIND = "run"
    run: Text
    within: Duration = Duration(30_000)
    stop: bool = False


STEPS: dict[str, type[Step]] = {
    kind.KIND: kind for kind in (Expect, Say, Press, Type, Mute, EndCall, Silence, LineFault, Hear, Run)
}
"""Kinds of steps, by their key in the file. ``include`` stands for the steps of another file."""
TURNS = (Say, Press, Type)
"""Steps that make up a caller turn."""


class Bounds(msgspec.Struct, frozen=True):
    """Upper limits for percentiles or single values of a figure."""

    p50: Duration | None = None
    p95: Duration | None = None
    max: Duration | None = None

    @property
    def set(self) -> list[tuple[str, Duration]]:
        """The limits that are set, each with its name."""
        values = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [(name, value) for name, value in values if value is not None]


class CallLimits(msgspec.Struct, frozen=True):
    """Limits for figures of the whole call. Each limit is a separate test case."""

    response: Bounds = Bounds()
    greeting: Duration | None = None
    barge_in: Bounds = Bounds()
    dead_air: Duration | None = None
    """Longest time during which nobody speaks, not counting ``silence`` steps."""
    talk_over: Duration | None = None
    """Largest total duration of talk-over."""
    findings: Annotated[int, msgspec.Meta(ge=0)] | None = None
    errors: Annotated[int, msgspec.Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        # Shorter periods are not recorded as dead air, so a lower limit could never fail.
        if self.dead_air is not None and self.dead_air.ns < DEAD_AIR_NS:
            raise ValueError(f"dead_air must be at least {Duration(DEAD_AIR_NS / NS_PER_MS)}")


class Noise(msgspec.Struct, frozen=True):
    """Background noise of the caller."""

    kind: Text
    """Kind of noise: babble, white, hum, or a WAV file."""
    snr_db: Annotated[float, msgspec.Meta(ge=-20, le=80)] = 20.0
    seed: int = 1


class PhoneLine(msgspec.Struct, frozen=True):
    """Effects of the caller's telephone line on the caller's audio."""

    codec: Literal["none", "mulaw", "alaw"] = "none"
    loss: Percent = Percent(0)
    """Share of packets (20 ms each) that are lost."""
    jitter: Duration = Duration(0)
    """Largest delay between the sending and the arrival of an audio message."""
    seed: int = 1

    def __post_init__(self) -> None:
        if self.jitter > LONGEST_JITTER_MS:
            raise ValueError(f"jitter must be at most {LONGEST_JITTER_MS}")


class CallerSetting(msgspec.Struct, frozen=True):
    """The caller's background noise and telephone line."""

    noise: Noise | None = None
    line: PhoneLine | None = None


class Aim(msgspec.Struct, frozen=True):
    """The agent to call. Command-line options override these values."""

    profile: str = ""
    url: str = ""
    protocol: str = ""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A scripted call, as read from a scenario file."""

    name: Text
    tags: tuple[str, ...] = ()
    repeat: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    pass_rate: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    """Minimum share of the judged runs that must pass, 0..1."""
    timeout: Duration = Duration(120_000)
    """Longest duration of the call."""
    target: Aim = Aim()
    caller: CallerSetting = CallerSetting()
    limits: CallLimits = CallLimits()
    steps: Sequence[Step] = ()
    path: Path = Path()
    limits_line: int = 0
    """Line number of the limits in the file."""

    def lacks(self, lacking: Lacking) -> str:
        """Returns a sentence on why a protocol cannot carry the steps; empty if it can.

        The sentence begins with the file and line. ``lacking`` are the abilities that the protocol lacks.
        """
        for step in self.steps:
            if step.NEEDS and (reason := getattr(lacking, step.NEEDS)):
                return f"{step.file}, line {step.line}: {reason}."
        return ""
