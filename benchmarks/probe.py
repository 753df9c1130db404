"""What the processors can do: products and sums a second in registers, bytes a second from memory.

    python -m benchmarks.probe [THREADS]

Two loops that do nothing else, at the widest vectors of this machine, on all threads at once. They
run in the same minutes as what is compared with them, for a virtual machine's limits drift.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from time import perf_counter

import numpy as np
from llvmlite import binding

from compiler.target import Target, host

from .worker import use_processors

__all__ = ["Limits", "limits"]

CHAINS = 12  # independent sums: enough to hide the latency, and they fit into 16 registers
BYTES = 2**29  # read by all threads together: more than caches hold
REPEATS = 7


@dataclass(frozen=True, slots=True)
class Limits:
    """Of this many threads: 10^9 floating-point operations a second, 10^9 bytes a second read."""

    giga_operations: float
    giga_bytes: float

    def milliseconds(self, operations: float, traffic: float) -> float:
        """The time that this work takes at least."""
        return max(operations / self.giga_operations, traffic / self.giga_bytes) / 1e6


def limits(threads: int) -> Limits:
    """Measured now: the best of some repeats."""
    with _compiled(host()) as (multiply, read):
        lanes = host().lanes(4)
        rounds = 4_000_000
        operations = threads * rounds * CHAINS * lanes * 2
        parts = np.ones((threads, BYTES // threads // 4), np.float32)
        count = parts.shape[1] // (CHAINS * lanes)
        with ThreadPoolExecutor(threads) as pool:
            peak = operations / _shortest(pool, threads, lambda _: multiply(rounds))
            rate = parts.nbytes / _shortest(
                pool, threads, lambda k: read(parts[k].ctypes.data, count)
            )
    return Limits(peak / 1e9, rate / 1e9)


def _shortest(pool: ThreadPoolExecutor, threads: int, work: Callable[[int], object]) -> float:
    """Seconds until all threads have done their work."""
    times = []
    for _ in range(REPEATS):
        start = perf_counter()
        list(pool.map(work, range(threads)))
        times.append(perf_counter() - start)
    return min(times)


@contextmanager
def _compiled(target: Target) -> Iterator[tuple[Callable[..., float], Callable[..., float]]]:
    """The two loops as foreign functions, which let other threads run."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=2
    )
    module = binding.parse_assembly(_loops(target.lanes(4)))
    with binding.create_mcjit_compiler(module, machine) as engine:
        engine.finalize_object()
        kind = ctypes.CFUNCTYPE
        multiply = kind(ctypes.c_float, ctypes.c_int64)
        read = kind(ctypes.c_float, ctypes.c_void_p, ctypes.c_int64)
        address = engine.get_function_address
        yield multiply(address("multiply")), read(address("read"))


def _loops(lanes: int) -> str:
    vector = f"<{lanes} x float>"
    fma = f"@llvm.fma.v{lanes}f32"
    multiply = "\n".join(
        f"  %n{k} = call {vector} {fma}({vector} %s{k}, {vector} splat (float 0.5), {vector} %s{k})"
        for k in range(CHAINS)
    )
    read = "\n".join(
        f"  %a{k} = getelementptr {vector}, ptr %at, i64 {k}\n"
        f"  %v{k} = load {vector}, ptr %a{k}, align 4\n"
        f"  %n{k} = fadd {vector} %s{k}, %v{k}"
        for k in range(CHAINS)
    )
    step = f"getelementptr {vector}, ptr %data, i64 %from"
    at = f"  %from = mul i64 %i, {CHAINS}\n  %at = {step}\n"
    declared = (
        f"declare {vector} {fma}({vector}, {vector}, {vector})\n"
        f"declare float @llvm.vector.reduce.fadd.v{lanes}f32(float, {vector})\n"
    )
    return (
        declared
        + _loop("multiply", "i64 %count", vector, multiply)
        + _loop("read", "ptr %data, i64 %count", vector, at + read)
    )


def _loop(name: str, parameters: str, vector: str, body: str) -> str:
    """Chains of sums %s0, %s1 ... that the body turns into %n0, %n1 ...; the function gives their total."""
    phis = "\n".join(
        f"  %s{k} = phi {vector} [zeroinitializer, %entry], [%n{k}, %loop]" for k in range(CHAINS)
    )
    sums = ["%n0", *(f"%t{k}" for k in range(1, CHAINS))]
    totals = "\n".join(
        f"  {after} = fadd {vector} {before}, %n{k}"
        for k, (before, after) in enumerate(pairwise(sums), 1)
    )
    lanes = vector.removeprefix("<").split()[0]
    return f"""
define float @{name}({parameters}) {{
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
{phis}
{body}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %loop, label %done
done:
{totals}
  %total = call reassoc float @llvm.vector.reduce.fadd.v{lanes}f32(float 0.0, {vector} {sums[-1]})
  ret float %total
}}
"""


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    use_processors(count)
    print(json.dumps(asdict(limits(count))))
