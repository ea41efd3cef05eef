from __future__ import annotations

from tui.models import events as e
from tui.models.log.describe import Severity, describe


def test_figures_are_exact_and_readable() -> None:
    usage = e.UsageReported(at_ns=0, what="response", figures={"total_tokens": 1_234_567.0, "seconds": 0.25})
    assert describe(usage).summary == "response: total_tokens 1,234,567, seconds 0.25"


def test_a_tool_call_reads_as_call_then_outcome() -> None:
    began = e.ToolChanged(at_ns=0, call="c", name="hours", arguments="{}")
    done = e.ToolChanged(at_ns=0, call="c", name="hours", result='"9 to 5"', finished=True, duration_ms=12.4)
    failed = e.ToolChanged(at_ns=0, call="c", name="hours", error="closed", finished=True)
    assert [(d.summary, d.level) for d in map(describe, (began, done, failed))] == [
        ("hours({})", Severity.PLAIN),
        ('hours → "9 to 5" in 12 ms', Severity.PLAIN),
        ("hours → error: closed", Severity.WARNING),
    ]


def test_a_finding_is_a_warning_and_advice_is_not() -> None:
    found = e.FindingRaised(at_ns=0, rule="stray", text="It strays.", count=3)
    advice = e.FindingRaised(at_ns=0, rule="hint", text="It could.", advice=True)
    tone = e.ConditionChanged(
        at_ns=0, condition=e.Condition.CLIPPED_START, path="playback", text="It starts in a sound."
    )
    stalled = e.ConditionChanged(at_ns=0, condition=e.Condition.STALLED, path="playback", text="It stalled.")
    described = describe(found), describe(advice), describe(tone), describe(stalled)
    assert [(d.kind, d.summary, d.level) for d in described] == [
        ("finding", "stray: It strays. (×3)", Severity.WARNING),
        ("advice", "hint: It could.", Severity.PLAIN),
        ("advice", "It starts in a sound.", Severity.PLAIN),
        ("condition", "It stalled.", Severity.WARNING),
    ]
