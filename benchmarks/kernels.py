"""Where the time of a case goes in graphnn: its kernels, beside what the processors can do.

    python -m benchmarks.kernels lstm tfm [--threads 2] [--rows 12]

The shares are of the peak of products and of the rate of memory, measured in the same minute; what
a cache holds may come faster than from memory.
"""

from __future__ import annotations

import argparse
import os

from compiler.machine.profile import Row

from .cases import CASES, Case
from .harness import limits
from .probe import Limits
from .worker import use_processors


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels")
    parser.add_argument("cases", nargs="+", metavar="CASE")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=12, help="of the slowest kernels")
    arguments = parser.parse_args()
    os.environ["GRAPHNN_THREADS"] = str(arguments.threads)
    use_processors(arguments.threads)
    for name in arguments.cases:
        print(f"{name}\n{_table(CASES[name], limits(arguments.threads), arguments.rows)}\n")


def _table(case: Case, bounds: Limits, count: int) -> str:
    from .workloads.graphnn import function  # when the number of threads is settled

    compiled, given = function(case.task, case.workload, case.workload.start())
    for _ in range(3):
        compiled(*given)
    profile = compiled.prepare(given).executable.profile()
    rows = sorted(profile.rows, key=lambda row: -row.microseconds)[:count]
    head = "kernel          us  share  GFLOP/s   peak   GB/s  memory  writes"
    lines = (_line(row, row.microseconds / profile.microseconds, bounds) for row in rows)
    return "\n".join([head, *lines, f"{'step':10} {profile.microseconds:7.0f}"])


def _line(row: Row, share: float, bounds: Limits) -> str:
    return (
        f"{row.kernel:10} {row.microseconds:7.0f} {share:6.1%}"
        f" {row.giga_operations:8.1f} {row.giga_operations / bounds.giga_operations:6.1%}"
        f" {row.giga_bytes:6.1f} {row.giga_bytes / bounds.giga_bytes:7.1%}"
        f"  {', '.join(row.writes)[:60]}"
    )


if __name__ == "__main__":
    _main()
