"""Gradients of random systems against differences, with the sizes as numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from random import Random

import mpmath
import numpy as np

from compiler.language.expression import Expr, Number
from compiler.language.system import System, Tensor
from compiler.reference.interpret import evaluate
from graphnn.calculus.derive import derive
from graphnn.calculus.formulas import gradient_formula
from graphnn.calculus.naming import gradient_name, seed_name
from graphnn.errors import NotationError, ShapeError
from graphnn.notation import Resolved, parse, resolve, resolved_text

from ..systems import random_case
from .numeric import DIGITS, difference, dot

__all__ = ["gradient_shapes", "random_error"]


def random_error(seed: int, order: int = 1) -> float | None:
    """Relative difference along a random direction; None where the system has no real output.

    Of second order is the gradient of a system that computes gradients, of nothing but these.
    """
    case = random_case(Random(seed), 12)
    tensors = tuple(_double(t) for t in case.system.tensors)
    system = System(tensors, case.system.equations)
    random = np.random.default_rng(seed)
    arrays = {n: _off_grid(case.arrays[n], system.by_name[n], random) for n in case.arrays}
    for _ in range(order - 1):
        system, arrays, _ = _with_gradients(system, arrays, random)
    if not any(t.role == "output" and _is_real(t) for t in system.tensors):
        return None
    both, given, gradients = _with_gradients(system, arrays, random)
    direction = {n: _eighths(arrays[n].shape, random) for n in gradients}
    seeds = {seed_name(_resolved(system), t.name): t for t in system.tensors if _is_output(t)}

    def objective(step: float) -> mpmath.mpf:
        moved = {n: a + step * direction[n] if n in direction else a for n, a in arrays.items()}
        values = evaluate(system, moved, precision=DIGITS)
        return mpmath.fsum(dot(given[s], values[t.name]) for s, t in seeds.items() if s in given)

    with mpmath.workdps(DIGITS):
        expected = difference(objective)
        found = evaluate(both, given, precision=DIGITS)
        total = mpmath.fsum(dot(direction[n], found[d]) for n, d in gradients.items())
        return float(abs(total - expected) / (1 + abs(expected)))


def _with_gradients(
    system: System, arrays: dict[str, np.ndarray], random: np.random.Generator
) -> tuple[System, dict[str, np.ndarray], dict[str, str]]:
    """A system that computes only gradients, arrays for it too, and the gradient of each real input."""
    resolved = _resolved(system)
    derived = derive(resolved)
    forward = system.by_name
    given = dict(arrays)
    for t in system.tensors:
        if _is_output(t):
            given[seed_name(resolved, t.name)] = _eighths(t.shape, random)
    names = {n: gradient_name(resolved, n) for n in resolved.operands if _is_real(forward[n])}
    gradients = {n: d for n, d in names.items() if d in derived.outputs}
    tensors = _joined(forward, derived, given)
    return System(tensors, system.equations + derived.equations), given, gradients


def _resolved(system: System) -> Resolved:
    outputs = tuple(t.name for t in system.tensors if _is_output(t))
    shapes = {t.name: tuple(Number(Fraction(k)) for k in t.shape) for t in system.tensors}
    return Resolved(system.equations, shapes, system.names("input"), outputs)


def _eighths(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    return np.asarray(random.integers(-8, 8, shape) / 8)


def _is_output(t: Tensor) -> bool:
    return t.role == "output" and _is_real(t)


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
    found = {n: Tensor(n, a.shape, "float64", "input") for n, a in given.items()} | found
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
