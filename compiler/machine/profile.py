"""Profile: a program that takes the time of every kernel, and the table of what it found.

Before:   kernel_0; wait; kernel_1
After:    timed 0: (kernel_0; wait); wait; timed 1: (kernel_1; wait)

All threads wait after every kernel that they share, so that a time is that of the slowest. It is taken by the first
thread. What the kernels have to do is counted in their loops (`cost`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..scheduling.cost import operations, traffic
from ..scheduling.distribute import Timed, Wait
from ..scheduling.loops import Kernel
from .program import Program

__all__ = ["Profile", "Row", "TimedProgram", "timed"]


@dataclass(frozen=True, slots=True)
class TimedProgram:
    """A program that takes times, its kernels in the order of their numbers, and what one call of each has to do."""

    program: Program
    kernels: tuple[Kernel, ...]
    operations: tuple[int, ...]
    traffic: tuple[int, ...]  # bytes

    @staticmethod
    def of(
        program: Program, kernels: Sequence[Kernel], sizes: Mapping[str, tuple[int, int]]
    ) -> TimedProgram:
        work = tuple(map(operations, kernels))
        return TimedProgram(
            program, tuple(kernels), work, tuple(traffic(k, sizes) for k in kernels)
        )


def timed(parts: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Kernel, ...]]:
    """The program with the times taken, and its kernels."""
    kernels: list[Kernel] = []

    def each(parts: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(map(one, parts))

    def one(part: Any) -> Any:
        if isinstance(part, Kernel):
            kernels.append(part)
            return Timed(len(kernels) - 1, (part, Wait()) if part.shares else (part,))
        return part if isinstance(part, Wait) else replace(part, steps=each(part.steps))

    return each(parts), tuple(kernels)


@dataclass(frozen=True, slots=True)
class Row:
    """One kernel: what it writes, calls in a step, and in one step microseconds, operations and bytes."""

    kernel: str
    writes: tuple[str, ...]
    calls: float
    microseconds: float
    operations: float
    bytes: float

    @property
    def giga_operations(self) -> float:
        """10^9 operations a second."""
        return self.operations / (1e3 * self.microseconds) if self.microseconds else 0.0

    @property
    def giga_bytes(self) -> float:
        """10^9 bytes a second, if each is moved once."""
        return self.bytes / (1e3 * self.microseconds) if self.microseconds else 0.0


@dataclass(frozen=True, slots=True)
class Profile:
    """The kernels of a step in the order in which they run; prints as a table, the slowest first."""

    rows: tuple[Row, ...]
    threads: int

    @staticmethod
    def of(
        program: TimedProgram, times: Sequence[Sequence[int]], steps: int, threads: int
    ) -> Profile:
        """From (nanoseconds, calls) of each kernel in some steps."""
        rows = []
        for k, (nanoseconds, calls) in enumerate(times):
            kernel, often = program.kernels[k], calls / steps
            writes = tuple(dict.fromkeys(store.tensor for store in kernel.stores))
            work, moved = often * program.operations[k], often * program.traffic[k]
            rows.append(Row(kernel.name, writes, often, nanoseconds / steps / 1e3, work, moved))
        return Profile(tuple(rows), threads)

    @property
    def microseconds(self) -> float:
        return sum(row.microseconds for row in self.rows)

    def __str__(self) -> str:
        total = self.microseconds
        lines = [
            f"{'kernel':12} {'calls':>6} {'us':>10} {'share':>6} {'GFLOP/s':>8} {'GB/s':>7}  writes"
        ]
        for row in sorted(self.rows, key=lambda row: -row.microseconds):
            part = row.microseconds / total if total else 0.0
            lines.append(
                f"{row.kernel:12} {row.calls:6.0f} {row.microseconds:10.1f} {part:6.1%}"
                f" {row.giga_operations:8.1f} {row.giga_bytes:7.1f}  {', '.join(row.writes)}"
            )
        lines.append(f"{'step':12} {'':6} {total:10.1f} on {self.threads} threads")
        return "\n".join(lines)
