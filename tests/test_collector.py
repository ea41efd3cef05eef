from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from tui import collector


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


def test_commands_run_with_collection_on_and_without_scanning_what_was_imported() -> None:
    code = """
import gc
import sys
from unittest.mock import patch

import tui.__main__
from tui.cli.main import cli

seen = []
with patch.object(cli, "main", lambda **_: seen.append((gc.isenabled(), len(gc.get_objects()) < 1_000))):
    tui.__main__.main()
assert seen == [(True, True)], seen
"""
    subprocess.run([sys.executable, "-c", code], check=True)


needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps freed memory")


@needs_glibc
def test_freed_memory_is_returned_and_what_is_in_use_stays_whole() -> None:
    code = """
from pathlib import Path
from tui import collector


def resident_bytes():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


# Larger than what Python's own allocator takes, smaller than what glibc maps by itself.
blocks = [number.to_bytes(4, "big") * 500 for number in range(50_000)]
kept = blocks[::1_000] + blocks[-1:]
full = resident_bytes()
del blocks
freed = resident_bytes()
assert full - freed < 20e6, "the library returned it without being asked"
collector.give_back()
assert freed - resident_bytes() > 60e6, (full, freed, resident_bytes())
assert [int.from_bytes(block[-4:], "big") for block in kept] == [*range(0, 50_000, 1_000), 49_999]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("failure", [OSError("no such library"), AttributeError("malloc_trim")])
def test_another_c_library_keeps_its_memory_and_nothing_fails(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def open_library(name: str | None) -> object:
        asked.append(name)
        raise failure

    monkeypatch.setattr("ctypes.CDLL", open_library)
    collector.give_back()
    assert asked == [None]
