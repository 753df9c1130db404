"""Stage "hoist": what depends on fewer indices becomes an equation, equal equations become one.

    before   y[n, i] = exp(x[n, i] - max[k](x[n, k]))/sum[j](exp(x[n, j] - max[k](x[n, k])))
    after    y.max[n] = max[k](x[n, k])
             y.sum[n] = sum[j](exp(x[n, j] - y.max[n]))
             y[n, i] = exp(x[n, i] - y.max[n])/y.sum[n]

In this order:

    simplify   exact simplification (simplify.py)
    constants  what is one number everywhere is read as that number
    share      equal equations become one, copies are read at their source
    hoist      a part with a reduction, if it depends on fewer indices than its surroundings, stands
               inside another reduction or occurs again elsewhere; a part without a reduction, if it
               depends on fewer indices and is expensive
    share      again, for what has become equal
    drop       equations and locals that neither outputs nor updates need

A new equation covers the whole range of its indices and is read inside it, so it is equal wherever
it is read, zero reads within it included. Declines for constants such as sqrt(2), which the emitter
computes once, for copies that are outputs or new values of states, and for constants that are whole
(a formula may count with those) or of another precision. Time is linear in the number
of equations: what is equal is found in dictionaries of canonical forms.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import cast

from ..language.expression import (
    Binder,
    Call,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    calls,
    children,
    elements,
    free_indices,
    rebuild,
    reduces,
    renamed,
    walk,
)
from ..language.flat import flat
from ..language.match import Definitions, Sizes, covers, inner_sizes, rename_apart
from ..language.notes import Note, note
from ..language.once import Once
from ..language.simplify import kind_of, simplify
from ..language.system import Equation, System, Tensor, reads

__all__ = ["hoist"]

EXPENSIVE = (
    "exp",
    "log",
    "expm1",
    "log1p",
    "sqrt",
    "sin",
    "cos",
    "tanh",
    "sigmoid",
    "erf",
    "uniform",
)
Key = tuple[object, ...]


def hoist(system: System, notes: list[Note] | None = None) -> System:
    """The same system with each value computed once; ``notes`` tells what was hoisted."""
    system = share(constants(simplified(system), notes), notes)
    system = share(_Hoister(system, notes).run(), notes)
    _shape.cache_clear()  # of no use to anybody else
    return drop(system, notes)


def simplified(system: System) -> System:
    """Every value and subscript simplified."""
    tensors = system.by_name

    def rewrite(equation: Equation) -> tuple[Expr, tuple[str, ...]]:
        sizes = equation.sizes
        return simplify(rename_apart(equation.value, sizes), sizes, tensors), ()

    once, equations = Once(None, lambda name: tensors[name].dtype, rewrite), []
    for equation in system.equations:
        simple = equation.valued(once(equation)[0])
        if not all(isinstance(s, Index) for s in equation.subscripts):  # nearly always
            subscripts = tuple(simplify(s, equation.sizes, tensors) for s in equation.subscripts)
            simple = replace(simple, subscripts=subscripts)
        equations.append(simple)
    return system.with_equations(equations)


def constants(system: System, notes: list[Note] | None = None) -> System:
    """Every element that surely is a constant of its equation's precision, as that number."""
    tensors, definitions = system.by_name, Definitions(system)
    known = {
        name: q.value
        for name, q in definitions.equations.items()
        if isinstance(q.value, Number) and not q.value.is_integer
    }

    def read(e: Expr, sizes: Sizes, dtype: str) -> Expr:
        if isinstance(e, Element) and e.tensor in known and tensors[e.tensor].dtype == dtype:
            return definitions.open(e, sizes) or e
        if isinstance(e, Reduce):
            sizes = inner_sizes(sizes, e.binders)
        return rebuild(e, lambda child: read(child, sizes, dtype))

    if not known:
        return system
    for name, value in known.items():
        note(notes, "hoist", name, f"is {value}")
    equations = tuple(
        q.valued(read(q.value, q.sizes, tensors[q.target].dtype))
        if any(e.tensor in known for e in elements(q.value))
        else q
        for q in system.equations
    )
    return simplified(system.with_equations(equations))


# --- share ----------------------------------------------------------------------------------------


