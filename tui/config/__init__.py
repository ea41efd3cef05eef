"""The user's settings: file, environment, profiles. State that is kept automatically is in `tui.remembered`."""
