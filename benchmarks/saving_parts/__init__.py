"""The parts of `benchmarks/saving.py`: the cost of saving, and the alignment of the saved tracks."""
