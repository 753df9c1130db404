"""Comparisons of nodes, and what is chosen by them; each is one formula, with NumPy's names and broadcasting.

less(a, b)           y[...] = a[...] < b[...]                    truths
where(c, a, b)       y[...] = where(c[...] != 0, a[...], b[...])
argmax(x, axis)      y[n] = argmax[i](x[n, i])                   the place of the first largest
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from .catalogue import define
from .functions import axes_of, maximum, minimum, single
from .graph.node import Node, index_names, require_node
from .graph.operation import op

__all__ = [
    "argmax",
    "argmin",
    "clip",
    "equal",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "not_equal",
    "where",
]


def _comparison(name: str, sign: str) -> Callable[[object, object], Node]:
    text = f"y[...] = a[...] {sign} b[...]"

    def function(a: object, b: object) -> Node:
        return single(op(text, name)(a, b))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"``{text}``: truths, with NumPy's broadcasting; numbers and arrays may stand beside nodes."
    )
    return function


equal = _comparison("equal", "==")
not_equal = _comparison("not_equal", "!=")
less = _comparison("less", "<")
less_equal = _comparison("less_equal", "<=")
greater = _comparison("greater", ">")
greater_equal = _comparison("greater_equal", ">=")

_where = define(
    "where",
    "y[...] = where(c[...] != 0, a[...], b[...])",
    samples=[{"c": (3, 5), "a": (3, 5), "b": (3, 5)}, {"c": (3, 1), "a": (5,), "b": (3, 5)}],
    domains={"c": 2},
)


def where(condition: object, a: object, b: object) -> Node:
    """``y[...] = where(c[...] != 0, a[...], b[...])`` with NumPy's broadcasting.

    What is not chosen has a gradient of 0, whatever it is. The condition holds truths or whole numbers.

    >>> from graphnn import Input, abs, square
    >>> error = Input((None, 3), "error")
    >>> print(where(less(abs(error), 1), square(error)/2, abs(error) - 0.5).shape)
    (None, 3)
    """
    return single(_where(condition, a, b))


def clip(x: Node, x_min: object, x_max: object) -> Node:
    """``min(max(x, x_min), x_max)``; from outside of the two nothing of a gradient arrives at x."""
    return minimum(maximum(x, x_min), x_max)


def _place(kind: str, extreme: str) -> Callable[..., Node]:
    def function(x: Node, axis: int | None = None) -> Node:
        node = require_node(x, f"the operand of {kind}")
        axes = axes_of(node, axis)
        names = index_names(node.ndim)
        left = ", ".join(n for k, n in enumerate(names) if k not in axes)
        over = ", ".join(names[k] for k in axes)
        target = f"y[{left}]" if left else "y"
        return single(op(f"{target} = {kind}[{over}](x[{', '.join(names)}])", kind)(node))

    function.__name__ = function.__qualname__ = kind
    function.__doc__ = (
        f"The place of the {extreme} along an axis, of several the first;"
        " by default in all of x, counted row by row."
    )
    return function


argmax = _place("argmax", "largest")
argmin = _place("argmin", "smallest")


def _refused(self: Node, other: object) -> NoReturn:
    """A truth of a node is not known when the graph is built: ``if x > 0`` would be decided once for all."""
    raise TypeError(
        f"{self.name} is a node of the graph: gn.less(a, b), gn.greater(a, b), ... compare nodes,"
        " gn.where(condition, a, b) chooses"
    )


for _name in ("__lt__", "__le__", "__gt__", "__ge__"):
    setattr(Node, _name, _refused)