def share(system: System, notes: list[Note] | None = None) -> System:
    """Readers of a copy read its source, readers of the second of two equal tensors the first."""
    tensors, definitions = system.by_name, system.definitions()
    pinned = {new: None for _, new in system.updates}
    alias: dict[str, str] = {}
    first: dict[Key, str] = {}
    rewritten: dict[str, list[Equation]] = {}
    for name in _operands_first(system):
        own = [_aliased(q, alias) for q in definitions[name]]
        rewritten[name] = own
        if len(own) != 1 or not covers(own[0], tensors[name]):
            continue
        value, here = own[0].value, own[0].subscripts
        key = _key(value, here, own[0].sizes, tensors[name].dtype)
        source = first.setdefault(key, name)
        if isinstance(value, Element) and value.subscripts == here:
            source = value.tensor
        if source == name or not _alike(tensors[source], tensors[name]):
            continue
        if tensors[name].role == "local" and name not in pinned:
            alias[name] = source
            note(notes, "hoist", name, f"is {source}")
        elif reduces(value):
            rewritten[name] = [replace(own[0], value=Element(source, here))]
            note(notes, "hoist", name, f"copies {source}")
    remaining = {name: iter(equations) for name, equations in rewritten.items()}
    equations = [_aliased(next(remaining[q.target]), alias) for q in system.equations]
    return system.with_equations(equations)


def _alike(one: Tensor, other: Tensor) -> bool:
    return (one.shape, one.dtype) == (other.shape, other.dtype)


def _aliased(equation: Equation, alias: Mapping[str, str]) -> Equation:
    """The equation reading the sources of what it reads."""
    if not any(e.tensor in alias for e in reads(equation)):
        return equation
    subscripts = tuple(renamed(s, alias) for s in equation.subscripts)
    return replace(equation, value=renamed(equation.value, alias), subscripts=subscripts)


def _operands_first(system: System) -> list[str]:
    """Defined tensors, what one reads before it (within a cycle: as it comes)."""
    definitions = system.definitions()
    order: dict[str, None] = {}
    for root in definitions:
        stack = [(root, False)]
        entered: dict[str, None] = {}
        while stack:
            name, done = stack.pop()
            if done:
                order[name] = None
            elif name not in order and name not in entered:
                entered[name] = None
                stack.append((name, True))
                operands = dict.fromkeys(e.tensor for q in definitions[name] for e in reads(q))
                stack += [(o, False) for o in reversed(operands) if o in definitions]
    return list(order)


def _key(value: Expr, places: Iterable[Expr], sizes: Sizes, dtype: str) -> Key:
    """Equal for expressions that are equal up to the names of their indices."""
    indices = tuple([cast(Index, p) for p in places])
    return _shape(value, indices), tuple([sizes[i] for i in indices]), dtype


@lru_cache(1 << 14)  # what has not changed is asked for again
def _shape(value: Expr, indices: tuple[Index, ...]) -> tuple[Hashable, ...]:
    return tuple(flat(value, indices={index: k for k, index in enumerate(indices)}))


# --- hoist ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """A tensor that holds a part; ``order``: which free index of the part each axis is."""

    tensor: str
    order: tuple[int, ...]


