"""Room: is there memory for a step? Said before any of it is taken, for a system that has promised more than it has
ends the process instead.

What a step is given lies in memory already; what it gives and what it works in between does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from ..language.dtypes import DTYPES
from .program import Program

__all__ = ["check_room", "shortage"]

_STATUS = Path("/proc/meminfo")
_GROUPS = Path("/sys/fs/cgroup")  # of control groups, version 2
_OWN = Path("/proc/self/cgroup")
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
        found = _numbers(_STATUS)
        free = (found["MemAvailable:"] + found.get("SwapFree:", 0)) << 10
    except (OSError, ValueError, KeyError):
        return None
    return min([free, *_left()])


def _left() -> Iterator[int]:
    """What the limit of this process's control group leaves, and those of the groups around it.

    Pages of files count as left: the system takes them back first.
    """
    try:
        lines = _OWN.read_text().splitlines()
    except OSError:
        return
    own = next((line[len("0::/") :] for line in lines if line.startswith("0::/")), "")
    for group in (Path(own), *Path(own).parents):
        folder = _GROUPS / group
        try:
            limit = int((folder / "memory.max").read_text())
            used = int((folder / "memory.current").read_text())
            yield limit - used + _numbers(folder / "memory.stat").get("file", 0)
        except (OSError, ValueError):
            continue  # no limit, or nobody says


def _numbers(path: Path) -> dict[str, int]:
    """The numbers of a file of lines ``name number ...``."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1}


def _amount(size: int) -> str:
    """``8.0 GB``"""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
