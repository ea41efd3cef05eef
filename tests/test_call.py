"""Tests headless calls as scripts use them: the real program against the local agent."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import wave
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from tui.agent.process import AgentProcess, start_agent
from tui.agent.settings import AgentSettings
from tui.assets import caller_lines, prompts
from tui.audio.wav import read_wav
from tui.call import Printer, Script, _judge, _Seen, metrics_line
from tui.cli.main import cli
from tui.exit_code import ExitCode
from tui.models import events as e
from tui.models.session_state import SessionState
from tui.models.turns.figures import Thresholds
from tui.models.turns.metrics import SessionMetrics, Stalls
from tui.models.turns.turns import IN_TEXT, Turn

YES = next(line for line in caller_lines() if line.name == "yes")
GOODBYE = next(line for line in caller_lines() if line.name == "goodbye")


def run(*arguments: str) -> Result:
    """Runs a command in this process, because starting another would take most of a call's time."""
    return CliRunner().invoke(cli, list(arguments))


def run_program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tui", *arguments],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.fixture(scope="module")
def agent() -> Iterator[AgentProcess]:
    with start_agent(AgentSettings()) as agent:
        yield agent


@pytest.fixture
def url(agent: AgentProcess) -> str:
    return agent.url("/audiocodes")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_a_call_is_held_printed_and_saved(url: str, tmp_path: Path) -> None:
    kept = tmp_path / "heard.wav"
    say = ("--say", str(YES.path), "--max-response-ms", "5000")
    ran = run_program("call", url, *say, "--output", str(kept))
    assert (ran.returncode, ran.stderr) == (0, "")
    for part in ("session.accepted", "recognition: Yes.", "active → ending"):
        assert part in ran.stdout
    assert re.search(r"^response time \d+ ms", ran.stdout, re.MULTILINE)
    with wave.open(str(kept)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
    heard = read_wav(kept, 16_000)
    for name in ("greeting", "confirmed"):
        spoken = np.frombuffer(read_wav(prompts()[name].path, 16_000), "<i2")
        # Every sample, in order; a starved machine may insert silence between blocks.
        assert np.trim_zeros(spoken).tobytes() in heard


@pytest.fixture(scope="module")
def too_slow(agent: AgentProcess) -> Result:
    """Runs a call whose answer takes longer than allowed."""
    return run("call", agent.url("/audiocodes"), "--say", "4", "--json", "--max-response-ms", "1")


@pytest.mark.xdist_group("too_slow")
def test_events_come_as_json_lines_with_the_figures_last(too_slow: Result) -> None:
    *lines, reason, figures = [json.loads(line) for line in too_slow.stdout.splitlines()]
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert (reason["event"], reason["source"], reason["code"]) == ("error", "call", "limit_exceeded")
    assert (reason["exit_code"], reason["message"]) == (1, too_slow.stderr.splitlines()[-1])
    assert figures["event"] == "metrics"
    assert lines[0]["event"] == "session"
    assert {"status", "message", "transcript", "playback_ended"} <= {line["event"] for line in lines}
    greeting, turn = figures["turns"]
    assert greeting["response_latency_ms"] > 0
    assert turn["response_latency_ms"] > 0
    assert figures["audio_received_ms"] == figures["audio_heard_ms"]


@pytest.mark.xdist_group("too_slow")
def test_a_limit_exceeded_is_exit_1(too_slow: Result) -> None:
    assert too_slow.exit_code == 1
    assert "the limit is 1 ms" in too_slow.stderr


def test_the_agents_hang_up_is_a_fine_end(url: str) -> None:
    ran = run("call", url, "--say", str(GOODBYE.path))
    assert ran.exit_code == 0
    assert "the agent hung up" in ran.stdout


def test_the_numbers_of_a_call_are_sent_to_the_agent(url: str, tmp_path: Path) -> None:
    ran = run("call", url, "--caller", "+4930901820", "--called", "reception", "--save", str(tmp_path))
    assert ran.exit_code == 0
    (messages,) = tmp_path.glob("*/messages.bin")
    assert b'"caller":"+4930901820"' in messages.read_bytes()
    assert b'"callee":"reception"' in messages.read_bytes()


def test_nobody_there_is_exit_4_and_one_sentence() -> None:
    ran = run("call", f"ws://127.0.0.1:{free_port()}/bot", "--say", str(YES.path))
    assert ran.exit_code == 4
    assert "connection refused" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_devices_names_what_is_missing_and_what_to_do() -> None:
    ran = run_program("devices", OPUSAGENT_TUI_HIDE_PORTAUDIO="1")
    assert ran.returncode == 4
    assert "PortAudio" in ran.stderr


def test_the_version_and_the_exit_codes_are_printed() -> None:
    from tui import __version__

    assert __version__ in run("--version").stdout
    assert "3 the agent did not answer" in " ".join(run("call", "--help").stdout.split())


def test_check_reports_what_is_wrong() -> None:
    for protocol in ("auto", "audiocodes"):
        ran = run("check", f"ws://127.0.0.1:{free_port()}/bot", "--protocol", protocol)
        assert ran.exit_code == 4
        assert "connection refused" in ran.stdout + ran.stderr


def test_a_protocol_that_cannot_be_detected_has_to_be_named() -> None:
    def listen(socket: ServerConnection) -> None:
        for _ in socket:
            pass

    with serve(listen, "127.0.0.1", 0) as silent:
        threading.Thread(target=silent.serve_forever, daemon=True).start()
        ran = run("call", f"ws://127.0.0.1:{silent.socket.getsockname()[1]}/")
        silent.shutdown()
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

    with serve(accept, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        ran = run("call", url, "--protocol", "audiocodes", *options, *arguments)
        server.shutdown()
    return ran


def test_an_agent_that_does_not_answer_is_exit_3() -> None:
    ran = serve_one(lambda socket: play(socket, 0.2), "--say", str(YES.path), "--timeout", "0.5")
    assert ran.exit_code == 3
    assert f"did not answer {YES.path.name} within 0.5 s" in ran.stderr


def test_a_reply_that_never_ends_does_not_hold_the_call_up_for_ever() -> None:
    ran = serve_one(lambda socket: play(socket, 0.2, stop=False), "--timeout", "0.5")
    assert ran.exit_code == 5
    assert "The agent began a reply and never ended it." in ran.stderr


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

    ran = serve_one(talk, "--say", str(YES.path), "--max-turn", "0.5", "--timeout", "0.2")
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

    ran = serve_one(stumble, "--say", str(YES.path), "--timeout", "0.5")
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


def test_half_a_sample_is_the_agents_fault_and_exit_5() -> None:
    ran = serve_one(lambda socket: play(socket, 0.2, odd=1))
    assert ran.exit_code == 5
    assert "in the middle of a 16-bit sample" in ran.stderr


def test_an_agent_that_leaves_before_the_script_is_done_is_exit_5_with_a_reason_of_its_own() -> None:
    def hang_up(socket: ServerConnection) -> None:
        play(socket, 0.2)
        socket.send('{"type":"activities","activities":[{"type":"event","name":"hangup"}]}')

    ran = serve_one(hang_up, "--json", "--say", str(YES.path), "--say", str(YES.path))
    assert ran.exit_code == 5
    assert "The agent hung up, with 2 lines not spoken." in ran.stderr
    errors = [json.loads(line) for line in ran.stdout.splitlines() if '"event":"error"' in line]
    assert [error["code"] for error in errors] == ["left-early"]
    assert serve_one(hang_up).exit_code == 0


def test_an_agent_that_waits_for_the_end_of_the_user_stream_is_exit_3_with_the_option_that_helps() -> None:
    def recognize(socket: ServerConnection) -> None:
        chunks = 0
        for frame in socket:
            kind = json.loads(frame)["type"]
            chunks += kind == "userStream.chunk"
            if kind == "userStream.start":
                socket.send('{"type":"userStream.started"}')
            if kind == "userStream.chunk" and chunks == 60:
                words = '"alternatives":[{"text":"yes","confidence":1}]'
                socket.send('{"type":"userStream.speech.recognition",' + words + "}")

    ran = serve_one(recognize, "--say", str(YES.path), "--timeout", "4")
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


def test_an_agent_that_never_opens_the_user_stream_is_named_as_the_cause() -> None:
    ran = serve_one(lambda socket: None, "--say", str(GOODBYE.path), "--timeout", "0.5")
    assert ran.exit_code == 3
    assert "has not opened the user stream" in ran.stderr
    assert "losses unsent" in ran.stdout


class Goodbyes:
    """An agent that accepts a call and records how it ended."""

    def __init__(self) -> None:
        self.ended: queue.Queue[tuple[str, int | None]] = queue.Queue()
        self._server = serve(self._take, "127.0.0.1", 0)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/bot"

    def _take(self, socket: ServerConnection) -> None:
        last = ""
        for frame in socket:
            last = json.loads(frame)["type"]
            if last == "session.initiate":
                socket.send('{"type":"session.accepted","mediaFormat":"raw/lpcm16"}')
        self.ended.put((last, socket.close_code))

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(5)


@pytest.fixture
def goodbyes() -> Iterator[Goodbyes]:
    agent = Goodbyes()
    yield agent
    agent.close()


def signalled(goodbyes: Goodbyes, number: int, before: str = "") -> tuple[int, str]:
    """Returns the exit code and the error output of a call that received a signal once it was accepted."""
    arguments = f"{goodbyes.url} --protocol audiocodes --say 4 --timeout 0.2"
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
    number: int, goodbyes: Goodbyes
) -> None:
    assert signalled(goodbyes, number) == (128 + number, "")
    assert goodbyes.ended.get(timeout=5) == ("session.end", 1000)


def test_a_call_started_by_nohup_survives_the_terminal(goodbyes: Goodbyes) -> None:
    code, _ = signalled(goodbyes, signal.SIGHUP, before="trap '' HUP;")
    assert code == 3, "the agent never answers, which the call waits for"
    assert goodbyes.ended.get(timeout=5) == ("session.end", 1000)


def test_an_output_that_is_full_ends_the_call(goodbyes: Goodbyes) -> None:
    command = f"{sys.executable} -m tui call {goodbyes.url} --protocol audiocodes --json >/dev/full"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=50, check=False)
    assert (ran.returncode, ran.stderr) == (74, "The output cannot be written: No space left on device.\n")


