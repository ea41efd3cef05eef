"""What `benchmarks/call.py` is made of: devices that record themselves, a scripted agent, the truth about both."""
