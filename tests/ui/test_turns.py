from __future__ import annotations

from functools import partial

from tests.ui.conftest import TARGET, Stage, Staging, at_every_size, sized
from tests.ui.fakes import MS, START_NS, FakeClock, Script, a_call, telemetry, to_active
from tui.audio.calibration import Timing
from tui.models import events as e
from tui.models.events import Party, Status
from tui.models.telemetry import Telemetry
from tui.models.turns.figures import Figure, Thresholds, response_of
from tui.models.turns.turns import BargeIn, BargeInKind, LatencyParts, Turn
from tui.models.turns.why import shares_of
from tui.view.playhead import Playhead
from tui.widgets.health import figures_of
from tui.widgets.turn_words import axis_of, bar_of, sparkline_of, turn_in_full

USER, AGENT = Party.USER, Party.AGENT


def exchange(script: Script, number: int, *, latency_ms: int, answered: bool = True) -> Script:
    """Adds an exchange: the user speaks for a second, and the agent answers for two."""
    reply = f"reply-{number}"
    script.after(3000).edge(USER, True)
    end_ns = script.now_ns + 1000 * MS
    script.after(1000)
    script.edge(USER, False, captured_ns=end_ns + 20 * MS, sent_ns=end_ns + 21 * MS)
    script.said(USER, f"Question [b]{number}[/b]?")
    if not answered:
        return script
    script.add(e.ReplyStarted, reply=reply, format="pcm16 16000")
    played_ns = script.after(latency_ms).now_ns
    arrived_ns, handed_ns = played_ns - 120 * MS, played_ns - 40 * MS
    script.add(e.PlaybackStarted, reply=reply, arrived_ns=arrived_ns, handed_ns=handed_ns)
    script.edge(AGENT, True).after(2000).edge(AGENT, False)
    return script.add(e.PlaybackEnded, reply=reply, heard_ms=2000, unheard_ms=500 if number == 3 else 0)


def conversation(script: Script) -> Script:
    to_active(script)
    script.add(e.RoundTripMeasured, round_trip_ms=24.0)
    for number, latency_ms in enumerate((420, 1180, 640, 2300), 1):
        exchange(script, number, latency_ms=latency_ms)
        if number == 2:
            script.add(e.ToolChanged, call="c", name="weather")
            script.add(e.ToolChanged, call="c", name="weather", finished=True)
    return exchange(script, 5, latency_ms=0, answered=False)


def rows(s: Stage) -> list[str]:
    return [line.strip(" │╭╰╮╯─") for line in s.text("TurnsPane").splitlines()]


def waiting(s: Stage) -> str:
    """Returns the row of turn 5."""
    return next(row for row in rows(s) if row.removeprefix("▌").split()[:1] == ["5"])


@at_every_size
async def test_turns(script: Script, s: Stage) -> None:
    await s.play(conversation(script).take())
    await s.press("u")
    s.check("turns", "TurnsPane")


@at_every_size
async def test_health(script: Script, s: Stage) -> None:
    conversation(script).add(e.LossCounted, loss=e.Loss.UNDERRUN, count=2)
    stalled(script)
    await s.play(script.take())
    s.bridge.latest.telemetry = Telemetry(
        at_ns=0, user_dbfs=-32, user_peak_dbfs=-12, user_dc=0.001, send_p50_ms=0.45, send_p99_ms=2.1,
        loop_lag_ms=44, callback_load=0.012, prebuffer_ms=80, output_latency_ms=40,
    )  # fmt: skip
    await s.press("h")
    s.check("health", "HealthPane")


async def test_health_keeps_the_last_figures_of_a_call_that_is_over(script: Script, s: Stage) -> None:

    def figures() -> dict[str, str]:
        return {figure.name: figure.value for figure in s.session.health.figures}

    await s.play([*to_active(script).take(), telemetry(-32, -20)])
    await s.press("h")
    assert "Capture" in figures()
    await s.play(script.status(Status.ACTIVE, Status.ENDING).take())
    await s.play([telemetry(None, None), *script.status(Status.ENDING, Status.ENDED).take()])
    assert figures()["level"] == "-20 dB, peak -15 dB"
    assert {name for name in figures() if "final values of the call" in name} == {
        "Capture · final values of the call",
        "Playback · final values of the call",
        "This program · final values of the call",
    }
    await s.play(to_active(script).take())
    assert figures()["level"] == "–"
    assert "Capture" in figures()