def test_a_reader_that_has_seen_enough_ends_the_call_with_a_goodbye(goodbyes: Goodbyes) -> None:
    call = f"{sys.executable} -m tui call {goodbyes.url} --protocol audiocodes --json"
    command = f"{call} | grep -m1 session.accepted; exit ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=50, check=False)
    assert (ran.returncode, ran.stderr) == (141, "")
    assert len(ran.stdout.splitlines()) == 1
    assert goodbyes.ended.get(timeout=5) == ("session.end", 1000)


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


def test_the_figures_of_a_call_include_stalls_where_there_were_any() -> None:
    assert "stalled" not in metrics_line(SessionMetrics())
    line = metrics_line(SessionMetrics(stalls={"capture": Stalls(2, 1400), "playback": Stalls(1, 700)}))
    assert "; capture stalled 2 times, 1.4 s; playback stalled once, 0.7 s; errors 0" in line


def test_the_figures_of_a_call_include_audio_problems() -> None:
    line = metrics_line(SessionMetrics(conditions={"not answered": 1, "clipped start": 2, "stalled": 3}))
    assert "; not answered 1, clipped start 2; errors 0" in line


def test_the_figures_of_a_call_include_answers_in_text_and_after_tools() -> None:
    turns = [Turn(number=1, unmeasured=IN_TEXT), Turn(2, response_latency_ms=500, after_tools_ms=4600)]
    line = metrics_line(SessionMetrics(turns=turns))
    assert line.startswith("response time 500 ms, after tools 4600 ms, answered in text 1; sent")


