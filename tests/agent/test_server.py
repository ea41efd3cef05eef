"""Tests the server over real loopback sockets, with a caller that does everything as fast as possible."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import tui.agent.server
import tui.audio.speech
from tests.agent.calls import spoken
from tests.agent.sockets import LIMIT_S, Caller, answered, calling
from tests.waiting import wait_for
from tui.agent.server import AgentServer
from tui.agent.settings import AgentError, AgentSettings
from tui.assets import caller_lines
from tui.protocols.base import Protocol
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.registry import BUILT_IN, by_path

_FAST = AgentSettings(pace=100)


async def test_calls_do_not_hear_each_other() -> None:
    async with AgentServer(_FAST) as server, answered(server) as one, answered(server) as other:
        await one.speak(spoken("yes"))
        await other.speak(spoken("hold"))
        assert (await one.until(Type.SPEECH_RECOGNITION)).text == "Yes."
        assert (await other.until(Type.SPEECH_RECOGNITION)).text == "Please hold on for a moment."


async def hold_a_conversation(server: AgentServer, protocol: Protocol) -> None:
    async with calling(server, protocol, token="secret") as caller:
        await caller.hear("greeting")
        await caller.say("number")
        await caller.hear("order")
        await caller.say("services")
        await caller.until(Type.PLAY_STREAM_CHUNK)
        await caller.say("interrupt")
        await caller.be_interrupted()
        await caller.hear("listening")
        if keys := caller.end.dtmf("7"):
            await caller.send(keys)
            await caller.hear("dtmf-7")
        await caller.say("goodbye")
        await caller.hear("goodbye")
        if protocol.name == "audiocodes":
            await caller.until(Type.HANG_UP)
            await caller.send(caller.end.hang_up())
        async with asyncio.timeout(LIMIT_S):
            await caller.socket.wait_closed()
        assert caller.socket.close_code == 1000


async def test_all_protocols_are_spoken_on_one_port_at_the_same_time() -> None:
    protocols = list(by_path().values())
    assert {each.name for each in protocols} == set(BUILT_IN)
    async with AgentServer(AgentSettings(pace=100, token="secret")) as server, asyncio.TaskGroup() as calls:
        # The audio of OpenAI Live is one continuous track without replies; `test_openai_live` has its calls.
        for protocol in (each for each in protocols if each.name != "openai-live"):
            calls.create_task(hold_a_conversation(server, protocol), name=protocol.name)


async def test_an_unknown_path_is_404_and_names_the_known_ones() -> None:
    async with AgentServer(AgentSettings()) as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{server.url}/nowhere")
        assert refused.value.response.status_code == 404
        body = refused.value.response.body
        assert (
            b"/audiocodes, /twilio, /v1/realtime, /v1/live/sessions, /pcm, /v1/convai/conversation, /gemini"
            in body
        )


@pytest.mark.parametrize(
    "path",
    [
        "/audiocodes/?bot=1",
        "/v1/realtime?model=gpt-realtime",
        "/pcm?",
        "//ws/google.ai.generativelanguage.v1.GenerativeService.BidiGenerateContent?key=x",
    ],
)
async def test_a_query_or_another_slash_does_not_change_the_path(path: str) -> None:
    async with AgentServer(AgentSettings()) as server, connect(f"{server.url}{path}"):
        pass


def bearer(*tokens: str) -> dict[str, Any]:
    return {"additional_headers": [("Authorization", f"Bearer {token}") for token in tokens]}


@pytest.mark.parametrize(
    ("path", "options"),
    [
        *((path, {}) for path in by_path()),
        ("/audiocodes", bearer("wröng")),
        ("/audiocodes", {"additional_headers": {"Authorization": "secret"}}),
        ("/pcm", {"additional_headers": {"Authorization": ""}}),
        ("/pcm", bearer("secret", "other")),
        ("/twilio", {"additional_headers": {"X-Twilio-Signature": "secret"}}),
        ("/twilio", bearer("secret")),
        ("/v1/realtime", {"additional_headers": {"api-key": "secret"}}),  # Azure's header, on another host
        ("/v1/convai/conversation", {"additional_headers": {"xi-api-key": "wrong"}}),
        ("/v1/convai/conversation", {"subprotocols": ["convai", "bearer.wrong"]}),
        ("/v1/convai/conversation", {"subprotocols": ["bearer."]}),
        ("/v1/convai/conversation", {"subprotocols": ["convai"]}),
        ("/v1/convai/conversation", {"subprotocols": ["openai-insecure-api-key.secret"]}),
    ],
)
async def test_without_the_token_in_its_place_a_call_is_401(path: str, options: dict[str, Any]) -> None:
    async with AgentServer(AgentSettings(token="secret")) as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{server.url}{path}", **options)
        assert refused.value.response.status_code == 401
        assert b"secret" not in refused.value.response.body


@pytest.mark.parametrize("path", ["/twilio", "/twilio?a=1", "/v1/realtime?model=x"])
async def test_with_the_token_for_the_url_that_was_dialled_the_call_is_taken(path: str) -> None:
    async with AgentServer(AgentSettings(token="secret")) as server:
        protocol = by_path()[path.partition("?")[0]]
        headers = protocol.headers("secret", f"{server.url}{path}")
        async with connect(f"{server.url}{path}", additional_headers=headers):
            pass


async def test_a_signature_of_another_url_is_none() -> None:
    async with AgentServer(AgentSettings(token="secret")) as server:
        headers = by_path()["/twilio"].headers("secret", f"{server.url}/twilio")
        with pytest.raises(InvalidStatus, match="401"):
            await connect(f"{server.url}/twilio?a=1", additional_headers=headers)


@pytest.mark.parametrize(
    ("url", "path"),
    [("wss://agent.example.org/twilio", "/twilio"), ("wss://x.openai.azure.com/v1/realtime", "/v1/realtime")],
)
async def test_a_tunnel_in_between_changes_nothing(url: str, path: str) -> None:
    async with AgentServer(AgentSettings(token="secret")) as server:
        headers = by_path()[path].headers("secret", url)
        port = int(server.url.rpartition(":")[2])
        plain = url.replace("wss:", "ws:")
        async with connect(plain, additional_headers=headers, host="127.0.0.1", port=port):
            pass


async def test_shutting_down_hangs_up_before_it_closes() -> None:
    async with AgentServer(AgentSettings()) as server:
        socket = await connect(f"{server.url}/audiocodes", compression=None)
        caller = Caller(socket)
        await caller.send(caller.end.opened())
        await caller.until(Type.PLAY_STREAM_CHUNK)
    await caller.until(Type.HANG_UP)
    with pytest.raises(ConnectionClosed):
        await socket.recv()
    assert socket.close_code == 1001


async def test_a_caller_that_disappears_leaves_no_conversation_open() -> None:
    async with AgentServer(AgentSettings()) as server:
        async with calling(server) as caller:
            await caller.until(Type.PLAY_STREAM_CHUNK)
            caller.socket.transport.abort()
        await wait_for(lambda: not server._calls)


def test_missing_recordings_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = replace(caller_lines()[0], path=tmp_path / "gone.wav")
    monkeypatch.setattr(tui.agent.server, "caller_lines", lambda: (missing,))
    with pytest.raises(AgentError, match=r"gone\.wav does not exist"):
        AgentServer(AgentSettings())


async def test_a_browser_gets_an_explanation_and_nothing_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with AgentServer(AgentSettings()) as server:
        url = server.url.replace("ws:", "http:")

        def visit() -> int:
            try:
                with urllib.request.urlopen(url, timeout=LIMIT_S) as response:
                    return int(response.status)
            except urllib.error.HTTPError as error:
                error.close()
                return error.code

        assert await asyncio.to_thread(visit) in (404, 426)
    assert caplog.records == []


async def refusal(server: AgentServer, **options: Any) -> tuple[dict[str, Any], int | None, str | None]:
    """Returns the first message of a call that is refused, and how it was closed."""
    async with connect(f"{server.url}/v1/realtime", **options) as socket:
        first = json.loads(await socket.recv())
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    return first, socket.close_code, socket.close_reason


@pytest.mark.parametrize(
    "options",
    [
        {"additional_headers": {"OpenAI-Beta": "realtime=v1"}},
        {"subprotocols": ["realtime", "openai-beta.realtime-v1"]},
    ],
)
async def test_the_beta_of_openai_is_refused_as_the_service_does(options: dict[str, Any]) -> None:
    async with AgentServer(AgentSettings()) as server:
        first, code, reason = await refusal(server, **options)
    assert first["type"] == "error"
    assert first["error"]["code"] == "beta_api_shape_disabled"
    assert (code, reason) == (4000, "invalid_request_error.beta_api_shape_disabled")


async def test_another_beta_of_openai_is_not_refused() -> None:
    headers = {"OpenAI-Beta": "agents=v1"}
    async with (
        AgentServer(AgentSettings()) as server,
        connect(f"{server.url}/v1/realtime", additional_headers=headers) as socket,
    ):
        assert json.loads(await socket.recv())["type"] == "session.created"


async def test_the_model_is_that_of_the_url() -> None:
    async with (
        AgentServer(AgentSettings()) as server,
        connect(f"{server.url}/v1/realtime?model=gpt-realtime%20x") as socket,
    ):
        assert json.loads(await socket.recv())["session"]["model"] == "gpt-realtime x"


@pytest.mark.parametrize(
    ("path", "offered", "chosen"),
    [
        ("/v1/realtime", None, None),
        ("/v1/realtime", ["realtime", "openai-insecure-api-key.secret"], "realtime"),
        ("/v1/realtime", ["openai-insecure-api-key.secret", "realtime"], "realtime"),
        ("/v1/realtime", ["openai-insecure-api-key.secret"], "openai-insecure-api-key.secret"),
        ("/v1/convai/conversation", ["convai", "bearer.secret"], "convai"),
    ],
)
async def test_a_token_in_a_subprotocol_counts_and_another_one_is_chosen(
    path: str, offered: list[Any] | None, chosen: str | None
) -> None:
    async with (
        AgentServer(AgentSettings(token="secret" if offered else "")) as server,
        connect(f"{server.url}{path}", subprotocols=offered) as socket,
    ):
        assert socket.subprotocol == chosen


@pytest.mark.parametrize("frame", ["{bad", b"\x00\x01", "[1]", '{"x":1}', '{"type":7}'])
async def test_an_unreadable_frame_is_an_error_under_openai(frame: str | bytes) -> None:
    async with AgentServer(AgentSettings()) as server, connect(f"{server.url}/v1/realtime") as socket:
        await socket.recv()
        await socket.send(frame)
        answer = json.loads(await socket.recv())
        assert (answer["type"], answer["error"]["type"]) == ("error", "invalid_request_error")
        await socket.send('{"type":"input_audio_buffer.clear"}')
        assert json.loads(await socket.recv())["type"] == "input_audio_buffer.cleared"


async def test_a_new_caller_does_not_load_the_detector_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with AgentServer(_FAST) as server:
        monkeypatch.setattr("numpy.load", lambda *_, **__: pytest.fail("loaded during a call"))
        async with answered(server) as caller:
            await caller.speak(spoken("yes"))
            await caller.until(Type.SPEECH_RECOGNITION)


def get_json(url: str, headers: dict[str, str]) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=LIMIT_S) as response:
        return json.load(response)


async def test_a_signed_url_of_elevenlabs_needs_no_token() -> None:
    async with AgentServer(AgentSettings(token="secret")) as server:
        web = server.url.replace("ws:", "http:") + "/v1/convai/conversation/get-signed-url?agent_id=a"
        answer = await asyncio.to_thread(get_json, web, {"xi-api-key": "secret"})
        signed = answer["signed_url"]
        assert signed.startswith(f"{server.url}/v1/convai/conversation?agent_id=a&")
        async with connect(f"{signed}&source=sdk"):
            pass
        for url in (signed[:-1], signed.replace("agent_id=a", "agent_id=b")):
            with pytest.raises(InvalidStatus, match="401"):
                await connect(url)
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            await asyncio.to_thread(get_json, web, {"xi-api-key": "wrong"})
        refused.value.close()


def certificate(folder: Path) -> tuple[trustme.CA, str, str]:
    """Returns an authority, and the files of a certificate for 127.0.0.1 and its key."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    cert, key = folder / "cert.pem", folder / "key.pem"
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    return authority, str(cert), str(key)


