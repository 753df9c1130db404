"""Forms: what equations have in common that are equal up to the names of tensors.

    y_3[n, o] = max(0, z_3[n, o])     and     y_4[n, o] = max(0, z_4[n, o])     are     _0[n, o] = max(0, _1[n, o])

There is one form for all of them, so that forms are compared and looked up by what they are, not by how they look, and
an equation is a form and names: that of other tensors is made without looking into it, and what stands in it is
written down when somebody asks. Most stages have nothing to do with most equations: whether one has is found
`of_alike`, once for each form.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar
from weakref import WeakValueDictionary

from .expression import found_once, renamed
from .facts import InCommon
from .flat import flat_equation
from .system import Equation, System, reads

__all__ = [
    "Form",
    "each_of_alike",
    "form",
    "names_of_form",
    "names_read",
    "of_alike",
    "of_form",
    "of_others",
]

T = TypeVar("T")


class Form(InCommon[Equation]):
    """Equal to itself alone; the tensors of its equation without names are called "0", "1", ... in order."""

    __slots__ = ()

    def find(self, name: str, names: tuple[str, ...]) -> object:
        """What an equation of this form and these names has in a slot."""
        match name:
            case "value":
                return renamed(self.nameless.value, _own(names))
            case "subscripts":
                return tuple([renamed(s, _own(names)) for s in self.nameless.subscripts])
            case "_extents":
                return self.nameless.extents
            case "_sizes":
                return self.nameless.sizes
        raise AttributeError(name)


# As long as some equation has them.
_forms: WeakValueDictionary[object, Form] = WeakValueDictionary()


@found_once("_form")
def form(equation: Equation) -> tuple[Form, tuple[str, ...]]:
    """The form of an equation, and its names in order."""
    numbers: dict[str, int] = {}
    shape = tuple(flat_equation(equation, lambda name: numbers.setdefault(name, len(numbers))))
    own = _forms.get(shape)
    if own is None:
        names = {name: str(number) for name, number in numbers.items()}
        own = _forms.setdefault(shape, Form(_renamed(equation, names, "")))
    return own, tuple(numbers)


def of_others(equation: Equation, names: Mapping[str, str], origin: str) -> Equation:
    """The same equation of other tensors. While these are different ones its form is the same."""
    own, old = form(equation)
    new = tuple([names.get(name, name) for name in old])
    if len(set(new)) < len(old):
        return _renamed(equation, names, origin)
    found, put = object.__new__(Equation), object.__setattr__
    put(found, "target", new[0])
    put(found, "indices", own.nameless.indices)
    put(found, "accumulate", own.nameless.accumulate)
    put(found, "origin", origin)
    put(found, "_form", (own, new))
    return found


def _renamed(equation: Equation, names: Mapping[str, str], origin: str) -> Equation:
    return replace(
        equation,
        target=names.get(equation.target, equation.target),
        subscripts=tuple([renamed(s, names) for s in equation.subscripts]),
        value=renamed(equation.value, names),
        origin=origin,
    )


def _own(names: tuple[str, ...]) -> dict[str, str]:
    """The name of each number."""
    return {str(number): name for number, name in enumerate(names)}


def of_form(fact: Callable[[Equation], T]) -> Callable[[Equation], T]:
    """A fact of equations that has nothing to do with names: found once for each form, and kept with it."""

    def found(equation: Equation) -> T:
        own, _ = form(equation)
        return own.fact(fact)

    return found


def names_of_form(
    find: Callable[[Equation], Iterable[str]],
) -> Callable[[Equation], tuple[str, ...]]:
    """Which of the tensors of an equation: found once for each form, in each its own ones."""
    numbers = of_form(lambda equation: [int(number) for number in find(equation)])

    def found(equation: Equation) -> tuple[str, ...]:
        _, names = form(equation)
        return tuple([names[number] for number in numbers(equation)])

    return found


@found_once("_names_read")
@names_of_form
def names_read(equation: Equation) -> Iterable[str]:
    """Every tensor that an equation reads, once each, those in the subscripts of its target included."""
    return dict.fromkeys(element.tensor for element in reads(equation))


def of_alike(
    find: Callable[[Equation], T], system: System | None = None
) -> Callable[[Equation], T]:
    """The same function, asked once for equations that are alike; what it finds has no names.

    Of tensors it asks for their kind alone, in the system; without one, nothing.
    """
    known: dict[Hashable, T] = {}
    kinds = None if system is None else system.kinds

    def found(equation: Equation) -> T:
        own, names = form(equation)
        key = own if kinds is None else (own, *map(kinds.get, names))
        try:
            return known[key]
        except KeyError:
            value = known[key] = find(equation)
            return value

    return found


def each_of_alike(
    change: Callable[[Equation], Iterable[Equation]],
    system: System,
    facts: Callable[[str], Hashable],
) -> Callable[[Equation], list[Equation]]:
    """What an equation becomes, found once for those that are alike.

    Of tensors it asks for their kind in the system, and for ``facts``; the new equations are of the same tensors.
    """
    known: dict[Hashable, tuple[list[Equation], tuple[str, ...]]] = {}

    def found(equation: Equation) -> list[Equation]:
        own, names = form(equation)
        key = own, tuple([(system.kinds[name], facts(name)) for name in names])
        if key not in known:
            known[key] = list(change(equation)), names
            return known[key][0]
        equations, others = known[key]
        new = dict(zip(others, names, strict=True))
        return [of_others(each, new, equation.origin) for each in equations]

    return found
