"""The socket, and what comes through it."""