@pytest.mark.parametrize(
    ("latencies_ms", "words"), [([446.4, 512.0], "446 ms, 512 ms"), ([446.0], "446 ms"), ([], "–")]
)
def test_the_figures_of_a_call_in_one_line(latencies_ms: list[float], words: str) -> None:
    turns = [Turn(number=number, response_latency_ms=ms) for number, ms in enumerate(latencies_ms, 1)]
    metrics = SessionMetrics(
        turns=turns,
        audio_sent_ms=6_800,
        audio_received_ms=8_140,
        audio_heard_ms=8_000,
        losses={"unsent": 3},
        errors=1,
        findings=2,
    )
    assert metrics_line(metrics) == (
        f"response time {words}; sent 6.8 s, received 8.1 s, played 8.0 s; "
        "losses unsent 3; errors 1, findings 2, advice 0"
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
    ran = serve_one(greet, "--say", str(YES.path), "--timeout", "0.2", "--json")
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
    arguments = ("--say", str(YES.path), "--timeout", "0.2", "--json")
    ran = serve_one(lambda socket: None, *arguments, options=options)
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    accepted_ns = next(event["at_ns"] for event in events if event.get("new") == "active")
    spoken_ns = next(event["at_ns"] for event in events if event["event"] == "line")
    assert least_s <= (spoken_ns - accepted_ns) / 1e9 < most_s


def test_an_answer_in_text_is_an_answer_and_is_named_as_one() -> None:
    def answer(socket: ServerConnection) -> None:
        play(socket, 0.3, sample=8000)
        chunks = 0
        for frame in socket:
            kind = json.loads(frame)["type"]
            chunks += kind == "userStream.chunk"
            if kind == "userStream.start":
                socket.send('{"type":"userStream.started"}')
            elif kind == "userStream.chunk" and chunks == 60:  # the line has ended by then
                words = {"type": "message", "text": "We open at nine."}
                socket.send(json.dumps({"type": "activities", "activities": [words]}))

    ran = serve_one(answer, "--say", str(YES.path), "--timeout", "9")
    assert ran.exit_code == 0
    assert f"The agent answered {YES.path.name} only in text, without audio." in ran.stderr
    assert "answered in text 1" in ran.stdout