async def test_with_a_certificate_it_speaks_tls(tmp_path: Path) -> None:
    authority, cert, key = certificate(tmp_path)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with AgentServer(AgentSettings(cert=cert, key=key)) as server:
        assert server.url.startswith("wss://127.0.0.1:")
        async with connect(f"{server.url}/v1/realtime", ssl=trusting) as socket:
            assert json.loads(await socket.recv())["type"] == "session.created"


async def test_a_certificate_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    _, cert, _ = certificate(tmp_path)
    for settings, reason in (
        (AgentSettings(cert=str(tmp_path / "gone.pem")), "gone.pem cannot be used: No such file"),
        (AgentSettings(cert=cert), "cert.pem cannot be used: "),
        (AgentSettings(cert=cert, key=cert), "with the key .*cert.pem cannot be used: "),
    ):
        with pytest.raises(AgentError, match=reason):
            async with AgentServer(settings):
                pass
    with pytest.raises(AgentError, match="A private key was given without its certificate"):
        AgentSettings(key="key.pem")


class TestWhatIsReported:
    async def test_calls_refusals_and_findings_each_once(self) -> None:
        lines: list[str] = []
        async with AgentServer(AgentSettings(), lines.append) as server:
            async with connect(f"{server.url}/v1/realtime?model=secret-model") as socket:
                for message in (
                    '{"type":"session.update","session":{}}',
                    '{"type":"session.update","session":{}}',
                    '{"type":"session.update","session":{"type":"realtime","model":"other"}}',
                    "{bad\x1b",
                    '{"type":"input_audio_buffer.clear"}',
                ):
                    await socket.send(message)
                while json.loads(await socket.recv())["type"] != "input_audio_buffer.cleared":
                    pass
                port = socket.local_address[1]
            await wait_for(lambda: len(lines) == 5)
        assert lines[0] == f"call 1: OpenAI Realtime call from 127.0.0.1:{port}"
        assert lines[1:3] == [
            "call 1: refused session.update: Missing required parameter: 'session.type'.",
            (
                "call 1: finding model-changed: session.model cannot be changed to other: the URL sets the model."
            ),
        ]
        assert lines[3].startswith("call 1: unreadable message (not-json): not JSON: ")
        assert "\x1b" not in lines[3]
        assert re.fullmatch(
            r"call 1: ended after \d+\.\d s, closed with code 1000 · refused session.update ×2", lines[4]
        )

    async def test_a_caller_at_the_door_without_its_query(self) -> None:
        lines: list[str] = []
        async with AgentServer(AgentSettings(token="secret"), lines.append) as server:
            for path in ("/nowhere?key=hidden", "/pcm"):
                with pytest.raises(InvalidStatus):
                    await connect(f"{server.url}{path}")
        assert [line.partition(", HTTP ")[2][:16] for line in lines] == [
            "404: Unknown pat",
            "401: This agent ",
        ]
        assert "hidden" not in "".join(lines)

    async def test_a_caller_that_repeats_the_token(self) -> None:
        lines: list[str] = []
        async with AgentServer(AgentSettings(token="agent-token-77"), lines.append) as server:
            headers = {"Authorization": "Bearer agent-token-77"}
            async with connect(f"{server.url}/v1/realtime?model=m", additional_headers=headers) as socket:
                await socket.send('{"type": "agent-token-77"}')
                await wait_for(lambda: len(lines) > 1)
        assert "[redacted]" in lines[1], lines
        assert "agent-token-77" not in "".join(lines)
