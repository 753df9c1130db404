"""Targets: this machine and others by name."""

from __future__ import annotations

import pytest

from compiler.errors import CompilerError
from compiler.machine.jit import assembly
from compiler.target import NAMES, Target, host, named

ADD = """
define void @add(ptr %x, ptr %y) {{
  %a = load {0}, ptr %x, align 4
  %b = load {0}, ptr %y, align 4
  %c = fadd {0} %a, %b
  store {0} %c, ptr %y, align 4
  ret void
}}
"""
REGISTERS = {"x86-64": r"%xmm", "x86-64-v3": r"%ymm", "x86-64-v4": r"%zmm", "aarch64": r"v0.4s"}


@pytest.mark.parametrize("name", NAMES)
def test_a_vector_fills_one_register(name: str) -> None:
    """``vector_bytes`` is the width of the registers that LLVM uses for the target."""
    target = named(name)
    text = assembly(ADD.format(f"<{target.lanes(4)} x float>"), target)
    additions = [line for line in text.splitlines() if "add" in line and REGISTERS[name] in line]
    assert len(additions) == 1


@pytest.mark.parametrize("target", [*NAMES.values(), host()], ids=[*NAMES, "host"])
def test_fused_multiply_add_is_known(target: Target) -> None:
    """LLVM makes one instruction of llvm.fma just where the target says it has one."""
    text = """
declare float @llvm.fma.f32(float, float, float)
define float @f(float %a, float %b, float %c) {
  %r = call float @llvm.fma.f32(float %a, float %b, float %c)
  ret float %r
}
"""
    assert ("fmaf" not in assembly(text, target)) == target.has_fma


def test_the_host_is_one_target() -> None:
    """Asked twice it is the same object, with features and a vector width."""
    assert host() is host()
    assert host().vector_bytes in (16, 32, 64)
    assert host().cpu


def test_features_by_name() -> None:
    """A feature is there if it is listed as present."""
    assert named("x86-64-v4").has("avx512vl")
    assert not named("x86-64-v3").has("avx512vl")


def test_unknown_names_are_refused() -> None:
    """The error lists the names that exist."""
    with pytest.raises(CompilerError, match=r"z80.*x86-64-v3"):
        named("z80")
