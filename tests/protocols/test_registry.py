from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import msgspec
import pytest

from tests.protocols.both_ends import Line
from tui.protocols import base, registry
from tui.protocols.base import AgentEnd, CallerEnd, CallerSettings, Protocol, no_agent
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.registry import BUILT_IN, ProtocolUnavailable, by_path, names, protocol_named
from tui.protocols.telephony.dialect import TelephonyDialect

EXAMPLE = Path(__file__).parent / "mine.py"
TABLE = Path(__file__).parent / "table.py"
README = Path(registry.__file__).parent / "README.md"

WHOLE = """
from tui.protocols.base import Protocol
from tui.protocols.defaults import AgentDefaults, CallerDefaults

class Caller(CallerDefaults):
    user_format = user_stream_open = user_audio = receive = None

def protocol(**changed):
    plain = dict(name="mine", title="Mine", path="/mine", caller=Caller, formats={}, headers=lambda token, url: {})
    return Protocol(**{**plain, **changed})
"""
RULES = WHOLE + "from tui.protocols.log_rules import LogRules, span\n"
SIGNS = WHOLE + "from tui.protocols.signs import Signs\n"

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(source: str) -> str:
        path = tmp_path / "mine.py"
        path.write_text(source, encoding="utf-8")
        return str(path)

    return write


def ends_of(protocol: Protocol) -> tuple[CallerEnd, AgentEnd]:
    return (
        protocol.caller(CallerSettings(), lambda: "id", lambda: "now"),
        protocol.agent(lambda: "id", lambda: "now"),
    )


def sentence_for(name_or_path: str) -> str:
    with pytest.raises(ProtocolUnavailable) as caught:
        protocol_named(name_or_path)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


