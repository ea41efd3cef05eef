"""The command `calibrate`, which measures how accurate times are with the user's sound devices."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tui.cli import options as opts
from tui.cli.help import GroupedCommand
from tui.cli.option import NearChoice, NumberInRange, option, together
from tui.cli.program import Sentence
from tui.exit_code import ExitCode

if TYPE_CHECKING:
    from tui.audio.calibration import Calibration

_ANY_URL = "ws://127.0.0.1/"
"""A placeholder URL: the agent is started for the calibration, on its own port."""
_LEAST_SECONDS = 15.0


# fmt: off
_options = together(
    option("--protocol", type=NearChoice(opts.LOCAL_PROTOCOLS), default="audiocodes",
           help="Protocol to use when calling the local agent."),
    option("--seconds", type=NumberInRange(min=_LEAST_SECONDS), default=60.0, metavar="S",
           help="Length of the call. Measuring clock drift requires at least 30 s."),
    option("--check", "check_ms", type=NumberInRange(0, min_open=True), metavar="MS",
           help="Exit with 1 if response times cannot be measured to within MS."),
    option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
)
# fmt: on


@click.command(cls=GroupedCommand, example="opusagent-tui calibrate --check 20")
@_options
@opts.audio_options
@opts.block_option
@opts.config_option
def calibrate(protocol: str, seconds: float, check_ms: float | None, as_json: bool, **options: Any) -> None:
    """Measure how accurate response times are with your devices.

    Makes a one-minute call to the local agent, which repeats recorded lines. To measure the delay of both
    devices, the microphone must hear the speaker (at a normal volume, over a cable, or through a loop of
    virtual devices). Afterwards, times are shown with their error (±) and corrected for delays that the
    drivers do not report.
    """
    import asyncio

    from tui.audio.calibration import keep_calibration
    from tui.calibrating.calibrate import CalibrationFailed
    from tui.calibrating.calibrate import calibrate as measure
    from tui.text.json_text import json_of
    from tui.text.visible import one_line

    logging.getLogger().addHandler(logging.NullHandler())  # the printed sentences report the same
    flags = {**opts.typed_settings(options), "protocol": protocol}
    opts.check_devices(flags)
    opts.pass_time_limit(opts.effective_settings())
    target = opts.target_of(_ANY_URL, flags)
    click.echo(f"Calibrating for {seconds:.0f} s. The speaker plays recorded speech.", err=True)
    try:
        calibration = asyncio.run(measure(target, seconds))
    except CalibrationFailed as error:
        raise Sentence(one_line(str(error)), ExitCode.UNREACHABLE) from error
    if as_json:
        click.echo(json_of(calibration))
    else:
        for line in _lines(calibration):
            click.echo(one_line(line))
    try:
        path = keep_calibration(calibration)
    except OSError as error:
        reason = one_line(error.strerror or str(error))
        raise Sentence(f"The calibration cannot be saved: {reason}.", ExitCode.OUTPUT_FAILED) from error
    click.echo(f"Saved in {one_line(str(path), 300)}.", err=True)
    sys.exit(_checked(calibration, check_ms))


def _lines(of: Calibration) -> Iterator[str]:
    devices = of.devices
    yield (
        f"{devices.capture} → {devices.playback}, latency {devices.latency_ms:.0f} ms,"
        f" block {devices.block_ms} ms, {of.protocol}"
    )
    rows = (("response time", of.response), ("onset to silence", of.silence), ("barge-in onset", of.signal))
    for name, spread in rows:
        yield f"  {name:18}{spread or 'not measured (too few values)'}"
    yield f"  {'dead air':18}same as response time (measured between the same edges)"
    clocks = (("microphone", of.capture_ppm), ("speaker", of.playback_ppm))
    rates = [f"{name} {'not measured' if ppm is None else f'{ppm:+.0f} ppm'}" for name, ppm in clocks]
    yield f"  {'clocks':18}{', '.join(rates)}"
    true = "not measured" if of.round_trip_ms is None else f"{of.round_trip_ms:.1f} ms"
    stated = "–" if of.round_trip_stated_ms is None else f"{of.round_trip_stated_ms:.1f} ms"
    yield f"  {'round trip':18}reported {stated}, measured {true}"
    if of.round_trip_ms is None:
        yield (
            "The microphone cannot hear the speaker, so the devices' delay was not measured, and the ±"
            " of response times is unchanged. Connect the speaker to the microphone with a cable, or"
            " turn the speaker up."
        )


def _checked(of: Calibration, most_ms: float | None) -> ExitCode:
    """Returns an exit code that shows whether the times are accurate to ``most_ms``. If not, prints the reason."""
    if most_ms is None:
        return ExitCode.FINE
    if of.bound_ms is None:
        click.echo("Without a loopback, the accuracy of response times cannot be measured.", err=True)
        return ExitCode.NOT_JUDGED
    if of.bound_ms <= most_ms:
        return ExitCode.FINE
    click.echo(
        f"Response times are accurate to ± {of.bound_ms:.1f} ms; the limit is ± {most_ms:g} ms.", err=True
    )
    return ExitCode.LIMIT_EXCEEDED
