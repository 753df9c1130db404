"""Forms: what equations have in common that are equal up to the names of tensors.

    y_3[n, o] = max(0, z_3[n, o])     and     y_4[n, o] = max(0, z_4[n, o])     are     _0[n, o] = max(0, _1[n, o])

There is one form for all of them, so that forms are compared and looked up by what they are, not by how they look.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

from .expression import found_once
from .flat import flat_equation
from .system import Equation

__all__ = ["Form", "form"]


class Form:
    """Equal to itself alone."""

    __slots__ = ("__weakref__",)


_forms: WeakValueDictionary[object, Form] = (
    WeakValueDictionary()
)  # as long as some equation has them


@found_once("_form")
def form(equation: Equation) -> tuple[Form, tuple[str, ...]]:
    """The form of an equation, and its names in order."""
    numbers: dict[str, int] = {}
    shape = flat_equation(equation, lambda name: numbers.setdefault(name, len(numbers)))
    return _forms.setdefault(tuple(shape), Form()), tuple(numbers)
