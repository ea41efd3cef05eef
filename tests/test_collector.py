from __future__ import annotations

import subprocess
import sys


def test_what_is_there_at_the_start_is_never_looked_through_again_and_garbage_does_not_grow_in_a_long_call() -> (
    None
):
    code = """
import gc
import weakref
from tui import collector


class Drawn:
    def __init__(self):
        self.neighbour = self


looks = []
gc.callbacks.append(lambda phase, info: looks.append(info["generation"]))
collector.hold()
held = [[] for _ in range(100_000)]
assert not looks, "the process is starting"
collector.settle()
assert len(gc.get_objects()) < 1_000
looks.clear()

dropped = 0


def drop(_):
    global dropped
    dropped += 1


shown, watched = [], []
for number in range(200_000):
    shown.append(Drawn())  # seen long enough to grow old
    watched.append(weakref.ref(shown[-1], drop))
    del shown[:-20_000]
assert dropped > 100_000, dropped
"""
    subprocess.run([sys.executable, "-c", code], check=True)
