"""Chosen: what is asked of the element that a maximum has chosen is asked of the maximum.

Before:   y[n, w] = max[j:2](x[n, 2*w + j]);    p[n, w] = argmax[j:2](x[n, 2*w + j])
          d[n, 2*w + 1] = where(x[n, 2*w + 1] > 0, where(1 == p[n, w], g[n, w], 0), 0)
After:    y[n, w] = max[j:2](x[n, 2*w + j]);    p[n, w] = argmax[j:2](x[n, 2*w + j])
          d[n, 2*w + 1] = where(1 == p[n, w], where(y[n, w] > 0, g[n, w], 0), 0)

At the place where a maximum was found stands the maximum, NaN included; for a minimum likewise. Then x is read by the
two alone, which become one kernel, and need not be kept until the others ask. Declines where anything else is asked of
x, for then it is kept too; where the maximum is kept with other digits than x, or its place as a truth, or something
is added to it; and where it may be asked outside its range, for there a maximum is 0, and so is its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from ..language.expression import (
    COMPARISONS,
    Call,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    canonical,
    expr,
    rebuild,
    substitute,
)
from ..language.form import names_read, of_form
from ..language.integers import is_nonnegative, simplify_integer
from ..language.match import Sizes, covers, inner_sizes
from ..language.notes import Note, note
from ..language.system import Equation, System

__all__ = ["among_the_same", "chosen"]

_KINDS = {"max": "max", "firstmax": "max", "argmax": "max",
          "min": "min", "firstmin": "min", "argmin": "min"}  # fmt: skip
_NOTHING = expr(0)


@dataclass(frozen=True, slots=True)
class _Choice:
    """``places`` tells where among elements of ``source`` the value of ``target`` was found."""

    source: str
    target: str
    places: Equation

    def chosen(self, number: int, at: Sequence[Expr], sizes: Sizes) -> Element | None:
        """The element that has a number among those that the maximum at some subscripts is of; None where that is
        not sure.
        """
        choice = self.places.value
        assert isinstance(choice, Reduce)
        assert isinstance(choice.body, Element)
        counts = [b.extent for b in choice.binders]
        if not 0 <= number < prod(counts) or (number == 0 and not self.is_inside(at, sizes)):
            return None
        values: dict[Expr, Expr] = {}
        for index, count in zip(reversed(choice.indices), reversed(counts), strict=True):
            number, digit = divmod(number, count)
            values[index] = expr(digit)
        values |= dict(zip(self.places.subscripts, at, strict=True))
        subscripts = (
            simplify_integer(substitute(s, values), sizes) for s in choice.body.subscripts
        )
        return Element(self.source, tuple(subscripts))

    def is_inside(self, at: Sequence[Expr], sizes: Sizes) -> bool:
        """Is there a maximum at these subscripts, surely?"""
        shape = self.places.extents.values()
        return all(
            is_nonnegative(place, sizes) and is_nonnegative(n - 1 - place, sizes)
            for place, n in zip(at, shape, strict=True)
        )


def chosen(system: System, notes: list[Note] | None = None) -> System:
    """The system, its maxima asked in the place of what they have chosen."""
    choices = {c.places.target: c for c in _choices(system)}
    if not choices:
        return system
    left = {c.source for c in choices.values()}
    own = {c.places.target for c in choices.values()} | {c.target for c in choices.values()}
    for equation in system.equations:
        if equation.target not in own:
            left.difference_update(names_read(_asking(equation, choices)))
    choices = {name: c for name, c in choices.items() if c.source in left}
    equations = tuple(_asking(e, choices) for e in system.equations)
    if equations == system.equations:
        return system
    for choice in choices.values():
        note(notes, "chosen", choice.target, f"tells what is asked of {choice.source}")
    return system.with_equations(equations)


def among_the_same(one: Equation, other: Equation) -> bool:
    """Do both look for a maximum, or its place, among the same elements?"""
    return _among(one) is not None and _among(one) == _among(other)


def _among(equation: Equation) -> Expr | None:
    """What a maximum is of, whatever its indices are called, and whether its value or its place is asked for."""
    value = equation.value
    if not isinstance(value, Reduce) or value.kind not in _KINDS:
        return None
    if not isinstance(value.body, Element):
        return None
    names = {s: Index(f"#{k}") for k, s in enumerate(equation.subscripts)}
    return canonical(substitute(replace(value, kind=_KINDS[value.kind]), names))


@of_form
def _is_maximum(equation: Equation) -> bool:
    return _among(equation) is not None


def _choices(system: System) -> Iterator[_Choice]:
    """Maxima of local tensors of which the place is asked for, too."""
    tensors = system.by_name
    values: dict[Expr, str] = {}
    places: dict[Expr, Equation] = {}
    for name, (equation, *others) in system.definitions().items():
        if others or not _is_maximum(equation) or not covers(equation, tensors[name]):
            continue
        among = _among(equation)
        assert among is not None
        if equation.value.kind.startswith("arg"):  # type: ignore[attr-defined]
            places[among] = equation
        else:
            values[among] = name
    for among, equation in places.items():
        source = tensors[equation.value.body.tensor]  # type: ignore[attr-defined]
        if among not in values or source.role != "local":
            continue
        target, place = tensors[values[among]], tensors[equation.target]
        is_exact = target.dtype == source.dtype and place.dtype.startswith("int")
        if is_exact and target.shape == place.shape:
            yield _Choice(source.name, target.name, equation)


def _asking(equation: Equation, choices: Mapping[str, _Choice]) -> Equation:
    if choices.keys().isdisjoint(names_read(equation)):
        return equation
    value = _ask(equation.value, equation.sizes, choices)
    return equation if value == equation.value else replace(equation, value=value)


def _ask(e: Expr, sizes: Sizes, choices: Mapping[str, _Choice]) -> Expr:
    """The expression, its conditions behind one on a place asking what was found there."""
    inside = inner_sizes(sizes, e.binders) if isinstance(e, Reduce) else sizes
    e = rebuild(e, lambda child: _ask(child, inside, choices))
    match e:
        case Call("where", (asked, Call("where", (place, value, other)), nothing)) if (
            other == nothing == _NOTHING
        ):
            found = _moved(asked, place, sizes, choices)
            if found != asked:
                inner = Call("where", (found, value, _NOTHING))
                return Call("where", (place, inner, _NOTHING))
        case Call("where", (Call("==") as place, Call("where", (asked, value, other)), nothing)):
            inner = Call("where", (_moved(asked, place, sizes, choices), value, other))
            return Call("where", (place, inner, nothing))
    return e


def _moved(asked: Expr, place: Expr, sizes: Sizes, choices: Mapping[str, _Choice]) -> Expr:
    """A condition where another one holds, of what is equal then."""
    match place:
        case Call("==", (Number(number), Element(name, at))) | Call(
            "==", (Element(name, at), Number(number))
        ) if name in choices:
            choice = choices[name]
            old = choice.chosen(int(number), at, sizes) if number.denominator == 1 else None
            return asked if old is None else _compared(asked, old, Element(choice.target, at))
    return asked


def _compared(e: Expr, old: Element, new: Element) -> Expr:
    """What is compared with the old element is compared with the new one: signs of zeros may differ."""
    match e:
        case Call(sign, arguments) if sign in COMPARISONS:
            return Call(sign, tuple(new if a == old else a for a in arguments))
    return rebuild(e, lambda child: _compared(child, old, new))
