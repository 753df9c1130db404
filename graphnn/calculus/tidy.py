"""Derived systems made to read, and to run, like those that people write.

    exp(x[i])/sum[j](exp(x[j]))                   through the output:    y[i]
    exp(-x[i])/(1 + exp(-x[i]))**2                                       y[i]*(1 - y[i])

A rewrite is kept only if it costs less to read and compute and divides by nothing that was not divided by before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from compiler.language.expression import (
    FUNCTIONS,
    Binder,
    Call,
    Element,
    Expr,
    Index,
    Reduce,
    substitute,
    walk,
)
from compiler.language.system import Equation

from ..notation.formula import Fact
from .algebra import (
    Sum,
    Term,
    collect,
    expression,
    multiply,
    power,
    product,
    terms,
)
from .binding import bind, opened
from .expansion import expand, factored
from .laws import Scope, simplify, summation
from .measure import Divisor, cost, divisors
from .scalar import defined

__all__ = ["Rule", "conserved", "rules_of", "through", "tidied"]

LARGE = 250  # an expression that costs more is left as it is: correct, and soon derived


@dataclass(frozen=True, slots=True)
class Rule:
    """Powers ``base**p`` and what they equal in terms of ``name``, for every value of ``indices``.

    It holds where ``conditions`` do; where they fail, name is zero. ``same`` tells that name is zero exactly where the
    first power is: dividing by it is no new division. ``law`` is what a derivation calls its use.
    """

    name: Expr
    pairs: tuple[tuple[Expr, Fraction, Sum], ...]
    indices: tuple[Binder, ...]
    conditions: tuple[Expr, ...] = ()
    same: bool = False
    law: str = "through the output"

    @property
    def free(self) -> dict[Index, Expr]:
        """The indices with a size, each with it: an instance of the rule has other expressions in their places."""
        return {i: n for i, n in self.indices if n is not None}

    def vanishes(self, e: Element, condition: Expr) -> bool:
        """Is ``e`` the rule's name at a place where it is zero if the condition fails?"""
        found: dict[Index, Expr] = {}
        return _matched(self.name, e, self.free, found) and any(
            substitute(c, dict(found)) == condition for c in self.conditions
        )

    @staticmethod
    def of_fact(fact: Fact) -> Rule:
        """What an ``assert`` line says."""
        scope = Scope({i: n for i, n in fact.indices if n is not None})
        left, right = simplify(fact.left, scope), simplify(fact.right, scope)
        return Rule(right, ((left, Fraction(1), terms(right)),), fact.indices, law="assertion")


def rules_of(equation: Equation) -> Iterator[Rule]:
    """``y = c*a**p*b*...`` solved for each factor that is worth replacing: ``a = (y/(c*b*...))**(1/p)``.

    Where ``a`` is a sum ``1 + k``, k is known as well: ``k = a - 1``.
    """
    subscripts = equation.subscripts
    if equation.accumulate or not all(isinstance(s, Index) for s in subscripts):
        return
    if len(set(subscripts)) == len(equation.indices):
        yield from _solved(Element(equation.target, subscripts), equation.value, equation.indices)


def _solved(
    name: Expr, value: Expr, indices: tuple[Binder, ...], law: str = "through the output"
) -> Iterator[Rule]:
    total = terms(value)
    if len(total) > 1:
        yield from _exponentiated(name, total, indices)
    if len(total) != 1:
        return
    ((coefficient, factors, conditions),) = total
    for base, p in factors:
        worthwhile = abs(p) == 1 and isinstance(base, (Call, Reduce))
        if not worthwhile and abs(p) != Fraction(1, 2):
            continue
        others = tuple((b, -q) for b, q in factors if b != base)
        rest = multiply(Term(1 / coefficient, others), *terms(name))
        pairs: list[tuple[Expr, Fraction, Sum]] = [(base, p, (rest,))]
        inner = terms(base)
        kernels = [t for t in inner if any(isinstance(b, Call) for b, _ in t.factors)]
        if abs(p) == 1 and len(inner) > 1 and len(kernels) == 1 and len(kernels[0].factors) == 1:
            ((kernel, q),) = kernels[0].factors
            moved = [t._replace(coefficient=-t.coefficient) for t in inner if t != kernels[0]]
            left = collect([*power((rest,), 1 / p), *moved])
            scale = 1 / kernels[0].coefficient
            pairs.append(
                (kernel, q, tuple(t._replace(coefficient=t.coefficient * scale) for t in left))
            )
        yield Rule(name, tuple(pairs), indices, conditions, not others and p > 0, law)


def _exponentiated(name: Expr, total: Sum, indices: tuple[Binder, ...]) -> Iterator[Rule]:
    """``y = a - log(s)`` as ``exp(a) = exp(y)*s``."""
    for t in total:
        match t:
            case Term(
                Fraction(numerator=-1, denominator=1),
                ((Call("log", (s,)), Fraction(numerator=1)),),
                (),
            ):
                rest = expression(tuple(other for other in total if other != t))
                answer = product([terms(Call("exp", (name,))), terms(s)])
                yield Rule(name, ((Call("exp", (rest,)), Fraction(1), answer),), indices)


def conserved(equation: Equation) -> Iterator[Rule]:
    """Sums over an index of a result that its own equation makes constant, as those of a softmax are 1."""
    if not equation.is_plain or not any(isinstance(n, Reduce) for n in walk(equation.value)):
        return
    scope, name = Scope(equation.sizes), Element(equation.target, equation.subscripts)
    for binder in equation.indices:
        total = summation(terms(equation.value), (binder,), scope)
        if all(not t.factors and not t.conditions for t in total):
            rest = tuple(b for b in equation.indices if b != binder)
            pattern = bind("sum", name, (binder,))
            yield Rule(
                expression(total), ((pattern, Fraction(1), total),), rest, law="constant sum"
            )


