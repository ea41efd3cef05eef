from __future__ import annotations

import pytest

from tests.ui.conftest import Stage, sized
from tests.ui.fakes import Script, a_call, to_active
from tui.models import events as e


def failing(script: Script, message: str = "it broke", hint: str = "mend it") -> Script:
    return script.add(e.ErrorRaised, source="socket", code="x", message=message, hint=hint)


async def test_names_error_hint_and_count(script: Script, s: Stage) -> None:
    await s.play(failing(to_active(script)).take())
    assert "✗ socket: it broke" in s.text()
    assert "mend it" in s.text()
    await s.play(failing(script, "again").take())
    assert "✗ socket: again" in s.text()
    assert "2 errors" in s.text()


@sized((80, 24), (60, 20))
async def test_it_is_as_high_as_its_error_needs(script: Script, s: Stage) -> None:
    await s.play(failing(to_active(script), "a long message " * 20, "a long hint " * 20).take())
    assert s.session.banner.size.height == 5
    await s.play(failing(script, "short").take())
    assert s.session.banner.size.height == 2


@sized((80, 24), (60, 20))
async def test_the_end_of_the_advice_is_beside_no_keys_and_stays(script: Script, s: Stage) -> None:
    hint = "Pass the certificate with --cacert FILE, or accept any certificate of this agent with --insecure."
    await s.play(failing(failing(to_active(script)), "The certificate is not trusted.", hint).take())
    assert "2 errors · e show · esc dismiss" in s.text()
    assert "--insecure." in s.text()


@pytest.mark.parametrize("by_mouse", [False, True], ids=["e", "click"])
async def test_e_or_a_click_jumps_to_its_event(script: Script, by_mouse: bool, s: Stage) -> None:
    await s.play(failing(a_call(script)).message("session.end", {}).take())
    await s.press("tab")
    if by_mouse:
        await s.pilot.click(s.session.banner)
        await s.settle()
    else:
        await s.press("e")
    row = s.session.log_pane.row
    assert row is not None
    assert isinstance(s.bridge.log.event(row), e.ErrorRaised)
    assert s.app.focused is s.session.log_pane
    assert "✗ error" in s.text()


async def test_esc_dismisses_until_the_next_error(script: Script, s: Stage) -> None:
    await s.play(failing(to_active(script)).take())
    await s.press("escape")
    assert not s.session.banner.display
    await s.tick()
    assert not s.session.banner.display
    await s.play(failing(script).take())
    assert s.session.banner.display


async def test_a_new_session_has_no_error(script: Script, s: Stage) -> None:
    await s.play(failing(to_active(script)).take())
    await s.play(to_active(Script()).take())
    assert not s.session.banner.display


LONG = e.NoticeRaised(
    at_ns=0,
    text="PortAudio is not installed: recorded lines replace the microphone, you will not hear the agent.",
    hint="Install it: apt install libportaudio2, or use a machine with a sound card.",
)


@pytest.mark.parametrize(
    ("size", "text", "hint", "lines"),
    [
        ((120, 40), "No PortAudio.", "Install libportaudio2.", ["! No PortAudio. Install libportaudio2."]),
        (
            (60, 20),
            "No PortAudio: caller lines are the microphone.",
            "Install libportaudio2.",
            ["! No PortAudio: caller lines are the microphone.", "  Install libportaudio2."],
        ),
        (
            (60, 20),
            LONG.text,
            LONG.hint,
            [
                "! PortAudio is not installed: recorded lines replace the",
                "  microphone, you will not hear the agent.",
                "  Install it: apt install libportaudio2, or use a machine",
                "  with a sound card.",
            ],
        ),
        (
            (80, 24),
            LONG.text,
            LONG.hint,
            [
                "! PortAudio is not installed: recorded lines replace the microphone, you will",
                "  not hear the agent.",
                "  Install it: apt install libportaudio2, or use a machine with a sound card.",
            ],
        ),
        (
            (120, 40),
            LONG.text,
            LONG.hint,
            [
                "! PortAudio is not installed: recorded lines replace the microphone, you will not hear the agent.",
                "  Install it: apt install libportaudio2, or use a machine with a sound card.",
            ],
        ),
        ((60, 20), "word " * 17, "", [f"! {'word ' * 11}", f"  {'word ' * 6}"]),
    ],
)
async def test_a_notice_and_its_remedy_are_both_read_until_they_are_dismissed(
    script: Script, size: tuple[int, int], text: str, hint: str, lines: list[str], s: Stage
) -> None:
    await s.play(to_active(script).add(e.NoticeRaised, text=text.strip(), hint=hint).take())
    top = s.session.notice.region.y
    shown = s.text().splitlines()[top : top + s.session.notice.size.height]
    dismiss, width = "esc dismiss", size[0] - 4
    fits = len(lines[-1].strip("!… ")) + len(dismiss) + 2 < width and "…" not in lines[-1]
    assert shown[-1].endswith(dismiss) is fits
    shown[-1] = shown[-1].removesuffix(dismiss)
    assert [line[1:].rstrip() for line in shown] == [line.rstrip() for line in lines]
    await s.press("escape")
    assert not s.session.notice.display


async def test_notices_about_a_call_are_hidden_when_it_is_over(script: Script, s: Stage) -> None:
    await s.play(to_active(script).add(e.NoticeRaised, text="The speaker had gaps.", of_call=True).take())
    assert "! The speaker had gaps." in s.text()
    await s.play(script.status(e.Status.ACTIVE, e.Status.ENDED).take())
    assert not s.session.notice.display
    assert "The speaker had gaps." in s.text(), "the log keeps it"
    await s.play(script.add(e.NoticeRaised, text="Cannot type: no call is active.").take())
    assert "! Cannot type: no call is active." in s.text()


async def test_advice_is_shown_as_information_and_only_when_nothing_is_wrong(
    script: Script, s: Stage
) -> None:
    guess = "Using the Twilio protocol (the URL path contains “twilio”)."
    to_active(script).add(e.FindingRaised, rule="guessed-protocol", text=guess, advice=True)
    await s.play(script.take())
    assert f"i {guess}" in s.text()
    assert f"! {guess}" not in s.text()
    await s.play(script.add(e.NoticeRaised, text="The speaker had gaps.").take())
    assert "! The speaker had gaps." in s.text()
    await s.press("escape")
    assert f"i {guess}" in s.text()
    await s.press("escape")
    assert not s.session.notice.display


async def test_a_finding_is_not_in_the_banner(script: Script, s: Stage) -> None:
    await s.play(to_active(script).add(e.FindingRaised, rule="stray", text="It strays.").take())
    assert not s.session.notice.display
