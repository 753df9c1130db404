"""One framework in a process of its own, driven through its standard streams.

    python -m benchmarks.worker MODULE SUFFIX THREADS

Each line that it reads is JSON: the name of a case, and the seconds to repeat it for. It is
answered by a line with what was found: when a new case had been done for the first time and the
results of its first steps, the median milliseconds of a step in those seconds, the peak memory so
far; or with the problem because of which there is nothing. Between two lines the process sleeps.
What a framework prints goes to stderr.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from importlib import import_module
from statistics import median
from time import monotonic, perf_counter
from typing import Any, TextIO

import numpy as np

from .cases import CASES
from .workloads import Step

__all__ = ["use_processors"]

STEPS = 4  # how many are compared between the frameworks
PAUSE = 0.02  # seconds of steps that are not counted: caches are cold and threads asleep


def _main(module: str, suffix: str, threads: str) -> None:
    answers = _own_output()
    use_processors(int(threads))
    current, step = "", None
    for line in sys.stdin:
        case, seconds = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if case != current:
                current, step = case, None  # the last one's memory is free before the next begins
                step = _built(module, suffix, case)
                answer |= _first(step)
            if seconds:
                answer |= _repeat(step, seconds)
        except ModuleNotFoundError as error:
            answer = {"problem": f"{error.name} is not installed"}
        except Exception as error:
            answer = {"problem": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


def _built(module: str, suffix: str, name: str) -> Step:
    case = CASES[name]
    file = import_module(module)
    build = getattr(file, case.task + suffix)
    return build(case.workload, case.workload.start())


def _first(step: Step) -> dict[str, Any]:
    results = [step()]
    ready = monotonic()
    results += [step() for _ in range(STEPS - 1)]
    return {"ready": ready, "results": [[_number(part) for part in parts] for parts in results]}


def _number(result: np.ndarray | float) -> float:
    """A loss as it is, an array by its length as a vector: that does not depend on its layout."""
    return float(np.linalg.norm(result))


def _repeat(step: Step, seconds: float) -> dict[str, Any]:
    awake = perf_counter() + PAUSE
    step()
    while perf_counter() < awake:
        step()
    times: list[float] = []
    end = perf_counter() + seconds
    while not times or perf_counter() < end:
        start = perf_counter()
        step()
        times.append(perf_counter() - start)
    return {"milliseconds": 1e3 * median(times), "megabytes": _peak_memory()}


def _peak_memory() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def use_processors(count: int) -> None:
    """Keep all threads on the same processors, whatever the framework would have taken."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def _own_output() -> TextIO:
    """A stream for the answers; what a framework prints joins its errors."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    _main(*sys.argv[1:])
