"""Forms: what equations have in common that are equal up to the names of tensors.

    y_3[n, o] = max(0, z_3[n, o])     and     y_4[n, o] = max(0, z_4[n, o])     are     _0[n, o] = max(0, _1[n, o])

There is one form for all of them, so that forms are compared and looked up by what they are, not by how they look. Most
stages have nothing to do with most equations: whether one has is found `of_alike`, once for each form.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import TypeVar
from weakref import WeakValueDictionary

from .expression import found_once, renamed
from .flat import flat_equation
from .system import Equation, System

__all__ = ["Form", "form", "of_alike", "of_others"]

T = TypeVar("T")


class Form:
    """Equal to itself alone."""

    __slots__ = ("__weakref__",)


# As long as some equation has them.
_forms: WeakValueDictionary[object, Form] = WeakValueDictionary()


@found_once("_form")
def form(equation: Equation) -> tuple[Form, tuple[str, ...]]:
    """The form of an equation, and its names in order."""
    numbers: dict[str, int] = {}
    shape = flat_equation(equation, lambda name: numbers.setdefault(name, len(numbers)))
    return _forms.setdefault(tuple(shape), Form()), tuple(numbers)


def of_others(equation: Equation, names: Mapping[str, str], origin: str) -> Equation:
    """The same equation of other tensors. While these are different ones its form is the same."""
    found = replace(
        equation,
        target=names.get(equation.target, equation.target),
        subscripts=tuple(renamed(s, names) for s in equation.subscripts),
        value=renamed(equation.value, names),
        origin=origin,
    )
    own, old = form(equation)
    new = tuple(names.get(name, name) for name in old)
    if len(set(new)) == len(old):
        object.__setattr__(found, "_form", (own, new))
    return found


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
