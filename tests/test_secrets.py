"""Tests that no secret is written, even if the agent repeats secrets in every text that it can send."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from click.testing import CliRunner
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from tests.engine.process import engine_process, handle_of, until
from tests.witness import serving
from tui.cli.main import cli
from tui.config.reading import read_settings
from tui.config.targets import make_target
from tui.engine import wire
from tui.models.events import Status
from tui.text.json_text import json_of
from tui.text.redaction import REDACTED

TOKEN = "sk-tok+en/with==signs"
USER, PASSWORD = "planted-user", 'pass"w\\ord/é'
BARE = "bare-query-value"
QUERY = {f"q{n}": f"query-{n}/ü%&+{n}" for n in range(10)}
FILE_HEADERS = {"X-File-0": "of-the-environment-0", "X-File-1": "written-down-1"}
HEADERS = {f"X-Flag-{n}": f'flag-header-{n}"\\{n}' for n in range(10)} | {"X-Auth": "Bearer with-a-scheme"}
COOKIES = {"session": "cookie-session-1", "other": "cookie-other-2"}
HEADERS["Cookie"] = "; ".join(f"{name}={value}" for name, value in COOKIES.items())
PARAMS = {
    f"{name}_{n}": f"param-{name}-{n}'é" for n, name in enumerate(("api_key", "token", "password", "secret"))
}
FIELDS = ("card", "pin", "ssn", "phone", "iban")
ARGUMENTS = {field: f"argument-{field}-\u00e9" for field in FIELDS}
RESULTS = {field: f"result-{field}-1234" for field in FIELDS}
MESSAGE_FIELDS = {field: f"message-{field}-5678" for field in FIELDS}
NESTED = {"card": {"number": 4111_1111_1111_1111, "codes": ["nested-code-a", "nested-code-b"]}}

KNOWN = [
    *(TOKEN, USER, PASSWORD, BARE, *QUERY.values(), *FILE_HEADERS.values(), *PARAMS.values()),
    *(value.removeprefix("Bearer ") for name, value in HEADERS.items() if name != "Cookie"),
    *COOKIES.values(),
]
"""Secrets known when the call begins."""
LEARNT = [
    *ARGUMENTS.values(),
    *RESULTS.values(),
    *MESSAGE_FIELDS.values(),
    "4111111111111111",
    "nested-code-a",
]
"""Secrets learned from fields to redact."""

TOOLS = f"""
def pay(card: str = "", pin: str = "", ssn: str = "", phone: str = "", iban: str = "", memo: str = "") -> dict:
    \"\"\"Pay.\"\"\"
    return {RESULTS!r} | {{"memo": memo}}
