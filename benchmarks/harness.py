"""Measuring: every framework in processes of its own, taking turns on the same processors.

On a shared machine the minute decides more than the framework does. So nothing is measured in one
block: fresh starts alternate between the frameworks, and training goes on in short turns.
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
from typing import Any

__all__ = ["FRAMEWORKS", "Framework", "Measurement", "Settings", "measure"]

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Framework:
    """A file of workloads/ and its function, and the variable that says where compiled code is."""

    name: str
    package: str
    module: str
    function: str = "build"
    cache_variable: str = ""


FRAMEWORKS = {
    framework.name: framework
    for framework in (
        Framework("graphnn", "graphnn", "graphnn", "build", "GRAPHNN_CACHE"),
        Framework("PyTorch", "torch", "pytorch"),
        Framework("torch.compile", "torch", "pytorch", "build_compiled", "TORCHINDUCTOR_CACHE_DIR"),
        Framework("JAX", "jax", "jax", "build", "JAX_COMPILATION_CACHE_DIR"),
    )
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is measured: turns of training, seconds a turn, fresh starts, processors."""

    turns: int
    seconds: float
    starts: int
    threads: int


@dataclass(slots=True)
class Measurement:
    """One framework on one workload, or the problem because of which there are no figures."""

    workload: str
    framework: str
    problem: str = ""
    losses: list[float] = field(default_factory=list)  # of the first steps, to be compared
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
    """A process that has done its first steps and waits to be asked for more."""

    process: subprocess.Popen[str]
    start: float
    losses: list[float]

    def train(self, seconds: float) -> dict[str, Any]:
        with suppress(BrokenPipeError):  # it has ended: so will its answers
            print(seconds, file=self.process.stdin, flush=True)
        return _answer(self.process)


def measure(name: str, frameworks: Sequence[Framework], settings: Settings) -> list[Measurement]:
    """One workload in every framework; those that cannot run it say so in `problem`."""
    found = {framework: Measurement(name, framework.name) for framework in frameworks}
    with TemporaryDirectory() as caches:
        for count in range(settings.starts):
            for framework, result in found.items():
                _measure_starts(framework, result, f"{caches}/{framework.name}-{count}", settings)
        with ExitStack() as running:
            _measure_turns(found, caches, settings, running)
    return list(found.values())


def _measure_starts(
    framework: Framework, result: Measurement, cache: str, settings: Settings
) -> None:
    """A start with an empty cache, then one with what that has left in it."""
    with _noting_problems(result):
        for times in (result.cold_starts, result.warm_starts):
            with _worker(framework, result.workload, cache, settings.threads) as worker:
                times.append(worker.start)
                result.losses = worker.losses


def _measure_turns(
    found: dict[Framework, Measurement], caches: str, settings: Settings, running: ExitStack
) -> None:
    """All frameworks loaded, one at a time training."""
    workers = {}
    for framework, result in found.items():
        with _noting_problems(result):
            cache = f"{caches}/{framework.name}-0"
            started = _worker(framework, result.workload, cache, settings.threads)
            workers[framework] = running.enter_context(started)
    for _ in range(settings.turns):
        for framework, worker in workers.items():
            with _noting_problems(found[framework]):
                answer = worker.train(settings.seconds)
                found[framework].turns.append(answer["milliseconds"])
                found[framework].megabytes = answer["megabytes"]


@contextmanager
def _noting_problems(result: Measurement) -> Iterator[None]:
    try:
        yield
    except WorkerError as error:
        result.problem = str(error)


@contextmanager
def _worker(framework: Framework, workload: str, cache: str, threads: int) -> Iterator[Worker]:
    module = f"benchmarks.workloads.{framework.module}"
    command = [sys.executable, "-m", "benchmarks.worker", module, framework.function, workload]
    started = monotonic()
    with subprocess.Popen(
        [*command, str(threads)],
        cwd=ROOT,
        env=_environment(framework, cache, threads),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        first = _answer(process)
        yield Worker(process, first["ready"] - started, first["losses"])


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    answer = json.loads(line) if line else {"problem": f"ended with status {process.wait()}"}
    if "problem" in answer:
        raise WorkerError(answer["problem"])
    return answer


def _environment(framework: Framework, cache: str, threads: int) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "GRAPHNN_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"  # else it keeps only slow ones
    if framework.cache_variable:
        environment[framework.cache_variable] = cache
    return environment