class TestBuiltIn:
    def test_every_one_is_found_by_its_name(self) -> None:
        assert [protocol_named(name).name for name in BUILT_IN] == list(BUILT_IN)

    def test_one_is_known_without_asking_installed_packages(self) -> None:
        code = (
            "import sys; from tui.protocols.registry import is_known; assert is_known('twilio'); "
            "assert 'importlib.metadata' not in sys.modules; assert not is_known('nobody')"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_listing_names_loads_no_protocol(self) -> None:
        code = (
            "import sys; from tui.protocols.registry import names; assert len(names()) >= 5; "
            "print(*{'msgspec', 'numpy', 'websockets', 'tui.protocols.base'} & set(sys.modules))"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30
        )
        assert ran.stdout.strip() == ""

    def test_an_unknown_name_is_a_sentence_with_the_known_ones(self) -> None:
        sentence = sentence_for("sip")
        assert sentence.startswith(
            "Unknown protocol 'sip'. Choose from audiocodes, twilio, openai, openai-live, pcm, elevenlabs, gemini"
        )
        assert issubclass(ProtocolUnavailable, ValueError)

    def test_each_has_a_path_of_its_own_where_the_local_agent_answers_it(self) -> None:
        assert list(by_path()) == [
            "/audiocodes",
            "/twilio",
            "/v1/realtime",
            "/v1/live/sessions",
            "/pcm",
            "/v1/convai/conversation",
            "/gemini",
            "/v1/agent/converse",
            "/genesys",
            "/telnyx",
            "/plivo",
            "/exotel",
            "/vonage",
            "/signalwire",
            "/asterisk",
        ]

    def test_one_without_an_agents_end_the_local_agent_does_not_answer(
        self, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        protocol = protocol_named(write(WHOLE + "MINE = protocol()"))
        assert protocol.agent is no_agent
        with pytest.raises(NotImplementedError):
            protocol.agent(str, str)
        monkeypatch.setattr(registry, "protocol_named", lambda name: protocol)
        assert by_path() == {}


class TestASingleFile:
    def test_one_for_an_older_interface_is_refused_in_one_sentence(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(base, "INTERFACE", 2)
        sentence = sentence_for(str(EXAMPLE))
        assert sentence.endswith(
            "it is written for version 1 of the protocol interface, but this program has version 2"
            " (tui/protocols/README.md)."
        )

    @pytest.mark.parametrize(
        ("source", "sentence"),
        [
            ("x = (", ", line 1: '(' was never closed."),
            ("x = '\0'", "source code string cannot contain null bytes."),
            ("\n\nimport nothing_of_that_name\n", "line 3: ModuleNotFoundError: No module named 'nothing"),
            ("def f():\n    raise KeyError('x\\ny')\nf()", "line 2: KeyError: 'x\\ny'."),
            ("raise SystemExit('enough')", "line 1: SystemExit: enough."),
            ("x = 1", " has no Protocol; it must define exactly one at the top level, as in NAME = Protocol(…)."),
            (WHOLE + "A = protocol()\nB = protocol(name='b')", " has 2 Protocols (b, mine); it must define exactly"),
            (WHOLE + "A = Protocol(name='mine')", "TypeError: Missing required argument 'title'."),
            (WHOLE + "A = protocol(name='')", " is not a complete protocol: its name is ''; expected text."),
            (WHOLE + "A = protocol(title=7)", " is not a complete protocol: its title is 7; expected text."),
            (WHOLE + "A = protocol(path='x')", ": its path 'x' does not begin with /."),
            (WHOLE + "A = protocol(formats={'x': 1})", ": its formats are not a mapping from names to AudioFormat."),
            (WHOLE + "A = protocol(caller=None)", ": its caller is not callable."),
            (WHOLE + "A = protocol(agent=None)", ": its agent is not callable."),
            (WHOLE + "A = protocol(interface=2)", "it is written for version 2 of the protocol interface, but this"),
            (WHOLE + "A = protocol(log=None)", ": its log is not a valid LogRules: Expected `object`, got `null`."),
            (RULES + "A = protocol(log=LogRules(runs='say'))", "Expected `array`, got `str` - at `$.runs`."),
            (RULES + "A = protocol(log=LogRules(pairs=(span('me', 'a', 'b'),)))", "`$.pairs[0].opens.sender`."),
            (WHOLE + "A = protocol(signs='mine')", ": its signs are not valid Signs: "),
            (SIGNS + "A = protocol(signs=Signs(path_words='mine'))", "got `str` - at `$.path_words`."),
            (WHOLE + "A = protocol(caller=CallerDefaults)", " has no user_format, user_stream_open, receive, "),
            (WHOLE + "A = protocol(agent=AgentDefaults)", " has no user_format, play_format, receive, say_audio."),
        ],
    )  # fmt: skip
    def test_a_faulty_one_is_refused_in_a_sentence(self, write: Write, source: str, sentence: str) -> None:
        path = write(source)
        told = sentence_for(path)
        assert told.startswith(path)
        assert sentence in told

    def test_it_may_be_missing(self, tmp_path: Path) -> None:
        assert sentence_for(str(tmp_path / "no.py")).endswith(
            "no.py cannot be read: No such file or directory."
        )
        (tmp_path / "folder.py").mkdir()
        assert sentence_for(str(tmp_path / "folder.py")).endswith("folder.py cannot be read: Is a directory.")

    def test_a_protocol_under_two_names_is_one(self, write: Write) -> None:
        assert protocol_named(write(WHOLE + "A = B = protocol()")).title == "Mine"

    def test_an_end_may_be_made_by_a_function(self, write: Write) -> None:
        assert callable(protocol_named(write(WHOLE + "A = protocol(caller=lambda *_: Caller())")).caller)

    def test_it_is_read_again_each_time_and_leaves_no_files(self, write: Write, tmp_path: Path) -> None:
        assert protocol_named(write(WHOLE + "A = protocol(title='1')")).title == "1"
        assert protocol_named(write(WHOLE + "A = protocol(title='2')")).title == "2"
        assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]

    def test_home_is_understood(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(Path(write(WHOLE + "A = protocol()")).parent))
        assert protocol_named("~/mine.py").name == "mine"


class TestInstalledPackages:
    @pytest.fixture(autouse=True)
    def _installed(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = Path(write("")).parent
        (folder / "acme_voice.py").write_text(WHOLE + "ACME = protocol(name='acme')\nLIMIT = 7")
        (folder / "acme_broken.py").write_text("1 / 0")
        monkeypatch.syspath_prepend(folder)
        found = EntryPoints(
            EntryPoint(name, value, registry.ENTRY_POINTS)
            for name, value in {
                "acme": "acme_voice:ACME",
                "twilio": "acme_voice:ACME",
                "broken": "acme_broken:ACME",
                "gone": "acme_voice:GONE",
                "number": "acme_voice:LIMIT",
            }.items()
        )
        monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: found.select(group=group))

    def test_they_are_listed_after_built_in_ones_and_found(self) -> None:
        assert names() == (*BUILT_IN, "acme", "broken", "gone", "number")
        assert protocol_named("acme").name == "acme"

    def test_they_cannot_replace_a_built_in_protocol(self) -> None:
        assert protocol_named("twilio").title == "Twilio Media Streams"

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("broken", "(acme_broken:ACME) cannot be loaded: ZeroDivisionError: division by zero."),
            ("gone", "(acme_voice:GONE) cannot be loaded: AttributeError: module 'acme_voice'"),
            ("number", "(acme_voice:LIMIT) is int, not a Protocol."),
        ],
    )  # fmt: skip
    def test_a_broken_one_is_reported_when_it_is_requested(self, name: str, sentence: str) -> None:
        assert sentence_for(name).startswith(f"The protocol {name!r} {sentence}")
        assert protocol_named("acme").name == "acme"


