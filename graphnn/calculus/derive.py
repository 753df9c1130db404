"""Reverse mode over the equations of a system: from formulas to the formulas of their gradients.

    y[..., o] = sum[i](x[..., i]*W[i, o]) + b[o]      becomes      d_x[..., i] = sum[o](W[i, o]*g_y[..., o])
                                                                   d_W[i, o] = sum[...](g_y[..., o]*x[..., i])
                                                                   d_b[o] = sum[...](g_y[..., o])

``g_y`` is the gradient that arrives at the output y, ``d_x`` the gradient of the sum of ``g_y*y`` over all outputs. For
every occurrence ``X[a(i)]`` in an equation ``T[s(i)] = ...`` the derivative by it is multiplied by ``d_T[s(i)]`` and summed
over all i with ``a(i) == J``: that is the occurrence's part of ``d_X[J]``. Parts add up. Nothing else is needed for
recurrences: their gradients come out as recurrences that run the other way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce

from compiler.expression import (
    Binder,
    Call,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Size,
    children,
    elements,
    free_indices,
    substitute,
    walk,
)
from compiler.system import Equation

from ..notation.formula import Resolved
from .algebra import (
    ONE,
    ZERO,
    Term,
    bind,
    cost,
    divided,
    expression,
    fresh,
    multiply,
    opened,
    product,
    shared,
    terms,
)
from .compose import inlined, pruned, unguarded
from .laws import Scope, simplify, summation
from .naming import gradient_name, readable, seed_name, unused_name
from .scalar import slopes
from .steps import Steps
from .tidy import Rule, conserved, rules_of, through, tidied

__all__ = ["derive"]


@dataclass(frozen=True, slots=True)
class Part:
    """One occurrence of a tensor in an equation: what it adds to the tensor's gradient, before it is summed."""

    element: Element
    value: Expr
    loops: tuple[Binder, ...]


def derive(resolved: Resolved, steps: Steps | None = None) -> Resolved:
    """The gradients ``d_<operand>`` of all real operands, given ``g_<output>`` for all outputs."""
    return _Derivation(resolved, steps or Steps()).result()


def real_reads(e: Expr) -> Iterator[str]:
    """Tensors that ``e`` depends on smoothly: not through subscripts, conditions and whole numbers."""
    for leaf in slopes(e):
        if isinstance(leaf, Element):
            yield leaf.tensor
        elif isinstance(leaf, Reduce) and not leaf.kind.startswith("arg"):
            yield from real_reads(leaf.body)


def whole_reads(e: Expr) -> Iterator[str]:
    """Tensors read as subscripts or as conditions: whole numbers and truth values have no gradient."""
    match e:
        case Element(_, subscripts):
            yield from (inner.tensor for s in subscripts for inner in elements(s))
        case Call("where" | "and" | "or" | "not", arguments):
            logical = arguments[:1] if e.function == "where" else arguments
            yield from (a.tensor for a in logical if isinstance(a, Element))
    for child in children(e):
        yield from whole_reads(child)


