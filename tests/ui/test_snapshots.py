from __future__ import annotations

import pytest

from tests.ui.conftest import Stage, Staging, at_every_size
from tests.ui.fakes import MS, Script, a_call, devices, measured, telemetry, with_tools
from tests.ui.test_reading import two_updates
from tui.models import events as e
from tui.models.target import Target
from tui.screens.export import ExportScreen

RECENT = [
    Target(url="wss://bot.example.com/v1/voice?key=abc"),
    Target(url="ws://localhost:8000/ws", protocol="twilio", title="staging"),
]


def with_error(script: Script) -> Script:
    hint = "Offer another format with --format."
    script.after(100).error("media format raw/lpcm16_24 is not supported", code="session.error", hint=hint)
    text = "No PortAudio: recorded lines replace the microphone."
    script.add(e.NoticeRaised, text=text, hint="Install libportaudio2.")
    return script.add(e.LineChanged, name="3")


@at_every_size
async def test_session(script: Script, s: Stage) -> None:
    s.clock.now_ns += 83_000 * MS
    await s.play([*a_call(script).take(), telemetry(-23, -14, queued_ms=1240)])
    s.check("strip", "SessionStrip")
    s.check("meters", "Meters")
    s.check("tabs", "#tabs-line")
    s.check("log", "#panes")


@at_every_size
async def test_session_with_error_and_detail(script: Script, s: Stage) -> None:
    s.clock.now_ns += 83_000 * MS
    await s.play(with_error(a_call(script)).take())
    s.session.log_pane.move_to(s.bridge.log.row_of(148) or 0, centre=True)
    await s.press("enter")
    s.check("detail", "DetailPane")
    s.check("banner", "ErrorBanner")


CONNECT_ERRORS = {
    "not-found": (
        "wss://agents.example.com/v1/voice refused the connection with HTTP 404: no such route.",
        "Check the path of the URL.",
    ),
    "certificate": (
        "The certificate of wss://agents.example.com/v1/voice is not trusted: self-signed certificate.",
        "Pass its certificate authority with --cacert FILE, or accept any certificate with --insecure.",
    ),
}


@pytest.mark.parametrize("code", CONNECT_ERRORS)
async def test_the_cause_of_a_failed_connection_is_read_in_full(script: Script, code: str, s: Stage) -> None:
    message, hint = CONNECT_ERRORS[code]
    connecting, failed = e.Status.CONNECTING, e.Status.ERROR
    script.started().status(e.Status.IDLE, connecting)
    script.add(e.ErrorRaised, source="socket", code=code, message=message, hint=hint, fatal=True)
    await s.play(script.status(connecting, failed, message).take())
    s.check(f"error-{code}", "ErrorBanner")


@at_every_size
async def test_connect(stage: Staging, size: tuple[int, int]) -> None:
    async with stage(size, target=None, recent=RECENT, start_demo=lambda: Target(url="ws://x")) as s:
        await s.play([devices()])
        s.check("connect", "#form")


@at_every_size
async def test_session_with_tools(script: Script, s: Stage) -> None:
    s.clock.now_ns += 83_000 * MS
    await s.play([*with_tools(a_call(script)).take(), telemetry(-23, -14, line_progress=0.45)])
    s.check("strip-with-tools", "SessionStrip")
    s.check("transcript-with-tools", "TranscriptPane")


@pytest.mark.usefixtures("untraced")
@at_every_size
async def test_callbacks(s: Stage) -> None:
    s.bridge.trace_callbacks(True)
    await s.play([measured()])
    await s.press("T", "down", "down")
    s.check("callbacks", "#table")


MODALS = {
    "question_mark": ("help", "#help"),
    "K": ("keypad", "#keypad"),
    "w": ("write", "WriteLine"),
    "f": ("filter", "PromptLine"),
    "f2": ("filter-help", "#filter-help"),
    "g": ("go-to", "PromptLine"),
    "x": ("export", "#export"),
}


@at_every_size
async def test_compare(script: Script, s: Stage) -> None:
    await s.play(two_updates(script).take())
    await s.press("b", "up", "D", "n")
    s.check("compare", "#body")


@at_every_size
async def test_audio_in_detail(booking: Stage) -> None:
    await booking.press("home", "E", "g", "#", "2", "0", "enter", "enter", "enter", "down")
    booking.check("detail-of-audio", "DetailPane")


@at_every_size
async def test_modals(booking: Stage) -> None:
    for key, (name, selector) in MODALS.items():
        await booking.press(key)
        screen = booking.top()
        if isinstance(screen, ExportScreen):
            screen.path.value = "/tmp/events.jsonl"
            await booking.press("tab")
        booking.check(name, selector)
        await booking.press("escape")
        assert booking.top() is booking.session, name


@at_every_size
async def test_instructions(script: Script, s: Stage) -> None:
    await s.play(a_call(script, "openai").take())
    await s.press("I")
    s.check("instructions", "#instructions")


@at_every_size
async def test_a_filtered_log_with_an_open_run_a_mark_and_a_search(booking: Stage) -> None:
    booking.session.questions.set_filter("kind:stream and not kind:speech")
    booking.session.log_pane.move_to(1)
    await booking.press("b", "right", "down")
    booking.session.search.highlight("audio 20")
    await booking.tick()
    booking.check("log-filtered", "EventLogPane")


@at_every_size
async def test_a_log_that_nothing_matches(booking: Stage) -> None:
    booking.session.questions.set_filter("warning")
    await booking.tick()
    booking.check("log-unmatched", "EventLogPane")


@at_every_size
async def test_a_session_in_which_nothing_has_happened(s: Stage) -> None:
    s.check("empty", "#panes")


@at_every_size
async def test_the_footer(script: Script, s: Stage) -> None:
    s.check("footer-before-a-call", "KeyBar")
    await s.play(a_call(script).take())
    s.check("footer-in-a-call", "KeyBar")
    await s.press("enter", "enter")
    s.check("footer-in-the-detail", "KeyBar")
