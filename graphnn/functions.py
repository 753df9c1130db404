"""Functions on nodes as NumPy has them: arithmetic, exp, log, sum over axes, reshape, concat.

Each is an operation of the catalogue, or, where axes and sizes decide, a formula written for just
those. Importing this module gives nodes their operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import takewhile

import numpy as np

from compiler.language.expression import Expr, Index, Number, expr
from compiler.language.integers import normalize
from compiler.language.text import expression_text

from .catalogue import define
from .errors import GraphnnError, ShapeError
from .graph.application import Result
from .graph.node import Constant, Node, dtype_name, index_names, is_integer, require_node
from .graph.operation import Operation, op
from .graph.surroundings import unique_name

__all__ = [
    "abs",
    "add",
    "axes_of",
    "cast",
    "concat",
    "cos",
    "divide",
    "erf",
    "erfc",
    "exp",
    "identity",
    "in_groups",
    "log",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "multiply",
    "negative",
    "power",
    "reshape",
    "sin",
    "single",
    "sqrt",
    "square",
    "subtract",
    "sum",
    "transpose",
]

_VECTOR = [{"x": (3, 5)}]

exp = define("exp", "y[...] = exp(x[...])", samples=_VECTOR)
log = define("log", "y[...] = log(x[...])", samples=_VECTOR, domains={"x": "positive"})
sqrt = define("sqrt", "y[...] = sqrt(x[...])", samples=_VECTOR, domains={"x": "positive"})
sin = define("sin", "y[...] = sin(x[...])", samples=_VECTOR)
cos = define("cos", "y[...] = cos(x[...])", samples=_VECTOR)
erf = define("erf", "y[...] = erf(x[...])", samples=_VECTOR)
erfc = define("erfc", "y[...] = erfc(x[...])", samples=_VECTOR)
abs = define("abs", "y[...] = abs(x[...])", samples=_VECTOR)
square = define("square", "y[...] = x[...]**2", samples=_VECTOR)
negative = define("negative", "y[...] = -x[...]", samples=_VECTOR)
identity = define("identity", "y[...] = x[...]", samples=_VECTOR)

_PAIR: list[dict[str, tuple[int, ...]]] = [
    {"a": (3, 5), "b": (3, 5)},
    {"a": (3, 5), "b": (5,)},
    {"a": (3, 1), "b": (2, 1, 5)},
]
_SCALED: list[dict[str, tuple[int, ...]]] = [{"a": (3, 5), "b": ()}]
_SCALING: list[dict[str, tuple[int, ...]]] = [{"a": (), "b": (3, 5)}]


def _binary(name: str, text: str, **domains: str) -> Callable[[object, object], Node]:
    """An operation of two tensors, and two more for a number on either side: those keep ``...`` for
    every rank.
    """
    both = define(name, text, samples=_PAIR, domains=domains)
    right = define(f"{name}_number", text.replace("b[...]", "b"), samples=_SCALED, domains=domains)
    left = define(
        f"number_{name}",
        text.replace("a[...]", "a"),
        samples=_SCALING,
        domains=domains,
    )

    def function(a: object, b: object) -> Node:
        numbers = _is_scalar(a), _is_scalar(b)
        operation = both if numbers[0] == numbers[1] else right if numbers[1] else left
        return _called(name, operation, a, b)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"``{text}`` with NumPy's broadcasting; numbers and arrays may stand beside nodes."
    )
    return function


def _is_scalar(value: object) -> bool:
    return value.ndim == 0 if isinstance(value, Node) else np.ndim(value) == 0  # type: ignore[arg-type]


def _called(name: str, operation: Operation, *operands: object) -> Node:
    """Its result under the name that users know, whatever its form for such operands is called."""
    application = operation.apply(operation.bind(operands, {}), name=unique_name(name))
    return application.result("y")


def single(result: Result | tuple[Result, ...]) -> Node:
    """What an operation of one result gave."""
    assert isinstance(result, Result)
    return result


add = _binary("add", "y[...] = a[...] + b[...]")
subtract = _binary("subtract", "y[...] = a[...] - b[...]")
multiply = _binary("multiply", "y[...] = a[...]*b[...]")
divide = _binary("divide", "y[...] = a[...]/b[...]", b="positive")


def _extreme(kind: str) -> Callable[[object, object], Node]:
    """The value is that of ``max`` or ``min`` exactly; at a tie each side gets half of the gradient.

    Two infinities are no tie, their difference is not 0; whole numbers have no gradient to share.
    """
    plain = f"{kind}(a[...], b[...])"
    halves = "a[...] + (b[...] - a[...])/2"
    real = _binary(f"{kind}imum", f"y[...] = where(a[...] - b[...] == 0, {halves}, {plain})")
    whole = op(f"y[...] = {plain}", f"{kind}imum")

    def function(a: object, b: object) -> Node:
        return single(whole(a, b)) if _is_whole(a) and _is_whole(b) else real(a, b)

    function.__name__ = function.__qualname__ = f"{kind}imum"
    function.__doc__ = f"``y[...] = {plain}`` with NumPy's broadcasting; a tie splits the gradient."
    return function


def _is_whole(value: object) -> bool:
    dtype = value.dtype if isinstance(value, Node) else np.asarray(value).dtype
    return np.dtype(dtype).kind in "iub"


maximum = _extreme("max")
minimum = _extreme("min")
_power = _binary("power", "y[...] = a[...]**b[...]", a="positive")


def power(a: object, b: object) -> Node:
    """``a**b``; a whole number as exponent is written into the formula, so that its gradient is a
    polynomial.
    """
    number = isinstance(b, (int, float)) and not isinstance(b, bool)
    if number and isinstance(a, Node) and float(b).is_integer():  # type: ignore[arg-type]
        return single(op(f"y[...] = x[...]**({int(b)})", "power")(a))  # type: ignore[call-overload]
    return _power(a, b)


_matmul = define(
    "matmul",
    "y[..., o] = sum[i](x[..., i]*W[i, o])",
    samples=[{"x": (3, 4), "W": (4, 5)}, {"x": (2, 3, 4), "W": (4, 5)}],
)
_batch_matmul = define(
    "batch_matmul",
    "y[..., i, j] = sum[k](a[..., i, k]*b[..., k, j])",
    samples=[{"a": (2, 3, 4), "b": (2, 4, 5)}],
)
_dot = define("dot", "y[...] = sum[i](x[..., i]*w[i])", samples=[{"x": (3, 4), "w": (4,)}])


def matmul(a: object, b: object) -> Node:
    """``a @ b`` as NumPy defines it: vectors, matrices, and stacks of matrices with broadcasting."""
    left = a if isinstance(a, Node) else Constant(a, dtype=require_node(b, "one side of @").dtype)
    right = b if isinstance(b, Node) else Constant(b, dtype=left.dtype)
    if left.ndim == 0 or right.ndim == 0:
        raise ShapeError(f"@ needs at least one axis on both sides, got {left!r} @ {right!r}")
    if right.ndim == 1:
        return single(_dot(left, right))
    if right.ndim == 2:
        return single(_matmul(left, right))
    if left.ndim == 1:
        return single(op("y[..., j] = sum[k](a[k]*b[..., k, j])", "matmul")(left, right))
    return single(_batch_matmul(left, right))


def cast(x: Node, dtype: str | np.dtype | type) -> Node:
    """``y[...] = x[...]`` stored as another dtype; the gradient is converted back."""
    node = require_node(x, "what is cast")
    wanted = dtype_name(dtype, "cast")
    if node.dtype == wanted:
        return node
    return single(op("y[...] = x[...]", "cast", dtype=wanted)(node))


def axes_of(x: Node, axis: int | Sequence[int] | None) -> tuple[int, ...]:
    """Which axes are meant, in order: None means all. Raises `ShapeError` for one that is not there."""
    if axis is None:
        return tuple(range(x.ndim))
    given = tuple(axis) if isinstance(axis, Sequence) else (axis,)
    for a in given:
        if not is_integer(a) or not -x.ndim <= a < x.ndim:
            raise ShapeError(f"{x.name} has {x.ndim} axes: there is no axis {a}")
    return tuple(sorted({int(a) % x.ndim for a in given}))


def _reduction(kind: str, tie: str = "") -> Callable[..., Node]:
    last = define(f"{kind}_last", f"y[...] = {kind}[i](x[..., i])", samples=_VECTOR)
    everything = define(f"{kind}_all", f"y = {kind}[...](x[...])", samples=_VECTOR)

    def function(x: Node, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Node:
        node = require_node(x, f"the operand of {kind}")
        axes = axes_of(node, axis)
        if not axes:
            return node
        if not keepdims and len(axes) == node.ndim:
            return _called(kind, everything, node)
        if not keepdims and axes == (node.ndim - 1,):
            return _called(kind, last, node)
        names = index_names(node.ndim)
        bound = ", ".join(names[a] for a in axes)
        kept = [("0" if keepdims else "") if a in axes else names[a] for a in range(node.ndim)]
        left = ", ".join(k for k in kept if k)
        return single(op(f"y[{left}] = {kind}[{bound}](x[{', '.join(names)}])", kind)(node))

    function.__name__ = function.__qualname__ = kind
    function.__doc__ = f"``{kind}`` over all axes, one, or a tuple of them.{tie}"
    return function


_TIE = " At a tie the gradient is split evenly."
sum = _reduction("sum")
mean = _reduction("mean")
max = _reduction("max", _TIE)
min = _reduction("min", _TIE)


def transpose(x: Node, axes: Sequence[int] | None = None) -> Node:
    """The axes in another order, by default reversed."""
    node = require_node(x, "the operand of transpose")
    wanted = range(node.ndim)[::-1] if axes is None else axes
    if not isinstance(wanted, Sequence):
        raise ShapeError(f"{node.name}: the order of axes is a sequence of them, got {axes!r}")
    order = [a + node.ndim if is_integer(a) and a < 0 else a for a in wanted]
    if len(order) != node.ndim or any(a not in order for a in range(node.ndim)):
        raise ShapeError(f"{node.name} has {node.ndim} axes; {axes} is not an order of them")
    names = index_names(node.ndim)
    left = ", ".join(names[a] for a in order)
    return single(op(f"y[{left}] = x[{', '.join(names)}]", "transpose")(node))


def reshape(x: Node, shape: Sequence[int]) -> Node:
    """The same elements in row-major order in another shape; one size may be -1.

    Axes in front that keep their sizes are kept as they are: ``y[a, b:28, c:28] = x[a, 28*b + c]``. An open
    batch is always one of them, never fused with others.
    """
    node = require_node(x, "the operand of reshape")
    keeps_batch = node.ndim > 0 and not isinstance(node.dims[0], Number)
    inner = node.dims[1:] if keeps_batch else node.dims
    if not isinstance(shape, Sequence) or not all(n is None or is_integer(n) for n in shape):
        raise ShapeError(f"{node.name}: {shape!r} is not a shape: sizes are whole numbers")
    wanted = [None if n is None else int(n) for n in shape]
    if keeps_batch:
        if not wanted or wanted[0] not in (None, -1):
            raise ShapeError(f"{node.name}: the batch stays the first axis; give it as -1 or None")
        wanted = wanted[1:]
    if not all(isinstance(n, Number) for n in inner):
        raise ShapeError(f"{node.name}: only the batch may be open when {node.shape} is reshaped")
    old = [int(n.value) for n in inner if isinstance(n, Number)]
    new = _filled(wanted, math.prod(old), node)
    same = len(list(takewhile(lambda sizes: sizes[0] == sizes[1], zip(old, new, strict=False))))
    names = index_names(len(new))
    kept = [*(["n"] if keeps_batch else []), *names[:same]]
    rest = list(zip(names, new, strict=True))[same:]
    position: Expr = expr(0)
    for name, size in rest:
        position = position * size + Index(name)
    left = ", ".join([*kept, *(f"{name}:{size}" for name, size in rest)])
    right = ", ".join([*kept, *_digits(position, old[same:])])
    brackets = f"[{left}]" if left else ""
    return single(op(f"y{brackets} = x{f'[{right}]' if right else ''}", "reshape")(node))


def _filled(shape: Sequence[int | None], total: int, node: Node) -> list[int]:
    wanted = list(shape)
    known = math.prod(n for n in wanted if n is not None and n != -1)
    open_axes = [k for k, n in enumerate(wanted) if n in (-1, None)]
    if len(open_axes) == 1 and known and total % known == 0:
        wanted[open_axes[0]] = total // known
    if any(n is None or n < 0 for n in wanted) or math.prod(n or 0 for n in wanted) != total:
        raise ShapeError(
            f"{node.name}: {node.shape} has {total} elements, they do not fit {tuple(wanted)}"
        )
    return [n for n in wanted if n is not None]


def _digits(position: Expr, sizes: list[int]) -> list[str]:
    """Row-major subscripts of a flat position."""
    found, step = [], 1
    for axis in reversed(range(len(sizes))):
        digit = normalize(position // step)
        found.append(expression_text(normalize(digit % sizes[axis]) if axis else digit))
        step *= sizes[axis]
    return found[::-1]


def concat(nodes: Sequence[object], axis: int = -1) -> Node:
    """Nodes one behind the other along ``axis``; all other sizes must agree. Arrays may stand beside them."""
    first = next((n for n in nodes if isinstance(n, Node)), None)
    if first is None:
        raise GraphnnError("concat needs at least one node")
    parts = [n if isinstance(n, Node) else Constant(n, dtype=first.dtype) for n in nodes]
    (place,) = axes_of(parts[0], axis)
    return in_groups(parts, lambda group: _concat(group, place))


def in_groups(parts: Sequence[Node], join: Callable[[Sequence[Node]], Node]) -> Node:
    """``join`` of all parts, no more than 16 in one formula: of more, groups are joined first."""
    while len(parts) > 16:
        parts = [join(parts[k : k + 16]) for k in range(0, len(parts), 16)]
    return join(parts)


def _concat(parts: Sequence[Node], place: int) -> Node:
    lines, start = [], "0"
    names = index_names(parts[0].ndim)
    for k, part in enumerate(parts):
        if part.ndim != len(names):
            raise ShapeError(
                f"concat: {part.name} has {part.ndim} axes, {parts[0].name} has {len(names)}"
            )
        for a, (own, first) in enumerate(zip(part.dims, parts[0].dims, strict=True)):
            if a != place and own != first:
                raise ShapeError(
                    f"concat: axis {a} of {part.name}: {part.type}"
                    f" is not that of {parts[0].name}: {parts[0].type}"
                )
        left = [*names]
        left[place] = names[place] if start == "0" else f"{start} + {names[place]}"
        lines.append(f"y[{', '.join(left)}] = x{k}[{', '.join(names)}]")
        size = f"dim(x{k}, {place})"
        start = size if start == "0" else f"{start} + {size}"
    return single(op("\n".join(lines), "concat")(*parts))


def _reflected(function: Callable[[object, object], Node]) -> Callable[[Node, object], Node]:
    return lambda self, other: function(other, self)


def _install_operators() -> None:
    table: dict[str, Callable[[object, object], Node]] = {
        "add": add,
        "sub": subtract,
        "mul": multiply,
        "truediv": divide,
        "pow": power,
        "matmul": matmul,
    }
    methods: dict[str, Callable[..., Node]] = {
        "neg": lambda self: single(negative(self)),  # functions: an operation would not be bound
        "abs": lambda self: single(abs(self)),  # to the node that it is looked up on
    }
    for word, function in table.items():
        methods |= {word: function, f"r{word}": _reflected(function)}
    for word, method in methods.items():
        setattr(Node, f"__{word}__", method)
    Node.__array_ufunc__ = None  # type: ignore[attr-defined]  # NumPy arrays on the left give way


_install_operators()
