from __future__ import annotations

from collections.abc import Callable

from tui.view.playhead import Playhead, Sound

S = 1_000_000_000


class Now:
    ns = 0


def playhead(now: Now, **options: object) -> Playhead:
    """Returns a playhead for a session from 100 s to 110 s on its clock, whose tracks begin 0.5 s later."""
    return Playhead(
        100 * S,
        110 * S,
        clock_ns=lambda: now.ns,
        audio_path="audio.wav",
        audio_starts_ns=100 * S + S // 2,
        **options,  # type: ignore[arg-type]
    )


def test_it_moves_with_time_while_it_plays() -> None:
    now = Now()
    head = playhead(now)
    now.ns = 3 * S
    head.advance()
    assert head.at_ns == 100 * S
    head.play()
    now.ns += 2 * S
    head.advance()
    assert head.at_ns == 102 * S
    head.set_speed(4)
    now.ns += S
    head.advance()
    assert head.at_ns == 106 * S
    head.pause()
    now.ns += S
    head.advance()
    assert head.at_ns == 106 * S


def test_it_stops_at_the_end_and_then_plays_from_the_beginning() -> None:
    now = Now()
    head = playhead(now)
    head.play()
    now.ns = 60 * S
    head.advance()
    assert (head.at_ns, head.playing) == (110 * S, False)
    head.play()
    assert head.at_ns == 100 * S


def test_the_speakers_position_overrides_the_clock() -> None:
    now = Now()
    head = playhead(now)
    head.play()
    now.ns = 5 * S
    head.wait()
    now.ns += S // 10
    head.advance(1500)
    assert head.at_ns == 102 * S
    assert head.audio_ms == 1500


def test_it_never_leaves_the_session() -> None:
    head = playhead(Now())
    head.seek(0)
    assert head.at_ns == 100 * S
    head.seek(500 * S)
    assert head.at_ns == 110 * S
    head.reach(120 * S)
    head.seek(500 * S)
    assert head.at_ns == 120 * S


def test_it_is_audible_while_it_plays_up_to_2x() -> None:
    head = playhead(Now())
    heard = [head.audible]
    head.play()
    for speed in (1, 2, 4, 8):
        head.set_speed(speed)
        heard.append(head.audible)
    assert heard == [False, True, True, False, False]


def test_each_track_can_be_heard_alone() -> None:
    head = playhead(Now())
    heard = []
    for _ in range(4):
        head.change_sound()
        heard.append(head.sound)
    assert heard == [Sound.USER, Sound.AGENT, Sound.OFF, Sound.BOTH]
    silent = Playhead(0, S, clock_ns=lambda: 0)
    silent.change_sound()
    assert silent.sound is Sound.OFF


def test_jumps_are_counted_and_normal_progress_is_not() -> None:
    now = Now()
    head = playhead(now)
    head.play()
    jumps = head.jumps
    now.ns += S
    head.advance()
    assert head.jumps == jumps
    jumping: list[Callable[[], None]] = [
        lambda: head.seek(105 * S),
        lambda: head.set_speed(2.0),
        head.change_sound,
        head.pause,
    ]
    for jump in jumping:
        jump()
        assert head.jumps > jumps
        jumps = head.jumps
