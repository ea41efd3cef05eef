"""Builds the `Protocol` value of a telephony dialect from its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tui.protocols.base import Protocol
from tui.protocols.implied_replies import ENDS_AFTER_MS
from tui.protocols.log_rules import End, LogRules, Pair, span
from tui.protocols.signs import Signs
from tui.protocols.telephony.agent import TelephonyAgent
from tui.protocols.telephony.caller import TelephonyCaller
from tui.protocols.telephony.dialect import (
    BYTE_ORDER,
    REPLY_FORMAT,
    STREAM_IDS,
    TelephonyDialect,
    named_mark,
)


def telephony_protocol(
    table: TelephonyDialect,
    *,
    name: str,
    title: str,
    ends: tuple[type[TelephonyCaller], type[TelephonyAgent]] | None = None,
    signs: Mapping[str, Any] | None = None,
    **more: Any,
) -> Protocol:
    """Returns the protocol that a table defines.

    ``ends`` replaces the two ends that are based on the table alone. ``signs`` contains the fields of `Signs`
    about the URL (default: the name in its path). ``more`` contains further fields of `Protocol`. A call
    counts as accepted once the first messages have been sent. From then on audio flows, silence included.
    """
    caller, agent = ends or ends_of(table)
    return Protocol(
        name=name,
        title=title,
        path=f"/{name}",
        caller=caller,
        agent=agent,
        formats=table.formats,
        wire_options=tuple(name for name in (BYTE_ORDER, REPLY_FORMAT) if name in table.options),
        log_of=partial(_log_rules, table) if BYTE_ORDER in table.options else None,
        log=_log_rules(table, {}),
        signs=Signs(first_message=_first_message(table), **(signs or {"path_words": (name,)})),
        has_words=False,
        accepted_on_open=True,
        continuous=True,
        reply_ends_after_ms=ENDS_AFTER_MS,
        **more,
    )


def ends_of(table: TelephonyDialect) -> tuple[type[TelephonyCaller], type[TelephonyAgent]]:
    """Creates the two ends that are based on the table alone."""

    class Caller(TelephonyCaller):
        dialect = table

    class Agent(TelephonyAgent):
        dialect = table

    return Caller, Agent


def _first_message(dialect: TelephonyDialect) -> Callable[[Mapping[str, Any] | bytes], str]:
    member, kinds = dialect.server_kind_member, (dialect.say.kind, dialect.mark.kind, dialect.clear)
    foreign = STREAM_IDS - {dialect.stream_id}

    def reason(message: Mapping[str, Any] | bytes) -> str:
        if isinstance(message, bytes) or foreign & message.keys():
            return ""
        kind = message.get(member)
        if not (isinstance(kind, str) and kind and kind in kinds):
            return ""
        return f"the agent sent the {member} {kind}, as servers for {dialect.vendor} do"

    return reason


def _log_rules(dialect: TelephonyDialect, options: Mapping[str, str]) -> LogRules:
    mark, played, carriers = dialect.mark, dialect.played, (dialect.media, dialect.say)
    named = dialect.read_mark is named_mark
    paths = (mark.path, played.path) if named else ("", "")
    pairs = [Pair(End("agent", (mark.kind,), paths[0]), End("caller", (played.kind,), paths[1]))]
    if dialect.cleared.kind:
        pairs.append(Pair(End("agent", (dialect.clear,)), End("caller", (dialect.cleared.kind,))))
    if dialect.stopped:
        pairs.append(span("caller", dialect.start, dialect.stopped))
    runs = (verb.kind for verb in (*carriers, mark, played) if verb.kind)
    return LogRules(
        runs=tuple(dict.fromkeys(runs)),
        pairs=tuple(pairs),
        big_endian=any(dialect.big_endian(options, coding) for coding in dialect.formats.values()),
        audio_members=tuple(dict.fromkeys(verb.path for verb in carriers if verb.path)),
    )
