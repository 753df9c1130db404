"""Stage "hoist": what depends on fewer indices becomes an equation, equal equations become one.

    before   y[n, i] = exp(x[n, i] - max[k](x[n, k]))/sum[j](exp(x[n, j] - max[k](x[n, k])))
    after    y.max[n] = max[k](x[n, k])
             y.sum[n] = sum[j](exp(x[n, j] - y.max[n]))
             y[n, i] = exp(x[n, i] - y.max[n])/y.sum[n]

In this order:

    simplify   exact simplification (simplify.py)
    constants  what is one number everywhere is read as that number
    share      equal equations become one, copies are read at their source (share.py)
    hoist      a part with a reduction, if it depends on fewer indices than its surroundings, stands
               inside another reduction or occurs again elsewhere; a part without a reduction, if it
               depends on fewer indices and is expensive
    share      again, for what has become equal
    drop       equations and locals that neither outputs nor updates need

A new equation covers the whole range of its indices and is read inside it, so it is equal wherever
it is read, zero reads within it included. Declines for constants such as sqrt(2), which the emitter
computes once, for copies that are outputs or new values of states, and for constants that are whole
(a formula may count with those, unless they are factors of what is real) or of another precision. Time is
linear in the number of equations: what is equal is found in dictionaries of canonical forms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

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
    walk,
)
from ..language.form import form, names_read, of_alike, of_form
from ..language.match import Definitions, Sizes, covers, inner_sizes, rename_apart
from ..language.notes import Note, note
from ..language.once import Once
from ..language.simplify import kind_of, simplify
from ..language.system import Equation, System, Tensor, float_of
from .share import Key, Keys, Shape, named, share

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
    "erfc",
    "uniform",
)


def hoist(system: System, notes: list[Note] | None = None) -> System:
    """The same system with each value computed once; ``notes`` tells what was hoisted."""
    system = share(constants(simplified(system), notes), notes)
    system = share(_Hoister(system, notes).run(), notes)
    return drop(system, notes)


def simplified(system: System) -> System:
    """Every value and subscript simplified."""
    tensors = system.by_name

    def rewrite(equation: Equation) -> tuple[Equation, tuple[str, ...]]:
        return _simplified(equation, tensors), ()

    once = Once(None, lambda name: tensors[name].dtype, rewrite)
    return system.with_equations(once(equation)[0] for equation in system.equations)


def _simplified(equation: Equation, tensors: Mapping[str, Tensor]) -> Equation:
    sizes = equation.sizes
    value = simplify(rename_apart(equation.value, sizes), sizes, tensors)
    subscripts = tuple(simplify(s, sizes, tensors) for s in equation.subscripts)
    return replace(equation, value=value, subscripts=subscripts)


@of_form
def _is_number(equation: Equation) -> bool:
    return isinstance(equation.value, Number)


def constants(system: System, notes: list[Note] | None = None) -> System:
    """Every element that surely is a constant of its equation's precision, as that number."""
    tensors, definitions = system.by_name, Definitions(system)
    known = {name: q.value for name, q in definitions.equations.items() if _is_number(q)}

    def is_known(e: Expr) -> bool:
        return isinstance(e, Element) and e.tensor in known

    def read(e: Expr, sizes: Sizes, dtype: str, is_factor: bool = False) -> Expr:
        match e:
            case Element(tensor, _) if is_known(e) and tensors[tensor].dtype == dtype:
                if cast(Number, known[tensor]).is_integer and not is_factor:
                    return e
                return definitions.open(e, sizes) or e
            case Call("*", (u, v)):
                real = [not is_known(x) and kind_of(x, tensors) == "real" for x in (v, u)]
                return Call("*", tuple(map(read, (u, v), (sizes,) * 2, (dtype,) * 2, real)))
            case Reduce(_, _, binders):
                sizes = inner_sizes(sizes, binders)
        return rebuild(e, lambda child: read(child, sizes, dtype))

    def rewrite(equation: Equation) -> tuple[Equation, tuple[str, ...]]:
        value = read(equation.value, equation.sizes, tensors[equation.target].dtype)
        return _simplified(equation.valued(value), tensors), ()

    if not known:
        return system
    for name, value in known.items():
        note(notes, "hoist", name, f"is {value}")
    once = Once(definitions, lambda name: (system.kinds[name], known.get(name)), rewrite)
    return system.with_equations(once(equation)[0] for equation in system.equations)


# --- hoist ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """A tensor that holds a part; ``order``: which free index of the part each axis is."""

    tensor: str
    order: tuple[int, ...]


def _is_apart(e: Call | Reduce, sizes: Sizes, nested: bool) -> bool:
    """Is it a part whatever else there is: inside another reduction, or of fewer indices and expensive?"""
    if isinstance(e, Reduce) and nested:
        return True
    if len(free_indices(e)) >= len(sizes):
        return False
    is_expensive = not calls(e).isdisjoint(EXPENSIVE)
    return reduces(e) or (is_expensive and bool(free_indices(e) or elements(e)))


class _Computed(NamedTuple):
    """What a part is, the float type that it is computed with, and that of what comes out."""

    key: Key
    real: str
    dtype: str


