"""Room: is there memory for a step? Said before any of it is taken, for a system that has promised more than it has
ends the process instead.

What a step is given lies in memory already; what it gives and what it works in between does not.
"""

from __future__ import annotations

import math
from pathlib import Path

from ..language.dtypes import DTYPES
from .program import Program

__all__ = ["check_room", "shortage"]

_STATUS = Path("/proc/meminfo")
_QUOTA = Path("/sys/fs/cgroup/memory.max")
_SMALL = 64 << 20  # bytes that are not asked for
_NAMED = 3  # how many of the largest results are named


def check_room(program: Program, threads: int) -> None:
    """`MemoryError` if results and arena are more than what is free."""
    needed = sum(_results(program).values()) + program.arena + threads * program.own
    if needed > _SMALL:
        free = _free()
        if free is not None and needed > free:
            raise MemoryError(f"{shortage(program, threads)}; {_amount(free)} are free")


def shortage(program: Program, threads: int) -> str:
    """How much memory a step takes, and what for."""
    between = program.arena + threads * program.own
    results = _results(program)
    largest = sorted(results, key=lambda what: -results[what])[:_NAMED]
    parts = [f"{_amount(results[what])} for {what}" for what in largest]
    parts.append(f"{_amount(between)} for what is computed on the way")
    total = _amount(sum(results.values()) + between)
    return f"a step takes {total}: {', '.join(parts)}; smaller batches take less"


def _results(program: Program) -> dict[str, int]:
    """Bytes of each output, by its description."""
    outputs = (tensor for tensor in program.slots if tensor.role == "output")
    return {str(t): math.prod(t.shape) * DTYPES[t.dtype].bytes for t in outputs}


def _free() -> int | None:
    """Bytes that the system can give, as far as it says so."""
    try:
        lines = (line.split() for line in _STATUS.read_text().splitlines())
        found = {words[0]: int(words[1]) << 10 for words in lines if len(words) > 1}
        free = found["MemAvailable:"] + found.get("SwapFree:", 0)
    except (OSError, ValueError, KeyError):
        return None
    try:
        return min(free, int(_QUOTA.read_text()))
    except (OSError, ValueError):
        return free


def _amount(size: int) -> str:
    """``8.0 GB``"""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
