"""Derived systems made to read, and to run, like those that people write.

    exp(x[i])/sum[j](exp(x[j]))                   through the output:    y[i]
    exp(-x[i])/(1 + exp(-x[i]))**2                                       y[i]*(1 - y[i])

A rewrite is kept only if it costs less to read and compute and divides by nothing that was not divided by before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from compiler.expression import (
    Binder,
    Call,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Size,
    Symbol,
    children,
    elements,
    free_indices,
    substitute,
    walk,
)
from compiler.system import Equation

from ..notation.formula import Fact
from .algebra import (
    ONE,
    Sum,
    Term,
    collect,
    cost,
    divisors,
    expand,
    expression,
    factored,
    multiply,
    opened,
    power,
    product,
    terms,
)
from .laws import Scope, simplify, summation
from .scalar import DEFINITIONS, defined

__all__ = ["Rule", "rules_of", "through", "tidied"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Expressions and what they equal in terms of ``name``, for every value of ``indices``.

    ``same`` tells that name is zero exactly where the first of them is: dividing by it is no new division.
    """

    name: Expr
    pairs: tuple[tuple[Expr, Sum], ...]
    indices: tuple[Binder, ...]
    same: bool = False

    @staticmethod
    def of_fact(fact: Fact) -> Rule:
        """What an ``assert`` line says."""
        scope = Scope({i: n for i, n in fact.indices if n is not None})
        left, right = simplify(fact.left, scope), simplify(fact.right, scope)
        return Rule(right, ((left, terms(right)),), fact.indices)


def rules_of(equation: Equation) -> Iterator[Rule]:
    """``y = c*a**p*b*...`` solved for each factor that is worth replacing: ``a = (y/(c*b*...))**(1/p)``.

    Where ``a`` is a sum ``1 + k``, k is known as well: ``k = a - 1``.
    """
    subscripts = equation.subscripts
    if equation.accumulate or not all(isinstance(s, Index) for s in subscripts):
        return
    if len(set(subscripts)) == len(equation.indices):
        yield from _solved(Element(equation.target, subscripts), equation.value, equation.indices)


def _solved(name: Expr, value: Expr, indices: tuple[Binder, ...]) -> Iterator[Rule]:
    total = terms(value)
    if len(total) != 1 or total[0].conditions:
        return
    ((coefficient, factors, _),) = total
    for base, p in factors:
        if not isinstance(base, (Call, Reduce)) or abs(p) not in (1, Fraction(1, 2)):
            continue
        others = tuple((b, -q) for b, q in factors if b != base)
        rest = multiply(Term(1 / coefficient, others), *terms(name))
        solution = power((rest,), 1 / p)
        pairs = [(base, solution)]
        inner = terms(base)
        kernels = [t for t in inner if any(isinstance(b, Call) for b, _ in t.factors)]
        if len(inner) > 1 and len(kernels) == 1 and len(kernels[0].factors) == 1:
            ((kernel, q),) = kernels[0].factors
            left = collect([*solution, *(t._replace(coefficient=-t.coefficient) for t in inner if t != kernels[0])])
            scaled = tuple(t._replace(coefficient=t.coefficient / kernels[0].coefficient) for t in left)
            if q == 1:
                pairs.append((kernel, scaled))
        yield Rule(name, tuple(pairs), indices, same=not others and p > 0)


def _folds(e: Expr) -> Iterator[Rule]:
    """Definitions read backwards: ``1/(1 + exp(-x))`` is ``sigmoid(x)``, and so is ``exp(x)/(1 + exp(x))``."""
    for node in dict.fromkeys(n for n in walk(e) if isinstance(n, Call) and n.function == "exp"):
        (u,) = node.arguments
        minus = expression(terms(-u))
        for argument in (u, minus):
            folded = Call("sigmoid", (argument,))
            yield from _solved(folded, expression(terms(defined("sigmoid", (argument,)))), ())
        grown = Call("exp", (u,)) / (1 + Call("exp", (u,)))
        yield from _solved(Call("sigmoid", (u,)), expression(terms(grown)), ())


# ---- using a rule -----------------------------------------------------------------------------------------------------


