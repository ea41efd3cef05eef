"""The panels: each panel draws a model and reports the user's actions as messages."""
