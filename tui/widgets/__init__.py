"""The panels: each panel draws a model and sends the user's intents upwards as messages."""
