"""The laws of index notation: what makes a sum over conditions a sum over fewer indices.

    bounds     a condition that the ranges of the indices imply is dropped; one that they exclude makes zero
    delta      sum[i]([i == e]*f(i))            =  f(e)                where 0 <= e < |i|
    stride     sum[i]([m*i + r == e]*f(i))      =  f((e - r)//m)       where (e - r) % m == 0
    digits     sum[h, i]([m*h + i == e]*f(h,i)) =  f(e//m, e % m)      where |i| = m
    quotient   sum[i]([i//m == e]*f(i))         =  sum[r:m](f(m*e + r))
    remainder  sum[i]([i % m == e]*f(i))        =  sum[q](f(m*q + e))
    constant   sum[i](c*f(i))                   =  c*sum[i](f(i)),     sum[i](c) = |i|*c
    separate   sum[i, j](f(i)*g(j))             =  sum[i](f(i))*sum[j](g(j))

Which index a condition eliminates is chosen so that the loops left are smallest. An element used as a subscript is
trusted to be in range, as the run time checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from compiler.language.expression import (
    Binder,
    Call,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Size,
    Symbol,
    elements,
    free_indices,
    rebuild,
    substitute,
    walk,
)
from compiler.language.integers import is_nonnegative, polynomial, simplify_integer

from .algebra import ZERO, Sum, Term, collect, expression, multiply, product, size_of, terms
from .binding import bind, depends, opened
from .conditions import conjuncts, excess, is_equality, is_integer, joined, negate
from .elimination import Solution, solutions

__all__ = ["Scope", "decide", "simplify", "summation"]


@dataclass(frozen=True)
class Scope:
    """What is known at a place: sizes of indices, what is not negative, and the tensors that are checked subscripts."""

    sizes: Mapping[Index, Expr]
    known: tuple[Expr, ...] = ()
    data: frozenset[str] = frozenset()
    note: Callable[..., None] = field(default=lambda *laws: None, compare=False)

    def bind(self, binders: tuple[Binder, ...]) -> Scope:
        sized = {i: n for i, n in binders if n is not None}
        return replace(self, sizes={**self.sizes, **sized})

    def given(self, condition: Expr) -> Scope:
        more = tuple(d for c in conjuncts(condition) for d in excess(c) or ())
        return replace(self, known=self.known + more)

    def nonnegative(self, e: Expr) -> bool:
        return is_nonnegative(e, self.sizes, self.known)

    def integer(self, e: Expr) -> Expr:
        """Normal form; ``2*(e//2) + e % 2`` is e, and so is ``2*(e//2)`` where ``e % 2 == 0`` is known."""
        e = simplify_integer(e, self.sizes)
        p = polynomial(e)
        for atom in p.atoms():
            match atom:
                case Call("//", (inner, Number(divisor))):
                    remainder = Call("%", atom.arguments)
                case _:
                    continue
            factor = p.coefficient(atom)
            if not factor.is_constant or (factor.constant / divisor).denominator != 1:
                continue
            whole = polynomial(inner) - polynomial(remainder)
            whole = p.without(atom) + whole.scaled(factor.constant / divisor)
            if whole.coefficient(remainder).terms and self.nonnegative(-remainder):
                whole = whole.without(remainder)
            if not whole.coefficient(remainder).terms:
                return self.integer(whole.expression())
        return e

    def inside(self, at: Expr, size: Expr) -> bool:
        """Is ``0 <= at < size`` certain?"""
        return at == size - 1 or (self.nonnegative(at) and self.nonnegative(size - 1 - at))


# ---- conditions


def decide(c: Expr, scope: Scope) -> Expr | bool:
    """``c`` as far as the ranges decide it (law "bounds"); ``0.01*x >= x`` becomes ``x <= 0``."""
    match c:
        case Call("and", _):
            answers = [decide(x, scope) for x in conjuncts(c)]
            left = [x for x in answers if isinstance(x, Expr)]
            return False if not all(answers) else joined(left) if left else True
        case Call("or" | "not", _):
            opposite = decide(negate(c), scope) if c.function == "or" else None
            if isinstance(opposite, bool):
                return not opposite
            return c
        case Call("!=", _):
            opposite = decide(negate(c), scope)
            return not opposite if isinstance(opposite, bool) else negate(opposite)
        case Call(">=" | "<", (Element(tensor, _), b)) if tensor in scope.data and is_integer(b):
            return True
        case Call(function, (a, b)) if excess(c) is not None:
            c = Call(function, (scope.integer(a), scope.integer(b)))
            need = excess(c) or ()
            if all(map(scope.nonnegative, need)):
                scope.note("bounds")
                return True
            if any(scope.nonnegative(-d - 1) for d in need):
                scope.note("bounds")
                return False
            return c
        case Call(("<" | "<=" | ">" | ">=") as function, (a, b)):
            difference = terms(a - b)
            if len(difference) == 1 and not difference[0].conditions:
                ((coefficient, factors, _),) = difference
                if len(factors) == 1 and isinstance(factors[0][0], Element) and factors[0][1] == 1:
                    up = function if coefficient > 0 else function.translate(_TURNED)
                    return Call(up, (factors[0][0], ZERO))
    return c


_TURNED = str.maketrans("<>", "><")


# ---- eliminating indices


def _weight(binders: tuple[Binder, ...], scope: Scope) -> float:
    """How long the loops are: an axis of the result counts as long, a size of its own as a window."""
    long = {a for n in scope.sizes.values() for a in walk(n) if isinstance(a, (Size, Symbol))}
    weight = 1.0
    for _, size in binders:
        if isinstance(size, Number):
            weight *= float(size.value)
        else:
            weight *= 1000 if size is not None and any(a in long for a in walk(size)) else 32
    return weight


def _eliminate(
    t: Term, binders: tuple[Binder, ...], scope: Scope
) -> tuple[float, int, Term, tuple[Binder, ...], tuple[str, ...]]:
    """Use up every equality that determines an index; of several ways the one with the smallest loops."""
    ordered = sorted(t.conditions, key=lambda c: any(elements(c)))  # what data say comes last
    for position, c in enumerate(ordered):
        ways = list(solutions(c, binders))
        if not ways:
            continue
        rest = (*ordered[:position], *ordered[position + 1 :])
        results = []
        for way in ways:
            left = (*(b for b in binders if b.index not in way.values), *way.added)
            inner = scope.bind(left)
            reduced = _put(t._replace(conditions=rest), way, inner)
            weight, hard, final, loops, laws = _eliminate(reduced, left, scope)
            results.append((weight, hard + way.hard, final, loops, (way.law, *laws)))
        return min(results, key=lambda r: r[:2])
    return _weight(binders, scope), 0, t, binders, ()


def _put(t: Term, way: Solution, scope: Scope) -> Term:
    """``t`` with the solution's values; conditions other than equalities are decided when the way is chosen."""
    body = expression((t._replace(conditions=()),))
    single = product([terms(simplify(substitute(body, way.values), scope))])
    conditions = (*way.conditions, *(substitute(c, way.values) for c in t.conditions))
    guard = _settled(Term(Fraction(1), (), conditions), scope, equalities=True)
    return multiply(*single, guard) if single else Term(Fraction(0))


def _settled(t: Term, scope: Scope, equalities: bool = False) -> Term:
    """``t`` with its conditions decided, equalities first: what they say helps with the others."""
    conditions: list[Expr] = []
    equal: list[Expr] = []
    for c in sorted(t.conditions, key=lambda c: not is_equality(c)):
        answer: Expr | bool = c
        if is_equality(c) or not equalities:
            answer = decide(c, scope.given(joined(equal)) if equal else scope)
        if answer is False:
            return Term(Fraction(0))
        if answer is not True:
            conditions += conjuncts(answer)
            equal += [answer] if is_equality(answer) else []
    return t._replace(conditions=tuple(conditions))


# ---- sums


def summation(total: Sum, binders: tuple[Binder, ...], scope: Scope) -> Sum:
    """``sum[binders](total)`` by the laws above."""
    result: list[Term] = []
    rest: list[Term] = []
    for t in total:
        _, _, final, loops, laws = _eliminate(t, binders, scope)
        if not laws:
            rest.append(t)
            continue
        scope.note(*laws)
        final = _settled(final, scope.bind(loops))
        if final.coefficient:
            result += _close((final,), loops)
    return collect([*result, *_close(tuple(rest), binders)])


def _close(total: Sum, binders: tuple[Binder, ...]) -> Sum:
    """Take out what the indices do not change, then bind the rest."""
    if not total or not binders:
        return total
    (whole,) = product([total]) or (Term(Fraction(0)),)
    outside: list[tuple[Expr, Fraction]] = []
    inside: list[tuple[Expr, Fraction]] = []
    bound = {b.index: None for b in binders}
    for factor in whole.factors:
        (inside if depends(factor[0], bound) else outside).append(factor)
    conditions = [c for c in whole.conditions if depends(c, bound)]
    free = tuple(c for c in whole.conditions if c not in conditions)
    body = Term(Fraction(1), tuple(inside), tuple(conditions))
    used = tuple(b for b in binders if depends(expression((body,)), {b.index: None}))
    unused = tuple(b for b in binders if b not in used)
    front = Term(whole.coefficient, tuple(outside), free)
    parts = [(front,), terms(size_of(unused)) if unused else (Term(Fraction(1)),)]
    if used:
        parts += [_bound(piece, loops) for piece, loops in _components(body, used)]
    return product(parts)


def _bound(piece: Term, loops: tuple[Binder, ...]) -> Sum:
    reduction = bind("sum", expression((piece,)), loops)
    return (Term(Fraction(1), ((reduction, Fraction(1)),)),)


def _components(body: Term, binders: tuple[Binder, ...]) -> list[tuple[Term, tuple[Binder, ...]]]:
    """Factors that share no index, each group with its own indices (law "separate")."""
    pieces: list[tuple[Term, dict[Index, None]]] = []
    bound = {b.index for b in binders}
    singles = [Term(Fraction(1), (f,)) for f in body.factors]
    singles += [Term(Fraction(1), (), (c,)) for c in body.conditions]
    for single in singles:
        own = {i: None for i in free_indices(expression((single,))) if i in bound}
        joined, rest = single, []
        for piece, indices in pieces:
            if any(i in own for i in indices):
                joined, own = multiply(piece, joined), {**indices, **own}
            else:
                rest.append((piece, indices))
        pieces = [*rest, (joined, own)]
    return [(piece, tuple(b for b in binders if b.index in own)) for piece, own in pieces]


def simplify(e: Expr, scope: Scope) -> Expr:
    """``e`` with every condition decided, every sum reduced, every subscript in normal form."""
    match e:
        case Element(tensor, subscripts):
            simple = (simplify(s, scope) if any(elements(s)) else s for s in subscripts)
            return Element(tensor, tuple(map(scope.integer, simple)))
        case Reduce("sum" | "mean", _, _):
            body, binders = opened(e)
            inner = terms(simplify(body, scope.bind(binders)))
            total = summation(inner, binders, scope)
            if e.kind == "mean":
                total = terms(expression(total) / size_of(binders))
            return expression(total)
        case Reduce(kind, _, _):
            body, binders = opened(e)
            return bind(kind, simplify(body, scope.bind(binders)), binders)
        case Call("where", (c, a, b)):
            answer = decide(simplify(c, scope), scope)
            if isinstance(answer, bool):
                return simplify(a if answer else b, scope)
            branch = _same(answer, simplify(a, scope.given(answer)), scope)
            return expression(terms(Call("where", (answer, branch, simplify(b, scope)))))
        case Call("//" | "%", _):
            return scope.integer(rebuild(e, lambda child: simplify(child, scope)))
    done = rebuild(e, lambda child: simplify(child, scope))
    return expression(terms(done)) if isinstance(done, Call) else done


def _same(condition: Expr, e: Expr, scope: Scope) -> Expr:
    """Under ``t[n] == i`` read ``p[n, i]`` rather than ``p[n, t[n]]``."""
    for c in conjuncts(condition):
        match c:
            case Call("==", (a, b)):
                for data, index in ((a, b), (b, a)):
                    if isinstance(data, Element) and isinstance(index, Index):
                        e = substitute(e, {data: index})
    return e
