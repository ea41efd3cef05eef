"""What `benchmarks/saving.py` is made of: what saving costs, and whether the tracks are where the sound was."""
