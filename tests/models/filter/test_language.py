from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import MS, begins, chunk, error, finding, loss, message, said, started, user_speaks
from tests.models.log.event_logs import FILTERS, RECEIVED, SENT, event_lists, log_of, marked, numbers_matching
from tui.models import events as e
from tui.models.filter.completion import completions, suggestions
from tui.models.filter.language import HELP_BELOW, OPERATORS, help_rows, parse
from tui.models.filter.patterns import FilterError, Phrase, Regex
from tui.models.filter.terms import (
    COMPARISONS,
    FIELDS,
    TERMS,
    WORDS,
    And,
    Context,
    DirectionTerm,
    Everything,
    Filter,
    Kind,
    Not,
    Or,
    Size,
    Text,
    Time,
)

LOG = log_of(
    started(),
    message("session.initiate", SENT, at_ms=100),
    message("session.accepted", RECEIVED, at_ms=250),
    begins(at_ms=300),
    chunk(RECEIVED, at_ms=500),
    user_speaks(at_ms=1000),
    chunk(SENT, at_ms=1100),
    message("odd", known=False, at_ms=2000, size_bytes=2500),
    error("it broke"),
    finding(),
    loss(),
    loss(e.Loss.UNHEARD),
    e.ToolChanged(at_ns=3 * 10**9, call="c", name="f", error="failed", finished=True),
    e.LineChanged(at_ns=95 * 10**9, name="1", text="Say [that] again"),
)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", list(range(1, 15))),
        ("  ", list(range(1, 15))),
        ("kind:chunk", [5, 7]),
        ("kind:CHUNK", [5, 7]),
        ('kind:"recorded line"', [14]),
        ("kind:/^session/", [1, 2, 3]),
        ("kind:/SESSION$/i", [1]),
        ("dir:sent", [2, 7]),
        (">", [2, 7]),
        ("dir:> kind:initiate", [2]),
        ("dir:received", [3, 5, 8]),
        ("<", [3, 5, 8]),
        ("dir:own", [1, 4, 6, 9, 10, 11, 12, 13, 14]),
        ("ACCEPTED", [3]),
        ("loss", [11, 12]),
        ('"[that]"', [14]),
        (r"/\[that\]/", [14]),
        (r"/say/", []),
        (r"/say/i", [14]),
        (r"/127\.0\.0\.1:\d\/a/", [1]),
        ("errors", [9]),
        ("ERRORS", [9]),
        ("warnings", [8, 10, 11, 13]),
        ("findings", [10]),
        ("losses", [11, 12]),
        ("unknown", [8]),
        ("audio", [5, 7]),
        ("turn:0", [1, 2, 3, 4, 5]),
        ("turn:1..", [6, 7, 8, 9, 10, 11, 12, 13, 14]),
        ("turn:2", []),
        ("time:0.25..1", [3, 4, 5, 6]),
        ("time:1:35..", [14]),
        ("after:3", [13, 14]),
        ("after:0:01:35", [14]),
        ("before:.2", None),
        ("before:0.2", [1, 2, 9, 10, 11, 12]),
        ("number:12..", [12, 13, 14]),
        ("number:..2", [1, 2]),
        ("number:2..3", [2, 3]),
        ("number:4", [4]),
        ("size > 900", [8]),
        ("size>=900", [5, 7, 8]),
        ("SIZE > 2.4K", [8]),
        ("size = 10", [2, 3]),
        ("size<10 and dir:own and number:..4", [1, 4]),
        ("size > 1M", []),
        ("size > 10b", [5, 7, 8]),
        ("marked", [2, 9]),
        ("noted", [3]),
        ("not dir:own not audio", [2, 3, 8]),
        ("errors or findings", [9, 10]),
        ("errors or findings and unknown", [9]),
        ("(errors or findings) and not findings", [9]),
        ("not (dir:own or audio)", [2, 3, 8]),
        ("not not errors", [9]),
        ("errors OR losses AND NOT errors", [9, 11, 12]),
        ("kind:session dir:sent", [2]),
        ('"errors"', []),
        ("it broke", [9]),
    ],
)
def test_terms(text: str, numbers: list[int] | None) -> None:
    if numbers is None:
        with pytest.raises(FilterError):
            parse(text)
    else:
        assert numbers_matching(LOG, text, marked(2, 9, notes={3: "look here"})) == numbers


def test_words_are_looked_for_in_kind_and_summary() -> None:
    log = log_of(message("playStream.chunk"), error("no playStream"), said(e.Party.USER, "playstream"))
    assert numbers_matching(log, "PLAYSTREAM") == [1, 2], "the text of what is not listed is not kept"
    assert numbers_matching(log, "/playStream$/") == [2]


def test_a_transcript_is_found_in_the_messages_that_carried_it() -> None:
    user, agent = e.Party.USER, e.Party.AGENT
    log = log_of(
        said(user, "typed, before any message"),
        message("speech.hypothesis"),
        chunk(SENT),
        said(user, "I'd like", final=False),
        message("done"),
        said(user, "I'd like to"),
        said(agent, "Certainly"),
        message("other"),
        message("user_message", SENT),
        e.Transcribed(at_ns=0, speaker=user, text="written", final=True, typed=True),
    )
    assert numbers_matching(log, "transcript") == [2, 5]
    assert numbers_matching(log, "not transcript dir:received") == [8]
    assert numbers_matching(log, "number:3.. transcript") == [5]


