from __future__ import annotations

from tui.models import events as e
from tui.models.journal import Journal
from tui.models.session_state import SessionState

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
