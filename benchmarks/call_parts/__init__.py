"""The parts of `benchmarks/call.py`: recorded virtual devices, a scripted agent, and the true times of both."""
