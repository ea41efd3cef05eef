"""The websocket of a call, and its messages."""