def stalled(script: Script, *, active: bool = True) -> Script:
    text = "The microphone (USB [x]) has stalled." if active else "The microphone works again."
    what = e.Condition.STALLED
    return script.add(e.ConditionChanged, condition=what, path="capture", active=active, text=text)


async def test_a_condition_is_on_the_screen_while_it_lasts(script: Script, s: Stage) -> None:
    await s.play(stalled(to_active(script)).take())
    assert "! The microphone (USB [x]) has stalled." in s.text()
    await s.press("escape")
    assert "! The microphone" not in s.text().split("╭")[0].split("Events")[0]
    await s.play(stalled(script, active=False).take())
    await s.play(stalled(script).take())
    assert s.session.notice.display
    await s.play(stalled(script, active=False).take())
    assert not s.session.notice.display


async def test_a_stall_is_still_shown_when_it_is_over(stage: Staging, script: Script) -> None:
    def figures(s: Stage) -> dict[str, str]:
        told = figures_of(s.bridge.state, s.bridge.latest.telemetry)
        return {figure.name: figure.value for figure in told if figure.name.endswith("stalled")}

    async with stage((120, 40)) as s:
        await s.play(to_active(script).take())
        assert figures(s) == {"capture stalled": "never", "playback stalled": "never"}
        stalled(script).after(700)
        await s.play(stalled(script, active=False).take())
        assert figures(s) == {"capture stalled": "once, 0.7 s", "playback stalled": "never"}
        assert "stalled 0.7 s" in s.text().splitlines()[1], "the strip"


async def test_a_turn_of_pressed_keys_names_them(script: Script, s: Stage) -> None:
    to_active(script).after(3000).add(e.KeysPressed, digits="5").after(100).add(e.KeysPressed, digits="#")
    script.add(e.ReplyStarted, reply="r", format="pcm16 16000").after(400)
    script.add(e.PlaybackStarted, reply="r")
    script.edge(AGENT, True)
    await s.play(script.take())
    await s.press("u")
    named = [row for row in rows(s) if "keys 5#" in row]
    assert len(named) == 2, "the row, and the turn in full"
    assert "end of speech" not in s.text()


async def test_enter_goes_to_the_turns_events_and_back(script: Script, s: Stage) -> None:
    await s.play(conversation(script).take())
    await s.press("u", "up", "up", "enter", "enter")
    third = s.bridge.state.metrics.turns[3]
    assert s.session.log_pane.has_focus
    assert s.number == third.first_event
    await s.press("U")
    assert s.session.turns.has_focus
    assert s.session.turns.turns[s.session.turns.cursor] is third


async def test_health_of_a_saved_session_gives_one_reason_instead_of_dashes(
    stage: Staging, script: Script
) -> None:
    async with stage((80, 24)) as s:
        values = {line.name: line.value for line in s.session.health.figures}
        assert values["current values"] == "measured in a call, not saved"
    async with stage((80, 24), target=None, playhead=Playhead(0, 1, clock_ns=FakeClock())) as s:
        await s.play(a_call(script).take())  # it was cut off
        await s.press("h")
        text = s.text("HealthPane")
        assert "current values        measured in a call, not saved" in text
        assert "websocket round trip  0.4 ms" in text
        assert "unplayed              640 ms" in text
        assert "–" not in text


@sized((200, 60))
async def test_the_foot_names_every_part_of_the_turn(script: Script, s: Stage) -> None:
    await s.play(conversation(script).take())
    await s.press("u", "home", "down", "down", "down")
    text = " ".join(" ".join(rows(s)).split())
    for shown in (
        "turn 3 640 ms ✓ good",
        "█ unexplained 475 ms ▒ buffer 80 ms ▓ speaker 40 ms ░ network 24 ms · capture 20 ms · sending 1.0 ms",
        "agent reports recognised 0.0 ms",
        "end of speech: Silero VAD",
    ):
        assert shown in text, shown


