"""What the user decides: the settings file, the environment, profiles. What is kept unasked: `tui.remembered`."""