@pytest.mark.parametrize(
    ("text", "column", "problem", "hint"),
    [
        ("knid:x", 1, "unknown field knid", "Did you mean kind:?"),
        ("a b https://x", 5, "unknown field https", 'put it in "quotes"'),
        ("kind:", 6, "kind: has no value", "kind:chunk"),
        ("errors turn:x", 13, "x is not a range", "turn:3"),
        ("turn:5..2", 6, "5..2 runs backwards", "turn:2..5"),
        ("turn:..", 6, ".. is not a range", "turn:3"),
        ("number:1..x", 8, "1..x is not a range", "number:100"),
        ("number:-1", 8, "-1 is not a range", "number:100"),
        ("number:9999999999999999", 8, "9999999999999999 is not a range", "number:100"),
        ("number:١", 8, "١ is not a range", "number:100"),
        ("time:10", 6, "10 is not a range", "time:10..20"),
        ("time:1e9..2", 6, "1e9..2 is not a range", "time:10..20"),
        ("time:20..10", 6, "20..10 runs backwards", "time:10..20"),
        ("after:soon", 7, "soon is not a time", "after:10"),
        ("before:", 8, "before: has no value", "before:1:30"),
        ("dir:up", 5, "up is not a direction", "dir:sent"),
        ("size > ", 8, "the size is missing", "size > 2k"),
        ("size > big", 8, "big is not a size", "size > 2k"),
        ("size > -1", 8, "-1 is not a size", "size > 2k"),
        ("(errors", 1, "this parenthesis is not closed", "Add )"),
        ("errors)", 7, "this parenthesis was never opened", "Remove it"),
        ("errors or", 10, "the filter ends where a condition is expected", "Write a word"),
        ("or errors", 1, "found or where a condition is expected", "Write a word"),
        ("()", 2, "found ) where a condition is expected", "Write a word"),
        ("not", 4, "the filter ends where a condition is expected", "Write a word"),
        ('say "hello', 5, "this quoted text is not closed", r"\""),
        ("/abc", 1, "this regular expression is not closed", '"/"'),
        ("kind:/abc", 6, "this regular expression is not closed", '"/"'),
        ('kind:"abc', 6, "this quoted text is not closed", r"\""),
        ("x /a(b/", 5, "invalid regular expression: missing ), unterminated subpattern", "quotes"),
        ("/*/", 2, "invalid regular expression: nothing to repeat", "quotes"),
        ("/a{99999999999999999999}/", 2, "invalid regular expression", "quotes"),
        ("(" * 60 + "x" + ")" * 60, 51, "this is nested too deeply", "parentheses"),
        ("not " * 60 + "x", 201, "this is nested too deeply", "parentheses"),
    ],
)
def test_errors_name_the_problem_the_column_and_a_remedy(
    text: str, column: int, problem: str, hint: str
) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert (caught.value.column, caught.value.problem[: len(problem)]) == (column, problem)
    assert hint in caught.value.hint
    assert str(caught.value) == f"Column {column}: {caught.value.problem}. {caught.value.hint}"


@given(st.text(alphabet='ab "/()<>=:.\\12knotrdize', max_size=30) | st.text(max_size=20))
def test_any_text_is_a_filter_or_a_sentence(text: str) -> None:
    try:
        found = parse(text)
    except FilterError as error:
        refused = error
    else:
        assert parse(str(found)) == found
        return
    assert 1 <= refused.column <= len(text) + 1
    assert refused.hint


@given(FILTERS)
def test_a_filter_prints_as_it_is_read(filter_: Filter) -> None:
    assert parse(str(filter_)) == filter_


@given(st.text(min_size=1), st.booleans())
def test_quoted_texts_and_expressions_print_as_they_are_read(text: str, ignore_case: bool) -> None:
    assert parse(str(Text(Phrase(text)))) == Text(Phrase(text))
    assert parse(str(Kind(Phrase(text)))) == Kind(Phrase(text))
    expression = Text(Regex(re.escape(text), ignore_case))
    assert numbers_matching(LOG, parse(str(expression))) == numbers_matching(LOG, expression)


def test_a_slash_in_an_expression_is_escaped_in_print_only() -> None:
    assert str(Regex("a/b")) == r"/a\/b/"
    assert str(Regex(r"a\/b\\")) == r"/a\/b\\/"


def test_shorthands_print_in_full() -> None:
    printed = {
        "<": "dir:received",
        "after:1:30": "time:90..",
        "before:0.5": "time:..0.5",
        "size>2k": "size > 2000",
        "a b": '"a" and "b"',
        "a or (b c)": '"a" or ("b" and "c")',
        "number:3..3": "number:3",
    }
    assert {text: str(parse(text)) for text in printed} == printed


