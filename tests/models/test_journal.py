from __future__ import annotations

import msgspec

from tests.builders import said, typed
from tui.models import events as e
from tui.models.journal import Journal
from tui.models.session_state import SessionState
from tui.models.target import Target

SECOND = 1_000_000_000


def test_a_loss_that_goes_on_is_told_at_once_and_then_once_a_second_with_every_block_counted() -> None:
    now_ns = 0
    told: list[e.SessionEvent] = []
    journal = Journal(SessionState(), sink=told.append, keep_raw=lambda _: -1, clock_ns=lambda: now_ns)

    def counts() -> list[tuple[str, float]]:
        return [(event.loss.value, event.count) for event in told if isinstance(event, e.LossCounted)]

    for _ in range(125):
        journal.losing(e.Loss.WITHHELD)
        journal.report_losses()
        now_ns += SECOND // 50
    assert counts() == [("withheld", 1), ("withheld", 50), ("withheld", 50)]
    journal.losing(e.Loss.UNSENT, "the user stream is not open")
    journal.report_losses(final=True)
    assert counts()[3:] == [("unsent", 1), ("withheld", 24)]
    assert journal.state.metrics.losses == {"withheld": 125, "unsent": 1}


def test_secrets_are_removed_before_anything_reads_an_event_or_a_message() -> None:
    told: list[e.SessionEvent] = []
    kept: list[bytes] = []

    def keep(raw: bytes) -> int:
        kept.append(raw)
        return 0

    journal = Journal(
        SessionState(),
        sink=told.append,
        keep_raw=keep,
        clock_ns=lambda: 1,
        redactor=Target(url="ws://x/", token="open-sesame", redact=("pin",)).redactor(),
    )
    journal.message(e.Direction.RECEIVED, '{"pin": 123456, "say": "open-sesame"}', "x", "open-sesame")
    journal.emit(said(e.Party.AGENT, "open-sesame 123456"))
    journal.emit(e.UsageReported(at_ns=1, what="tokens", figures={"of open-sesame": 1.0}))
    journal.error("socket", "x", "open-sesame refused")
    assert kept == [b'{"pin": "[redacted]", "say": "[redacted]"}']
    message, words, usage, error = told
    assert isinstance(message, e.MessageLogged)
    assert (message.summary, message.kept_bytes, message.size_bytes) == ("[redacted]", len(kept[0]), 37)
    assert msgspec.structs.asdict(words)["text"] == "[redacted] [redacted]"
    assert msgspec.structs.asdict(usage)["figures"] == {"of [redacted]": 1.0}
    assert msgspec.structs.asdict(error)["message"] == "[redacted] refused"
    journal.emit(typed("is it open-sesame"))
    assert [turn.user_text for turn in journal.state.metrics.turns if turn.user_text] == ["is it [redacted]"]