def _folds(e: Expr) -> Iterator[Rule]:
    """Definitions read backwards: ``1/(1 + exp(-x))`` is ``sigmoid(x)``, and so is ``exp(x)/(1 + exp(x))``."""
    for node in dict.fromkeys(n for n in walk(e) if isinstance(n, Call) and n.function == "exp"):
        (u,) = node.arguments
        minus = expression(terms(-u))
        for argument in (u, minus):
            folded = Call("sigmoid", (argument,))
            value = expression(terms(defined("sigmoid", (argument,))))
            yield from _solved(folded, value, (), "definition")
        grown = Call("exp", (u,)) / (1 + Call("exp", (u,)))
        yield from _solved(Call("sigmoid", (u,)), expression(terms(grown)), (), "definition")


# ---- using a rule


def _matched(pattern: Expr, e: Expr, free: Mapping[Index, Expr], found: dict[Index, Expr]) -> bool:
    """Is ``e`` the pattern for some values of its free indices? Notes them in ``found``."""
    if isinstance(pattern, Index) and pattern in free:
        return found.setdefault(pattern, e) == e
    if type(pattern) is not type(e):
        return False
    match pattern, e:
        case Element(a, p), Element(b, q):
            return (
                a == b
                and len(p) == len(q)
                and all(_matched(x, y, free, found) for x, y in zip(p, q, strict=True))
            )
        case Call(a, p), Call(b, q):
            return (
                a == b
                and len(p) == len(q)
                and all(_matched(x, y, free, found) for x, y in zip(p, q, strict=True))
            )
        case Reduce(a, p, bp), Reduce(b, q, bq):
            return a == b and bp == bq and _matched(p, q, free, found)
    return pattern == e


def _applied(rule: Rule, total: Sum, scope: Scope) -> Sum:
    """Every instance of the rule's expressions replaced, where its indices are certain to be in range."""
    free = rule.free
    result: list[Term] = []
    for t in total:
        parts: list[Sum] = []
        for base, q in t.factors:
            parts.append(_factor(rule, base, q, free, t.conditions, scope))
        result += product([(t._replace(factors=()),), *parts])
    return collect(result)


def _factor(
    rule: Rule,
    base: Expr,
    q: Fraction,
    free: Mapping[Index, Expr],
    holds: tuple[Expr, ...],
    scope: Scope,
) -> Sum:
    """What ``base**q`` becomes under conditions that hold."""
    for pattern, p, answer in rule.pairs:
        found: dict[Index, Expr] = {}
        if (q / p).denominator != 1 or not _matched(pattern, base, free, found):
            continue
        given = [substitute(c, dict(found)) for c in rule.conditions]
        inside = all(i in found and scope.inside(found[i], n) for i, n in free.items())
        if inside and all(c in holds for c in given):
            return power(terms(substitute(expression(answer), dict(found))), q / p)
    answers = {b for _, _, answer in rule.pairs for t in answer for b, _ in t.factors}
    match base:
        case Call() if base in answers:  # what the rule keeps
            return (Term(Fraction(1), ((base, q),)),)
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
    plain = expression(terms(e))
    if cost(plain) > LARGE:
        return plain
    best = min(
        (_by_rules(form, rules, scope) for form in dict.fromkeys((plain, cheapest(plain)))),
        key=cost,
    )
    folds = [_by_rules(_better(best, rule, scope), rules, scope) for rule in _folds(best)]
    return min((best, *folds), key=cost)


def _by_rules(e: Expr, rules: Sequence[Rule], scope: Scope) -> Expr:
    for rule in rules:
        e = _better(e, rule, scope)
    return e


@lru_cache(maxsize=1 << 12)
def _words(e: Expr) -> frozenset[str]:
    """Tensors, functions and reductions in ``e``: a pattern with another one cannot match."""
    named = {n.tensor for n in walk(e) if isinstance(n, Element)}
    named |= {n.function for n in walk(e) if isinstance(n, Call) and n.function in FUNCTIONS}
    return frozenset(named | {n.kind for n in walk(e) if isinstance(n, Reduce)})


def _better(e: Expr, rule: Rule, scope: Scope) -> Expr:
    if not any(_words(pattern) <= _words(e) for pattern, _, _ in rule.pairs):
        return e
    before = terms(e)
    after = _applied(rule, before, scope)
    if after == before:
        if not any(isinstance(pattern, Reduce) for pattern, _, _ in rule.pairs):
            return e
        spread = _split(before, scope)
        after = _applied(rule, spread, scope)
        if after == spread:
            return e
    new = cheapest(expression(after))
    if cost(new) >= cost(e):
        return e
    if any(_is_fresh(d, divisors(e), rule) for d in divisors(new)):
        return e
    scope.note(rule.law)
    return new


def _is_fresh(d: Divisor, known: Iterable[Divisor], rule: Rule) -> bool:
    """Was it not divided by before, under fewer conditions or the same?"""
    match d.value, rule.name:
        case Element(value), Element(name) if rule.same and value == name:
            return False
    return not any(k.value == d.value and k.given <= d.given for k in known)


def cheapest(e: Expr) -> Expr:
    """The cheapest of a few forms: as it stands, multiplied out, each with what is shared in front."""
    total = terms(e)
    spread = expand(total)
    forms = [factored(total), total]
    if spread != total:
        forms += [factored(spread), spread]
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
                parts.append(collect(s for i in inner for s in summation((i,), binders, scope)))
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
    if cost(plain) > LARGE:
        return plain
    spread = _split(terms(plain), scope)
    if spread == terms(plain):
        return plain
    other = through(expression(spread), rules, scope)
    return other if cost(other) < cost(plain) else plain
