"""The command line: commands, their options, and the screen they start."""
