from __future__ import annotations

import subprocess
import sys


def test_a_full_look_happens_only_between_calls() -> None:
    code = """
import gc
from tui import collector

looks = []
gc.callbacks.append(lambda phase, info: looks.append(info["generation"]))
collector.hold()
held = [[] for _ in range(100_000)]
collector.collect()
assert not looks, "the process is starting"
collector.settle()
looks.clear()
held += [[] for _ in range(1_000_000)]
assert looks and max(looks) == 1, set(looks)
collector.collect()
assert looks[-1] == 2
"""
    subprocess.run([sys.executable, "-c", code], check=True)
