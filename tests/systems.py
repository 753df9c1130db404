"""Random valid systems with arrays for them: the fuel of every property test.

    cases()                   a hypothesis strategy: `Case`s that shrink
    random_case(Random(7))    the same from a seed

Values stay in the domain of what is applied to them and near 1 in size. What jumps (comparisons,
argmax, sign, floor, round) is applied to inputs only, whose values are exact eighths, so that
rounding never decides; ties are frequent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies

from compiler.language.expression import Binder, Call, Element, Expr, Index, Number, Reduce, expr
from compiler.language.system import Equation, System, Tensor, reads

__all__ = ["Case", "cases", "random_case"]

DIMENSIONS = (1, 2, 3, 7, 8, 15, 16, 17, 33, 65)
NUMBERS = (Fraction(1, 2), Fraction(-1), Fraction(2), Fraction(1, 4), Fraction(-1, 3))
LETTERS = "abcdefgh"
BOUND = "ijklmpqr"


@dataclass(frozen=True)
class Case:
    """A system and arrays for its inputs and parameters."""

    system: System
    arrays: dict[str, Any]

    def __repr__(self) -> str:
        return f"{self.system}\n" + "\n".join(f"{k} = {v!r}" for k, v in self.arrays.items())


def cases(volume: int = 400) -> strategies.SearchStrategy[Case]:
    """Cases whose tensors have at most ``volume`` elements."""
    randoms = strategies.randoms(use_true_random=False)
    return randoms.map(lambda random: random_case(random, volume))


def random_case(random: Random, volume: int = 400) -> Case:
    """One to six equations or families of equations over a few inputs."""
    return _Builder(random, volume).build()


class _Builder:
    def __init__(self, random: Random, volume: int) -> None:
        self.random = random
        self.volume = volume
        self.dtype = random.choice(("float32", "float32", "float64"))
        self.tensors: list[Tensor] = []
        self.equations: list[Equation] = []
        self.updates: list[tuple[str, str]] = []
        self.limit = random.choice((2, 3, 7))  # data subscripts lie below it

    def build(self) -> Case:
        random = self.random
        for name in ("x", "w", "v")[: random.randint(1, 3)]:
            self.tensors.append(Tensor(name, self.shape(random.randint(0, 3)), self.dtype, "input"))
        if random.random() < 0.4:
            dtype = random.choice(("int32", "int64"))
            self.tensors.append(Tensor("t", self.shape(1), dtype, "input"))
            self.tensors.append(Tensor("E", (self.limit, 3), self.dtype, "parameter"))
        families = (
            (self.pointwise, 4),
            (self.reduction, 4),
            (self.contraction, 3),
            (self.window, 2),
            (self.normalized, 2),
            (self.recurrence, 1),
            (self.disjoint, 1),
            (self.flattened, 1),
            (self.accumulated, 1),
            (self.integers, 1),
            (self.copied, 1),
            (self.state, 1),
        )
        choices = [family for family, weight in families for _ in range(weight)]
        for _ in range(random.randint(1, 6)):
            random.choice(choices)()
        system, arrays = self.finish(), self.arrays()
        return Case(system, {name: arrays[name] for name in system.names("input", "parameter")})

    def finish(self) -> System:
        """What nothing reads is an output, and some of the rest."""
        read = {e.tensor for q in self.equations for e in _elements(q)}
        used = [t for t in self.tensors if t.role != "parameter" or t.name in read]
        updated = [new for _, new in self.updates]
        tensors = []
        for t in used:
            out = (t.name not in read and t.name not in updated) or self.random.random() < 0.3
            tensors.append(
                Tensor(t.name, t.shape, t.dtype, "output") if t.role == "local" and out else t
            )
        equations = list(self.equations)
        self.random.shuffle(equations)
        names = {t.name for t in used}
        return System(
            tuple(tensors), tuple(equations), tuple(u for u in self.updates if u[0] in names)
        )

    def arrays(self) -> dict[str, Any]:
        generator = np.random.default_rng(self.random.randrange(1 << 32))
        found: dict[str, Any] = {}
        for t in self.tensors:
            if t.role in ("input", "parameter"):
                whole = t.dtype.startswith("int")
                low, high, unit = (0, self.limit, 1) if whole else (-12, 13, 8)
                found[t.name] = (generator.integers(low, high, t.shape) / unit).astype(t.dtype)
        return found

    # --- shapes, indices, elements ----------------------------------------------------------------

    def shape(self, rank: int) -> tuple[int, ...]:
        while True:
            shape = tuple(self.random.choice(DIMENSIONS) for _ in range(rank))
            if math.prod(shape) <= self.volume:
                return shape
            rank = max(rank - 1, 1)

    def real(self) -> list[Tensor]:
        return [t for t in self.tensors if t.dtype == self.dtype]

    def exact(self) -> list[Tensor]:
        return [t for t in self.real() if t.role == "input"]

    def define(
        self,
        subscripts: Sequence[Expr],
        indices: Sequence[Binder],
        value: Expr,
        shape: Sequence[int],
    ) -> str:
        """One new tensor of this shape with one equation."""
        name = f"y{len(self.tensors)}"
        self.tensors.append(Tensor(name, tuple(shape), self.dtype))
        self.equations.append(Equation(name, tuple(subscripts), tuple(indices), value))
        return name

    def plain(self, shape: Sequence[int]) -> list[Binder]:
        return [_binder(LETTERS[axis], size) for axis, size in enumerate(shape)]

    def element(self, indices: Sequence[Binder], tensors: Sequence[Tensor] = ()) -> Element:
        """Some tensor read at some function of the indices."""
        tensor = self.random.choice(list(tensors) or self.real())
        return Element(tensor.name, tuple(self.subscript(n, indices) for n in tensor.shape))

    def subscript(self, size: int, indices: Sequence[Binder]) -> Expr:
        random = self.random
        equal = [b.index for b in indices if b.size == _number(size)]
        if equal and random.random() < 0.75:
            return random.choice(equal)
        data = [t for t in self.tensors if t.name == "t"]
        if data and random.random() < 0.3:
            entry = Element("t", (self.subscript(data[0].shape[0], indices),))
            inside = size >= self.limit and entry.subscripts[0] in [b.index for b in indices]
            return entry if inside else entry + random.randint(-2, -1)
        if not indices or random.random() < 0.15:
            return _number(random.randrange(size))
        index, other = random.choice(indices).index, random.choice(indices).index
        return random.choice(
            (
                index,
                index + random.randint(-2, 2),
                2 * index + random.randint(-1, 1),
                size - 1 - index,
                index // 2,
                index % size,
                index + other - 1,
                (index * 3 + other) // 2,
            )
        )

    def term(self, indices: Sequence[Binder], depth: int = 2) -> Expr:
        """A scalar expression of elements, near 1 in size."""
        random = self.random
        if depth == 0 or random.random() < 0.15:
            return self.element(indices)

        def part() -> Expr:
            return self.term(indices, depth - 1)

        shared = part()
        return random.choice(
            (
                lambda: part() + part(),
                lambda: part() - part(),
                lambda: part() * part(),
                lambda: _number(random.choice(NUMBERS)) * part(),
                lambda: part() * 1 + 0,
                lambda: -part() / 2,
                lambda: part() ** random.randint(0, 3),
                lambda: shared * Call("sigmoid", (shared,)),
                lambda: shared / (1 + shared * shared),
                lambda: Call(
                    random.choice(("tanh", "sin", "cos", "erf", "erfc", "abs")), (shared,)
                ),
                lambda: Call("exp", (Call("tanh", (shared,)),)),
                lambda: Call("log", (1 + Call("abs", (shared,)),)),
                lambda: Call("log1p", (Call("abs", (shared,)),)),
                lambda: Call("expm1", (Call("min", (shared, expr(1))),)),
                lambda: Call("sqrt", (Call("abs", (shared,)) + 0.25,)),
                lambda: Call(random.choice(("max", "min")), (part(), part())),
                lambda: Call("max", (expr(0), shared)),
                lambda: Call("where", (self.condition(indices), part(), part())),
                lambda: Call(
                    random.choice(("sign", "floor", "round")),
                    (self.element(indices, self.exact()),),
                ),
                lambda: self.reduced(indices, depth - 1),
            )
        )()

    def condition(self, indices: Sequence[Binder]) -> Expr:
        random = self.random
        exact = Call(">", (self.element(indices, self.exact()), expr(Fraction(1, 4))))
        if not indices:
            return exact
        first, second = random.choice(indices), random.choice(indices)
        known = Call("<=", (expr(0), first.index))
        return random.choice(
            (
                exact,
                known,
                Call("and", (known, Call("<", (first.index, expr(random.randint(0, 9)))))),
                Call("or", (exact, Call("==", (first.index % 2, expr(0))))),
                Call("not", (exact,)),
                Call("<", (first.index, second.index + 1)),
            )
        )

    def reduced(self, indices: Sequence[Binder], depth: int = 1) -> Expr:
        """A reduction over one or two new indices."""
        random = self.random
        taken = [b.index.name for b in indices]
        letters = [c for c in BOUND if c not in taken]
        size = random.choice((1, 2, 3, 7, 8, 17) if len(taken) < 3 else (2, 3))
        binders = [_binder(letters[0], size)]
        if random.random() < 0.25:
            binders.append(_binder(letters[1], 2))
        inside = [*indices, *binders]
        kind = random.choice(
            ("sum", "sum", "mean", "max", "min", "firstmax", "firstmin", "prod", "argmax", "argmin")
        )
        if kind.startswith("arg"):
            return Reduce(kind, self.element(inside, self.exact()), tuple(binders)) * 0.125
        if kind == "prod":
            return Reduce(kind, Call("tanh", (self.element(inside),)), tuple(binders))
        body = self.term(inside, min(depth, 1)) * (_number(Fraction(1, 4)) if kind == "sum" else 1)
        return Reduce(kind, body, tuple(binders))

    # --- families of equations --------------------------------------------------------------------

    def pointwise(self) -> None:
        indices = self.plain(self.shape(self.random.randint(0, 4)))
        self.whole(indices, self.term(indices, 3))

    def whole(self, indices: Sequence[Binder], value: Expr) -> str:
        return self.define([b.index for b in indices], indices, value, _extents(indices))

    def reduction(self) -> None:
        indices = self.plain(self.shape(self.random.randint(0, 2)))
        self.whole(indices, self.reduced(indices))

    def contraction(self) -> None:
        """Like a matrix product: a sum of products of two tensors, which share the bound index."""
        indices = self.plain(self.shape(2))
        bound = _binder("k", self.random.choice(DIMENSIONS))
        inside = [*indices, bound]
        body = self.element(inside) * self.element(inside)
        total = Reduce("sum", body, (bound,)) * _number(Fraction(1, 8))
        self.whole(indices, total if self.random.random() < 0.5 else total + self.element(indices))

    def window(self) -> None:
        """A weighted sum over a small window, with stride and padding."""
        random = self.random
        tensor = random.choice([t for t in self.real() if len(t.shape) <= 3])
        stride, offset = random.choice((1, 1, 2)), random.choice((0, 0, -1))
        free, bound, places = [], [], []
        for axis, size in enumerate(tensor.shape):
            step, inner = (
                _binder(LETTERS[axis], -(-size // stride)),
                _binder(BOUND[axis], random.choice((1, 2, 3))),
            )
            free.append(step)
            bound.append(inner)
            places.append(stride * step.index + inner.index + offset)
        if not free:
            return
        kind = random.choice(("sum", "mean", "max", "firstmax"))
        weight = self.element([*free, *bound]) if kind == "sum" else expr(1)
        self.whole(free, Reduce(kind, Element(tensor.name, tuple(places)) * weight, tuple(bound)))

    def normalized(self) -> None:
        """exp(x)/sum(exp(x)) over the last axis, and perhaps its logarithm."""
        random = self.random
        shapes = [t for t in self.real() if t.shape]
        if not shapes:
            return
        tensor = random.choice(shapes)
        indices = self.plain(tensor.shape)
        other = Binder(Index("z"), indices[-1].size)
        here = [b.index for b in indices]
        power = Call("exp", (Element(tensor.name, tuple(here)),))
        total = Reduce(
            "sum", Call("exp", (Element(tensor.name, (*here[:-1], other.index)),)), (other,)
        )
        name = self.whole(indices, power / total)
        if random.random() < 0.5:
            self.whole(indices, Call("log", (Element(name, tuple(here)),)))

    def recurrence(self) -> None:
        """h[a, t] from h[a, t-1] or h[a, t+1]."""
        random = self.random
        indices = self.plain((random.choice((1, 2, 7)), random.choice((2, 3, 8, 17))))
        batch, time = (b.index for b in indices)
        name, lag = f"y{len(self.tensors)}", random.choice((-1, -1, -2, 1))
        before = Element(name, (batch, time + lag))
        value = Call("tanh", (before,)) * 0.5 + self.term(indices, 1)
        if random.random() < 0.4:
            bound = Binder(Index("k"), indices[0].size)
            weight = self.element([*indices, bound], self.exact())
            value = value + 0.125 * Reduce(
                "sum", weight * Element(name, (bound.index, time + lag)), (bound,)
            )
        self.whole(indices, value)

    def disjoint(self) -> None:
        """y[b, 0] = ..., y[b, t+1] = ..., the second perhaps from the first."""
        rows, columns = self.random.choice((1, 3, 8)), self.random.choice((2, 3, 7, 16))
        row, column = _binder("b", rows), _binder("t", columns - 1)
        value = self.term([row, column], 1)
        name = self.define((row.index, expr(0)), (row,), self.term([row], 1), (rows, columns))
        if self.random.random() < 0.5:
            value = value + 0.5 * Element(name, (row.index, column.index))
        place = (row.index, column.index + 1)
        self.equations.append(Equation(name, place, (row, column), value))

    def flattened(self) -> None:
        """y[a*n + b] = ..., and back by // and %."""
        rows, columns = self.random.choice((1, 2, 7)), self.random.choice((2, 3, 8))
        row, column, flat = _binder("a", rows), _binder("b", columns), _binder("p", rows * columns)
        value = self.term([row, column], 1)
        place = row.index * columns + column.index
        name = self.define((place,), (row, column), value, (rows * columns,))
        back = self.define(
            (row.index, column.index), (row, column), Element(name, (place,)), (rows, columns)
        )
        self.whole((flat,), Element(back, (flat.index // columns, flat.index % columns)))

    def accumulated(self) -> None:
        """y[s] += ... where s is data, a quotient, or one place for all."""
        random = self.random
        index, other = _binder("n", random.choice((3, 8, 17))), _binder("e", 3)
        data = [t for t in self.tensors if t.name == "t"]
        name = f"y{len(self.tensors)}"
        if data:
            index, size = _binder("n", data[0].shape[0]), self.limit
            place: Expr = Element("t", (index.index,))
        else:
            size = int(index.size.value) // 2 + 1  # type: ignore[union-attr]
            place = random.choice((index.index // 2, expr(1), index.index % 2))
        row = _binder("m", size)
        start = Equation(name, (row.index, other.index), (row, other), self.term([row, other], 1))
        more = Equation(
            name, (place, other.index), (index, other), self.element([index, other]), True
        )
        self.tensors.append(Tensor(name, (size, 3), self.dtype))
        self.equations += [start, more] if random.random() < 0.5 else [more]

    def integers(self) -> None:
        """Integer tensors: positions of maxima, and arithmetic with // and %."""
        indices = self.plain(self.shape(1))
        bound = _binder("k", self.random.choice((2, 3, 7)))
        best = Reduce("argmax", self.element([*indices, bound], self.exact()), (bound,))
        value: Expr = self.random.choice(
            (best, best * 2 - 1, best % 2, expr(7) // best, indices[0].index // (best + 1))
        )
        name = f"y{len(self.tensors)}"
        self.tensors.append(Tensor(name, _extents(indices), "int64"))
        here = tuple(b.index for b in indices)
        self.equations.append(Equation(name, here, tuple(indices), value))

    def copied(self) -> None:
        """A copy, or a second equation equal to one that stands already."""
        tensor = self.random.choice(self.real())
        plain = [
            q
            for q in self.equations
            if q.is_plain and not any(e.tensor == q.target for e in _elements(q))
        ]
        if plain and self.random.random() < 0.5:
            twin = self.random.choice(plain)
            if {t.name: t.dtype for t in self.tensors}[twin.target] == self.dtype:
                self.define(twin.subscripts, twin.indices, twin.value, _extents(twin.indices))
            return
        indices = self.plain(tensor.shape)
        self.whole(indices, Element(tensor.name, tuple(b.index for b in indices)))

    def state(self) -> None:
        """A parameter that takes a new value from what stands so far."""
        shape = self.shape(self.random.randint(0, 2))
        name = f"s{len(self.tensors)}"
        self.tensors.append(Tensor(name, shape, self.dtype, "parameter"))
        indices = self.plain(shape)
        here = Element(name, tuple(b.index for b in indices))
        new = self.whole(indices, here - 0.125 * self.term(indices, 1))
        self.updates.append((name, new))


def _number(value: int | Fraction) -> Number:
    return Number(Fraction(value))


def _binder(name: str, size: int) -> Binder:
    return Binder(Index(name), _number(size))


def _extents(indices: Sequence[Binder]) -> tuple[int, ...]:
    return tuple(int(b.size.value) for b in indices if isinstance(b.size, Number))


def _elements(equation: Equation) -> list[Element]:
    return list(reads(equation))