"""


def written(secret: str) -> list[str]:
    """Returns the forms in which an agent may write the secret."""
    return [
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(json.dumps(secret)),
        quote(secret, safe=""),
        quote_plus(secret),
        *(base64.b64encode(b"abc"[:n] + secret.encode() + b" and more").decode() for n in range(3)),
        base64.urlsafe_b64encode(secret.encode()).decode(),
    ]


def needles(secret: str) -> set[bytes]:
    """Returns texts that would reveal the secret: each form, and the invariant part of its base64 form."""
    data = secret.encode()
    forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    forms |= {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    for n in range(3):
        inner = base64.b64encode(b"\0" * n + data)[4:-4].decode()
        forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {form.encode() for form in forms if len(form) > 5}


def assert_clean(text: bytes, where: str, secrets: list[str]) -> None:
    for secret in secrets:
        for needle in needles(secret):
            at = text.find(needle)
            assert at < 0, f"{where}: {secret!r} in …{text[max(at - 60, 0) : at + 60]!r}…"


class ScriptedAgent:
    """An OpenAI agent that repeats every secret in every kind of text that it can send, even when it disconnects."""

    def __init__(self) -> None:
        self.handshakes: list[Request] = []
        self.sent = 0

    def hold(self, socket: ServerConnection) -> None:
        def send(kind: str, **members: Any) -> None:
            self.sent += 1
            socket.send(json.dumps({"type": kind, "event_id": f"e{self.sent}", **members}))

        send("session.created", session={"type": "realtime", "id": TOKEN, "note": self.handshake_text()})
        while json.loads(socket.recv())["type"] != "session.update":
            pass
        send("session.updated", session={"type": "realtime", "audio": {}})
        send("x.fields", **MESSAGE_FIELDS, more=json.dumps(NESTED))
        self.call_tool(send)
        while "function_call_output" not in str(socket.recv()):
            pass
        for number, secret in enumerate([*KNOWN, *LEARNT]):
            self.say(send, f"r{number}", secret)
        socket.send(" ".join(form for secret in KNOWN for form in written(secret)))
        socket.send(" ".join(form for secret in KNOWN for form in written(secret)).encode())
        socket.close(4001, f"goodbye {TOKEN} {PASSWORD}")

    def handshake_text(self) -> str:
        request = self.handshakes[-1]
        return f"{request.path} {list(request.headers.raw_items())}"

    def call_tool(self, send: Callable[..., None]) -> None:
        memo = " ".join(form for secret in KNOWN for form in written(secret))
        arguments = json.dumps({**ARGUMENTS, "memo": memo})
        call = {"call_id": "call-1", "name": "pay", "arguments": arguments}
        item = {"type": "function_call", "id": "item-1", **call}
        send("response.created", response={"id": "r", "object": "realtime.response", "status": "in_progress"})
        send("response.output_item.added", response_id="r", output_index=0, item={**item, "arguments": ""})
        where = {"response_id": "r", "item_id": "item-1", "output_index": 0}
        send("response.function_call_arguments.done", **where, **call)
        send("response.output_item.done", response_id="r", output_index=0, item=item)
        done = {"id": "r", "object": "realtime.response", "status": "completed", "output": [item]}
        send("response.done", response=done)

    def say(self, send: Callable[..., None], response: str, secret: str) -> None:
        text = " ".join(written(secret))
        where = {"response_id": response, "item_id": f"item-{secret}", "output_index": 0, "content_index": 0}
        send("response.output_audio_transcript.delta", **where, delta=f"{text} ")
        send("response.output_audio_transcript.done", **where, transcript=text)
        user = {"item_id": f"user-{secret}", "content_index": 0}
        send("conversation.item.input_audio_transcription.completed", **user, transcript=text)
        send(
            "error",
            error={"type": secret, "code": secret, "message": f"{'filler ' * 11}{text}", "param": None},
        )
        send(f"unknown.{secret}", **{secret: text})
        limit = {"name": secret, "limit": 9, "remaining": 8, "reset_seconds": 1.0}
        send("rate_limits.updated", rate_limits=[limit])


@contextmanager
def agent(
    answer: Callable[[ServerConnection, Request], Response | None] | None = None,
) -> Iterator[tuple[str, Any]]:
    """Runs the scripted agent, or an agent that only answers over HTTP; yields the URL with its secrets."""
    scripted = ScriptedAgent()

    def note(connection: ServerConnection, request: Request) -> Response | None:
        scripted.handshakes.append(request)
        return answer(connection, request) if answer else None

    query = "&".join([*(f"{name}={quote(value, safe='')}" for name, value in QUERY.items()), BARE])
    with serving(scripted.hold, process_request=note) as place:
        yield f"ws://{USER}:{quote(PASSWORD, safe='')}@{place}/realtime?{query}", scripted


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the only writable place, with an environment that contains the secrets."""
    home = tmp_path / "home"
    for name in ("config", "data", "state", "cache", "tmp"):
        (home / name).mkdir(parents=True)
        monkeypatch.setenv("TMPDIR" if name == "tmp" else f"XDG_{name.upper()}_HOME", str(home / name))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(home / "tmp"))
    monkeypatch.setenv("PLANTED_TOKEN", f" {TOKEN}\r\n")
    monkeypatch.setenv("PLANTED_HEADER", f"{FILE_HEADERS['X-File-0']}\n")
    return home


