"""One formula and its derived gradient, tried at a sample: numerically in 50 digits, and symbolically."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import mpmath
import numpy as np

from compiler.language.expression import Binder, Element, Expr, Index, Symbol, expr, substitute
from compiler.language.system import Equation, System, Tensor
from compiler.reference.interpret import evaluate as interpret

from ..calculus.formulas import Derived
from ..calculus.scalar import partial_derivative
from ..notation import Formula, resolve
from .identity import is_zero
from .report import Verdict
from .samples import Sample, weyl
from .scalars import Scalar, Scalars, symbol

__all__ = ["Trial", "Written"]

DIGITS = 50
STEP = Fraction(1, 10**15)
TOLERANCE = 1e-12
ELEMENTS = 9  # so many elements of each gradient are proved


class Trial:
    """One formula and its gradient at a sample."""

    def __init__(
        self,
        formula: Formula,
        derived: Derived,
        small: Sample,
        name: str,
        attributes: Mapping[str, Fraction],
        written: dict[tuple[str, ...], Written],
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
        self.written = written  # out for other operands of the same formula, by the seeds

    def verdict(self, operand: str) -> Verdict:
        """Symbolic and numeric verdict; where they fail, the element at which the difference is largest."""
        derived = self.derived_values(operand)
        direction = weyl(derived.shape, 5)
        expected = self.slope(operand, direction)
        with mpmath.workdps(DIGITS):
            found = mpmath.mpf(np.sum(derived * direction))
            scale = max(mpmath.mpf(np.sum(abs(derived * direction))), abs(expected), 1e-30)
            error = float(abs(found - expected) / scale)
        symbolic = self.symbolic(operand)
        ok = error <= TOLERANCE and symbolic != "differs"
        index = () if ok else self.worst(operand, derived)
        at = np.zeros(derived.shape)
        at[index] = 1
        shown = (found, expected) if ok else (derived[index], self.slope(operand, at))
        return Verdict(
            self.name,
            operand,
            self.formula.text,
            self.derived.formula.text,
            symbolic,
            error,
            index,
            float(shown[0]),
            float(shown[1]),
            ok,
        )

    def worst(self, operand: str, derived: np.ndarray) -> tuple[int, ...]:
        """The element at which derived gradient and central difference differ most."""
        gaps = {}
        for index in np.ndindex(*derived.shape):
            direction = np.zeros(derived.shape)
            direction[index] = 1
            gaps[index] = abs(derived[index] - self.slope(operand, direction))
        return max(gaps, key=gaps.__getitem__)

    def derived_values(self, operand: str) -> np.ndarray:
        """The derived gradient in 50 digits."""
        target = self.derived.targets[operand]
        both = (*self.small.resolved.equations, *self.gradient.equations)
        shapes = {**self.small.resolved.shapes, **self.gradient.shapes}
        found = self.run(both, shapes, {**self.small.values, **self.seeds}, (target,))
        return np.asarray(found[target], dtype=object)

    def slope(self, operand: str, direction: np.ndarray) -> mpmath.mpf:
        """The central difference of the sum of seed times output, along ``direction``."""
        with mpmath.workdps(DIGITS):
            ahead, behind = (self.total(operand, direction, sign * STEP) for sign in (1, -1))
            return (ahead - behind) / (2 * mpmath.mpf(STEP.numerator) / STEP.denominator)

    def total(self, operand: str, direction: np.ndarray, step: Fraction) -> mpmath.mpf:
        """Sum of seed times output where the operand has moved by a step; the step is exact, part of the formula."""
        resolved = self.small.resolved
        base, along = f"{operand}_base", f"{operand}_direction"
        place = tuple(Index(f"i{k}") for k in range(direction.ndim))
        indices = tuple(Binder(i, expr(n)) for i, n in zip(place, direction.shape, strict=True))
        value = Element(base, place) + expr(step) * Element(along, place)
        moved = Equation(operand, place, indices, value)
        shapes = {
            **resolved.shapes,
            base: resolved.shapes[operand],
            along: resolved.shapes[operand],
        }
        given = {k: v for k, v in self.small.values.items() if k != operand}
        given |= {base: self.small.values[operand], along: direction}
        outputs = tuple(self.derived.seeds.values())
        found = self.run((moved, *resolved.equations), shapes, given, outputs)
        seeds = self.derived.seeds.items()
        return mpmath.fsum(np.sum(self.seeds[seed] * found[output]) for seed, output in seeds)

    def run(
        self,
        equations: Iterable[Equation],
        shapes: Mapping[str, tuple[Expr, ...]],
        given: Mapping[str, np.ndarray],
        outputs: tuple[str, ...],
    ) -> dict[str, np.ndarray]:
        """The reference interpreter's values of ``outputs`` in 50 digits."""
        values: dict[Expr, Expr] = {Symbol(k): expr(v) for k, v in self.attributes.items()}
        bound = tuple(
            replace(
                e,
                subscripts=tuple(substitute(s, values) for s in e.subscripts),
                value=substitute(e.value, values),
            )
            for e in equations
        )
        targets = {e.target for e in bound}
        tensors = []
        for name, shape in shapes.items():
            if name in targets or name in given:
                role = "output" if name in outputs else "local" if name in targets else "input"
                whole = (
                    given[name].dtype.kind == "i" if name in given else _is_position(name, bound)
                )
                dtype = "int64" if whole else "float64"
                tensors.append(Tensor(name, _extents(shape), dtype, role))
        arrays = {t.name: given[t.name] for t in tensors if t.role == "input"}
        return interpret(System(tuple(tensors), bound), arrays, DIGITS)

    def symbolic(self, operand: str) -> str:
        """Compare sympy's derivative of the written-out scalar with the written-out gradient."""
        seeds = tuple(self.seeds)
        if seeds not in self.written:
            self.written[seeds] = Written(self.small, self.attributes, self.seeds, self.derived)
        written = self.written[seeds]
        names, given, total = written.names, written.given, written.total
        computed = {t: partial(written.forward.element, t) for t in self.small.resolved.shapes}
        backward = Scalars(self.gradient, self.attributes, {**computed, **given})
        decided = True
        for position in _spread(self.small.values[operand].shape):
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


