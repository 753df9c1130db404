"""The dtype of every tensor of a formula, from all of its equations together.

    y[0] = 0 ; y[t+1] = 0.5*y[t] + x[t]     with x float64: y is float64, whichever line comes first
    y[n] = x[n]/2                           with x int32: y is float32, because a quotient is real

What a value is (whole, real or a truth) is the compiler's rule, `kind_of`; here it meets the widths
of what is read. Numbers have no width: a target that reads nothing else is a float as the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from compiler.language.expression import COMPARISONS, Call, Element, Expr, Reduce, children, walk
from compiler.language.simplify import kind_of
from compiler.language.system import Equation, Tensor

from ..errors import DtypeError
from ..notation import Resolved

__all__ = ["dtypes_of"]

# What stands for the dtype of a target as long as its width is not settled.
_OPEN, _WHOLE, _REAL = "open", "whole", "real"
_STAND_IN = {_OPEN: "bool", _WHOLE: "int32", _REAL: "float32"}
_GROWTH = 6  # how often it can change: open, truth, whole, int32 or int64, real, a float

Lines = Mapping[str, Sequence[Equation]]
Dtypes = Mapping[str, str]


def dtypes_of(
    resolved: Resolved, given: Dtypes, wanted: str | None, exceptions: Dtypes
) -> dict[str, str]:
    """The dtype of each tensor of a formula: given, excepted, ``wanted``, or as its equations say.

    Raises `DtypeError` where float32 and float64 meet, or a real tensor is a subscript.
    """
    lines: dict[str, list[Equation]] = {}
    for equation in resolved.equations:
        lines.setdefault(equation.target, []).append(equation)
    known = {target: exceptions.get(target) or wanted or _OPEN for target in lines} | dict(given)
    free = {target: own for target, own in lines.items() if known[target] == _OPEN}
    known = _grown(free, known)
    for own in free.values():
        _check_mixing(own, known)
    unsettled = [target for target in free if known[target] in _STAND_IN]
    known |= dict.fromkeys(unsettled, _usual(given))
    known = _grown({t: own for t, own in free.items() if t not in unsettled}, known)
    for equation in resolved.equations:
        _check_whole((equation.value, *equation.subscripts), known)
    return known


def _usual(given: Dtypes) -> str:
    floats = {d for d in given.values() if d.startswith("float")}
    return floats.pop() if len(floats) == 1 else "float32"


def _grown(lines: Lines, known: Dtypes) -> dict[str, str]:
    """Targets may read each other: what is known of them grows until nothing changes."""
    found = dict(known)
    for _ in range(_GROWTH * len(lines)):
        before = dict(found)
        for target, equations in lines.items():
            found[target] = _joined(equations, found)
        if found == before:
            break
    return found


def _joined(equations: Sequence[Equation], known: Dtypes) -> str:
    """The dtype that holds what all of these equations store, as far as it is known."""
    tensors = _tensors(known)
    kinds = {kind_of(e.value, tensors) for e in equations}
    if kinds == {"bool"} and not any(e.accumulate for e in equations):
        return "bool"
    if "real" not in kinds:
        values = [leaf for e in equations for leaf in _leaves(e.value, deciding=False)]
        dtypes = [known[v.tensor] if isinstance(v, Element) else "int32" for v in values]
        whole = [d for d in dtypes if d.startswith("int")]
        if whole or _WHOLE in dtypes:
            return max(whole, default=_WHOLE)
    return max(_floats(equations, known), default=_REAL if "real" in kinds else _WHOLE)


def _tensors(dtypes: Dtypes) -> dict[str, Tensor]:
    return {name: Tensor(name, (), _STAND_IN.get(d, d)) for name, d in dtypes.items()}


def _leaves(e: Expr, *, deciding: bool) -> Iterator[Element | Reduce]:
    """Elements, and positions of extremes, that a value is made of; or, ``deciding``, all elements
    that it depends on, through comparisons too. Never subscripts.
    """
    match e:
        case Element():
            yield e
        case Call("uniform"):
            return
        case Reduce("argmax" | "argmin") if not deciding:
            yield e
        case Call("where", (_, *sides)) if not deciding:
            for side in sides:
                yield from _leaves(side, deciding=False)
        case Call(function, _) if function in COMPARISONS and not deciding:
            return
        case _:
            for child in children(e):
                yield from _leaves(child, deciding=deciding)


def _floats(equations: Sequence[Equation], dtypes: Dtypes) -> list[str]:
    """Each float dtype that these values depend on."""
    leaves = (leaf for e in equations for leaf in _leaves(e.value, deciding=True))
    found = (dtypes[leaf.tensor] for leaf in leaves if isinstance(leaf, Element))
    return list(dict.fromkeys(d for d in found if d.startswith("float")))


def _check_mixing(equations: Sequence[Equation], dtypes: Dtypes) -> None:
    floats = _floats(equations, dtypes)
    if len(floats) > 1:
        raise DtypeError(
            f"{' and '.join(floats)} do not mix: convert one side, an array with"
            f" array.astype('float32'), a node with gn.cast"
        )


def _check_whole(parts: tuple[Expr, ...], dtypes: Dtypes) -> None:
    """Raise `DtypeError` where a real value is a subscript or determines random numbers."""
    tensors = _tensors(dtypes)
    for node in (n for part in parts for n in walk(part)):
        match node:
            case Element(name, inner) | Call("uniform" as name, inner):
                real = [each for each in inner if kind_of(each, tensors) == "real"]
                leaves = [leaf for each in real for leaf in _leaves(each, deciding=False)]
                for leaf in leaves:
                    if isinstance(leaf, Element) and dtypes[leaf.tensor].startswith("float"):
                        found = f"{leaf.tensor} is {dtypes[leaf.tensor]}"
                        raise DtypeError(f"{name} takes integers, but {found}")
