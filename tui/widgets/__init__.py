"""The panels. Each panel draws a model, and reports the user's actions as messages."""
