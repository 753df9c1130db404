"""Chosen: what is asked of the element that a maximum has chosen is asked of the maximum.

Before:   y[n, w] = max[j:2](x[n, 2*w + j]);    p[n, w] = argmax[j:2](x[n, 2*w + j])
          d[n, 2*w + 1] = where(x[n, 2*w + 1] > 0, where(1 == p[n, w], g[n, w], 0), 0)
After:    y[n, w] = max[j:2](x[n, 2*w + j]);    p[n, w] = argmax[j:2](x[n, 2*w + j])
          d[n, 2*w + 1] = where(1 == p[n, w], where(y[n, w] > 0, g[n, w], 0), 0)

At the place where a maximum was found stands the maximum, NaN included; for a minimum likewise. Then x is read by the
two alone, which become one kernel, and need not be kept until the others ask. Declines where anything else is asked of
x, for then it is kept too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

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
from ..language.integers import simplify_integer
from ..language.match import covers
from ..language.notes import Note, note
from ..language.system import Equation, System, reads

__all__ = ["alike", "chosen"]

_KINDS = {"max": "max", "firstmax": "max", "argmax": "max",
          "min": "min", "firstmin": "min", "argmin": "min"}  # fmt: skip
_NOTHING = expr(0)


@dataclass(frozen=True, slots=True)
class _Choice:
    """``places`` tells where among elements of ``source`` the value of ``target`` was found."""

    source: str
    target: str
    places: Equation

    def chosen(self, number: int, at: Sequence[Expr]) -> Element:
        """The element that has a number among those that the maximum at some subscripts is of."""
        choice = self.places.value
        assert isinstance(choice, Reduce)
        assert isinstance(choice.body, Element)
        values: dict[Expr, Expr] = {}
        for index, size in reversed(choice.binders):
            number, digit = divmod(number, _number(size))
            values[index] = expr(digit)
        values |= dict(zip(self.places.subscripts, at, strict=True))
        subscripts = (
            simplify_integer(substitute(s, values), self.places.sizes)
            for s in choice.body.subscripts
        )
        return Element(self.source, tuple(subscripts))


def chosen(system: System, notes: list[Note] | None = None) -> System:
    """The system, its maxima asked in the place of what they have chosen."""
    choices = {c.places.target: c for c in _choices(system)}
    if not choices:
        return system
    left = {c.source for c in choices.values()}
    own = {c.places.target for c in choices.values()} | {c.target for c in choices.values()}
    for equation in system.equations:
        if equation.target not in own:
            left -= {e.tensor for e in reads(_asking(equation, choices))}
    choices = {name: c for name, c in choices.items() if c.source in left}
    equations = tuple(_asking(e, choices) for e in system.equations)
    if equations == system.equations:
        return system
    for choice in choices.values():
        note(notes, "chosen", choice.target, f"tells what is asked of {choice.source}")
    return replace(system, equations=equations)


def alike(one: Equation, other: Equation) -> bool:
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


def _choices(system: System) -> Iterator[_Choice]:
    """Maxima of local tensors of which the place is asked for, too."""
    tensors = system.by_name
    values: dict[Expr, str] = {}
    places: dict[Expr, Equation] = {}
    for equation in system.equations:
        among = _among(equation)
        if among is None or not covers(equation, tensors[equation.target]):
            continue
        if equation.value.kind.startswith("arg"):  # type: ignore[attr-defined]
            places[among] = equation
        else:
            values[among] = equation.target
    for among, equation in places.items():
        source = equation.value.body.tensor  # type: ignore[attr-defined]
        if among in values and tensors[source].role == "local":
            yield _Choice(source, values[among], equation)


def _asking(equation: Equation, choices: Mapping[str, _Choice]) -> Equation:
    value = _ask(equation.value, choices)
    return equation if value == equation.value else replace(equation, value=value)


def _ask(e: Expr, choices: Mapping[str, _Choice]) -> Expr:
    """The expression, its conditions behind one on a place asking what was found there."""
    e = rebuild(e, lambda child: _ask(child, choices))
    match e:
        case Call("where", (asked, Call("where", (place, value, other)), nothing)) if (
            other == nothing == _NOTHING
        ):
            found = _moved(asked, place, choices)
            if found != asked:
                inner = Call("where", (found, value, _NOTHING))
                return Call("where", (place, inner, _NOTHING))
        case Call("where", (Call("==") as place, Call("where", (asked, value, other)), nothing)):
            inner = Call("where", (_moved(asked, place, choices), value, other))
            return Call("where", (place, inner, nothing))
    return e


def _moved(asked: Expr, place: Expr, choices: Mapping[str, _Choice]) -> Expr:
    """A condition where another one holds, of what is equal then."""
    match place:
        case Call("==", (Number(number), Element(name, at))) | Call(
            "==", (Element(name, at), Number(number))
        ) if name in choices:
            choice = choices[name]
            old, new = choice.chosen(int(number), at), Element(choice.target, at)
            return _compared(asked, old, new)
    return asked


def _compared(e: Expr, old: Element, new: Element) -> Expr:
    """What is compared with the old element is compared with the new one: signs of zeros may differ."""
    match e:
        case Call(sign, arguments) if sign in COMPARISONS:
            return Call(sign, tuple(new if a == old else a for a in arguments))
    return rebuild(e, lambda child: _compared(child, old, new))


def _number(size: Expr | None) -> int:
    assert isinstance(size, Number)
    return int(size.value)
