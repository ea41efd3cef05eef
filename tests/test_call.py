"""Tests headless calls as scripts use them: the real program against the local agent."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from tests.witness import Witness, serving, witnessing
from tui.agent.process import AgentProcess, start_agent
from tui.agent.settings import AgentSettings
from tui.assets import caller_lines, prompts
from tui.audio.wav import read_wav
from tui.call import Printer, Script, _judge, _Seen, metrics_line
from tui.cli.main import cli
from tui.exit_code import ExitCode
from tui.load.processes import free_port
from tui.models import events as e
from tui.models.session_state import SessionState
from tui.models.turns.figures import Thresholds
from tui.models.turns.metrics import SessionMetrics, Stalls
from tui.models.turns.turns import IN_TEXT, Turn

YES = next(line for line in caller_lines() if line.name == "yes")
GOODBYE = next(line for line in caller_lines() if line.name == "goodbye")
SAID = ("--say", str(YES.path))


def run(*arguments: str) -> Result:
    """Runs a command in this process, because starting another would take most of a call's time."""
    return CliRunner().invoke(cli, list(arguments))


@pytest.fixture(scope="module")
def agent() -> Iterator[AgentProcess]:
    with start_agent(AgentSettings()) as agent:
        yield agent


@pytest.fixture
def url(agent: AgentProcess) -> str:
    return agent.url("/audiocodes")


