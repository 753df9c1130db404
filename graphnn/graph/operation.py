"""Operation: a formula that can be applied to nodes.

    silu = op("y[...] = x[...] / (1 + exp(-x[...]))")
    y = silu(x)

Shape, dtype, gradient, picture and kernel of the result follow from the formula; nothing else is
ever written for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache, partial
from inspect import cleandoc

import numpy as np

from compiler.language.expression import GROUP, Call, Expr, elements, walk

from ..calculus.occurrences import whole_reads
from ..errors import DtypeError, GraphnnError, NotationError, ShapeError
from ..notation import (
    Formula,
    Resolved,
    broadcasts,
    expand,
    is_generic,
    parse,
    resolve,
    symbolic,
)
from .application import Application, Result
from .dtypes import dtypes_of
from .node import Constant, Node, dtype_name, typed
from .surroundings import current_scope, unique_name

__all__ = ["Operation", "op", "resolve_cached", "unread"]

_Shapes = tuple[tuple[str, tuple[Expr, ...]], ...]


@dataclass(frozen=True, eq=False)
class Operation:
    """A named formula with the values of its attributes; call it on nodes."""

    name: str
    given: Formula | Callable[[], Formula]
    attributes: Mapping[str, Fraction]
    dtype: str | None = None

    @cached_property
    def formula(self) -> Formula:
        """Read when it is asked for: most of the catalogue never is."""
        return self.given() if callable(self.given) else self.given

    def __call__(self, *positional: object, **named: object) -> Result | tuple[Result, ...]:
        """The node (or nodes) of the outputs for these operands, in order of first appearance or by
        name.
        """
        application = self.apply(self.bind(positional, named))
        results = tuple(application.result(t) for t in application.formula.outputs)
        return results[0] if len(results) == 1 else results

    def bind(self, positional: tuple[object, ...], named: Mapping[str, object]) -> dict[str, Node]:
        """Operand names to nodes; numbers and arrays become constants."""
        wanted = self.formula.operands
        listing = ", ".join(wanted)
        if len(positional) > len(wanted):
            raise GraphnnError(
                f"{self.name} takes {len(wanted)} operands ({listing}), got {len(positional)}: {self}"
            )
        given: dict[str, object] = dict(zip(wanted, positional, strict=False))
        for name, value in named.items():
            if name not in wanted or name in given:
                problem = "is given twice" if name in given else "is not an operand"
                raise GraphnnError(f"{self.name}: {name} {problem}; operands are {listing}: {self}")
            given[name] = value
        missing = [name for name in wanted if name not in given]
        if missing:
            scalars = [name for name in wanted if f"{name}[" not in self.formula.text]
            numbers = (
                f" ({scalars[0]} may be a number: gn.op(..., {scalars[0]}=0.5))" if scalars else ""
            )
            raise GraphnnError(
                f"{self.name}: operand {missing[0]} is missing; operands are {listing}{numbers}: {self}"
            )
        dtypes = [v.dtype for v in given.values() if isinstance(v, Node)]
        parts = [e for line in self.formula.lines for e in (line.value, *line.subscripts)]
        whole = {operand for part in parts for operand in whole_reads(part)}
        return {
            name: _as_node(given[name], name, dtypes, name in whole, self.name) for name in wanted
        }

    def apply(
        self,
        operands: Mapping[str, Node],
        *,
        name: str | None = None,
        scope: tuple[str, ...] | None = None,
        dtypes: Mapping[str, str] | None = None,
        differentiates: Application | None = None,
    ) -> Application:
        """The application on these operands; raises with the node, the formula and the operands'
        types.

        ``dtypes`` gives the dtype of targets that are not to have the one that follows from the
        operands.
        """
        name = name or unique_name(self.name)
        try:
            shapes = tuple((k, node.dims) for k, node in operands.items())
            given = tuple((k, node.dtype) for k, node in operands.items())
            wanted = tuple((dtypes or {}).items())
            formula, resolved, found = _settled(self.formula, shapes, given, self.dtype, wanted)
        except (ShapeError, DtypeError, NotationError) as error:
            types = {k: (node, node.dims) for k, node in operands.items()}
            raise refusal(name, error, types) from None
        place = current_scope() if scope is None else scope
        return Application(
            self,
            operands,
            formula,
            resolved,
            dict(found),
            name,
            place,
            differentiates=differentiates,
        )

    def __str__(self) -> str:
        return self.formula.text

    def __repr__(self) -> str:
        return f"<Operation {self.name}: {self.formula.text}>"


def op(
    text: str,
    name: str | None = None,
    outputs: Sequence[str] | None = None,
    dtype: str | np.dtype | type | None = None,
    **attributes: int | float | Fraction,
) -> Operation:
    """A new operation from its formula.

    ``text`` is one line of index notation, or several. ``attributes`` are numbers that the formula
    names. ``outputs`` are the results, by default every target that no later line reads. ``dtype``
    of the results, by default that of the operands. Raises `NotationError`.

    >>> swish = op("y[...] = x[...] / (1 + exp(-beta*x[...]))", beta=1.5)
    >>> swish.formula.operands
    ('x',)

    Random numbers are a function of three integers, the last of which is a place: ``[...]`` is that
    of the element. Nothing of them is stored, the gradient draws the same ones again.

    >>> drop = op("y[...] = where(uniform(seed, step, [...]) < keep, x[...]/keep, 0)", keep=0.5)
    >>> drop.formula.operands
    ('seed', 'step', 'x')
    """
    if isinstance(text, str):
        text = cleandoc(text)  # lines may be indented with the code around
    operation = unread(text, name or "op", outputs, dtype, **attributes)
    formula = operation.formula  # what is wrong with it is said now
    return operation if name else replace(operation, name=formula.outputs[0])


def unread(
    text: str,
    name: str,
    outputs: Sequence[str] | None = None,
    dtype: str | np.dtype | type | None = None,
    **attributes: int | float | Fraction,
) -> Operation:
    """The same, but the formula is read when somebody asks for it."""
    numbers = {k: _number(k, v) for k, v in attributes.items()}
    wanted = None if outputs is None else tuple(outputs)
    read = partial(_parse, text, tuple(numbers.items()), wanted)
    return Operation(name, read, numbers, None if dtype is None else dtype_name(dtype, name))


def refusal(
    name: str, error: GraphnnError, operands: Mapping[str, tuple[Node, tuple[Expr, ...]]]
) -> GraphnnError:
    """The error of a formula with the node that it was for, and its operands in their sizes."""
    types = ", ".join(f"{k} = {n.name}: {typed(n.dtype, d)}" for k, (n, d) in operands.items())
    kind = DtypeError if isinstance(error, DtypeError) else ShapeError
    return kind(f"{name}: {error}\n  operands: {types or 'none'}")


@lru_cache(maxsize=4096)
def _parse(
    text: str, attributes: tuple[tuple[str, Fraction], ...], outputs: tuple[str, ...] | None
) -> Formula:
    return parse(text, dict(attributes), outputs)


@lru_cache(maxsize=4096)
def _settled(
    formula: Formula,
    shapes: _Shapes,
    given: tuple[tuple[str, str], ...],
    dtype: str | None,
    exceptions: tuple[tuple[str, str], ...],
) -> tuple[Formula, Resolved, dict[str, str]]:
    """The formula for operands of these shapes and dtypes, its sizes, the dtype of each tensor: once for all nodes
    that are alike.
    """
    if is_generic(formula) and not _derivable(formula, dict(shapes)):
        formula = expand(formula, dict(shapes))
    resolved = resolve_cached(formula, shapes)
    return formula, resolved, dtypes_of(resolved, dict(given), dtype, dict(exceptions))


@lru_cache(maxsize=16384)
def resolve_cached(formula: Formula, shapes: _Shapes) -> Resolved:
    """`resolve`, remembered: the same formula on the same shapes is worked out once."""
    return resolve(formula, dict(shapes))


def _derivable(formula: Formula, shapes: Mapping[str, tuple[Expr, ...]]) -> bool:
    """Can ``...`` stay one bundle? Not where operands are broadcast or the bundle is fused into a
    group.
    """
    if broadcasts(formula, shapes):
        return False
    try:
        symbolic(formula)
    except ShapeError:
        return False
    places = [s for line in formula.lines for s in line.subscripts]
    places += [s for line in formula.lines for e in elements(line.value) for s in e.subscripts]
    return not any(isinstance(n, Call) and n.function == GROUP for s in places for n in walk(s))


def _number(name: str, value: object) -> Fraction:
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, Fraction, np.integer, np.floating)
    ):
        raise GraphnnError(f"attribute {name} must be a number, got {value!r}")
    if isinstance(value, (int, np.integer)):
        return Fraction(int(value))
    if not math.isfinite(value):
        raise GraphnnError(f"attribute {name} must be finite, got {value!r}")
    return value if isinstance(value, Fraction) else Fraction(repr(float(value)))


def _as_node(value: object, operand: str, dtypes: list[str], whole: bool, operation: str) -> Node:
    """A node, or a constant; a number has no width of its own, but that of the nodes beside it:
    a float if there is one, unless it is to be ``whole``.
    """
    if isinstance(value, Node):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        kind = type(value).__name__
        raise GraphnnError(
            f"{operation}: operand {operand} must be a node, array or number, got {kind}"
        )
    floats = [] if whole else [d for d in dtypes if d.startswith("float")]
    integers = [d for d in dtypes if d.startswith("int")]
    if array.dtype.kind == "f" or (floats and array.ndim == 0):
        array = array.astype(floats[0] if floats else "float32")
    elif array.dtype.kind == "i" and array.ndim == 0 and integers:
        array = array.astype(max(integers))
    return Constant(array)
