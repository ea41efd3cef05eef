from __future__ import annotations

from tui.audio.blocks import Captured
from tui.protocols.base import Outgoing
from tui.session.send_pace import SendPace

MS = 1_000_000


def message() -> Outgoing:
    return Outgoing(b"", "audio", audio_ms=20)


def test_a_block_is_sent_when_its_last_message_is() -> None:
    pace, first, last = SendPace(), message(), message()
    pace.gave(Captured(100 * MS, 103 * MS, b""), [first, last])
    pace.sent(first, 104 * MS)
    assert pace.of(90 * MS) == (103 * MS, None, None)
    pace.sent(last, 105 * MS)
    assert pace.of(90 * MS) == (103 * MS, None, 105 * MS)
    assert pace.of(101 * MS) == (None, None, None)


def test_a_block_that_waits_for_a_longer_message_is_sent_with_it() -> None:
    pace, whole = SendPace(), message()
    pace.gave(Captured(100 * MS, 103 * MS, b""), [], held=True)
    pace.gave(Captured(120 * MS, 123 * MS, b""), [])
    pace.gave(Captured(140 * MS, 143 * MS, b""), [whole])
    pace.sent(whole, 144 * MS)
    assert pace.of(90 * MS) == (103 * MS, 143 * MS, 144 * MS)
    assert pace.of(110 * MS) == (123 * MS, None, None)
    assert pace.of(130 * MS) == (143 * MS, None, 144 * MS)
    assert pace.worst_ms(144 * MS) == 1


def test_how_long_it_took() -> None:
    pace = SendPace()
    assert pace.percentile_ms(0.5) is None
    assert pace.worst_ms(0) is None
    assert pace.measured(0) is None
    for index in range(100):
        sent = message()
        pace.gave(Captured(index, index * MS, b""), [sent])
        pace.sent(sent, index * MS + (40 * MS if index == 99 else MS // 2))
    assert abs((pace.percentile_ms(0.5) or 0) - 0.5) <= 0.1
    assert abs((pace.percentile_ms(0.99) or 0) - 0.5) <= 0.1
    assert pace.worst_ms(140 * MS) == 40
    whole = pace.measured(5 * MS)
    assert whole is not None
    assert (whole.blocks, whole.worst_ms) == (100, 40)
    assert pace.worst_ms(2000 * MS) is None