class _Hoister:
    """Equations of their own for parts; the parts known so far."""

    def __init__(self, system: System, notes: list[Note] | None) -> None:
        self.system = system
        self.notes = notes
        self.tensors = dict(system.by_name)
        self.definitions = system.definitions()
        self.keys = Keys()
        self.parts: dict[_Computed, _Part] = {}
        self.count: dict[_Computed, int] = {}
        self.roots: dict[str, str] = {}  # new tensor -> the equation it comes from
        self.done: list[Equation] = []
        self.outermost = of_alike(lambda q: list(self._outermost(q)), system)
        self.order = of_alike(self._order, system)
        self.has_parts = of_alike(lambda q: self._has_parts(q.value, q.sizes, False), system)

    def run(self) -> System:
        """All equations, those of the parts before the first that reads them."""
        for equation in self.system.equations:
            for computed in self.reductions(equation):
                self.count[computed] = self.count.get(computed, 0) + 1
            self.know(equation)
        for equation in self.system.equations:
            asked = (self.is_elsewhere(c, equation.target) for c in self.reductions(equation))
            if self.has_parts(equation) or any(asked):
                value = self.within(equation.value, equation.sizes, equation, False)
                equation = equation.valued(value)
            self.done.append(equation)
        return replace(
            self.system, tensors=tuple(self.tensors.values()), equations=tuple(self.done)
        )

    def know(self, equation: Equation) -> None:
        """An equation that is just one reduction holds it for all others."""
        order = self.order(equation)
        if order is not None and len(self.definitions[equation.target]) == 1:
            (computed,) = self.reductions(equation)
            self.parts.setdefault(computed, _Part(equation.target, order))

    def _order(self, equation: Equation) -> tuple[int, ...] | None:
        """Which free index of a reduction each axis of the equation's target is, if it holds all of it."""
        tensor = self.tensors[equation.target]
        free = list(free_indices(equation.value))
        complete = all(s in free for s in equation.subscripts) and covers(equation, tensor)
        if not complete or not isinstance(equation.value, Reduce):
            return None
        dtype = self.dtype(equation.value, self.real(equation))
        return (
            tuple(free.index(cast(Index, s)) for s in equation.subscripts)
            if dtype == tensor.dtype
            else None
        )

    def real(self, equation: Equation) -> str:
        """The float type that the equation computes with."""
        return float_of(equation, lambda name: self.tensors[name].dtype)

    def dtype(self, e: Expr, real: str) -> str:
        return {"integer": "int64", "bool": "bool", "real": real}[kind_of(e, self.tensors)]

    def computed(self, e: Expr, sizes: Sizes, real: str) -> _Computed:
        return _Computed(self.keys(e, free_indices(e), sizes), real, self.dtype(e, real))

    def reductions(self, equation: Equation) -> Iterator[_Computed]:
        """The outermost ones of an equation."""
        for shape, real, dtype in self.outermost(equation):
            yield _Computed(named(shape, equation), real, dtype)

    def _outermost(self, equation: Equation) -> Iterator[tuple[Shape, str, str]]:
        """The same for all equations that are alike."""
        names, real = form(equation)[1], self.real(equation)
        stack = [equation.value]
        while stack:
            e = stack.pop()
            if isinstance(e, Reduce):
                shape = self.keys.shape(e, free_indices(e), equation.sizes, names)
                yield shape, real, self.dtype(e, real)
            elif reduces(e):
                stack += children(e)

    def within(self, e: Expr, sizes: Sizes, equation: Equation, nested: bool) -> Expr:
        """``e`` with its parts hoisted; ``nested``: inside the body of a reduction."""
        if isinstance(e, (Call, Reduce)) and self.is_part(e, sizes, equation, nested):
            return self.read(e, sizes, equation)
        if isinstance(e, Reduce):
            sizes, nested = inner_sizes(sizes, e.binders), True
        return rebuild(e, lambda child: self.within(child, sizes, equation, nested))

    def is_part(self, e: Call | Reduce, sizes: Sizes, equation: Equation, nested: bool) -> bool:
        """Is it worth an equation of its own?"""
        if _is_apart(e, sizes, nested) or not isinstance(e, Reduce):
            return _is_apart(e, sizes, nested)
        return self.is_elsewhere(self.computed(e, sizes, self.real(equation)), equation.target)

    def is_elsewhere(self, computed: _Computed, target: str) -> bool:
        """Is a reduction computed by another equation, or does it occur again?"""
        known = self.parts.get(computed)
        return self.count.get(computed, 0) > 1 if known is None else known.tensor != target

    def _has_parts(self, e: Expr, sizes: Sizes, nested: bool) -> bool:
        """Is there a part that is one whatever there is elsewhere?"""
        if isinstance(e, (Call, Reduce)) and _is_apart(e, sizes, nested):
            return True
        if isinstance(e, Reduce):
            sizes, nested = inner_sizes(sizes, e.binders), True
        return any(self._has_parts(child, sizes, nested) for child in children(e))

    def read(self, e: Call | Reduce, sizes: Sizes, equation: Equation) -> Expr:
        """The element that holds ``e``; its equation is made where there is none yet."""
        computed = self.computed(e, sizes, self.real(equation))
        free = list(free_indices(e))
        part = self.parts.get(computed)
        if part is None:
            place = [i for i in sizes if i in free]
            name = self.name(equation.target, e)
            shape = tuple(int(cast(Number, sizes[i]).value) for i in place)
            self.tensors[name] = Tensor(name, shape, computed.dtype)
            part = _Part(name, tuple(free.index(i) for i in place))
            self.parts[computed] = part
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
            fresh = [name for name in names_read(equation) if name not in needed]
            needed |= dict.fromkeys(fresh)
            stack += fresh
    for tensor in system.tensors:
        if tensor.role == "local" and tensor.name not in needed:
            note(notes, "hoist", tensor.name, "nothing needs it")
    return replace(
        system,
        tensors=tuple(t for t in system.tensors if t.role != "local" or t.name in needed),
        equations=tuple(q for q in system.equations if q.target in needed),
    )
