"""Tests scenarios in the engine: run alongside the user, taken over, handed back, and saved."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.engine.test_engine import Desk, at_a_desk
from tests.saving.saved_calls import play_pcm
from tests.session.scripted import Peer, agent, listens
from tests.speech.machine import install_recognizer
from tui.assets import prompts
from tui.audio.wav import read_wav
from tui.engine import wire
from tui.models import events as e
from tui.models.scenario_progress import ScenarioProgress
from tui.models.target import Target
from tui.saving.reading import open_session

P = e.ScenarioPhase


def progress_of(desk: Desk) -> ScenarioProgress:
    progress = ScenarioProgress()
    for event in desk.log.events:
        progress.apply(event)
    return progress


def phases(desk: Desk) -> list[e.ScenarioPhase]:
    return [event.phase for event in desk.log.events if isinstance(event, e.ScenarioChanged)]


def ladder(progress: ScenarioProgress) -> list[tuple[str, str]]:
    return [(rung.verdict, rung.reason) for rung in progress.rungs]


def written(folder: Path, text: str) -> wire.PlayScenario:
    path = folder / "a.call.toml"
    path.write_text(text)
    return wire.PlayScenario(path=str(path))


async def call(desk: Desk, url: str, scenario: wire.PlayScenario | None, folder: Path) -> None:
    target = Target(
        url=url, protocol="audiocodes", input="none", output="none", save=str(folder), greeting_timeout_s=0.1
    )
    await desk.engine.handle(wire.Connect(target=target, scenario=scenario))


async def over(desk: Desk) -> None:
    await desk.until(lambda: phases(desk)[-1:] == [P.OVER])


async def test_a_scenario_is_played_judged_and_saved_with_its_limits(tmp_path: Path) -> None:
    scenario = written(
        tmp_path,
        '[limits]\nfindings = 0\n[[step]]\npress = "5"\n[[step]]\nexpect = "tool book"\nwithin = "100ms"\n',
    )
    async with agent(listens) as url, at_a_desk() as desk:
        await call(desk, url, scenario, tmp_path / "saved")
        await over(desk)
        progress = progress_of(desk)
        assert ladder(progress) == [
            ("done", ""),
            ("failed", "It did not happen within 100 ms."),
            ("passed", ""),
        ]
        assert [rung.text for rung in progress.rungs][2] == "limit findings ≤ 0"
        assert progress.scenario
        assert (progress.scenario.verdict, progress.name) == ("failed", "a")
        # As in a headless run, the end of the scenario ends the call.
        assert desk.state.status is e.Status.ENDED
    (folder,) = (tmp_path / "saved").iterdir()
    with open_session(folder) as saved:
        kept = ScenarioProgress()
        for event in saved.events():
            kept.apply(event)
    assert ladder(kept) == ladder(progress)


async def test_a_key_takes_the_call_over_and_another_gives_it_back(tmp_path: Path) -> None:
    scenario = written(tmp_path, '[[step]]\nsilence = "30s"\n[[step]]\npress = "5"\n')
    async with agent(listens) as url, at_a_desk() as desk:
        await call(desk, url, scenario, tmp_path / "saved")
        await desk.until(lambda: progress_of(desk).current == 0)
        await desk.engine.handle(wire.ChangeVolume(by=-0.1))
        assert phases(desk) == [P.PLAYING]
        await desk.engine.handle(wire.SendDtmf(digits="1"))
        await desk.until(lambda: bool(progress_of(desk).rungs[0].verdict))
        assert phases(desk) == [P.PLAYING, P.BY_HAND]
        assert ladder(progress_of(desk)) == [("not measured", "Taken over by hand."), ("", "")]
        await desk.engine.handle(wire.SteerScenario(by_hand=False))
        await over(desk)
        assert phases(desk) == [P.PLAYING, P.BY_HAND, P.PLAYING, P.OVER]
        assert ladder(progress_of(desk))[1] == ("done", "")
    digits = [event.digits for event in desk.log.events if isinstance(event, e.KeysPressed)]
    assert digits == ["1", "5"]


async def speaks(peer: Peer) -> None:
    """Accepts the call and speaks immediately."""
    await peer.accept()
    await peer.open_user_stream()
    await play_pcm(peer, "1", read_wav(prompts()["confirmed"].path, 16_000))
    await peer.stay()


async def test_words_are_judged_in_another_process_while_later_steps_are_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_recognizer(tmp_path, monkeypatch)
    (tmp_path / "whisper").mkdir()
    (tmp_path / "whisper" / "model.bin").touch()
    text = '[[step]]\nexpect = "agent speaks"\n[[step]]\nhear = "four"\n[[step]]\nsilence = "60s"\n'
    wanted = msgspec.structs.replace(written(tmp_path, text), speech_model=str(tmp_path / "whisper"))
    async with agent(speaks) as url, at_a_desk() as desk:
        await call(desk, url, wanted, tmp_path / "saved")
        await desk.until(
            lambda: len(progress_of(desk).rungs) > 1 and bool(progress_of(desk).rungs[1].verdict)
        )
        progress = progress_of(desk)
        assert progress.rungs[1].verdict == "failed"
        assert "heard by whisper and more." in progress.rungs[1].reason
        # The current step stays current.
        assert progress.current == 2
        await desk.engine.handle(wire.HangUp())
        await over(desk)


async def test_words_that_nobody_recognizes_are_not_measured_and_the_sentence_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faster_whisper.py").write_text("raise ModuleNotFoundError(name='faster_whisper')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    scenario = written(tmp_path, '[[step]]\nexpect = "agent speaks"\n[[step]]\nhear = "four"\n')
    async with agent(speaks) as url, at_a_desk() as desk:
        await call(desk, url, scenario, tmp_path / "saved")
        await over(desk)
        verdict, reason = ladder(progress_of(desk))[1]
    assert verdict == "not measured"
    assert "pip install 'opusagent-tui[speech]'" in reason


async def test_faults_are_over_once_the_call_is_taken_over(tmp_path: Path) -> None:
    stall = '[[step]]\nfault = "stall"\nfor = "60s"\ndirection = "sent"\n'
    heard: list[Peer] = []

    async def listen(peer: Peer) -> None:
        heard.append(peer)
        await listens(peer)

    def keys() -> bool:
        activities = [message.get("activities", []) for message in heard[0].heard]
        return any(each.get("name") == "DTMF" for found in activities for each in found)

    async with agent(listen) as url, at_a_desk() as desk:
        await call(desk, url, written(tmp_path, f'{stall}[[step]]\nsilence = "60s"\n'), tmp_path / "saved")
        await desk.until(lambda: progress_of(desk).current == 1)
        assert not keys()
        await desk.engine.handle(wire.SendDtmf(digits="1"))
        await desk.until(keys)
        await desk.engine.handle(wire.HangUp())
        await over(desk)


async def test_a_call_that_ends_by_hand_leaves_the_other_steps_unmeasured(tmp_path: Path) -> None:
    scenario = written(tmp_path, '[[step]]\nsilence = "30s"\n[[step]]\nexpect = "tool book"\n')
    async with agent(listens) as url, at_a_desk() as desk:
        await call(desk, url, scenario, tmp_path / "saved")
        await desk.until(lambda: progress_of(desk).current == 0)
        await desk.engine.handle(wire.SteerScenario(by_hand=True))
        await desk.engine.handle(wire.HangUp())
        await over(desk)
        assert ladder(progress_of(desk)) == [
            ("not measured", "Taken over by hand."),
            ("not measured", "Not reached: the call was taken over by hand."),
        ]


async def test_a_scenario_that_cannot_be_played_is_not_called(tmp_path: Path) -> None:
    async with agent(listens) as url, at_a_desk() as desk:
        await call(desk, url, written(tmp_path, '[[step]]\nsay = "nowhere.wav"\n'), tmp_path / "saved")
        await desk.until(lambda: desk.state.status is e.Status.ERROR)
        assert "a.call.toml, line 2: " in desk.errors[0]
        assert "nowhere.wav" in desk.errors[0]


async def test_a_scenario_begins_in_a_call_that_is_up_and_does_not_end_it(tmp_path: Path) -> None:
    async with agent(listens) as url, at_a_desk() as desk:
        await call(desk, url, None, tmp_path / "saved")
        await desk.until(lambda: desk.state.status is e.Status.ACTIVE)
        wrong = wire.PlayScenario(path=str(tmp_path / "no.call.toml"))
        await desk.engine.handle(wrong)
        await desk.until(lambda: bool(desk.errors))
        assert "no.call.toml cannot be read" in desk.errors[0]
        await desk.engine.handle(written(tmp_path, '[[step]]\nrun = "exit 3"\n[[step]]\npress = "5"\n'))
        await desk.until(
            lambda: progress_of(desk).rungs[-1:] != [] and bool(progress_of(desk).rungs[-1].verdict)
        )
        # The user was not asked whether the command may be run.
        assert ladder(progress_of(desk)) == [
            ("not measured", "Running commands is not allowed in this call."),
            ("done", ""),
        ]
        assert desk.state.status is e.Status.ACTIVE
        await desk.engine.handle(wire.HangUp())
        await over(desk)
