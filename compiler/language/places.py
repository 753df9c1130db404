"""Where equations store: is every element defined once?

    each alone     y[a*5 + b], b < 5      smaller terms never reach the next larger step
                   y[i//3, i%3]           quotient and remainder together tell i
                   y[n, t[n]]             whatever t holds, n tells its row
    two of them    y[n, 0], y[n, t + 1]   the difference of two subscripts is never zero
                   y[2*i], y[2*i + 1]     it is never zero modulo 2

Sizes may be symbols; what is proved holds for all of them. What cannot be proved is refused, with an element that is
defined twice where a search among few places finds one. Sums (``+=``) may meet anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations, product
from math import gcd, prod

from .expression import (
    Binder,
    Call,
    Element,
    Expr,
    Index,
    Number,
    Size,
    Symbol,
    children,
    elements,
    expr,
    free_indices,
    substitute,
    walk,
)
from .form import of_form
from .integers import Polynomial, bounds, is_nonnegative, polynomial, simplify_integer
from .system import Equation
from .text import expression_text

__all__ = ["defined_twice"]

MAX_DIGITS = 5  # of a mixed radix: more terms are not tried in every order
MAX_PLACES = 4096  # among which an element that is defined twice is searched for
SIZES = (1, 2, 3, 4, 7)  # that an open size is given in the search

Sizes = Mapping[Index, Expr]


def defined_twice(equations: Sequence[Equation]) -> tuple[Equation, str] | None:
    """An equation that may define an element anew, and the cause; None if there is none."""
    plain: dict[str, list[Equation]] = {}
    for equation in equations:
        if not equation.accumulate:
            plain.setdefault(equation.target, []).append(equation)
    for own in plain.values():
        for equation in own:
            if not _tells_its_indices(equation):
                return equation, _met_itself(equation)
        for first, second in combinations(own, 2):
            if not _are_apart(first, second):
                return second, _met(first, second)
    return None


# --- proofs -----------------------------------------------------------------------------------------------------


@of_form
def _tells_its_indices(equation: Equation) -> bool:
    """Is no element the place of two values of the indices?"""
    if equation.is_plain:
        return True
    sizes = equation.sizes
    told: dict[Expr, None] = dict.fromkeys(i for i, n in sizes.items() if n == expr(1))
    forms = [polynomial(simplify_integer(s, sizes)) for s in equation.subscripts]
    grown = True
    while grown:
        before = len(told)
        for form in forms:
            told |= dict.fromkeys(_digits(form, told, sizes))
        forms += [form for form in _wholes(told) if form not in forms]
        grown = len(told) > before
    return any(n == expr(0) for n in sizes.values()) or all(i in told for i in sizes)


def _digits(form: Polynomial, told: Mapping[Expr, None], sizes: Sizes) -> Sequence[Expr]:
    """The terms that the value of a form tells, as the digits of a number are told by it."""
    terms: dict[Expr, Expr] = {}
    for atom in form.atoms():
        open_indices = [i for i in free_indices(atom) if i not in told]
        if atom in told or not open_indices:
            continue
        factor = form.coefficient(atom)
        if any(free_indices(a) for a in factor.atoms()):
            return ()  # a product of indices
        terms[atom] = factor.expression()
    if len(terms) > MAX_DIGITS:
        return ()
    orders = permutations(terms.items())
    return list(terms) if any(_is_radix(digits, sizes) for digits in orders) else ()


def _is_radix(digits: Sequence[tuple[Expr, Expr]], sizes: Sizes) -> bool:
    """Is each step at least as long as all that the digits before it reach?"""
    reach: Expr = expr(1)
    for atom, factor in digits:
        step = factor if is_nonnegative(factor, {}) else -factor
        span = bounds(atom, sizes)
        if span is None or not is_nonnegative(step - reach, {}):
            return False
        reach = reach + step * (span[1] - span[0])
    return True


def _wholes(told: Mapping[Expr, None]) -> Iterator[Polynomial]:
    """``e`` where both ``e//m`` and ``e%m`` are told."""
    for atom in told:
        match atom:
            case Call("%", (whole, Number() as divisor)):
                quotients = [Call("//", (whole, divisor))]
                if isinstance(whole, Call) and whole.function == "//":
                    inner, first = whole.arguments
                    if isinstance(first, Number):  # (e//a)//b is e//(a*b)
                        quotients.append(Call("//", (inner, Number(first.value * divisor.value))))
                if any(q in told for q in quotients):
                    yield polynomial(whole)


def _are_apart(first: Equation, second: Equation) -> bool:
    """Do two equations never define the same element?"""
    second = _renamed(second)
    sizes = {**first.sizes, **second.sizes}
    if any(n == expr(0) for n in sizes.values()):
        return True
    pairs = zip(first.subscripts, second.subscripts, strict=True)
    return _cannot_vanish([polynomial(a) - polynomial(b) for a, b in pairs], sizes)


def _cannot_vanish(forms: Sequence[Polynomial], sizes: Sizes) -> bool:
    """Is some form never zero, perhaps after another one has told an index?"""
    if any(_is_never_zero(form, sizes) for form in forms):
        return True
    for place, form in enumerate(forms):
        for atom in form.atoms():
            factor = form.coefficient(atom)
            if isinstance(atom, Index) and factor.is_constant and abs(factor.constant) == 1:
                value = form.without(atom).scaled(-1 / factor.constant).expression()
                if atom in free_indices(value):
                    continue
                rest = [f for k, f in enumerate(forms) if k != place]
                told = [polynomial(substitute(f.expression(), {atom: value})) for f in rest]
                return _cannot_vanish(told, sizes)
    return False


