"""Gradients of random systems against differences, with the sizes as numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from random import Random

import mpmath
import numpy as np

from compiler.expression import Expr, Number
from compiler.interpret import evaluate
from compiler.system import System, Tensor
from graphnn.calculus.derive import derive
from graphnn.calculus.formulas import gradient_formula
from graphnn.calculus.naming import gradient_name, seed_name
from graphnn.errors import NotationError, ShapeError
from graphnn.notation import Resolved, parse, resolve, resolved_text

from ..systems import random_case
from .numeric import DIGITS, dot, extrapolated

__all__ = ["gradient_shapes", "random_error"]


def random_error(seed: int) -> float | None:
    """Relative difference along a random direction; None where the system has no real output."""
    case = random_case(Random(seed), 12)
    forward = {t.name: _double(t) for t in case.system.tensors}
    outputs = tuple(t.name for t in forward.values() if t.role == "output" and _is_real(t))
    operands = tuple(t.name for t in forward.values() if t.role == "input")
    if not outputs:
        return None
    shapes = {n: tuple(Number(Fraction(k)) for k in t.shape) for n, t in forward.items()}
    resolved = Resolved(case.system.equations, shapes, operands, outputs)
    derived = derive(resolved)

    random = np.random.default_rng(seed)
    arrays = {n: _off_grid(np.asarray(case.arrays[n]), forward[n], random) for n in operands}
    seeds = {n: np.asarray(random.integers(-8, 8, forward[n].shape) / 8) for n in outputs}
    direction = {
        n: np.asarray(random.integers(-8, 8, forward[n].shape) / 8)
        for n in operands
        if gradient_name(resolved, n) in derived.outputs and _is_real(forward[n])
    }
    system = System(tuple(forward.values()), case.system.equations)

    def objective(step: float) -> mpmath.mpf:
        moved = {n: a + step * direction[n] if n in direction else a for n, a in arrays.items()}
        values = evaluate(system, moved, precision=DIGITS)
        return mpmath.fsum(dot(seeds[n], values[n]) for n in outputs)

    given = {seed_name(resolved, n): array for n, array in seeds.items()}
    both = System(_joined(forward, derived, given), system.equations + derived.equations)
    with mpmath.workdps(DIGITS):
        expected = extrapolated(objective)
        found = evaluate(both, {**arrays, **given}, precision=DIGITS)
        total = mpmath.fsum(dot(v, found[gradient_name(resolved, n)]) for n, v in direction.items())
        return float(abs(total - expected) / (1 + abs(expected)))


def _is_real(t: Tensor) -> bool:
    return t.dtype == "float64"


def _double(t: Tensor) -> Tensor:
    role = "input" if t.role == "parameter" else t.role
    return replace(t, dtype="float64" if t.dtype.startswith("float") else t.dtype, role=role)


def _off_grid(array: np.ndarray, t: Tensor, random: np.random.Generator) -> np.ndarray:
    """Different values everywhere, so that no difference is taken across a kink."""
    if not _is_real(t):
        return np.asarray(array, dtype=t.dtype)
    shift = (2 * random.permutation(array.size).reshape(array.shape) + 1) / 4096
    return np.asarray(array.astype("float64") + shift)


def _joined(
    forward: dict[str, Tensor], derived: Resolved, given: dict[str, np.ndarray]
) -> tuple[Tensor, ...]:
    """The tensors of both systems in one; only gradients are outputs."""
    found = {n: replace(t, role="local") if t.role == "output" else t for n, t in forward.items()}
    found |= {n: Tensor(n, a.shape, "float64", "input") for n, a in given.items()}
    for name, sizes in derived.shapes.items():
        shape = tuple(int(n.value) for n in sizes)  # type: ignore[attr-defined]
        dtype = "int64" if name.startswith("at_") else "float64"
        role = "output" if name in derived.outputs else "local"
        found.setdefault(name, Tensor(name, shape, dtype, role))
    return tuple(found.values())


def gradient_shapes(seed: int) -> Iterator[tuple[tuple[Expr, ...], tuple[Expr, ...]]]:
    """A random system as text, and its gradients as the graph gets them: each operand's shape, and its gradient's."""
    case = random_case(Random(seed), 12)
    tensors = case.system.by_name
    outputs = tuple(n for n, t in tensors.items() if t.role == "output" and "float" in t.dtype)
    operands = case.system.names("input", "parameter")
    shapes = {n: tuple(Number(Fraction(k)) for k in t.shape) for n, t in tensors.items()}
    resolved = Resolved(case.system.equations, shapes, operands, outputs)
    forward = None
    with suppress(NotationError, ShapeError):  # a system may say more than a formula can
        formula = parse(resolved_text(resolved), {}, outputs)
        forward = resolve(formula, {n: shapes[n] for n in formula.operands})
    if outputs and forward is not None:
        derived = gradient_formula(formula, outputs, {})
        known = {**forward.shapes, **{s: forward.shapes[o] for s, o in derived.seeds.items()}}
        backward = resolve(derived.formula, {n: known[n] for n in derived.formula.operands})
        for operand, target in derived.targets.items():
            yield known[operand], backward.shapes[target]
