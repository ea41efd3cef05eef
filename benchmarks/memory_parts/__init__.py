"""The parts of `benchmarks/memory.py`: many calls in one engine, many callers of one agent, and calls that start."""