async def test_a_greeting_alone_is_not_counted_as_a_turn(script: Script, s: Stage) -> None:
    to_active(script).edge(AGENT, True)
    await s.play(script.take())
    await s.press("u")
    assert s.text("TurnsPane").startswith("─Turns · greeting─")
    assert "greeting" in rows(s)[-1] or any("   0 " in row for row in rows(s))


async def test_another_call_is_followed_from_its_first_turn(script: Script, s: Stage) -> None:
    await s.play(conversation(script).take())
    await s.press("u", "up")
    s.session.transcript.hold()
    assert [s.session.turns.following, s.session.transcript.following] == [False, False]
    await s.play(conversation(script).take())
    assert [s.session.turns.following, s.session.transcript.following] == [True, True]
    assert s.session.turns.cursor == len(s.session.turns.turns) - 1


def test_a_turn_in_full_leaves_nothing_out_and_begins_with_the_most_telling() -> None:
    turn = Turn(
        number=7, response_latency_ms=900.0, parts=LatencyParts(agent_ms=700.0),
        reported_ms={"speech stopped": 210.0}, unexplained_ms=490.0, doubt="the program was late", tools=["book"],
    )  # fmt: skip
    barge_in = BargeIn(
        kind=BargeInKind.YIELDED, turn=7, signal_ms=120.0, silence_ms=340.0, stop_ms=220.0, talk_over_ms=300.0,
        unheard_ms=640.0,
    )  # fmt: skip
    figure = response_of(turn, Thresholds())
    assert [text for text, _ in turn_in_full(turn, figure, [barge_in])] == [
        "turn 7", "900 ms ~ slow",
        (
            "0.2 s until the agent noticed the end of speech, 0.5 s from the agent's last report to its answer, "
            "0.2 s not measured."
        ),
        "? uncertain: the program was late",
        (
            "barge-in yielded: agent's signal after 120 ms, silence after 340 ms, from signal to silence 220 ms, "
            "talk-over 300 ms, unplayed 0.6 s"
        ),
        "█ unexplained 490 ms", "▞ end of speech 210 ms", "? not measured 200 ms",
        "agent reports speech stopped 210 ms", "tools book",
    ]  # fmt: skip
    missing = turn_in_full(Turn(number=0, unmeasured="nobody spoke"), Figure(), [])
    assert [text for text, _ in missing] == ["greeting", "no response time: nobody spoke"]


async def test_the_same_key_brings_the_transcript_back(script: Script, s: Stage) -> None:
    await s.play(conversation(script).take())
    for key in ("u", "h"):
        await s.press(key)
        assert not s.session.transcript.display
        await s.press(key)
        assert s.session.transcript.display
    await s.press("u", "h")
    assert s.session.health.display
    assert not s.session.turns.display


async def test_a_turn_without_a_response_time_shows_why_and_an_uncertain_one_is_marked(
    script: Script, s: Stage
) -> None:
    conversation(script)
    script.add(e.LatenessSeen, what="the event loop", late_ms=90, since_ns=0)
    script.add(e.StatusChanged, old=e.Status.ACTIVE, new=e.Status.ENDED)
    await s.play(script.take())
    await s.press("u")
    assert any("the agent did not answer" in row for row in rows(s))
    assert any("2300±90?" in row for row in rows(s))


async def test_a_saved_session_begins_at_its_slowest_turn_and_a_live_call_follows_the_last(
    stage: Staging, script: Script
) -> None:
    ended = conversation(script).status(Status.ENDING, Status.ENDED).take()
    head = Playhead(START_NS, START_NS + 60_000 * MS, clock_ns=FakeClock())
    for playhead, number in ((None, 5), (head, 4)):
        async with stage((80, 24), target=None if playhead else TARGET, playhead=playhead) as s:
            await s.play(list(ended))
            await s.press("u")
            turns = s.session.turns
            assert turns.turns[turns.cursor].number == number
            await s.press("end")
            await s.tick()
            assert turns.turns[turns.cursor].number == 5


