"""Routes decoded messages to handlers, and runs tools."""
