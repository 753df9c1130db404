"""Reverse mode over the equations of a system: from formulas to the formulas of their gradients.

    y[..., o] = sum[i](x[..., i]*W[i, o]) + b[o]     becomes     d_x[..., i] = sum[o](W[i, o]*g_y[..., o])
                                                                 d_W[i, o] = sum[...](g_y[..., o]*x[..., i])
                                                                 d_b[o] = sum[...](g_y[..., o])

``g_y`` is the gradient that arrives at the output y, ``d_x`` the gradient of the sum of ``g_y*y`` over all outputs. For
every occurrence ``X[a(i)]`` in an equation ``T[s(i)] = ...`` the derivative by it is multiplied by ``d_T[s(i)]`` and
summed over all i with ``a(i) == J``: that is the occurrence's part of ``d_X[J]``. Parts add up. Nothing else is needed
for recurrences: their gradients come out as recurrences that run the other way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from fractions import Fraction

from compiler.language.expression import (
    ELLIPSIS,
    Binder,
    Call,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Size,
    elements,
    free_indices,
    substitute,
    transform,
    walk,
)
from compiler.language.system import Equation

from ..notation.formula import Resolved
from .algebra import ZERO, Term, divided, expression, multiply, normal, product, shared, terms
from .binding import fresh
from .compose import inlined, is_zero_read, pruned, unguarded
from .conditions import is_total
from .conventions import unless_both_zero, zero_times_log
from .laws import Scope, simplify, summation
from .measure import cost
from .naming import gradient_name, readable, seed_name, unused_name
from .occurrences import Helpers, Part, occurrences, real_reads, whole_reads
from .steps import Steps
from .tidy import Rule, conserved, rules_of, through, tidied

__all__ = ["derive"]


def derive(
    resolved: Resolved, wrt: Collection[str] | None = None, steps: Steps | None = None
) -> Resolved:
    """The gradients ``d_<operand>`` of all real operands (of those in ``wrt``), given ``g_<output>`` for all outputs.

    Operands that serve as subscripts or conditions are whole numbers or truth values and have none.
    """
    return _Derivation(resolved, wrt, steps or Steps()).result()


class _Derivation:
    """The state of one derivation: which tensors take part, what was found for each."""

    def __init__(self, resolved: Resolved, wrt: Collection[str] | None, steps: Steps) -> None:
        self.resolved, self.steps, self.shapes = resolved, steps, dict(resolved.shapes)
        self.equations = [_prepared(e, resolved.operands) for e in resolved.equations]
        parts = [p for e in self.equations for p in (e.value, *e.subscripts)]
        whole = {name for part in parts for name in whole_reads(part)}
        places = [e for part in parts for e in elements(part)]
        self.data = frozenset(
            s.tensor for e in places for s in e.subscripts if isinstance(s, Element)
        )
        read = {e.tensor for e in places}
        real = [n for n in resolved.operands if n in read and n not in whole]
        self.wanted = [n for n in real if wrt is None or n in wrt]
        self.reads = {
            e: [n for n in dict.fromkeys(real_reads(e.value)) if n not in whole]
            for e in self.equations
        }
        self.adjoints = {
            name(resolved, of): shape
            for of, shape in resolved.shapes.items()
            for name in (gradient_name, seed_name)
        }
        self.active = self.find_active()
        self.arrives = {n for e in self.equations if e.target in self.active for n in self.reads[e]}
        self.rules = [rule for e in self.equations for rule in (*rules_of(e), *conserved(e))]
        self.rules += [Rule.of_fact(fact) for fact in resolved.facts]
        self.helpers = Helpers(self.shapes)
        self.parts: dict[str, list[Part]] = {name: [] for name in self.active}

    def find_active(self) -> dict[str, None]:
        """Tensors through which an output depends on a wanted operand, outputs first."""
        below = _closed(
            self.wanted,
            lambda names: [e.target for e in self.equations if names & {*self.reads[e]}],
        )
        above = _closed(
            self.resolved.outputs,
            lambda names: [n for e in self.equations if e.target in names for n in self.reads[e]],
        )
        made = dict.fromkeys(e.target for e in reversed(self.equations))
        return {n: None for n in [*made, *self.wanted] if n in below and n in above}

    def result(self) -> Resolved:
        for equation in self.equations:
            if equation.target in self.active:
                self.differentiate(equation)
        found = [e for name in self.active for e in self.gradient(name)]
        idle = [n for n in self.wanted if n not in self.active]
        found += [self.equation(name, self.place(name, {}), ZERO) for name in idle]
        return self.assembled([*self.helpers.equations, *found])

    # ---- the derivative of each equation

    def differentiate(self, equation: Equation) -> None:
        """Collect the parts of all occurrences in one equation."""
        scope = self.scope(equation)
        found = []
        for part in occurrences(equation, self.active, self.helpers):
            label = f"∂{equation.target}/∂{part.element.tensor}"
            step = Equation(label, part.element.subscripts, part.loops, normal(part.slope))
            self.steps.record(step, "differentiate")
            slope = through(part.slope, self.rules, scope.bind(part.loops))
            slope = normal(unguarded(slope, self.needs))
            self.steps.record(replace(step, value=slope))
            found.append(replace(part, slope=slope))
        arriving = self.adjoint(equation)
        common = _common(found, equation)
        if common is not None:
            error = expression((multiply(common, *terms(arriving)),))
            arriving = self.helpers.define(f"e_{equation.target}", error, equation.indices)
            self.steps.record(self.helpers.equations[-1], "name what is shared")
        for part in found:
            rest = terms(part.slope) if common is None else (_without(common, part.slope),)
            value: Expr = expression(rest) * arriving
            if equation.value == Call("log", (part.element,)):  # what arrives weighs the logarithm
                value = unless_both_zero(arriving, part.element, value)
            self.parts[part.element.tensor].append(replace(part, slope=value))

    def adjoint(self, equation: Equation) -> Element:
        """The gradient that has arrived: ``d_T``, or ``g_T`` for an output that nothing else reads."""
        name = equation.target
        only = name in self.resolved.outputs and name not in self.arrives
        arrived = seed_name if only else gradient_name
        return Element(arrived(self.resolved, name), equation.subscripts)

    # ---- the gradient of each tensor

    def gradient(self, name: str) -> list[Equation]:
        """``d_<name>``: its parts summed over the places they come from, and added up.

        A tensor read only at fixed places, as ``z[n, t, 2, u]``, gets one equation for each of them, if they are all
        the places there are: the equations of a target also say how large it is.
        """
        own = [p for p in self.parts[name] if p.slope != ZERO]
        output = name in self.resolved.outputs
        if output and name not in self.arrives:
            return []
        groups: dict[tuple[tuple[int, Expr], ...], list[Part]] = {}
        for part in own:
            groups.setdefault(_constants(part.element), []).append(part)
        if output or not self.covers(name, list(groups)):
            groups = {(): own}
        equations = []
        for constants, group in groups.items():
            place = self.place(name, dict(constants))
            total: Expr = Element(seed_name(self.resolved, name), place) if output else ZERO
            scattered: list[Equation] = []
            for part in group:
                value, more = self.contract(part, name, place)
                total = total + value
                scattered += more
            total = normal(total)
            if scattered and total != ZERO:
                total, scattered = total + self.apart(name, place, scattered), []
            # What is scattered adds to zeros, which also say how large the target is.
            equations += [self.equation(name, place, total), *scattered]
            if len(group) > 1:
                self.steps.record(equations[0], "occurrences add")
        return equations

    def apart(self, name: str, place: tuple[Expr, ...], scattered: list[Equation]) -> Element:
        """What is scattered, in a tensor of its own: a gradient that runs backward must find it whole."""
        helper = unused_name(f"s_{name}", self.shapes)
        self.shapes[helper] = self.shapes[name]
        zeros = replace(self.equation(name, place, ZERO), target=helper)
        self.helpers.equations += [zeros, *(replace(e, target=helper) for e in scattered)]
        return Element(helper, place)

    def covers(self, name: str, places: list[tuple[tuple[int, Expr], ...]]) -> bool:
        """Are these constant subscripts, (axis, value) each, all that their axes have?"""
        axes = {tuple(axis for axis, _ in place) for place in places}
        sizes = [self.shapes[name][axis] for axis in next(iter(axes), ())]
        known = [int(n.value) for n in sizes if isinstance(n, Number)]
        return len(axes) == 1 and len(known) == len(sizes) and math.prod(known) == len(places)

    def place(self, name: str, constants: dict[int, Expr]) -> tuple[Expr, ...]:
        """The subscripts J of ``d_<name>[J]``; bundles keep their name."""
        return tuple(
            constants[k] if k in constants else Index(ELLIPSIS) if _is_bundle(size) else fresh()
            for k, size in enumerate(self.shapes[name])
        )

    def equation(self, name: str, place: tuple[Expr, ...], value: Expr) -> Equation:
        target, shape = gradient_name(self.resolved, name), self.shapes[name]
        self.shapes[target] = shape
        pairs = zip(place, shape, strict=True)
        return Equation(
            target, place, tuple(Binder(j, n) for j, n in pairs if isinstance(j, Index)), value
        )

    def contract(
        self, part: Part, name: str, place: tuple[Expr, ...]
    ) -> tuple[Expr, list[Equation]]:
        """The sum over all loops with ``a(loops) == J``; a scatter where a gather would search through data."""
        bundle = Index(ELLIPSIS)  # a bundle of axes is as a whole where it comes from
        kept = (
            {bundle}
            if (bundle, bundle) in zip(part.element.subscripts, place, strict=True)
            else set()
        )
        renamed = [(b.index, Binder(fresh(), b.size)) for b in part.loops if b.index not in kept]
        names: dict[Expr, Expr] = {old: new.index for old, new in renamed}
        loops = tuple(new for _, new in renamed)
        subscripts = tuple(substitute(s, names) for s in part.element.subscripts)
        pieces = terms(substitute(part.slope, names))
        equal = tuple(Call("==", (a, j)) for a, j in zip(subscripts, place, strict=True) if a != j)
        guarded = tuple(multiply(t, Term(Fraction(1), (), equal)) for t in pieces)
        whole = self.equation(name, place, ZERO)
        scope = self.scope(whole)
        chained = Reduce("sum", expression(guarded), loops) if loops else expression(guarded)
        self.steps.record(replace(whole, value=chained), "chain rule")
        value = simplify(expression(summation(guarded, loops, scope)), scope)
        data = [e for s in subscripts for e in elements(s)]
        searches = any(_searches(r, data) for r in walk(value) if isinstance(r, Reduce))
        used = {i for s in subscripts for i in free_indices(s)}
        outer = tuple(b for b in loops if b.index in used)
        sized = all(self.is_sized(b, data, expression(pieces)) for b in outer)
        if not searches or not sized:
            self.steps.record(replace(whole, value=value))
            return value, []
        inner = tuple(b for b in loops if b.index not in used)
        total = expression(summation(pieces, inner, scope.bind(outer)))
        scattered = Equation(whole.target, subscripts, outer, total, True)
        self.steps.record(scattered, "scatter")
        return ZERO, [scattered]

    def is_sized(self, binder: Binder, data: Iterable[Element], value: Expr) -> bool:
        """Can ``d[t[i:3]] += value`` say how far ``i`` runs: in ``t[i:3]``, or by what ``value`` reads at ``i``?"""
        if any(binder.index in e.subscripts for e in data):
            return True
        shapes = {**self.adjoints, **self.shapes}
        alone = [
            size
            for e in elements(value)
            for subscript, size in zip(e.subscripts, shapes[e.tensor], strict=True)
            if subscript == binder.index
        ]
        return bool(alone) and all(n == binder.size for n in alone)

    # ---- the whole

    def tidied(self, e: Equation) -> Equation:
        return replace(e, value=tidied(e.value, self.rules, self.scope(e)))

    def needs(self, element: Element, condition: Expr) -> bool:
        """Is it a result that is zero, by its own equation, where the condition fails?"""
        return any(rule.vanishes(element, condition) for rule in self.rules)

    def vanishes(self, element: Element, condition: Expr) -> bool:
        """Is it zero where the condition fails, as such a result or as a read out of range?"""
        return self.needs(element, condition) or is_zero_read(element, condition, self.shapes)

    def scope(self, e: Equation) -> Scope:
        return Scope(e.sizes, (), self.data, self.steps.note)

    def assembled(self, equations: list[Equation]) -> Resolved:
        for name in self.resolved.outputs:
            self.shapes[seed_name(self.resolved, name)] = self.shapes[name]
        outputs = tuple(gradient_name(self.resolved, n) for n in self.wanted)
        neat = []
        for equation in equations:
            self.steps.laws = {}
            neat.append(self.tidied(equation))
            if neat[-1] != equation:
                self.steps.record(neat[-1], None if self.steps.laws else "cheapest form")
        before, neat = neat, pruned(inlined(neat, outputs, self.tidied), outputs)
        for equation in neat:
            if equation not in before:
                self.steps.record(equation, "substitute")
        final = []
        for equation in neat:
            value = unguarded(equation.value, self.vanishes)
            final.append(replace(equation, value=value))
            if final[-1] != equation:
                self.steps.record(final[-1], "zero read")
        named = readable(final, self.resolved, self.shapes)
        return self.resolved_of(named, outputs)

    def resolved_of(self, equations: list[Equation], outputs: tuple[str, ...]) -> Resolved:
        made = {e.target for e in equations}
        read = _mentioned(equations)
        operands = tuple(n for n in self.shapes if n in read and n not in made)
        shapes = {n: self.shapes[n] for n in self.shapes if n in read or n in made}
        facts = tuple(
            f for f in self.resolved.facts if all(e.tensor in shapes for e in elements(f.left))
        )
        return Resolved(tuple(equations), shapes, operands, outputs, facts)


def _prepared(equation: Equation, given: Collection[str]) -> Equation:
    """The value in normal form, bound indices named apart, 0*log(0) said to be 0."""
    value = transform(equation.value, lambda e: zero_times_log(e, given))
    return replace(equation, value=simplify(value, Scope(equation.sizes)))


def _closed(names: Iterable[str], more: Callable[[set[str]], Iterable[str]]) -> set[str]:
    found = set(names)
    while True:
        grown = found | set(more(found))
        if grown == found:
            return found
        found = grown


def _constants(element: Element) -> tuple[tuple[int, Expr], ...]:
    return tuple((k, s) for k, s in enumerate(element.subscripts) if isinstance(s, Number))


def _is_bundle(size: Expr) -> bool:
    return isinstance(size, Size) and size.axis == ELLIPSIS


def _mentioned(equations: list[Equation]) -> set[str]:
    """Tensors that are read, or whose size is asked for."""
    parts = [
        p
        for e in equations
        for p in (e.value, *e.subscripts, *(b.size for b in e.indices if b.size is not None))
    ]
    return {n.tensor for p in parts for n in walk(p) if isinstance(n, (Element, Size))}


def _one_term(e: Expr) -> Term:
    return product([terms(e)])[0]


def _without(common: Term, slope: Expr) -> Term:
    """A derivative without what has a name; what need not be finite keeps its guards, for what arrives is only zero."""
    rest = divided(_one_term(slope), common)
    if is_total(expression((rest,))):
        return rest
    return multiply(rest, Term(Fraction(1), (), common.conditions))


def _common(parts: list[Part], equation: Equation) -> Term | None:
    """What the derivatives of an equation share and is worth a name: it would be computed once per loop otherwise."""
    if len(parts) < 2 or all(p.loops == equation.indices for p in parts):
        return None
    common = shared([_one_term(p.slope) for p in parts], denominators=False)
    own = {b.index for b in equation.indices}
    factors = tuple(f for f in common.factors if all(i in own for i in free_indices(f[0])))
    conditions = tuple(c for c in common.conditions if all(i in own for i in free_indices(c)))
    kept = Term(Fraction(1), factors, conditions)
    worth = expression((kept,))
    return kept if cost(worth) > 2 and free_indices(worth) else None


def _searches(r: Reduce, data: Iterable[Element]) -> bool:
    """Does the reduction look for the places where a subscript taken from data has some value?"""
    names = {e.tensor for e in data}
    return any(
        isinstance(c, Call)
        and c.function == "=="
        and any(i in r.indices for e in elements(c) if e.tensor in names for i in free_indices(e))
        for c in walk(r.body)
    )
