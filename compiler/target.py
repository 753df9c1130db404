"""The machine that code is made for: what LLVM must know, and what the stages must know.

    Target    := triple, cpu, features            for LLVM
               + vector_bytes, registers, fma     for the stages: 64 and 32 with AVX-512, 32 and 16 with AVX2 ...
               + halves                           computes vectors in two halves: those half as wide take half the time

``host()`` describes this machine, ``named("aarch64")`` another one, for cross-compiling to assembly text.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from .errors import CompilerError

__all__ = ["NAMES", "Target", "host", "named"]


@dataclass(frozen=True, slots=True)
class Target:
    """One machine; equal targets get equal code."""

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    has_fma: bool
    halves: bool = False

    def lanes(self, element_bytes: int) -> int:
        """How many elements of this size fill one vector register."""
        return self.vector_bytes // element_bytes

    def has(self, feature: str) -> bool:
        """Is the feature named as present (``has("avx512f")``)?"""
        return f"+{feature}" in self.features.split(",")


_AVX2 = "+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe"
_AVX512 = _AVX2 + ",+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"
_LINUX = "x86_64-unknown-linux-gnu"
_HALVES = {"znver1": 32, "znver4": 64}  # processors, and bytes of the vectors that they compute so
NAMES = {
    "x86-64": Target(_LINUX, "x86-64", "", 16, 16, False),
    "x86-64-v3": Target(_LINUX, "x86-64-v3", _AVX2, 32, 16, True),
    "x86-64-v4": Target(_LINUX, "x86-64-v4", _AVX512, 64, 32, True),
    "aarch64": Target("aarch64-unknown-linux-gnu", "generic", "+neon", 16, 32, True),
}


def named(name: str) -> Target:
    """A machine by its common name, see ``NAMES``."""
    if name not in NAMES:
        raise CompilerError(f"unknown target {name!r}: expected one of {', '.join(NAMES)}")
    return NAMES[name]


@cache
def host() -> Target:
    """This machine, with every feature that it reports."""
    from llvmlite import binding  # lazy: loading LLVM takes longer than all else together

    triple = binding.get_process_triple()
    features = binding.get_host_cpu_features()
    if triple.startswith(("aarch64", "arm64")):
        vector_bytes, registers, has_fma = 16, 32, True
    elif features.get("avx512f") and features.get("avx512vl"):
        vector_bytes, registers, has_fma = 64, 32, True
    elif features.get("avx2") and features.get("fma"):
        vector_bytes, registers, has_fma = 32, 16, True
    else:
        vector_bytes, registers, has_fma = 16, 16, False
    cpu = binding.get_host_cpu_name()
    halves = _HALVES.get(cpu) == vector_bytes
    return Target(triple, cpu, features.flatten(), vector_bytes, registers, has_fma, halves)