class _Derivation:
    """The state of one derivation: which tensors take part, what was found for each."""

    def __init__(self, resolved: Resolved, steps: Steps) -> None:
        self.resolved, self.steps = resolved, steps
        self.equations = [_prepared(e) for e in resolved.equations]
        self.shapes = dict(resolved.shapes)
        whole = {name for e in self.equations for part in (e.value, *e.subscripts) for name in whole_reads(part)}
        self.wanted = [name for name in resolved.operands if name not in whole]
        self.active = self.find_active(whole)
        self.rules = [rule for e in self.equations for rule in rules_of(e)]
        self.rules += [rule for e in self.equations for rule in conserved(e)]
        self.rules += [Rule.of_fact(fact) for fact in resolved.facts]
        self.helpers: list[Equation] = []
        self.parts: dict[str, list[Part]] = {name: [] for name in self.active}

    # ---- which tensors take part

    def find_active(self, whole: set[str]) -> dict[str, None]:
        """Tensors through which an output depends on a wanted operand, outputs first."""
        reads = {id(e): [n for n in dict.fromkeys(real_reads(e.value)) if n not in whole] for e in self.equations}
        below = _closed(set(self.wanted), lambda names: {e.target for e in self.equations if names & set(reads[id(e)])})
        above = _closed(
            set(self.resolved.outputs),
            lambda names: {n for e in self.equations if e.target in names for n in reads[id(e)]},
        )
        made = dict.fromkeys(e.target for e in reversed(self.equations))
        return {n: None for n in [*made, *self.wanted] if n in below and n in above}

    def adjoint(self, name: str, subscripts: tuple[Expr, ...]) -> Element:
        """The gradient that has arrived at an element: ``d_T``, or ``g_T`` for an output that nothing else reads."""
        read = any(name in real_reads(e.value) for e in self.equations)
        known = seed_name if name in self.resolved.outputs and not read else gradient_name
        return Element(known(self.resolved, name), subscripts)

    # ---- the equations of the result

    def result(self) -> Resolved:
        for equation in self.equations:
            if equation.target in self.active:
                self.differentiate(equation)
        found: list[Equation] = []
        for name in self.active:
            found += self.gradient(name)
        for name in self.wanted:
            if name not in self.active:
                found.append(self.equation(name, self.place(name, {}), ZERO))
        return self.assemble([*self.helpers, *found])

    def differentiate(self, equation: Equation) -> None:
        """Collect the parts of all occurrences in one equation."""
        adjoint = self.adjoint(equation.target, equation.subscripts)
        scope = Scope(equation.sizes, (), self.steps.note)
        found = []
        for part in self.occurrences(equation.value, equation, ONE, equation.indices):
            slope = through(part.value, self.rules, scope.bind(part.loops))
            found.append(Part(part.element, slope, part.loops))
        arriving: Expr = adjoint
        common = _common(found, equation)
        if common is not None:
            error = multiply(common, *terms(adjoint))
            arriving = self.name_error(equation, expression((error,)))
            found = [Part(p.element, expression((divided(_one_term(p.value), common),)), p.loops) for p in found]
        for p in found:
            self.parts[p.element.tensor].append(Part(p.element, p.value * arriving, p.loops))

    def occurrences(
        self, e: Expr, equation: Equation, slope: Expr, loops: tuple[Binder, ...]
    ) -> Iterator[Part]:
        """Every active element that ``e`` reads, with the derivative by it; reductions are opened."""
        for leaf, inner in slopes(e).items():
            total = slope * inner
            if isinstance(leaf, Element):
                if leaf.tensor in self.active:
                    yield Part(leaf, total, loops)
            elif isinstance(leaf, Reduce) and any(n in self.active for n in real_reads(leaf.body)):
                body, binders = opened(leaf)
                factor = self.reduction(leaf, body, binders, equation, loops)
                yield from self.occurrences(body, equation, total * factor, (*loops, *binders))

    def reduction(
        self, leaf: Reduce, body: Expr, binders: tuple[Binder, ...], equation: Equation, loops: tuple[Binder, ...]
    ) -> Expr:
        """The derivative of a reduction by its body at one place of its indices."""
        match leaf.kind:
            case "prod":  # the product of all others
                other, again = opened(leaf)
                same = [Call("==", (a.index, b.index)) for a, b in zip(binders, again, strict=True)]
                here = reduce(lambda a, b: Call("and", (a, b)), same)
                return bind("prod", Call("where", (here, ONE, other)), again)
            case "max" | "min":  # a tie is split evenly
                best = self.value_of(leaf, equation, loops)
                other, again = opened(leaf)
                tie = bind("sum", Call("where", (Call("==", (other, best)), ONE, ZERO)), again)
                ties = self.helper("ties", tie, equation, loops)
                return Call("where", (Call("==", (body, best)), 1 / ties, ZERO))
            case "firstmax" | "firstmin":
                position = bind("arg" + leaf.kind[5:], *reversed([leaf.binders, leaf.body]))
                at = self.helper("at", position, equation, loops)
                flat: Expr = ZERO
                for index, size in binders:
                    assert size is not None
                    flat = flat * size + index
                return Call("where", (Call("==", (simplify(flat, Scope({})), at)), ONE, ZERO))
        return ONE

    def value_of(self, leaf: Reduce, equation: Equation, loops: tuple[Binder, ...]) -> Expr:
        """The value of a reduction: the target where the reduction is all of the equation, else a helper."""
        if leaf == equation.value and not equation.accumulate:
            return Element(equation.target, equation.subscripts)
        return self.helper(leaf.kind, leaf, equation, loops)

    def helper(self, word: str, value: Expr, equation: Equation, loops: tuple[Binder, ...]) -> Element:
        """A tensor of its own for something the gradient needs, over the indices it depends on."""
        used = free_indices(value)
        return self.define(f"{word}_{equation.target}", value, tuple(b for b in loops if b.index in used))

    def define(self, wish: str, value: Expr, indices: tuple[Binder, ...]) -> Element:
        place = tuple(b.index for b in indices)
        for known in self.helpers:
            if known.value == value and known.subscripts == place:
                return Element(known.target, place)
        name = unused_name(wish, self.shapes)
        self.shapes[name] = tuple(b.size for b in indices if b.size is not None)
        self.helpers.append(Equation(name, place, indices, value))
        return Element(name, place)

    def name_error(self, equation: Equation, value: Expr) -> Element:
        """``e_T``: what all occurrences in the equation of T have in common, computed once."""
        self.steps.note("name what is shared")
        return self.define(f"e_{equation.target}", value, equation.indices)

    # ---- contraction

    def gradient(self, name: str) -> list[Equation]:
        """``d_<name>``: its parts summed over the places they come from, and added up."""
        own = [p for p in self.parts[name] if p.value != ZERO]
        output = name in self.resolved.outputs
        if output and not own:
            return []
        groups: dict[tuple[tuple[int, Expr], ...], list[Part]] = {}
        for part in own:
            groups.setdefault(_constants(part.element), []).append(part)
        split = not output and len({tuple(k for k, _ in key) for key in groups}) == 1
        if not split:
            groups = {(): own}
        equations = []
        for constants, group in groups.items():
            place = self.place(name, dict(constants))
            total: Expr = Element(seed_name(self.resolved, name), place) if output else ZERO
            for part in group:
                contracted, scatter = self.contract(part, name, place)
                if scatter is not None:
                    equations.append(scatter)
                else:
                    total = total + contracted
            if len(terms(total)) or not equations:
                equations.insert(0, self.equation(name, place, total))
        return equations

    def place(self, name: str, constants: dict[int, Expr]) -> tuple[Expr, ...]:
        """The subscripts J of ``d_<name>[J]``; bundles keep their name."""
        shape = self.shapes[name]
        return tuple(
            constants[k] if k in constants else _bundle(size) or fresh() for k, size in enumerate(shape)
        )

    def equation(self, name: str, place: tuple[Expr, ...], value: Expr) -> Equation:
        target = gradient_name(self.resolved, name)
        self.shapes[target] = self.shapes[name]
        indices = tuple(
            Binder(j, n) for j, n in zip(place, self.shapes[name], strict=True) if isinstance(j, Index)
        )
        return Equation(target, place, indices, value)

    def contract(self, part: Part, name: str, place: tuple[Expr, ...]) -> tuple[Expr, Equation | None]:
        """The sum over all loops with ``a(loops) == J``; a scatter where a gather would leave loops over data."""
        names = {b.index: fresh() for b in part.loops}
        loops = tuple(Binder(names[i], n) for i, n in part.loops)
        subscripts = tuple(substitute(s, dict(names)) for s in part.element.subscripts)
        value = substitute(part.value, dict(names))
        pairs = zip(subscripts, place, strict=True)
        conditions = tuple(Call("==", (a, j)) for a, j in pairs if a != j)
        sizes = {j: n for j, n in zip(place, self.shapes[name], strict=True) if isinstance(j, Index)}
        scope = Scope(sizes, (), self.steps.note)
        pieces = terms(value)
        guarded = tuple(multiply(t, Term(Fraction(1), (), conditions)) for t in pieces)
        total = summation(guarded, loops, scope)
        data = {e.tensor for s in subscripts for e in elements(s)}
        value = simplify(expression(total), scope)
        if not any(_searches(r, data) for r in walk(value) if isinstance(r, Reduce)):
            return value, None
        used = {i for s in subscripts for i in free_indices(s)}
        outer = tuple(b for b in loops if b.index in used)
        inner = tuple(b for b in loops if b.index not in used)
        total = summation(pieces, inner, scope.bind(outer))
        target = gradient_name(self.resolved, name)
        self.shapes[target] = self.shapes[name]
        self.steps.note("scatter")
        return ZERO, Equation(target, subscripts, outer, expression(total), True)

    def assemble(self, equations: list[Equation]) -> Resolved:
        for name in self.resolved.outputs:
            self.shapes[seed_name(self.resolved, name)] = self.shapes[name]
        outputs = tuple(gradient_name(self.resolved, n) for n in self.wanted)
        neat = inlined([self.tidied(e) for e in equations], outputs, self.tidied)
        neat = [replace(e, value=unguarded(e.value, self.shapes)) for e in pruned(neat, outputs)]
        named = readable(neat, self.resolved, self.shapes)
        made = {e.target for e in named}
        read = _mentioned(named)
        operands = tuple(n for n in self.shapes if n in read and n not in made)
        shapes = {n: self.shapes[n] for n in self.shapes if n in read or n in made}
        return Resolved(tuple(named), shapes, operands, outputs, self.resolved.facts)

    def tidied(self, e: Equation) -> Equation:
        value = tidied(e.value, self.rules, Scope(e.sizes))
        return replace(e, value=value)