def _matched(pattern: Expr, e: Expr, free: Mapping[Index, Expr], found: dict[Index, Expr]) -> bool:
    """Is ``e`` the pattern for some values of its free indices? Notes them in ``found``."""
    if isinstance(pattern, Index) and pattern in free:
        return found.setdefault(pattern, e) == e
    if type(pattern) is not type(e):
        return False
    match pattern, e:
        case Element(a, p), Element(b, q):
            return a == b and len(p) == len(q) and all(_matched(x, y, free, found) for x, y in zip(p, q))
        case Call(a, p), Call(b, q):
            return a == b and len(p) == len(q) and all(_matched(x, y, free, found) for x, y in zip(p, q))
        case Reduce(a, p, bp), Reduce(b, q, bq):
            return a == b and bp == bq and _matched(p, q, free, found)
    return pattern == e


def _applied(rule: Rule, total: Sum, scope: Scope) -> Sum:
    """Every instance of the rule's expressions replaced, where its indices are certain to be in range."""
    free = {i: n for i, n in rule.indices if n is not None}
    result: list[Term] = []
    for t in total:
        parts: list[Sum] = [(t._replace(factors=()),)]
        for base, q in t.factors:
            parts.append(_factor(rule, base, q, free, scope))
        result += product(parts)
    return collect(result)


def _factor(rule: Rule, base: Expr, q: Fraction, free: Mapping[Index, Expr], scope: Scope) -> Sum:
    for pattern, answer in rule.pairs:
        found: dict[Index, Expr] = {}
        if not _matched(pattern, base, free, found):
            continue
        if all(i in found and scope.inside(found[i], n) for i, n in free.items()):
            return power(terms(substitute(expression(answer), dict(found))), q)  # type: ignore[arg-type]
    match base:
        case Call("+" | "-", _):
            return power(_applied(rule, terms(base), scope), q)
        case Call("where", (c, a, b)):
            left = expression(_applied(rule, terms(a), scope.given(c)))
            right = expression(_applied(rule, terms(b), scope))
            return power(terms(Call("where", (c, left, right))), q)
        case Call(function, (a,)):
            return power(terms(Call(function, (expression(_applied(rule, terms(a), scope)),))), q)
    return (Term(Fraction(1), ((base, q),)),)


def through(e: Expr, rules: Sequence[Rule], scope: Scope) -> Expr:
    """``e`` by way of results already computed, and of definitions, in its cheapest form."""
    best = cheapest(terms(e), scope)
    for rule in rules:
        best = _better(best, rule, scope)
    if any(isinstance(n, Call) and n.function == "exp" for n in walk(best)):
        for rule in list(_folds(best)):
            best = _better(best, rule, scope)
    return best


def _better(e: Expr, rule: Rule, scope: Scope) -> Expr:
    before = terms(e)
    after = _applied(rule, before, scope)
    if after == before:
        spread = _split(before, scope)
        after = _applied(rule, spread, scope)
        if after == spread:
            return e
    new = cheapest(after, scope)
    if cost(new) >= cost(e):
        return e
    allowed = divisors(e)
    fresh = [d for d in divisors(new) if d not in allowed]
    if rule.same:
        fresh = [d for d in fresh if not (isinstance(d, Element) and d.tensor == getattr(rule.name, "tensor", ""))]
    return e if fresh else new


def cheapest(total: Sum, scope: Scope) -> Expr:
    """The cheapest of a few forms: as it stands, multiplied out, each with what is shared in front."""
    spread = expand(total)
    forms = [total, factored(total), spread]
    if spread != total:
        forms.append(factored(spread))
    return min((expression(f) for f in forms), key=cost)


def _split(total: Sum, scope: Scope) -> Sum:
    """Multiplied out, and the sum of a sum as a sum of sums."""
    result: list[Term] = []
    for t in expand(total):
        parts: list[Sum] = [(t._replace(factors=()),)]
        for base, q in t.factors:
            if isinstance(base, Reduce) and base.kind == "sum" and q == 1:
                body, binders = opened(base)
                inner = _split(terms(body), scope.bind(binders))
                parts.append(summation(inner, binders, scope))
            else:
                parts.append((Term(Fraction(1), ((base, q),)),))
        pieces: list[Term] = [Term(Fraction(1))]
        for part in parts:
            pieces = [multiply(a, b) for a in pieces for b in part]
        result += pieces
    return collect(result)


def tidied(e: Expr, rules: Sequence[Rule], scope: Scope) -> Expr:
    """``e`` simplified and taken through the rules, also after its sums have been split."""
    plain = through(simplify(e, scope), rules, scope)
    spread = _split(terms(plain), scope)
    if spread == terms(plain):
        return plain
    other = through(expression(spread), rules, scope)
    return other if cost(other) < cost(plain) else plain
