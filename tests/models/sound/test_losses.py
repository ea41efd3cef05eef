from __future__ import annotations

import pytest

from tui.models.events import Loss


@pytest.mark.parametrize(
    ("loss", "amount", "text"),
    [
        (Loss.UNHEARD, 904.625, "unplayed 905 ms"),
        (Loss.UNDERRUN, 2, "dropout 2"),
        (Loss.QUEUE_FULL, 1200.0, "queue full 1,200 ms"),
    ],
)
def test_a_loss_is_text_in_whole_milliseconds(loss: Loss, amount: float, text: str) -> None:
    assert loss.in_words(amount) == text
