from __future__ import annotations

from tests.builders import MS
from tui.models import events as e
from tui.scenario.seen import Seen


def line(name: str, at_ms: int, *, finished: bool = False) -> e.LineChanged:
    return e.LineChanged(at_ns=at_ms * MS, name=name, text="", finished=finished)


def test_a_line_that_is_spoken_again_is_found_however_late_its_block_is_handled() -> None:
    seen = Seen(lambda: 0, keeps_messages=False)
    for event in (line("yes", 1_000), line("yes", 1_400, finished=True), line("no", 2_000)):
        seen.take(event)
    before = seen.lines_begun
    assert seen.line_began("yes", before) is None
    # Handed over at 3,000 ms, in a block that was captured earlier.
    seen.take(line("yes", 2_980))
    assert seen.line_began("yes", before) == 2_980 * MS
