"""`python -m benchmarks`: measure, print the tables, write them to a folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .cases import GROUPS, selected
from .harness import FRAMEWORKS, Measurement, Settings, limits, measure
from .plots import plot
from .report import save, tables


def main() -> None:
    arguments = _arguments()
    frameworks = [FRAMEWORKS[name] for name in arguments.frameworks]
    for group, cases in selected(arguments.cases):
        starts = arguments.starts if group.starts else 0
        settings = Settings(arguments.turns, arguments.seconds, starts, arguments.threads)
        bounds = limits(settings.threads)
        found: list[Measurement] = []
        for part in [[case] for case in cases] if group.fresh else [cases]:
            for results in measure(part, frameworks, settings):
                print(_line(results), file=sys.stderr, flush=True)
                found += results
        print(tables(group, found, bounds))
        save(arguments.out, group, found, bounds, settings)
        plot(arguments.out, group, found)
        print(f"\nwritten to {arguments.out}/{group.name}.*\n")


def _line(results: list[Measurement]) -> str:
    """One case as it comes in."""
    times = (f"{m.framework} {m.problem or f'{m.milliseconds:.3g} ms'}" for m in results)
    return f"{results[0].case}: {', '.join(times)}"


def _arguments() -> argparse.Namespace:
    groups = ", ".join(group.name for group in GROUPS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    add = parser.add_argument
    help = f"names of cases, patterns of names, or groups: {groups} (training)"
    add("cases", nargs="*", metavar="CASE", default=["training"], help=help)
    add("--frameworks", nargs="+", choices=FRAMEWORKS, default=list(FRAMEWORKS))
    add("--turns", type=int, default=5, help="turns for each framework (%(default)s)")
    add("--seconds", type=float, default=1.0, help="length of a turn (%(default)s)")
    add("--starts", type=int, default=1, help="fresh processes, each twice (%(default)s)")
    add("--threads", type=int, default=2, help="processors everyone may use (%(default)s)")
    add("--out", type=Path, default=Path("out/benchmarks"), help="folder to write to (%(default)s)")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.cases if not any(selected([name]))]
    if unknown or arguments.turns < 1:
        parser.error(f"there is no case {unknown[0]}" if unknown else "at least one turn")
    return arguments


if __name__ == "__main__":
    main()