def profile(folder: Path, url: str) -> Path:
    """Writes the user's own settings file, which is not searched for secrets."""
    file = folder / "planted.toml"
    params = ", ".join(f"{name} = {json.dumps(value)}" for name, value in PARAMS.items())
    file.write_text(
        f"""
        [profiles.planted]
        url = {json.dumps(url)}
        protocol = "openai"
        token_env = "PLANTED_TOKEN"
        tools = {json.dumps(str(folder / "tools.py"))}
        headers = {{X-File-0 = "${{PLANTED_HEADER}}", X-File-1 = "{FILE_HEADERS["X-File-1"]}"}}
        params = {{{params}}}
        save = {json.dumps(str(folder / "home" / "saved"))}
        redact = {json.dumps([*FIELDS])}
        """
    )
    (folder / "tools.py").write_text(TOOLS)
    return file


def run(*arguments: str, code: int) -> bytes:
    """Runs the program; returns everything that it printed."""
    ran = subprocess.run(
        [sys.executable, "-m", "tui", *arguments], capture_output=True, timeout=50, check=False
    )
    printed = ran.stdout + ran.stderr
    assert ran.returncode == code, printed[-2000:].decode()
    return printed


def run_here(*arguments: str, code: int) -> bytes:
    """Runs a command that makes no call, in this process; returns everything that it printed."""
    ran = CliRunner().invoke(cli, arguments)
    assert ran.exit_code == code, ran.output[-2000:]
    return ran.output_bytes if code == 0 else ran.stdout_bytes + ran.stderr_bytes


def header_flags() -> list[str]:
    return [part for name, value in HEADERS.items() for part in ("--header", f"{name}: {value}")]


def files_of(home: Path) -> Iterator[tuple[str, bytes]]:
    for path in home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            yield path.name, content
            for packed in re.findall(rb"eJ[A-Za-z0-9+/]{40,}={0,2}|eN[A-Za-z0-9+/]{40,}={0,2}", content):
                yield f"{path.name}, unpacked", unpacked(packed)


def unpacked(packed: bytes) -> bytes:
    try:
        return zlib.decompress(base64.b64decode(packed + b"=="))
    except (ValueError, zlib.error):
        return b""


def test_a_headless_call_writes_and_prints_no_secret(home: Path, tmp_path: Path) -> None:
    assert len({*KNOWN, *LEARNT}) >= 50
    with agent() as (url, scripted):
        file = str(profile(tmp_path, url))
        arguments = ["call", "planted", "--config", file, *header_flags()]
        as_json = run(*arguments, "--json", code=5)
        as_lines = run(*arguments, code=5)
    assert scripted.sent > 6 * len(KNOWN)
    sessions = sorted((home / "saved").iterdir())
    assert len(sessions) == 2
    printed = {
        "call --json": as_json,
        "call": as_lines,
        "report": run_here("report", str(sessions[0]), "-o", str(home / "report.html"), code=0),
        "metrics": run_here("metrics", str(sessions[0]), code=0),
        "sessions": run_here("sessions", "--config", file, "--json", code=0),
        "config": run_here("config", "--config", file, code=0),
    }
    written_files = dict(files_of(home))
    assert {"session.json", "events.jsonl", "messages.bin", "report.html"} <= written_files.keys()
    assert any("unpacked" in name and content for name, content in written_files.items())
    for name, content in [*printed.items(), *files_of(home)]:
        assert_clean(content, name, [*KNOWN, *LEARNT])
    for name in ("session.json", "events.jsonl", "messages.bin"):
        assert REDACTED.encode() in written_files[name], name


