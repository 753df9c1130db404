"""`python -m benchmarks`: measure, print the tables, write them to a folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .harness import FRAMEWORKS, Settings, measure
from .report import save, tables
from .workloads import WORKLOADS


def main() -> None:
    arguments = _arguments()
    settings = Settings(arguments.turns, arguments.seconds, arguments.starts, arguments.threads)
    frameworks = [FRAMEWORKS[name] for name in arguments.frameworks]
    found = []
    for workload in arguments.workloads or WORKLOADS:
        print(f"measuring {workload} ...", file=sys.stderr, flush=True)
        found += measure(workload, frameworks, settings)
    print(tables(found))
    save(arguments.out, found, settings)
    print(f"\nwritten to {arguments.out}/")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    add = parser.add_argument
    add("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)} (all)")
    add("--frameworks", nargs="+", choices=FRAMEWORKS, default=list(FRAMEWORKS))
    add("--turns", type=int, default=7, help="turns of training for each framework (%(default)s)")
    add("--seconds", type=float, default=1.0, help="length of a turn (%(default)s)")
    add("--starts", type=int, default=3, help="fresh processes, each twice; may be 0 (%(default)s)")
    add("--threads", type=int, default=2, help="processors everyone may use (%(default)s)")
    add("--out", type=Path, default=Path("out/benchmarks"), help="folder to write to (%(default)s)")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.workloads if name not in WORKLOADS]
    if unknown or arguments.turns < 1 or arguments.starts < 0:
        parser.error(f"no workload {unknown[0]}" if unknown else "at least one turn")
    return arguments


if __name__ == "__main__":
    main()