def _prepared(equation: Equation) -> Equation:
    """The value in normal form, bound indices named apart."""
    value = simplify(equation.value, Scope(equation.sizes))
    return Equation(equation.target, equation.subscripts, equation.indices, value, equation.accumulate)


def _mentioned(equations: list[Equation]) -> set[str]:
    """Tensors that are read, or whose size is asked for."""
    parts = [p for e in equations for p in (e.value, *e.subscripts, *(b.size for b in e.indices if b.size))]
    nodes = [n for p in parts for n in walk(p)]
    return {n.tensor for n in nodes if isinstance(n, (Element, Size))}


def _one_term(e: Expr) -> Term:
    return product([terms(e)])[0]


def _common(parts: list[Part], equation: Equation) -> Term | None:
    """What the derivatives of an equation share and is worth a name: it would be computed once per loop otherwise."""
    if len(parts) < 2 or all(p.loops == equation.indices for p in parts):
        return None
    common = shared([_one_term(p.value) for p in parts], denominators=False)
    own = {b.index for b in equation.indices}
    factors = tuple(f for f in common.factors if all(i in own for i in free_indices(f[0])))
    conditions = tuple(c for c in common.conditions if all(i in own for i in free_indices(c)))
    kept = Term(Fraction(1), factors, conditions)
    worth = expression((kept,))
    return kept if cost(worth) > 2 and free_indices(worth) else None


def _closed(names: set[str], more: object) -> set[str]:
    while True:
        found = names | more(names)  # type: ignore[operator]
        if found == names:
            return names
        names = found


def _constants(element: Element) -> tuple[tuple[int, Expr], ...]:
    return tuple((k, s) for k, s in enumerate(element.subscripts) if isinstance(s, Number))


def _bundle(size: Expr) -> Index | None:
    return Index("...") if getattr(size, "axis", None) == "..." else None


def _searches(r: Reduce, data: set[str]) -> bool:
    """Does the reduction look for the places where a subscript taken from data has some value?"""
    return any(
        isinstance(c, Call)
        and c.function == "=="
        and any(i in r.indices for e in elements(c) if e.tensor in data for i in free_indices(e))
        for c in walk(r.body)
    )