@pytest.mark.parametrize("protocol", ["openai", "auto"])
def test_a_refusal_prints_no_secret_and_one_code(protocol: str, home: Path, tmp_path: Path) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        text = " ".join(form for secret in reversed(KNOWN) for form in written(secret))
        return connection.respond(HTTPStatus.UNAUTHORIZED, json.dumps({"error": {"message": text}}, indent=2))

    with agent(refuse) as (url, _):
        file = str(profile(tmp_path, url))
        flags = ["--config", file, "--protocol", protocol, *header_flags()]
        as_json = run("call", "planted", "--json", *flags, code=4)
        checked = run("check", "planted", *flags, code=4)
    errors = [json.loads(line) for line in as_json.splitlines() if line.startswith(b'{"event":"error"')]
    assert [(error["source"], error["code"]) for error in errors] == [("socket", "unauthorised")]
    assert "rejected the token in $PLANTED_TOKEN (HTTP 401): " in errors[0]["message"]
    for name, content in [("call", as_json), ("check", checked), *files_of(home)]:
        assert_clean(content, name, KNOWN)


def test_a_redirect_prints_no_secret(home: Path, tmp_path: Path) -> None:
    def redirect(connection: ServerConnection, request: Request) -> Response:
        response = connection.respond(HTTPStatus.FOUND, "")
        response.headers["Location"] = (
            f"https://{USER}:{quote(PASSWORD, safe='')}@other.test/{quote(TOKEN, safe='')}?a={quote(BARE)}#{BARE}"
        )
        return response

    with agent(redirect) as (url, _):
        printed = run("call", "planted", "--config", str(profile(tmp_path, url)), *header_flags(), code=4)
    assert b"redirects to wss://other.test/[redacted]?a=\xe2\x80\xa6 (HTTP 302)" in printed
    for name, content in [("call", printed), *files_of(home)]:
        assert_clean(content, name, KNOWN)


def test_the_engine_sends_and_writes_no_secret(home: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, bytes]] = []
    with agent() as (url, _):
        flags = {"headers": HEADERS, "save": "", "input": "lines", "output": "none"}
        target = make_target("planted", read_settings(str(profile(tmp_path, url))), flags)
        with engine_process() as bridge:
            engine = handle_of(bridge)
            drain = engine.drain

            def noted() -> list[wire.FrameItem]:
                items = drain()
                seen.append(("frames", b"\n".join(map(json_of, items))))
                return items

            engine.drain = noted  # type: ignore[method-assign]
            bridge.send(wire.Connect(target=target))
            until(bridge, lambda: bridge.state.status is Status.ERROR)
            assert TOKEN not in repr(target)
            seen += files_of(home)  # before the engine removes its messages
        assert any(name.endswith(".messages") and content for name, content in seen)
        seen.append(("log", Path(engine.log_path).read_bytes() if Path(engine.log_path).exists() else b""))
    for name, content in seen:
        assert_clean(content, name, [*KNOWN, *LEARNT])


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ws://127.0.0.1:9/p?token=planted-secret#planted-secret", "has a fragment"),
        ("ws://planted-secret@127.0.0.1:9/p", "has a user name without a password"),
        ("user:planted-secret@127.0.0.1:9/p", "Missing ws:// or wss://"),
        ("ws://user:planted/secret@127.0.0.1:9/p", "is not a URL"),
    ],
)
def test_a_wrong_url_is_refused_without_showing_its_secrets(url: str, says: str, home: Path) -> None:
    printed = run_here("call", url, "--json", code=2)
    assert says.encode() in printed
    assert_clean(printed, "call", ["planted-secret", "planted/secret"])


def test_a_token_with_a_control_character_is_refused_without_showing_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_TOKEN", "planted\nsecret")
    printed = run_here("call", "ws://127.0.0.1:9/", "--json", "--token-env", "PLANTED_TOKEN", code=2)
    assert (
        b"--token-env PLANTED_TOKEN: the value of that variable contains the control character U+000A."
        in printed
    )
    assert b"secret" not in printed.replace(b"/secrets/", b"")
