"""The panels: each draws a model and sends intents up as messages."""
