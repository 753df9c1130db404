"""Measuring: every framework in processes of its own, taking turns on the same processors.

On a shared machine the minute decides more than the framework does. So nothing is measured in one
block: fresh starts alternate between the frameworks, and steps are taken in short turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, get_args

from .cases import Case
from .probe import Limits
from .workloads import Task

__all__ = ["FRAMEWORKS", "Framework", "Measurement", "Settings", "limits", "measure"]

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Framework:
    """A file of workloads/, the end of its functions' names, the variable that says where compiled
    code is, and the tasks that there are functions for.
    """

    name: str
    package: str
    module: str
    suffix: str = ""
    cache_variable: str = ""
    tasks: tuple[Task, ...] = get_args(Task)


FRAMEWORKS = {
    framework.name: framework
    for framework in (
        Framework("graphnn", "graphnn", "graphnn", "", "GRAPHNN_CACHE"),
        Framework("PyTorch", "torch", "pytorch"),
        Framework(
            "torch.compile",
            "torch",
            "pytorch",
            "_compiled",
            "TORCHINDUCTOR_CACHE_DIR",
            ("train", "predict"),
        ),
        Framework("JAX", "jax", "jax", "", "JAX_COMPILATION_CACHE_DIR"),
    )
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is measured: turns, seconds a turn, fresh starts, processors."""

    turns: int
    seconds: float
    starts: int
    threads: int


@dataclass(slots=True)
class Measurement:
    """One framework on one case, or the problem because of which there are no figures."""

    case: str
    framework: str
    problem: str = ""
    results: list[list[float]] = field(default_factory=list)  # of the first steps, to be compared
    cold_starts: list[float] = field(default_factory=list)  # seconds; nothing compiled is kept yet
    warm_starts: list[float] = field(default_factory=list)  # seconds; with what that start has kept
    turns: list[float] = field(default_factory=list)  # milliseconds a step, the median of each turn
    megabytes: float = 0.0  # the most memory the process has held

    @property
    def milliseconds(self) -> float | None:
        return None if self.problem else median(self.turns)


class WorkerError(Exception):
    """A worker has nothing to measure; the message says why."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that waits to be asked for a case."""

    process: subprocess.Popen[str]
    started: float

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def ask(self, case: Case, seconds: float = 0.0) -> dict[str, Any]:
        """Steps for so long; the first steps besides, if it is not the case asked for last."""
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended: so will its answers
            print(json.dumps([case.name, seconds]), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"problem": self._end()}
        if "problem" in answer:
            raise WorkerError(answer["problem"])
        return answer

    def _end(self) -> str:
        return f"ended with status {self.process.wait()}"


def limits(threads: int) -> Limits:
    """What the processors can do at this moment."""
    command = [sys.executable, "-m", "benchmarks.probe", str(threads)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return Limits(**json.loads(found.stdout))


def measure(
    cases: Sequence[Case], frameworks: Sequence[Framework], settings: Settings
) -> Iterator[list[Measurement]]:
    """Each case in every framework, one process a framework for all of them; those that cannot do
    a case say so in `problem`.
    """
    with TemporaryDirectory() as caches, ExitStack() as running:
        workers: dict[tuple[Framework, int], Worker] = {}
        for case in cases:
            threads = case.threads or settings.threads
            found = {f: Measurement(case.name, f.name) for f in frameworks if case.task in f.tasks}
            for count in range(settings.starts):
                for framework, result in found.items():
                    _measure_starts(framework, case, result, f"{caches}/{count}", threads)
            for framework, result in found.items():
                worker = workers.get((framework, threads))
                if not (worker and worker.running):
                    started = _worker(framework, f"{caches}/0", threads)
                    workers[framework, threads] = running.enter_context(started)
                with _noting_problems(result):
                    result.results = workers[framework, threads].ask(case)["results"]
            for _ in range(settings.turns):
                for framework, result in found.items():
                    _take_turn(workers[framework, threads], case, result, settings.seconds)
            yield list(found.values())


def _measure_starts(
    framework: Framework, case: Case, result: Measurement, caches: str, threads: int
) -> None:
    """A start with an empty cache, then one with what that has left in it."""
    with _noting_problems(result):
        for times in (result.cold_starts, result.warm_starts):
            with _worker(framework, caches, threads) as worker:
                times.append(worker.ask(case)["ready"] - worker.started)


def _take_turn(worker: Worker, case: Case, result: Measurement, seconds: float) -> None:
    if not result.problem:
        with _noting_problems(result):
            answer = worker.ask(case, seconds)
            result.turns.append(answer["milliseconds"])
            result.megabytes = answer["megabytes"]


@contextmanager
def _noting_problems(result: Measurement) -> Iterator[None]:
    try:
        yield
    except WorkerError as error:
        result.problem = str(error)


@contextmanager
def _worker(framework: Framework, caches: str, threads: int) -> Iterator[Worker]:
    module = f"benchmarks.workloads.{framework.module}"
    command = [sys.executable, "-m", "benchmarks.worker", module, framework.suffix, str(threads)]
    started = monotonic()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=_environment(framework, f"{caches}/{framework.name}", threads),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield Worker(process, started)


def _environment(framework: Framework, cache: str, threads: int) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "GRAPHNN_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"  # else it keeps only slow ones
    if framework.cache_variable:
        environment[framework.cache_variable] = cache
    return environment