async def test_a_turn_that_is_waited_for_shows_for_how_long_and_that_nothing_has_answered(
    script: Script, s: Stage
) -> None:
    await s.play(conversation(script).take())
    await s.press("u")
    said_ns = s.session.turns.turns[-1].user_ended_ns or 0
    for waited_ms, shown in ((1200, "… 1.2 s"), (2900, "… 2.9 s")):
        s.clock.now_ns = said_ns + waited_ms * MS
        await s.tick()
        assert waiting(s).endswith(shown)
    not_answered = partial(script.add, e.ConditionChanged, condition=e.Condition.NOT_ANSWERED)
    not_answered(path="playback")
    await s.play(script.take())
    s.clock.now_ns = said_ns + 3100 * MS
    await s.tick()
    assert waiting(s).endswith("… 3.1 s, not answered")
    assert "no response time yet: waited 3.1 s, not answered" in s.text()

    not_answered(path="playback", active=False)
    script.edge(USER, True)
    await s.play(script.take())
    assert waiting(s).endswith("…"), "nobody waits while the user speaks"
    script.after(500).edge(USER, False)
    script.add(e.StatusChanged, old=e.Status.ACTIVE, new=e.Status.ENDED)
    await s.play(script.take())
    assert waiting(s).endswith("the agent did not answer")


async def test_of_a_thousand_turns_only_visible_ones_are_drawn(script: Script, s: Stage) -> None:
    to_active(script)
    for number in range(1000):
        exchange(script, number + 10, latency_ms=500)
    await s.play(script.take())
    await s.press("u")
    title = rows(s)[0]
    assert "1,000" in title
    assert "p50 500 ms" in title
    assert any(row.startswith("▌1000 ") for row in rows(s))
    await s.press("home")
    assert any(row.startswith("▌   0 ") for row in rows(s))


def test_the_bar_is_as_long_as_the_latency_and_shows_its_parts() -> None:
    parts = LatencyParts(capture_ms=100, agent_ms=400, prebuffer_ms=300, device_ms=200)
    shares = shares_of(Turn(number=1, response_latency_ms=1000, parts=parts))
    thresholds = Thresholds(good_ms=1200, slow_ms=1800)
    assert bar_of(shares, 1000, 10, thresholds) == "·████▒▒▒▓▓"
    assert bar_of(shares, 2000, 10, thresholds) == "██▒▒▓ ┊  ┊"
    assert bar_of([], 1000, 10, thresholds) == " " * 10
    assert axis_of(2000, 10, thresholds) == "──────┬──┬"
    assert axis_of(1000, 10, thresholds) == "─" * 10


def test_the_sparkline_begins_at_zero() -> None:
    assert sparkline_of([0, 1000, 2000]) == "▁▅█"
    assert sparkline_of([500, 500]) == "██"
    assert sparkline_of([500]) == ""


async def test_without_turns_the_pane_explains_when_one_starts(script: Script, s: Stage) -> None:
    await s.press("u")
    assert "No turns yet. A turn starts" in rows(s)[2]
    await s.play(conversation(script).take())
    assert "No turns yet" not in s.text()


async def test_devices_that_are_not_calibrated_are_named_once_and_every_row_has_its_error_bar(
    script: Script, s: Stage
) -> None:
    to_active(script)
    script.add(e.AudioOpened, capture="mic", playback="speaker", latency_ms=40.0, timing=Timing())
    exchange(script, 1, latency_ms=420)
    await s.play(exchange(script, 2, latency_ms=2_300).take())
    await s.press("u")
    shown = s.text()
    assert shown.count("not calibrated") == 1
    assert "420±20" in shown
    assert "response 2300 ± 20 ms" in shown
    health = {line.name: line.value for line in figures_of(s.bridge.state, Telemetry(at_ns=0))}
    assert health["timing"] == "± 20 ms, not calibrated"
