"""What `benchmarks/memory.py` is made of: many calls in one engine, many callers of one agent, calls that start."""
