"""The command line: commands, their options, and the start of the screen."""
