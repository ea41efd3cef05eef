"""Runs ``opusagent-tui``."""

from __future__ import annotations

from tui import collector


def main() -> None:
    """Loads and runs the commands."""
    collector.hold()
    from tui.cli.main import main as run_command

    run_command()


if __name__ == "__main__":
    main()
