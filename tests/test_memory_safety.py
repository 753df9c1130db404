"""No step reads or writes outside of its arrays, or reads what nobody has written: see `guarded`."""

from __future__ import annotations

import subprocess
import sys

import pytest

FENCED = "import ctypes, numpy; from tests.guarded import fenced; "

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks the system for its pages")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_random_systems_stay_in_their_memory(start: int) -> None:
    """Inputs, outputs, states and arena, with vectors of several widths."""
    ended = run("-m", "tests.guarded", "systems", str(start), str(start + 20))
    assert ended.returncode == 0, f"seed {ended.stdout.split()[-1:]}: {ended.stderr}"


def test_networks_stay_in_their_memory() -> None:
    """Convolutions, recurrences and attention with their gradients."""
    ended = run("-m", "tests.guarded", "networks", "0", "12")
    assert ended.returncode == 0, f"seed {ended.stdout.split()[-1:]}: {ended.stderr}"


@pytest.mark.parametrize(("at_end", "place"), [(True, 64), (False, -1)])
def test_a_fence_ends_the_process(at_end: bool, place: int) -> None:
    """One byte behind the array, and one before it."""
    reads = f"ctypes.string_at(a.ctypes.data + {place}, 1)"
    assert run("-c", f"{FENCED}a = fenced(numpy.ones(8), {at_end}); {reads}").returncode < 0
    reads = "ctypes.string_at(a.ctypes.data, 64)"
    assert run("-c", f"{FENCED}a = fenced(numpy.ones(8), {at_end}); {reads}").returncode == 0


def test_what_is_only_read_cannot_be_written() -> None:
    """The page itself refuses."""
    writes = "a = fenced(numpy.ones(8), True, False); ctypes.memset(a.ctypes.data, 0, 8)"
    assert run("-c", FENCED + writes).returncode < 0
