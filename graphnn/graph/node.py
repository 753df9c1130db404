"""Nodes: tensors of a static graph, each of which knows the formula it comes from.

    Node := Input | Parameter | Constant | Result       (a Result is made by applying an operation,
                                                        see `application`)

A shape holds ints and, where a size is not fixed yet, symbols: the batch is ``N`` for every input.
`Node.shape` shows those as None. Nodes are compared by identity; arithmetic on them builds new ones
(see `graphnn.functions`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from compiler.language.dtypes import DTYPES
from compiler.language.expression import Expr, Number, Symbol, expr
from compiler.language.text import expression_text
from compiler.machine.arrays import aligned_array

from ..errors import DtypeError, GraphnnError, ShapeError
from .surroundings import Trainable, current_owner, current_scope, innermost, unique_name

if TYPE_CHECKING:
    from .operation import Operation

__all__ = [
    "BATCH",
    "Choice",
    "Constant",
    "Input",
    "Node",
    "Parameter",
    "dimension",
    "dtype_name",
    "identifier",
    "index_names",
    "is_integer",
    "require_node",
    "typed",
]

BATCH = Symbol("N")


def identifier(name: str) -> str:
    """``name`` as a name the notation can read."""
    word = re.sub(r"\W", "_", name, flags=re.ASCII)
    return word if re.match(r"[A-Za-z_]", word) else f"_{word}"


def dimension(size: int | Expr) -> int | None:
    """A size as users see it: an int, or None where it is not fixed yet."""
    if isinstance(size, Expr):
        return int(size.value) if isinstance(size, Number) else None
    return size


@dataclass(eq=False)
class Node:
    """A tensor of the graph: ``name``, ``dims`` (ints and symbols as expressions), ``dtype``,
    ``scope`` (its layers), ``owner`` (the use of a layer that made it)."""

    name: str
    dims: tuple[Expr, ...]
    dtype: str
    scope: tuple[str, ...] = field(default_factory=current_scope)
    owner: object = field(default_factory=current_owner, init=False)
    __iter__ = None  # ``x[0]`` is a node, but there is no end to iterate to

    @property
    def shape(self) -> tuple[int | None, ...]:
        return tuple(dimension(n) for n in self.dims)

    @property
    def ndim(self) -> int:
        return len(self.dims)

    @property
    def type(self) -> str:
        """``f32[N, 784]``"""
        return typed(self.dtype, self.dims)

    @property
    def inputs(self) -> tuple[Node, ...]:
        return ()

    def __array__(self, *given: object, **options: object) -> NoReturn:
        """NumPy asks for numbers where a node is given to its functions."""
        raise TypeError(
            f"{self.name} is a node of the graph and has no numbers: write gn.exp, gn.mean, ... of nodes,"
            " and let gn.function or gn.evaluate compute them"
        )

    def __str__(self) -> str:
        """``x: f32[N, 784]``; of what is computed, the equations."""
        return f"{self.name}: {self.type}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.type}>"


class Input(Node):
    """A tensor that is given anew at each call; batch included and first, ``None`` = not fixed yet.

    >>> Input((None, 28, 28, 1), name="image")
    <Input image: f32[N, 28, 28, 1]>
    """

    def __init__(
        self,
        shape: Sequence[int | None],
        name: str | None = None,
        dtype: str | np.dtype | type = "float32",
    ) -> None:
        if isinstance(shape, int) or shape is None:
            raise ShapeError(f"expected a shape such as (None, 784), got {shape!r}")
        if not isinstance(name, (str, type(None))):
            raise GraphnnError(f"a name is a string, got {type(name).__name__}")
        label = name or unique_name("input")
        known = dtype_name(dtype, label)
        dims: list[Expr] = []
        for axis, size in enumerate(shape):
            if size is None:
                dims.append(BATCH if axis == 0 else Symbol(f"{identifier(label)}_{axis}"))
            elif isinstance(size, (int, np.integer)) and size > 0:
                dims.append(expr(int(size)))
            else:
                raise ShapeError(
                    f"{label}: axis {axis} of the shape {tuple(shape)} must be a positive int or None"
                )
        super().__init__(label, tuple(dims), known)


class Parameter(Trainable, Node):
    """A tensor that is kept between calls: a weight, a moment, a counter. ``value`` is its memory,
    trained in place. ``regularizer`` gives what a model's loss grows by for its value.
    """

    def __init__(
        self,
        value: np.ndarray,
        name: str,
        *,
        trainable: bool = True,
        regularizer: Operation | None = None,
    ) -> None:
        array = np.asarray(value)
        dtype = dtype_name(array.dtype, name)
        super().__init__(name, tuple(expr(int(n)) for n in array.shape), dtype)
        self.value = aligned_array(array.shape, self.dtype)
        self.value[...] = array
        self.trainable = trainable
        self.regularizer = regularizer

    def assign(self, value: object) -> None:
        """Overwrite the value; shape and dtype kind must fit."""
        self.value[...] = self.checked(value)

    def checked(self, value: object) -> np.ndarray:
        """``value`` as an array that may be assigned. Raises `ShapeError` or `DtypeError`."""
        array = np.asarray(value)
        if array.shape != self.value.shape:
            raise ShapeError(
                f"{self.name}: expected an array of shape {self.value.shape}, got {array.shape}"
            )
        if not np.can_cast(array.dtype, self.value.dtype, casting="same_kind"):
            raise DtypeError(f"{self.name}: expected {self.dtype}, got {array.dtype}")
        return array


class Constant(Node):
    """A NumPy array or number that stands beside nodes; it has no gradient and never changes."""

    def __init__(self, value: object, name: str | None = None, dtype: str | None = None) -> None:
        array = np.asarray(value, dtype=dtype)
        label = name or unique_name("constant")
        known = dtype_name(array.dtype, label)
        super().__init__(label, tuple(expr(int(n)) for n in array.shape), known)
        self.value = array.copy()
        self.value.setflags(write=False)

    @property
    def is_number(self) -> bool:
        """One finite number: it is written into formulas instead of being read from memory."""
        return self.value.ndim == 0 and bool(np.isfinite(self.value))

    @property
    def number(self) -> Expr:
        """The number as its dtype prints it: 0.01, not the binary fraction next to it."""
        return expr(Fraction(str(self.value)) if self.dtype != "bool" else int(self.value))


class Choice(Node):
    """A node that is computed one way in training and another in inference; `Graph` follows the one
    that it is made for.

    ``changes`` are the new values that parameters take with each training step: moving statistics,
    counters. ``always`` is the side that it stands for whatever the graph is made for, None as a
    rule; ``layer`` the innermost layer that it was made in.
    """

    def __init__(
        self, training: Node, inference: Node, changes: Mapping[Parameter, Node] | None = None
    ) -> None:
        if (training.dims, training.dtype) != (inference.dims, inference.dtype):
            raise ShapeError(
                f"{training.name} is {training.type} in training, but {inference.type} in inference"
            )
        super().__init__(training.name, training.dims, training.dtype)
        self.training, self.inference = training, inference
        self.changes = dict(changes or {})
        scope = innermost()
        self.always = scope.training
        self.layer: object = getattr(scope.owner, "layer", None)

    @property
    def own_changes(self) -> dict[Parameter, Node]:
        """Those of parameters that are no layer's weights: counters of random streams."""
        weights = getattr(self.layer, "weights", ())
        return {p: new for p, new in self.changes.items() if not any(p is w for w in weights)}

    @property
    def frozen(self) -> bool:
        """Does it stand for inference even in training?"""
        is_kept = self.layer is not None and not getattr(self.layer, "trainable", True)
        return is_kept and bool(self.changes) and not self.own_changes

    def trains(self, training: bool) -> bool:
        """Does it stand for its training side, in a graph for training or in one for inference?"""
        return (training if self.always is None else self.always) and not self.frozen

    def side(self, training: bool) -> Node:
        """The node that stands for this one in a graph for training, or in one for inference."""
        return self.training if self.trains(training) else self.inference


