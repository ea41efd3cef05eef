from __future__ import annotations

import pytest

from tui.protocols.registry import PROTOCOLS, protocol_named


def test_every_protocol_is_found_by_its_name() -> None:
    assert [protocol_named(name) for name in PROTOCOLS] == list(PROTOCOLS.values())


def test_an_unknown_name_is_a_sentence_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"There is no protocol 'sip'; known are .*audiocodes"):
        protocol_named("sip")


def test_every_protocol_has_a_path_and_a_title_of_its_own() -> None:
    assert len({protocol.path for protocol in PROTOCOLS.values()}) == len(PROTOCOLS)
    assert all(protocol.title and protocol.path.startswith("/") for protocol in PROTOCOLS.values())
