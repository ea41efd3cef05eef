"""The wire protocols. Each protocol has a caller's end and an agent's end. The ends perform no I/O."""
