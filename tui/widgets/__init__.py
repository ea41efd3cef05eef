"""The panels, each of which draws a model and reports the user's actions as messages."""