class Written:
    """A formula in scalars, and ``total``, the sum of seed times output: the same for all operands."""

    def __init__(
        self,
        small: Sample,
        attributes: Mapping[str, Fraction],
        seeds: Mapping[str, np.ndarray],
        derived: Derived,
    ) -> None:
        self.names: dict[tuple[str, tuple[int, ...]], Scalar] = {}
        self.given = {k: self.leaf(k, v) for k, v in {**small.values, **seeds}.items()}
        self.forward = Scalars(small.resolved, attributes, self.given)
        self.total: Any = 0
        for seed, output in derived.seeds.items():
            for position in np.ndindex(*seeds[seed].shape):
                weight = self.given[seed](position).symbolic
                self.total += weight * self.forward.element(output, position).symbolic

    def leaf(self, tensor: str, numbers: np.ndarray) -> Callable[[tuple[int, ...]], Scalar]:
        def element(position: tuple[int, ...]) -> Scalar:
            return self.names.setdefault((tensor, position), symbol(tensor, position, numbers))

        return element


def _spread(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """All positions of a small array; of a larger one some from all over it, corners included."""
    positions = list(np.ndindex(*shape))
    if len(positions) <= ELEMENTS:
        return positions
    steps = np.linspace(0, len(positions) - 1, ELEMENTS).round().astype(int)
    return [positions[k] for k in steps]


def _extents(shape: Iterable[object]) -> tuple[int, ...]:
    return tuple(int(n if isinstance(n, int) else n.value) for n in shape)  # type: ignore[attr-defined]


def _is_position(name: str, equations: Iterable[Equation]) -> bool:
    """Does the tensor hold positions, as an argmax does?"""
    kinds = [getattr(e.value, "kind", "") for e in equations if e.target == name]
    return bool(kinds) and all(kind in ("argmax", "argmin") for kind in kinds)
