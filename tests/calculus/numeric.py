"""Derived gradients against differences of the formula itself, in 50 digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cache

import mpmath
import numpy as np

from compiler.language.expression import Number, Symbol, expr, substitute
from compiler.language.system import Equation, System, Tensor
from compiler.reference.interpret import evaluate
from graphnn.calculus.derive import derive
from graphnn.calculus.naming import gradient_name, seed_name
from graphnn.notation import Formula, Resolved, expand, parse, resolve, resolved_text, symbolic

from .operations import Case

__all__ = [
    "DIGITS",
    "difference",
    "directional_error",
    "dot",
    "gradients",
    "sample",
    "symbolic_gradient",
]

Arrays = Mapping[str, np.ndarray]
DIGITS = 50
STEP = 2.0**-40


@cache  # several tests look at the same gradients
def symbolic_gradient(case: Case) -> Resolved:
    """Derived with symbolic sizes; where axes are fused, for the shapes given."""
    return derive(symbolic(_formula(case)))


def _formula(case: Case) -> Formula:
    formula = parse(case.text, case.attributes, case.outputs)
    if ", [" not in case.text:
        return formula
    return expand(
        formula, {k: tuple(Number(Fraction(n)) for n in s) for k, s in case.shapes.items()}
    )


def sample(case: Case, seed: int = 0) -> dict[str, np.ndarray]:
    """Operands on a grid of 1/1024, so that steps along them are exact."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, shape in case.shapes.items():
        if name in case.whole:
            arrays[name] = np.asarray(random.integers(0, case.whole[name], shape))
        else:
            low, high = (200, 800) if name in case.positive else (-1500, 1500)
            arrays[name] = np.asarray(random.integers(low, high, shape) / 1024)
    return arrays


def gradients(case: Case, arrays: Arrays, seeds: Arrays) -> dict[str, np.ndarray]:
    """What the derived text computes, read back and resolved for the case's shapes."""
    forward = _resolved(case.text, case, case.shapes)
    text = resolved_text(symbolic_gradient(case))
    backward = parse(text, case.attributes)
    shapes = {name: tuple(int(n.value) for n in shape) for name, shape in forward.shapes.items()}
    shapes |= {name: array.shape for name, array in seeds.items()}
    derived = resolve(backward, {name: shapes[name] for name in backward.operands})
    outputs = [gradient_name(forward, name) for name in case.shapes]
    tensors = _tensors(forward, case, ()) | {
        name: Tensor(name, array.shape, "float64", "input") for name, array in seeds.items()
    }
    tensors = _tensors(derived, case, outputs) | tensors
    system = _system(tensors, forward.equations + derived.equations, case)
    return evaluate(system, {**arrays, **seeds}, precision=DIGITS)


def _system(tensors: Mapping[str, Tensor], equations: tuple[Equation, ...], case: Case) -> System:
    numbers = {Symbol(k): expr(v) for k, v in case.attributes.items()}
    plain = tuple(replace(e, value=substitute(e.value, numbers)) for e in equations)
    return System(tuple(tensors.values()), plain)


def _resolved(text: str, case: Case, shapes: Mapping[str, tuple[int, ...]]) -> Resolved:
    return resolve(parse(text, case.attributes, case.outputs), shapes)


def _tensors(resolved: Resolved, case: Case, outputs: object) -> dict[str, Tensor]:
    found = {}
    for name, sizes in resolved.shapes.items():
        shape = tuple(int(n.value) for n in sizes)  # type: ignore[attr-defined]
        dtype = "int64" if name in case.whole or name.startswith("at_") else "float64"
        role = "input" if name in resolved.operands else "output" if name in outputs else "local"
        found[name] = Tensor(name, shape, dtype, role)
    return found


def directional_error(case: Case, seed: int = 0) -> float:
    """Relative difference of the derivative along a random direction, from gradients and from the formula."""
    random = np.random.default_rng(seed + 1)
    arrays = sample(case, seed)
    forward = _resolved(case.text, case, case.shapes)
    outputs = list(forward.outputs)
    tensors = _tensors(forward, case, outputs)
    system = _system(tensors, forward.equations, case)
    seeds = {
        seed_name(forward, name): np.asarray(random.integers(-16, 16, tensors[name].shape) / 8)
        for name in outputs
    }
    direction = {
        name: np.asarray(random.integers(-16, 16, array.shape) / 8)
        for name, array in arrays.items()
        if name not in case.whole
    }

    def objective(step: float) -> mpmath.mpf:
        moved = {k: a + step * direction[k] if k in direction else a for k, a in arrays.items()}
        values = evaluate(system, moved, precision=DIGITS)
        return mpmath.fsum(dot(seeds[seed_name(forward, name)], values[name]) for name in outputs)

    with mpmath.workdps(DIGITS):
        expected = difference(objective)
        found = gradients(case, arrays, seeds)
        names = {name: gradient_name(forward, name) for name in direction}
        derived = mpmath.fsum(dot(v, found[names[name]]) for name, v in direction.items())
        return float(abs(derived - expected) / (1 + abs(expected)))


def difference(objective: Callable[[float], mpmath.mpf]) -> mpmath.mpf:
    """The derivative at 0, to 1e-22: a step along arrays below 8 on a grid of 1/4096 is exact, and so is its half."""
    return (objective(STEP) - objective(-STEP)) / (2 * mpmath.mpf(STEP))


def dot(a: np.ndarray, b: np.ndarray) -> mpmath.mpf:
    pairs = zip(np.ravel(a).tolist(), np.ravel(b).tolist(), strict=True)
    return mpmath.fsum(mpmath.mpf(x) * y for x, y in pairs)