class _Hoister:
    """Equations of their own for parts; the parts known so far."""

    def __init__(self, system: System, notes: list[Note] | None) -> None:
        self.system = system
        self.notes = notes
        self.tensors = dict(system.by_name)
        self.definitions = system.definitions()
        self.parts: dict[Key, _Part] = {}
        self.count: dict[Key, int] = {}
        self.roots: dict[str, str] = {}  # new tensor -> the equation it comes from
        self.done: list[Equation] = []

    def run(self) -> System:
        """All equations, those of the parts before the first that reads them."""
        for equation in self.system.equations:
            self.tally(equation.value, equation.sizes, self.real(equation))
            self.know(equation)
        for equation in self.system.equations:
            value = self.within(equation.value, equation.sizes, equation, False)
            self.done.append(equation.valued(value))
        return replace(
            self.system, tensors=tuple(self.tensors.values()), equations=tuple(self.done)
        )

    def know(self, equation: Equation) -> None:
        """An equation that is just one reduction holds it for all others."""
        tensor = self.tensors[equation.target]
        alone = len(self.definitions[equation.target]) == 1 and covers(equation, tensor)
        free = list(free_indices(equation.value))
        complete = all(s in free for s in equation.subscripts)
        if alone and complete and isinstance(equation.value, Reduce):
            key = self.key(equation.value, equation.sizes, self.real(equation))
            order = tuple(free.index(cast(Index, s)) for s in equation.subscripts)
            if tensor.dtype == key[-1]:
                self.parts.setdefault(key, _Part(equation.target, order))

    def real(self, equation: Equation) -> str:
        """The float type that the equation computes with."""
        own = self.tensors[equation.target].dtype
        if own.startswith("float"):
            return own
        read = [self.tensors[e.tensor].dtype for e in reads(equation)]
        return "float64" if "float64" in read else "float32"

    def key(self, e: Expr, sizes: Sizes, real: str) -> Key:
        dtype = {"integer": "int64", "bool": "bool", "real": real}[kind_of(e, self.tensors)]
        return (*_key(e, free_indices(e), sizes, real)[:2], real, dtype)

    def tally(self, e: Expr, sizes: Sizes, real: str) -> None:
        """Count how often each outermost reduction occurs."""
        if not reduces(e):
            return
        if isinstance(e, Reduce):
            key = self.key(e, sizes, real)
            self.count[key] = self.count.get(key, 0) + 1
            return
        for child in children(e):
            self.tally(child, sizes, real)

    def within(self, e: Expr, sizes: Sizes, equation: Equation, nested: bool) -> Expr:
        """``e`` with its parts hoisted; ``nested``: inside the body of a reduction."""
        if isinstance(e, (Call, Reduce)) and self.is_part(e, sizes, equation, nested):
            return self.read(e, sizes, equation)
        if isinstance(e, Reduce):
            sizes, nested = inner_sizes(sizes, e.binders), True
        return rebuild(e, lambda child: self.within(child, sizes, equation, nested))

    def is_part(self, e: Call | Reduce, sizes: Sizes, equation: Equation, nested: bool) -> bool:
        """Is it worth an equation of its own?"""
        fewer = len(free_indices(e)) < len(sizes)
        if isinstance(e, Reduce):
            if nested or fewer:
                return True
            key = self.key(e, sizes, self.real(equation))
            known = self.parts.get(key)
            if known is not None:
                return known.tensor != equation.target
            return self.count.get(key, 0) > 1
        if not fewer:
            return False
        if reduces(e):
            return True
        return not calls(e).isdisjoint(EXPENSIVE) and (
            bool(free_indices(e)) or any(True for _ in elements(e))
        )

    def read(self, e: Call | Reduce, sizes: Sizes, equation: Equation) -> Expr:
        """The element that holds ``e``; its equation is made where there is none yet."""
        real = self.real(equation)
        key = self.key(e, sizes, real)
        free = list(free_indices(e))
        part = self.parts.get(key)
        if part is None:
            place = [i for i in sizes if i in free]
            name = self.name(equation.target, e)
            shape = tuple(int(cast(Number, sizes[i]).value) for i in place)
            self.tensors[name] = Tensor(name, shape, cast(str, key[-1]))
            part = _Part(name, tuple(free.index(i) for i in place))
            self.parts[key] = part
            binders = tuple(Binder(i, sizes[i]) for i in place)
            own = Equation(name, tuple(place), binders, e, origin=equation.origin)
            value = rebuild(e, lambda child: self.inside(e, child, own))
            self.done.append(replace(own, value=value))
            note(self.notes, "hoist", equation.target, f"{name} is an equation of its own")
        return Element(part.tensor, tuple(free[k] for k in part.order))

    def inside(self, e: Call | Reduce, child: Expr, own: Equation) -> Expr:
        """Parts of a new equation's value, itself not among them."""
        sizes = inner_sizes(own.sizes, e.binders) if isinstance(e, Reduce) else own.sizes
        return self.within(child, sizes, own, isinstance(e, Reduce))

    def name(self, target: str, e: Expr) -> str:
        """``y.max``, ``y.sum2``: of the equation, and of what is computed."""
        base = self.roots.get(target, target)
        kinds = [n.kind for n in walk(e) if isinstance(n, Reduce)]
        functions = [n.function for n in walk(e) if isinstance(n, Call) and n.function.isalpha()]
        stem = f"{base}.{(kinds or functions)[0]}"
        name, number = stem, 1
        while name in self.tensors:
            number += 1
            name = f"{stem}{number}"
        self.roots[name] = base
        return name


# --- drop -----------------------------------------------------------------------------------------


def drop(system: System, notes: list[Note] | None = None) -> System:
    """Without the equations and locals that neither an output nor an update needs."""
    definitions = system.definitions()
    stack = [*system.names("output"), *(new for _, new in system.updates)]
    needed = dict.fromkeys(stack)
    while stack:
        for equation in definitions.get(stack.pop(), ()):
            for element in reads(equation):
                if element.tensor not in needed:
                    needed[element.tensor] = None
                    stack.append(element.tensor)
    for tensor in system.tensors:
        if tensor.role == "local" and tensor.name not in needed:
            note(notes, "hoist", tensor.name, "nothing needs it")
    return replace(
        system,
        tensors=tuple(t for t in system.tensors if t.role != "local" or t.name in needed),
        equations=tuple(q for q in system.equations if q.target in needed),
    )
