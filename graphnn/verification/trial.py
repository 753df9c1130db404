"""One formula and its derived gradient, tried at a sample: numerically in 50 digits, and symbolically."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

import compiler
from compiler.expression import Expr, Symbol, expr, substitute
from compiler.system import Equation, System, Tensor

from ..calculus.formulas import Derived
from ..calculus.scalar import partial_derivative
from ..notation import Formula, resolve
from .report import Verdict
from .samples import Sample, weyl
from .scalars import Scalar, Scalars, is_zero, symbol

__all__ = ["Trial"]

DIGITS = 50
STEP = mpmath.mpf(10) ** -15
TOLERANCE = 1e-12


class Trial:
    """One formula and its gradient at a sample."""

    def __init__(
        self,
        formula: Formula,
        derived: Derived,
        small: Sample,
        name: str,
        attributes: Mapping[str, Fraction],
    ) -> None:
        self.name, self.formula, self.derived, self.small = name, formula, derived, small
        self.attributes = attributes
        shapes = dict(small.resolved.shapes)
        shapes |= {seed: shapes[target] for seed, target in derived.seeds.items()}
        self.gradient = resolve(derived.formula, {k: shapes[k] for k in derived.formula.operands})
        self.seeds = {
            seed: weyl(_extents(shapes[target]), 11 + k)
            for k, (seed, target) in enumerate(derived.seeds.items())
        }

    def verdict(self, operand: str) -> Verdict:
        derived, expected = self.values(operand)
        scale = max(float(np.max(np.abs(expected))) if expected.size else 0.0, 1e-30)
        errors = np.abs(derived - expected) / scale
        worst = np.unravel_index(int(np.argmax(errors)), errors.shape) if errors.size else ()
        error = float(errors[worst]) if errors.size else 0.0
        symbolic = self.symbolic(operand)
        return Verdict(
            self.name,
            operand,
            self.formula.text,
            self.derived.formula.text,
            symbolic,
            error,
            tuple(int(k) for k in worst),
            float(derived[worst]) if errors.size else 0.0,
            float(expected[worst]) if errors.size else 0.0,
            error <= TOLERANCE and symbolic != "differs",
        )

    def values(self, operand: str) -> tuple[np.ndarray, np.ndarray]:
        """The derived gradient and the central differences, both in 50 digits, as floats."""
        target = self.derived.targets[operand]
        both = (*self.small.resolved.equations, *self.gradient.equations)
        shapes = {**self.small.resolved.shapes, **self.gradient.shapes}
        given = {**self.small.values, **self.seeds}
        found = self.run(both, shapes, given, (target,))[target]
        base = self.small.values[operand]
        expected = np.zeros(base.shape)
        for index in np.ndindex(*base.shape):
            up, down = (self.total(operand, index, sign) for sign in (1, -1))
            expected[index] = float((up - down) / (2 * STEP))
        return found.astype(float), expected

    def total(self, operand: str, index: tuple[int, ...], sign: int) -> mpmath.mpf:
        """Sum of seed times output with one element moved by a step."""
        with mpmath.workdps(DIGITS):
            moved = np.vectorize(mpmath.mpf, otypes=[object])(self.small.values[operand])
            moved[index] += sign * STEP
            given = {**self.small.values, operand: moved}
            resolved = self.small.resolved
            outputs = tuple(self.derived.seeds.values())
            found = self.run(resolved.equations, resolved.shapes, given, outputs)
            seeds = self.derived.seeds.items()
            return sum(
                (mpmath.mpf(float(g)) * y)
                for seed, output in seeds
                for g, y in zip(self.seeds[seed].ravel(), found[output].ravel(), strict=True)
            )

    def run(
        self,
        equations: Iterable[Equation],
        shapes: Mapping[str, tuple[object, ...]],
        given: Mapping[str, np.ndarray],
        outputs: tuple[str, ...],
    ) -> dict[str, np.ndarray]:
        values = {Symbol(k): expr(v) for k, v in self.attributes.items()}
        bound = tuple(
            Equation(
                e.target,
                tuple(substitute(s, values) for s in e.subscripts),
                e.indices,
                substitute(e.value, values),
                e.accumulate,
            )
            for e in equations
        )
        targets = {e.target for e in bound}
        tensors = []
        for name, shape in shapes.items():
            role = "output" if name in outputs else "local" if name in targets else "input"
            if name in targets or name in given:
                whole = name in given and given[name].dtype.kind == "i"
                dtype = "int64" if whole or _is_position(name, bound) else "float64"
                tensors.append(Tensor(name, _extents(shape), dtype, role))
        arrays = {t.name: given[t.name] for t in tensors if t.role == "input"}
        return compiler.evaluate(System(tuple(tensors), bound), arrays, DIGITS)

    def symbolic(self, operand: str) -> str:
        """Compare sympy's derivative of the written-out scalar with the written-out gradient."""
        names: dict[tuple[str, tuple[int, ...]], Scalar] = {}

        def leaf(tensor: str, numbers: np.ndarray):  # type: ignore[no-untyped-def]
            def element(position: tuple[int, ...]) -> Scalar:
                return names.setdefault((tensor, position), symbol(tensor, position, numbers))

            return element

        given = {k: leaf(k, v) for k, v in {**self.small.values, **self.seeds}.items()}
        forward = Scalars(self.small.resolved, self.attributes, given)
        for target in self.small.resolved.shapes:
            if target not in given:
                given[target] = lambda position, t=target: forward.element(t, position)
        backward = Scalars(self.gradient, self.attributes, given)
        total = self.written_out(forward)
        decided = True
        for position in np.ndindex(*self.small.values[operand].shape):
            element = given[operand](position)
            slope = partial_derivative(total, element.symbolic)
            found = backward.element(self.derived.targets[operand], position)
            zero = is_zero(slope - found.symbolic)
            if zero is None:
                decided = False
                at = {s.symbolic: s.number for s in names.values() if s.symbolic.is_Symbol}
                gap = abs((slope - found.symbolic).evalf(30, subs=at))
                if gap > 1e-12:
                    return "differs"
        return "proved" if decided else "not decided"

    def written_out(self, forward: Scalars):  # type: ignore[no-untyped-def]
        total = 0
        for seed, output in self.derived.seeds.items():
            for position in np.ndindex(*self.seeds[seed].shape):
                weight = symbol(seed, position, self.seeds[seed]).symbolic
                total += weight * forward.element(output, position).symbolic
        return total


def _extents(shape: Iterable[object]) -> tuple[int, ...]:
    return tuple(int(n if isinstance(n, int) else n.value) for n in shape)  # type: ignore[attr-defined]


def _is_position(name: str, equations: Iterable[Equation]) -> bool:
    """Does the tensor hold positions, as an argmax does?"""
    kinds = [getattr(e.value, "kind", "") for e in equations if e.target == name]
    return bool(kinds) and all(kind in ("argmax", "argmin") for kind in kinds)