def test_a_call_is_held_printed_and_saved(url: str, tmp_path: Path) -> None:
    kept, home = tmp_path / "heard.wav", tmp_path / "home"
    said = (*SAID, "--say", str(GOODBYE.path), "--max-response-ms", "5000")
    numbers = ("--caller", "+4930901820", "--called", "reception")
    ran = subprocess.run(
        [sys.executable, "-m", "tui", "call", url, *said, *numbers, "--output", str(kept)],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "XDG_DATA_HOME": str(home)},
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    for part in ("session.accepted", "recognition: Yes.", "the agent hung up"):
        assert part in ran.stdout
    assert re.search(r"^response time \d+ ms, \d+ ms", ran.stdout, re.MULTILINE)
    with wave.open(str(kept)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
    heard = read_wav(kept, 16_000)
    for name in ("greeting", "confirmed"):
        spoken = np.frombuffer(read_wav(prompts()[name].path, 16_000), "<i2")
        # Every sample, in order; a starved machine may insert silence between blocks.
        assert np.trim_zeros(spoken).tobytes() in heard
    (messages,) = home.glob("opusagent-tui/sessions/*/messages.bin")
    assert b'"caller":"+4930901820"' in messages.read_bytes()
    assert b'"callee":"reception"' in messages.read_bytes()


def test_events_come_as_json_lines_with_the_exceeded_limit_and_the_figures_last(url: str) -> None:
    ran = run("call", url, "--say", "4", "--json", "--max-response-ms", "1")
    *lines, reason, figures = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert (reason["event"], reason["source"], reason["code"]) == ("error", "call", "limit_exceeded")
    assert (ran.exit_code, reason["exit_code"], reason["message"]) == (1, 1, ran.stderr.splitlines()[-1])
    assert "the limit is 1 ms" in ran.stderr
    assert figures["event"] == "metrics"
    assert lines[0]["event"] == "session"
    assert {"status", "message", "transcript", "playback_ended"} <= {line["event"] for line in lines}
    assert [turn["response_latency_ms"] > 0 for turn in figures["turns"]] == [True, True]
    assert figures["audio_received_ms"] == figures["audio_heard_ms"]


@pytest.mark.parametrize(
    "command",
    [["call", "--say", "4"], ["check", "--protocol", "auto"], ["check", "--protocol", "audiocodes"]],
    ids=" ".join,
)
def test_nobody_there_is_exit_4_and_one_sentence(command: list[str]) -> None:
    ran = run(*command, f"ws://127.0.0.1:{free_port()}/bot")
    assert ran.exit_code == 4
    (sentence,) = (line for line in ran.output.splitlines() if "connection refused" in line)
    assert "call" not in command or ran.stderr == f"{sentence}\n"


def test_devices_names_what_is_missing_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPUSAGENT_TUI_HIDE_PORTAUDIO", "1")
    ran = run("devices")
    assert ran.exit_code == 4
    assert "PortAudio" in ran.stderr


def test_the_version_and_the_exit_codes_are_printed() -> None:
    from tui import __version__

    assert __version__ in run("--version").stdout
    assert "3 the agent did not answer" in " ".join(run("call", "--help").stdout.split())


def test_a_protocol_that_cannot_be_detected_has_to_be_named() -> None:
    with serving(lambda socket: list(socket).clear()) as place:
        ran = run("call", f"ws://{place}/")
    assert ran.exit_code == 2
    assert "Specify it with --protocol (audiocodes, twilio, " in ran.stderr


def play(
    socket: ServerConnection, seconds: float, *, odd: int = 0, stop: bool = True, sample: int = 0
) -> None:
    """Sends a reply of silence or a buzz in one message, with ``odd`` bytes that are not a whole sample."""
    buzz = np.where(np.arange(round(16_000 * seconds)) // 40 % 2, sample, -sample).astype("<i2")
    audio = base64.b64encode(buzz.tobytes() + bytes(odd)).decode()
    socket.send('{"type":"playStream.start","streamId":"a","mediaFormat":"raw/lpcm16"}')
    socket.send(json.dumps({"type": "playStream.chunk", "streamId": "a", "audioChunk": audio}))
    if stop:
        socket.send('{"type":"playStream.stop","streamId":"a"}')


QUICK = ("--greeting-timeout", "0.2")
"""Options for agents that do not greet."""


def serve_one(
    session: Callable[[ServerConnection], None], *arguments: str, options: tuple[str, ...] = QUICK
) -> Result:
    """Runs a headless call with an AudioCodes agent that runs ``session`` once it has accepted."""

    def accept(socket: ServerConnection) -> None:
        for frame in socket:
            if json.loads(frame)["type"] == "session.initiate":
                socket.send('{"type":"session.accepted","mediaFormat":"raw/lpcm16"}')
                session(socket)

    with serving(accept) as place:
        return run("call", f"ws://{place}/", "--protocol", "audiocodes", *options, *arguments)


def after_a_line(socket: ServerConnection, message: dict[str, Any]) -> None:
    """Opens the user stream and sends a message once the line YES is over."""
    chunks = 0
    for frame in socket:
        kind = json.loads(frame)["type"]
        chunks += kind == "userStream.chunk"
        if kind == "userStream.start":
            socket.send('{"type":"userStream.started"}')
        elif kind == "userStream.chunk" and chunks == 60:
            socket.send(json.dumps(message))


@pytest.mark.parametrize(
    ("session", "arguments", "code", "sentence"),
    [
        (partial(play, seconds=0.2), SAID, 3, f"did not answer {YES.path.name} within 0.5 s"),
        (lambda socket: None, SAID, 3, "has not opened the user stream"),
        (partial(play, seconds=0.2, stop=False), (), 5, "The agent began a reply and never ended it."),
        (partial(play, seconds=0.2, odd=1), (), 5, "in the middle of a 16-bit sample"),
    ],
    ids=["no answer", "no user stream", "no end of a reply", "half a sample"],
)
def test_what_the_agent_leaves_undone_has_an_exit_code_and_a_sentence(
    session: Callable[[ServerConnection], None], arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    ran = serve_one(session, *arguments, "--timeout", "0.5")
    assert ran.exit_code == code
    assert sentence in ran.stderr


def test_a_reply_that_came_at_once_is_heard_out_however_long() -> None:
    ran = serve_one(lambda socket: play(socket, 2), "--timeout", "0.5", "--json")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert json.loads(ran.stdout.splitlines()[-1])["audio_heard_ms"] == 2000


def test_an_agent_that_never_pauses_is_interrupted_after_the_longest_turn() -> None:
    def talk(socket: ServerConnection) -> None:
        buzz = np.where(np.arange(320) // 40 % 2, 8_000, -8_000).astype("<i2").tobytes()
        chunk = {"type": "playStream.chunk", "streamId": "a", "audioChunk": base64.b64encode(buzz).decode()}
        socket.send('{"type":"playStream.start","streamId":"a","mediaFormat":"raw/lpcm16"}')
        with contextlib.suppress(ConnectionClosed):
            while True:
                socket.send(json.dumps(chunk))
                with contextlib.suppress(TimeoutError):
                    if json.loads(socket.recv(timeout=0.02))["type"] == "userStream.start":
                        socket.send('{"type":"userStream.started"}')

    ran = serve_one(talk, *SAID, "--max-turn", "0.5", "--timeout", "0.2")
    assert ran.stderr.count("The agent's turn had not ended after 0.5 s") == 1
    assert "playing 4-yes.wav" in ran.stdout


def test_a_missing_answer_is_reported_with_the_error_reported_meanwhile() -> None:
    said: list[str] = []

    def stumble(socket: ServerConnection) -> None:
        play(socket, 0.2)
        for frame in socket:
            if "userStream.start" in str(frame) and not said:
                said.append("nonsense")
                socket.send("nonsense")

    ran = serve_one(stumble, *SAID, "--timeout", "0.5")
    assert ran.exit_code == 3
    assert "within 0.5 s; an error was reported: " in ran.stderr


def test_an_unreadable_message_is_exit_5_and_the_protocol_is_not_doubted() -> None:
    def stumble(socket: ServerConnection) -> None:
        socket.send('{"type":"playStream.chunk","streamId":"a","audioChunk":"AAAA')
        play(socket, 0.2)

    ran = serve_one(stumble, "--json")
    assert ran.exit_code == 5
    assert "not JSON" in ran.stderr
    error = next(json.loads(line) for line in ran.stdout.splitlines() if '"event":"error"' in line)
    assert "Does it speak" not in error["hint"]
    assert error["about"]


def test_an_agent_that_leaves_before_the_script_is_done_is_exit_5_with_a_reason_of_its_own() -> None:
    def hang_up(socket: ServerConnection) -> None:
        play(socket, 0.2)
        socket.send('{"type":"activities","activities":[{"type":"event","name":"hangup"}]}')

    ran = serve_one(hang_up, "--json", *SAID, *SAID)
    assert ran.exit_code == 5
    assert "The agent hung up, with 2 lines not spoken." in ran.stderr
    errors = [json.loads(line) for line in ran.stdout.splitlines() if '"event":"error"' in line]
    assert [error["code"] for error in errors] == ["left-early"]
    assert serve_one(hang_up).exit_code == 0


def test_an_agent_that_waits_for_the_end_of_the_user_stream_is_exit_3_with_the_option_that_helps() -> None:
    words = {"alternatives": [{"text": "yes", "confidence": 1}]}
    recognize = partial(after_a_line, message={"type": "userStream.speech.recognition", **words})
    ran = serve_one(recognize, *SAID, "--timeout", "4")
    assert ran.exit_code == 3
    assert "try --on-stop close or --no-barge-in" in ran.stderr


def test_a_finding_is_exit_5_only_where_none_is_allowed() -> None:
    def stray(socket: ServerConnection) -> None:
        socket.send('{"type":"something.new"}')
        play(socket, 0.2)

    assert serve_one(stray).exit_code == 0
    strict = serve_one(stray, "--strict")
    assert strict.exit_code == 5
    assert "--strict allows none" in strict.stderr


@pytest.fixture
def witness() -> Iterator[Witness]:
    with witnessing() as witness:
        yield witness


def signalled(witness: Witness, number: int, before: str = "") -> tuple[int, str]:
    """Returns the exit code and the error output of a call that received a signal once it was accepted."""
    arguments = f"{witness.url} --protocol audiocodes --say 4 --timeout 0.2 {' '.join(QUICK)}"
    command = f"{before} exec {sys.executable} -m tui call {arguments}"
    running = subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None
    assert running.stderr is not None
    with running.stdout, running.stderr:
        for line in running.stdout:
            if b"session.accepted" in line:
                running.send_signal(number)
                break
        running.stdout.read()
        return running.wait(20), running.stderr.read().decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_call_that_a_signal_ends_says_goodbye_and_exits_with_its_number(
    number: int, witness: Witness
) -> None:
    assert signalled(witness, number) == (128 + number, "")
    assert witness.saw_a_goodbye()


def test_a_call_started_by_nohup_survives_the_terminal(witness: Witness) -> None:
    code, _ = signalled(witness, signal.SIGHUP, before="trap '' HUP;")
    assert code == 3, "the agent never answers, which the call waits for"


def test_an_output_that_is_full_ends_the_call(witness: Witness) -> None:
    command = f"{sys.executable} -m tui call {witness.url} --protocol audiocodes --json >/dev/full"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=50, check=False)
    assert (ran.returncode, ran.stderr) == (74, "The output cannot be written: No space left on device.\n")


def test_a_reader_that_has_seen_enough_ends_the_call_with_a_goodbye(witness: Witness) -> None:
    call = f"{sys.executable} -m tui call {witness.url} --protocol audiocodes --json"
    command = f"{call} | grep -m1 session.accepted; exit ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=50, check=False)
    assert (ran.returncode, ran.stderr) == (141, "")
    assert len(ran.stdout.splitlines()) == 1
    assert witness.saw_a_goodbye()


def test_a_folder_that_cannot_be_written_ends_the_saving_and_not_the_call(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = serve_one(lambda socket: play(socket, 0.2), "--json", "--save", str(tmp_path / "file"))
    assert (ran.exit_code, ran.stderr) == (0, "")
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    (error,) = (event for event in events if event["event"] == "error")
    assert error["message"].startswith(
        f"The session is not being saved: Cannot write to {tmp_path / 'file'}: "
    )
    assert error["number"] > 1
    assert any(event["event"] == "playback_ended" for event in events)


MEASURED = SessionMetrics(
    audio_sent_ms=6_800,
    audio_received_ms=8_140,
    audio_heard_ms=8_000,
    losses={"unsent": 3},
    stalls={"capture": Stalls(2, 1400), "playback": Stalls(1, 700)},
    conditions={"not answered": 1, "clipped start": 2, "stalled": 3},
    errors=1,
    findings=2,
)
SAME = (
    "; sent 6.8 s, received 8.1 s, played 8.0 s; losses unsent 3; capture stalled 2 times, 1.4 s; "
    "playback stalled once, 0.7 s; not answered 1, clipped start 2; errors 1, findings 2, advice 0"
)


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        ([], "–"),
        ([Turn(1, response_latency_ms=446.4), Turn(2, response_latency_ms=512.0)], "446 ms, 512 ms"),
        (
            [Turn(1, unmeasured=IN_TEXT), Turn(2, response_latency_ms=500, after_tools_ms=4600)],
            "500 ms, after tools 4600 ms, answered in text 1",
        ),
    ],
)
def test_the_figures_of_a_call_in_one_line(turns: list[Turn], words: str) -> None:
    assert metrics_line(msgspec.structs.replace(MEASURED, turns=turns)) == f"response time {words}{SAME}"


def test_the_figures_of_a_call_without_trouble_name_none() -> None:
    assert metrics_line(SessionMetrics()) == (
        "response time –; sent 0.0 s, received 0.0 s, played 0.0 s; losses none; errors 0, findings 0, advice 0"
    )


FOUND = e.FindingRaised(at_ns=0, rule="stray", text="It strays.")
ADVICE = e.FindingRaised(at_ns=0, rule="no-marks", text="No mark was sent.", advice=True)


@pytest.mark.parametrize(("event", "code"), [(FOUND, ExitCode.PROTOCOL_ERROR), (ADVICE, ExitCode.FINE)])
def test_strict_counts_findings_and_never_advice(event: e.FindingRaised, code: ExitCode) -> None:
    state, reasons = SessionState(), list[str]()
    state.apply(event)
    assert _judge(state, _Seen(), Script([], strict=True), False, reasons.append) is code
    assert len(reasons) == (code is not ExitCode.FINE)


@pytest.mark.parametrize(
    ("limit_ms", "code", "reason"),
    [
        (1_109, ExitCode.LIMIT_EXCEEDED, "The slowest response took 1200 ± 90 ms; the limit is 1109 ms."),
        (
            1_110,
            ExitCode.NOT_JUDGED,
            "Turn 1 took 1200 ± 90 ms, which is too close to call: the loop was late. The limit is 1110 ms.",
        ),
        (1_290, ExitCode.FINE, ""),
    ],
)
def test_a_response_that_may_be_on_either_side_of_the_limit_is_not_judged(
    limit_ms: float, code: ExitCode, reason: str
) -> None:
    state, reasons = SessionState(), list[str]()
    state.metrics.turns += [
        Turn(1, response_latency_ms=1_200.0, doubt="the loop was late", error_ms=90.0),
        Turn(2, response_latency_ms=600.0),
    ]
    script = Script([Path("yes.wav")], max_response_ms=limit_ms)
    assert _judge(state, _Seen(), script, False, reasons.append) is code
    assert " ".join(reasons) == reason


def test_a_repeated_finding_is_printed_once_with_its_count_at_the_end() -> None:
    lines: list[str] = []
    printer = Printer(lambda line: lines.append(str(line)), Thresholds(), as_json=False)
    for event in (FOUND, ADVICE, *(msgspec.structs.replace(FOUND, count=count) for count in (9, 19, 56))):
        printer.show(event)
    printer.summary(SessionMetrics())
    assert [line[10:] for line in lines[:2]] == [
        "· ! finding  stray: It strays.",
        "· advice  no-marks: No mark was sent.",
    ]
    assert lines[2] == "finding stray: 56 times"
    assert len(lines) == 4


def test_the_first_line_is_spoken_as_soon_as_a_short_greeting_is_over() -> None:
    greet = partial(play, seconds=0.3, sample=8000)
    ran = serve_one(greet, *SAID, "--timeout", "0.2", "--json")
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    greeted_ns = next(event["at_ns"] for event in events if event["event"] == "playback_ended")
    spoken_ns = next(event["at_ns"] for event in events if event["event"] == "line")
    assert 0 < spoken_ns - greeted_ns < 2_000_000_000


@pytest.mark.parametrize(
    ("options", "least_s", "most_s"), [((), 3.0, 5.5), (("--greeting-timeout", "0.3"), 0.3, 2.8)]
)
def test_an_agent_that_does_not_greet_is_spoken_to_after_a_while(
    options: tuple[str, ...], least_s: float, most_s: float
) -> None:
    arguments = (*SAID, "--timeout", "0.2", "--json")
    ran = serve_one(lambda socket: None, *arguments, options=options)
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    accepted_ns = next(event["at_ns"] for event in events if event.get("new") == "active")
    spoken_ns = next(event["at_ns"] for event in events if event["event"] == "line")
    assert least_s <= (spoken_ns - accepted_ns) / 1e9 < most_s


def test_an_answer_in_text_is_an_answer_and_is_named_as_one() -> None:
    def answer(socket: ServerConnection) -> None:
        play(socket, 0.3, sample=8000)
        words = {"type": "message", "text": "We open at nine."}
        after_a_line(socket, {"type": "activities", "activities": [words]})

    ran = serve_one(answer, *SAID, "--timeout", "9")
    assert ran.exit_code == 0
    assert f"The agent answered {YES.path.name} only in text, without audio." in ran.stderr
    assert "answered in text 1" in ran.stdout
