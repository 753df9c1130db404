"""One framework and one workload in a process of its own, driven through its standard streams.

    python -m benchmarks.worker MODULE FUNCTION WORKLOAD THREADS

It answers in lines of JSON. The first says when the first step was done and the losses of the first
few, or why there are none. From then on each line it reads is a number of seconds to train for,
answered with the median milliseconds of a step in that time, how many there were, and the peak
memory so far. Between two lines it sleeps. What a framework prints goes to stderr.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterable
from importlib import import_module
from statistics import median
from time import monotonic, perf_counter
from typing import TextIO

from .workloads import WORKLOADS, Step

__all__ = ["Answer"]

LOSSES = 5  # how many steps are compared between the frameworks
Answer = dict[str, object]


def _main(module: str, function: str, workload: str, threads: str) -> None:
    answers = _own_output()
    _use_processors(int(threads))
    for answer in _answers(module, function, workload, sys.stdin):
        print(json.dumps(answer), file=answers, flush=True)


def _answers(module: str, function: str, workload: str, turns: Iterable[str]) -> Iterable[Answer]:
    try:
        build = getattr(import_module(module), function)
        step = build(WORKLOADS[workload], WORKLOADS[workload].start())
        first = step()
        ready = monotonic()
        yield {"ready": ready, "losses": [first, *(step() for _ in range(LOSSES - 1))]}
    except ModuleNotFoundError as error:
        yield {"problem": f"{error.name} is not installed"}
    except Exception as error:
        yield {"problem": f"{type(error).__name__}: {error}".splitlines()[0]}
    else:
        yield from (_train(step, float(seconds)) for seconds in turns)


def _train(step: Step, seconds: float) -> Answer:
    step()  # after a pause caches are cold and threads asleep
    times: list[float] = []
    end = perf_counter() + seconds
    while not times or perf_counter() < end:
        start = perf_counter()
        step()
        times.append(perf_counter() - start)
    return {"milliseconds": 1e3 * median(times), "steps": len(times), "megabytes": _peak_memory()}


def _peak_memory() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _use_processors(count: int) -> None:
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