def test_and_binds_closer_than_or() -> None:
    a, b, c = (Text(Phrase(word)) for word in "abc")
    assert parse("a b or not c") == Or((And((a, b)), Not(c)))
    assert parse("") == Everything()
    assert parse("> size=1 after:1") == And((DirectionTerm(SENT), Size("=", 1), Time(1000 * MS, None)))


@given(event_lists(), FILTERS)
def test_many_events_are_judged_as_each_alone(events: list[e.SessionEvent], filter_: Filter) -> None:
    log, marks = log_of(*events), marked(2, 5, notes={3: "look here"})
    context = Context(log, marks)
    alone = [index for index in range(len(events)) if filter_([index], context)]
    assert list(filter_(range(len(events)), context)) == alone
    rest = set(range(len(events))) - set(alone)
    assert list(Not(filter_)(range(len(events)), context)) == sorted(rest)


def test_the_help_names_everything_that_can_be_written() -> None:
    text = " ".join(examples for examples, _ in help_rows()) + HELP_BELOW
    for name in (*WORDS, *(f"{field}:" for field in FIELDS), *COMPARISONS, *OPERATORS):
        assert name in text


def test_every_example_of_the_help_and_of_the_hints_can_be_read() -> None:
    written = [example for examples, _ in help_rows() for example in re.split(r"\s{2,}", examples)]
    assert len(written) > 20
    written += re.split(r"\s{3,}", HELP_BELOW.splitlines()[-1].strip())
    for term in TERMS:
        for examples in (*term.FIELDS.values(), *term.COMPARISONS.values()):
            written += examples
    for example in written:
        assert str(parse(example)), example


KINDS = [
    "playStream.chunk",
    "userStream.chunk",
    "recorded line",
    "mark",
    "user speech",
    "a/b",
    "/x",
    'say "x"',
]
KINDS_IN_ORDER = [
    '"/x"', "a/b", "mark", "playStream.chunk", '"recorded line"',
    '"say \\"x\\""', '"user speech"', "userStream.chunk",
]  # fmt: skip
"""Kinds, in the order in which they are written."""


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", [f"kind:{kind}" for kind in KINDS_IN_ORDER]),
        ("mar", ["marked", "kind:mark"]),
        ("err", ["errors"]),
        ("ERR", ["errors"]),
        ("errors", []),
        ("errors an", ["errors and "]),
        ("(fin", ["(findings"]),
        ("zzz", []),
        (
            "n",
            [
                "noted",
                "number:",
                "not ",
                "kind:playStream.chunk",
                'kind:"recorded line"',
                "kind:userStream.chunk",
            ],
        ),
        ("si", ["size > "]),
        ("dir:", ["dir:sent", "dir:received", "dir:own"]),
        ("dir:r", ["dir:received"]),
        ("kind:user", ['kind:"user speech"', "kind:userStream.chunk"]),
        ("x or kind:chunk", ["x or kind:playStream.chunk", "x or kind:userStream.chunk"]),
        ('kind:"recorded l', ['kind:"recorded line"']),
        ("kind:mark", []),
        ("kind:zzz", []),
        ("turn:", []),
        ('"err', []),
        ("/err", []),
        ("errors ", [f"errors kind:{kind}" for kind in KINDS_IN_ORDER]),
    ],
)
def test_completions(prefix: str, expected: list[str]) -> None:
    assert completions(prefix, KINDS) == expected


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("warning", ["warnings"]),
        ("transcripts", ["transcript"]),
        ("kind:transcript", ["transcript"]),
        ("Sent", ["dir:sent"]),
        ("recieved", ["dir:received"]),
        ("turn", ["turn:3"]),
        ("size", ["size > 2k"]),
        ("marks", ["kind:mark"]),
        ("recordedline", ['kind:"recorded line"']),
        ("not (warning or turns) warning", ["warnings", "turn:3"]),
        ("one.that.is.not.there", []),
        ("/warning/", []),
        ("turn:7", []),
    ],
)
def test_conditions_spelled_alike_are_suggested_when_nothing_matches(
    text: str, conditions: list[str]
) -> None:
    assert suggestions(parse(text), tuple(KINDS)) == conditions
    for condition in conditions:
        parse(condition)


def test_completed_kinds_can_be_read() -> None:
    found = completions("kind:", KINDS)
    assert len(found) == len(KINDS)
    for text in found:
        kind = parse(text)
        assert isinstance(kind, Kind)
        assert isinstance(kind.pattern, Phrase)
        assert kind.pattern.text in KINDS


def test_completions_are_not_endless() -> None:
    assert len(completions("kind:", (f"kind {n}" for n in range(10_000)))) == 50


def test_matches_can_be_highlighted() -> None:
    assert Phrase("an").spans("banana AN") == [(1, 3), (3, 5), (7, 9)]
    assert Phrase("[x").spans("a [X]") == [(2, 4)]
    assert Regex("a+").spans("caab") == [(1, 3)]
    assert Regex("x*").spans("ab") == []
    assert Phrase("").spans("ab") == []