def _is_never_zero(form: Polynomial, sizes: Sizes) -> bool:
    span = bounds(form.expression(), sizes)
    if span is not None and (is_nonnegative(span[0] - 1, {}) or is_nonnegative(-span[1] - 1, {})):
        return True
    factors = [factor for monomial, factor in form.terms if monomial]
    if not factors or any(f.denominator != 1 for f in factors):
        return False
    return form.constant % gcd(*(int(f) for f in factors)) != 0


def _renamed(equation: Equation) -> Equation:
    """With other names for its indices."""
    names: dict[Expr, Expr] = {i: Index(f"{i.name}'") for i, _ in equation.indices}
    indices = tuple(Binder(names[i], n) for i, n in equation.indices)  # type: ignore[arg-type]
    subscripts = tuple(substitute(s, names) for s in equation.subscripts)
    return replace(equation, subscripts=subscripts, indices=indices)


# --- examples and messages --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """An element, the values of the indices at which an equation defines it, the open sizes."""

    element: tuple[int, ...]
    values: Mapping[Expr, int]
    open_sizes: Mapping[Expr, int]

    def at(self, equation: Equation) -> str:
        named = [f"{i.name} = {self.values[i]}" for i, _ in equation.indices]
        return f" at {', '.join(named)}" if named else ""


def _met_itself(equation: Equation) -> str:
    data = [e.tensor for s in equation.subscripts for e in elements(s)]
    if data:
        why = f"equal numbers in {data[0]} name the same element"
    else:
        twice = _search(equation, equation)
        why = "different indices may lead to the same element"
        if twice:
            first, second = twice
            element = _element(equation, first)
            why = f"{element} is defined{first.at(equation)} and again{second.at(equation)}"
    return (
        f"{_left(equation)} = ... may define an element of {equation.target} twice: {why}."
        f" Add up what meets with '+=', or let the subscripts tell the indices apart"
    )


def _met(first: Equation, second: Equation) -> str:
    twice = _search(first, second)
    why = "their places cannot be told apart"
    if twice:
        one, other = twice
        element = _element(first, one)
        why = f"{element} is defined by the one{one.at(first)} and by the other{other.at(second)}"
    return (
        f"{_left(first)} = ... and {_left(second)} = ... overlap: {why}."
        f" Give them disjoint ranges, choose in one line with where(...), or add up with '+='"
    )


def _left(equation: Equation) -> str:
    return expression_text(Element(equation.target, equation.subscripts))


def _element(equation: Equation, place: _Place) -> str:
    """``y[0, 3]``, and for which open sizes."""
    known = [f"{expression_text(size)} = {n}" for size, n in place.open_sizes.items()]
    element = expression_text(Element(equation.target, tuple(map(expr, place.element))))
    return element + (f" (for {', '.join(known)})" if known else "")


def _search(first: Equation, second: Equation) -> tuple[_Place, _Place] | None:
    """One element that both define, or that one equation defines twice; None if none is found."""
    parts = [e for q in (first, second) for e in (*q.subscripts, *q.sizes.values())]
    unknown = dict.fromkeys(n for e in parts for n in walk(e) if isinstance(n, (Size, Symbol)))
    for size in SIZES if unknown else SIZES[:1]:
        numbers: dict[Expr, int] = dict.fromkeys(unknown, size)
        known: dict[tuple[int, ...], _Place] = {}
        for place in _places(first, numbers):
            if first is second and place.element in known:
                return known[place.element], place
            known.setdefault(place.element, place)
        for place in _places(second, numbers) if first is not second else ():
            if place.element in known:
                return known[place.element], place
    return None


def _places(equation: Equation, numbers: Mapping[Expr, int]) -> Iterator[_Place]:
    """Places of an equation: all if they are few, else those near the ends and near written numbers."""
    extents = {i: _number(n, numbers) or 0 for i, n in equation.sizes.items()}
    ranges: list[Sequence[int]] = [range(n) for n in extents.values()]
    if prod(map(len, ranges)) > MAX_PLACES:
        near = {0, 1, 2, *(k for s in equation.subscripts for k in _written(s))}
        ranges = [sorted({k for k in (*near, n - 1) if 0 <= k < n}) for n in extents.values()]
    for count, chosen in enumerate(product(*ranges)):
        values: dict[Expr, int] = dict(zip(extents, chosen, strict=True))
        place = [_number(s, {**numbers, **values}) for s in equation.subscripts]
        if count > MAX_PLACES or None in place:
            return
        yield _Place(tuple(k for k in place if k is not None), values, numbers)


def _written(e: Expr) -> Iterator[int]:
    """Whole numbers in an expression, and their neighbours."""
    for node in walk(e):
        if isinstance(node, Number) and node.is_integer:
            yield from (int(node.value) + k for k in (-1, 0, 1))


def _number(e: Expr, values: Mapping[Expr, int]) -> int | None:
    """The value of an integer expression; None where something in it is not known."""
    if e in values:
        return values[e]
    if isinstance(e, Number):
        return int(e.value)
    parts = [_number(c, values) for c in children(e)]
    match e, parts:
        case Call("+", _), [int() as a, int() as b]:
            return a + b
        case Call("-", _), [int() as a, int() as b]:
            return a - b
        case Call("*", _), [int() as a, int() as b]:
            return a * b
        case Call("//", _), [int() as a, int() as b]:
            return a // b if b else 0
        case Call("%", _), [int() as a, int() as b]:
            return a % b if b else 0
        case Call("neg", _), [int() as a]:
            return -a
    return None
