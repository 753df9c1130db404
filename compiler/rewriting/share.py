"""Share: equal equations become one, for `hoist`; what is equal is found in dictionaries.

    before   a[n] = sum[i](x[n, i]);    b[m] = sum[k](x[m, k]);    y[m] = a[m]*b[m]
    after    a[n] = sum[i](x[n, i]);    y[m] = a[m]*a[m]

Readers of a copy read its source. Declines for copies that are outputs or new values of states.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import cast

from ..language.expression import Element, Expr, Index, reduces
from ..language.flat import flat
from ..language.form import form, names_read, of_alike, of_form, of_others
from ..language.match import Sizes, covers
from ..language.notes import Note, note
from ..language.system import Equation, System, Tensor

__all__ = ["Key", "Keys", "Shape", "named", "share"]

Key = tuple[int, tuple[str, ...]]
Shape = tuple[int, tuple[int, ...]]


def share(system: System, notes: list[Note] | None = None) -> System:
    """Readers of a copy read its source, readers of the second of two equal tensors the first."""
    tensors, definitions = system.by_name, system.definitions()
    pinned = {new: None for _, new in system.updates}
    keys = Keys()
    is_whole = of_alike(lambda q: covers(q, tensors[q.target]), system)
    shape = of_alike(lambda q: keys.shape(q.value, q.subscripts, q.sizes, form(q)[1]))
    alias: dict[str, str] = {}
    first: dict[Hashable, str] = {}
    rewritten: dict[str, list[Equation]] = {}
    for name in _operands_first(system):
        own = [_aliased(q, alias) for q in definitions[name]]
        rewritten[name] = own
        if len(own) != 1 or not is_whole(own[0]):
            continue
        key = (*named(shape(own[0]), own[0]), tensors[name].dtype)
        source = first.setdefault(key, name)
        if _is_copy(own[0]):
            (source,) = names_read(own[0])
        if source == name or not _alike(tensors[source], tensors[name]):
            continue
        if tensors[name].role == "local" and name not in pinned:
            alias[name] = source
            note(notes, "hoist", name, f"is {source}")
        elif reduces(own[0].value):
            rewritten[name] = [own[0].valued(Element(source, own[0].subscripts))]
            note(notes, "hoist", name, f"copies {source}")
    remaining = {name: iter(equations) for name, equations in rewritten.items()}
    equations = [_aliased(next(remaining[q.target]), alias) for q in system.equations]
    return system.with_equations(equations)


@of_form
def _is_copy(equation: Equation) -> bool:
    """Does each element take the value of that in the same place?"""
    value = equation.value
    return isinstance(value, Element) and value.subscripts == equation.subscripts


def _alike(one: Tensor, other: Tensor) -> bool:
    return (one.shape, one.dtype) == (other.shape, other.dtype)


def _aliased(equation: Equation, alias: Mapping[str, str]) -> Equation:
    """The equation reading the sources of what it reads."""
    if alias.keys().isdisjoint(names_read(equation)):
        return equation
    return of_others(equation, alias, equation.origin)


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
                operands = dict.fromkeys(read for q in definitions[name] for read in names_read(q))
                stack += [(o, False) for o in reversed(operands) if o in definitions]
    return list(order)


class Keys:
    """Keys of expressions: equal for those that are equal up to the names of their indices."""

    def __init__(self) -> None:
        self.numbers: dict[Hashable, int] = {}

    def __call__(self, e: Expr, places: Iterable[Expr], sizes: Sizes) -> Key:
        """The number of its shape, and the names of its tensors."""
        names: dict[str, int] = {}
        indices = {cast(Index, place): k for k, place in enumerate(places)}
        own = flat(e, lambda name: names.setdefault(name, len(names)), indices)
        shape = (tuple(own), tuple([sizes[i] for i in indices]))
        return self.numbers.setdefault(shape, len(self.numbers)), tuple(names)

    def shape(self, e: Expr, places: Iterable[Expr], sizes: Sizes, names: Sequence[str]) -> Shape:
        """The same, but the places of its tensors among ``names``, for all equations that are alike."""
        number, own = self(e, places, sizes)
        return number, tuple(map(names.index, own))


def named(shape: Shape, equation: Equation) -> Key:
    """The key of an expression in one of those equations."""
    number, places = shape
    names = form(equation)[1]
    return number, tuple([names[place] for place in places])