def dtype_name(dtype: object, name: str) -> str:
    """The name of a dtype of tensors, which may be given as NumPy's own: np.float64.

    Raises `DtypeError`, which names ``name``, for others.
    """
    known = str(np.dtype(dtype)) if isinstance(dtype, (np.dtype, type)) else dtype
    if not isinstance(known, str) or known not in DTYPES:
        raise DtypeError(f"{name}: dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    return known


def typed(dtype: str, dims: Sequence[Expr]) -> str:
    """``f32[N, 784]``"""
    return f"{DTYPES[dtype].short}[{', '.join(map(expression_text, dims))}]"


def is_integer(value: object) -> bool:
    """Python's and NumPy's whole numbers, truth values not among them."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def index_names(count: int, taken: str = "") -> list[str]:
    """Names of that many indices, but for one that is taken, for formulas written for one number of axes."""
    letters = [letter for letter in "abcdefghijklm" if letter != taken]
    return [letters[k] if k < len(letters) else f"a{k}" for k in range(count)]


def require_node(value: object, what: str) -> Node:
    """``value`` if it is a node, else an error that says what was expected."""
    if not isinstance(value, Node):
        advice = "; begin with gn.Input(...), arrays are for predict, fit and gn.function"
        kind = f"{type(value).__name__}{advice if hasattr(value, '__array__') else ''}"
        raise GraphnnError(f"expected {what} to be a node of the graph, got {kind}")
    return value
