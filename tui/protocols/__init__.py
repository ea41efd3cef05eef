"""The wire protocols. Each has a caller's end and an agent's end, neither of which performs I/O."""