class TestTheExampleOfThePage:
    def test_the_page_shows_the_file_that_is_tested(self) -> None:
        blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
        assert blocks == [file.read_text(encoding="utf-8") for file in (EXAMPLE, TABLE)]

    def test_the_page_names_what_there_is(self) -> None:
        page = README.read_text(encoding="utf-8")
        assert f'"{registry.ENTRY_POINTS}"' in page
        assert f'"elevenlabs": "{BUILT_IN["elevenlabs"]}"' in page
        links = re.findall(r"\]\((?!http)(.*?)\)", page)
        assert links
        assert all((README.parent / link.partition("#")[0]).exists() for link in links)
        assert f"version {base.INTERFACE} of the interface" in page

    def test_every_entry_of_the_table_that_it_asks_for_exists(self) -> None:
        page = README.read_text(encoding="utf-8")
        rows = re.findall(r"^\| .*\? \| (.*) \|$", page, re.MULTILINE)
        named = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
        known = {field.name for field in msgspec.structs.fields(TelephonyDialect)}
        assert len(rows) == 17
        assert named - known <= {"event", "str", "int", "stream", "telephony_protocol"}
        assert {"opening", "key", "say", "mark", "clear", "flushed"} <= named

    def test_a_token_goes_where_most_agents_look_for_it(self) -> None:
        headers = protocol_named(str(EXAMPLE)).headers
        assert headers("secret", "ws://localhost/") == {"Authorization": "Bearer secret"}
        assert headers("", "ws://localhost/") == {}

    def test_the_ends_of_its_table_hold_a_call(self) -> None:
        caller, agent = ends_of(protocol_named(str(TABLE)))
        line = Line(caller, agent)
        line.to_agent([*caller.opened(), *caller.user_audio(b"\1" * 160)])
        for name in ("one", "two"):
            line.to_caller([*agent.say_start(name), *agent.say_audio(name, b"\3" * 160)])
            line.to_caller(agent.say_stop(name, interrupted=name == "two"))
            line.to_agent(caller.mark_reached(name))
        line.to_agent([*caller.dtmf("5"), *caller.hang_up()])
        assert line.types_heard_by("agent") == [
            T.SESSION_INITIATE,
            T.CALL_STARTED,
            T.USER_STREAM_CHUNK,
            *(T.MARK_REACHED, T.PLAY_FINISHED) * 2,
            T.DTMF,
            T.SESSION_END,
        ]
        assert line.types_heard_by("caller")[-3:] == [T.MARK, T.CLEAR, T.PLAY_STREAM_STOP]

    def test_its_ends_hold_a_call(self) -> None:
        mine = protocol_named(str(EXAMPLE))
        caller, agent = ends_of(mine)
        line = Line(caller, agent)
        line.to_agent(caller.opened())
        assert caller.user_format == agent.user_format == mine.formats["pcm_16000"]
        line.to_agent(caller.user_audio(b"\1\2" * 160))
        for name in ("one", "two"):
            line.to_caller([*agent.say_start(name, "words"), *agent.say_audio(name, b"\3\4" * 160)])
            line.to_caller(agent.say_stop(name, interrupted=name == "two"))
        line.to_agent(caller.hang_up())

        assert line.types_heard_by("agent") == [T.SESSION_INITIATE, T.CALL_STARTED, T.USER_STREAM_CHUNK]
        assert [(event.type, event.stream_id) for event in line.heard_by["caller"]] == [
            (T.SESSION_ACCEPTED, ""),
            (T.PLAY_STREAM_START, "reply-1"),
            (T.PLAY_STREAM_CHUNK, "reply-1"),
            (T.PLAY_STREAM_STOP, "reply-1"),
            (T.PLAY_STREAM_START, "reply-2"),
            (T.PLAY_STREAM_CHUNK, "reply-2"),
            (T.CLEAR, "reply-2"),
            (T.PLAY_STREAM_STOP, "reply-2"),
        ]
