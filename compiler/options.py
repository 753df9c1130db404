"""How to compile, as one immutable record; the only file that reads the environment.

GRAPHNN_DEBUG=1..6      what to print while compiling (see ``Options.debug``)
GRAPHNN_DUMP=directory  write every stage to ``00_...txt, 01_...txt``
GRAPHNN_THREADS=n       how many threads a step may use, of as many as there are processors
GRAPHNN_CACHE=directory where compiled objects are kept; ``off`` keeps none
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import CompilerError
from .target import Target, host

__all__ = ["DEBUG_LEVELS", "OFF", "WINDOWS", "Options", "Settings", "cache_directory", "processors"]

DEBUG_LEVELS = (
    "nothing",
    "kernels with their time",
    "what each stage did, or why it declined",
    "loops first and last",
    "the program after each stage",
    "LLVM assembly",
    "machine assembly",
)
OFF = "off"
WINDOWS = ("auto", "direct", "winograd")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # microseconds of work in so many of time


@dataclass(frozen=True, slots=True)
class Settings:
    """Options with nothing left open."""

    target: Target
    threads: int
    cache: Path | None
    debug: int
    dump: Path | None
    ftz: bool
    windows: str


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller asks for; None leaves it to the environment, and that to the machine.

    ``ftz`` flushes numbers too small to be normal (below 1.2e-38 in float32) to zero while a step runs. Processors
    take up to a hundred times as long for them, and what decays, such as the moments of a weight that is never used,
    comes there in the end and stays. Without it a step computes with them as exactly as with others.

    ``windows`` says how sums over windows that move by single steps are computed. ``"direct"``: as they are written.
    ``"winograd"``: for whole tiles of places at once, wherever that is possible. ``"auto"``: that way where it is
    faster, and only in float32. It takes little more than a fifth of the multiplications for 5 x 5 places, a quarter
    for 4 x 4 and less than a half for 2 x 2, and rounds differently: relative to the largest result, errors are up to
    some 1e-5, 5e-6 and 1e-6 in float32, where those of a direct sum are 1e-6. (Each step of the window beyond the third
    leaves a place less, for the same errors.) An infinity or a NaN reaches all places of its tile; and where a sum of
    zeros is exactly 0 directly, it may be some 1e-8 beside it, on either side of a kink that lies right there.
    """

    target: Target | None = None
    threads: int | None = None
    cache: str | Path | None = None
    debug: int | None = None
    dump: str | Path | None = None
    ftz: bool = False
    windows: str = "auto"

    def __post_init__(self) -> None:
        if self.windows not in WINDOWS:
            known = ", ".join(WINDOWS)
            raise CompilerError(f"windows: expected one of {known}, got {self.windows!r}")

    def settle(self, environment: Mapping[str, str] | None = None) -> Settings:
        """Fill what is open from the environment; CompilerError where a value has no sense."""
        given = os.environ if environment is None else environment
        threads = self.threads or _number(given, "GRAPHNN_THREADS", 1, 1024)
        debug = self.debug
        if debug is None:
            debug = _number(given, "GRAPHNN_DEBUG", 0, len(DEBUG_LEVELS) - 1)
        dump = self.dump or given.get("GRAPHNN_DUMP")
        return Settings(
            target=self.target or host(),
            threads=threads or processors(),
            cache=_cache_directory(self.cache or given.get("GRAPHNN_CACHE"), given),
            debug=debug or 0,
            dump=Path(dump) if dump else None,
            ftz=self.ftz,
            windows=self.windows,
        )


def cache_directory() -> Path | None:
    """Where things are kept between processes unless an option says otherwise; None: nowhere."""
    return _cache_directory(os.environ.get("GRAPHNN_CACHE"), os.environ)


def _number(environment: Mapping[str, str], name: str, low: int, high: int) -> int | None:
    text = environment.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or not low <= int(text) <= high:
        raise CompilerError(f"{name}: expected a number from {low} to {high}, got {text!r}")
    return int(text)


def processors() -> int:
    """Processors this process may run on: those it is bound to, but no more than its container's share."""
    count = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    try:
        quota, period = _QUOTA.read_text().split()
        return max(1, min(count, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max"
        return count


def _cache_directory(asked: str | Path | None, environment: Mapping[str, str]) -> Path | None:
    if asked == OFF:
        return None
    if asked:
        return Path(asked)
    if base := environment.get("XDG_CACHE_HOME"):
        return Path(base) / "graphnn"
    home = environment.get("HOME")
    return Path(home) / ".cache" / "graphnn" if home else None
