"""Kept: a comparison asks the value that is kept anyway, so that the other one need not be.

Before:   y[n, o] = max(0, z[n, o]);    g[n, o] = where(z[n, o] > 0, d[n, o], 0)
After:    y[n, o] = max(0, z[n, o]);    g[n, o] = where(y[n, o] > 0, d[n, o], 0)

A maximum with a number is greater than that number where its other operand is, and for NaN neither is; a minimum
likewise. Then z is read by y alone, passes in a register and is never stored. Declines where anything else is asked of
z, for then it is stored too, and two tensors would be read in the place of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..language.expression import Call, Element, Expr, Number, calls, rebuild
from ..language.form import names_read, of_form
from ..language.notes import Note, note
from ..language.system import Equation, System, reads

__all__ = ["kept"]

_BOUNDS = {"max": ">", "min": "<"}
_TURNED = {">": "<", "<": ">"}


class _Bounded(NamedTuple):
    """``target[...] = max(bound, source[...])``: what ``source > bound`` may ask instead."""

    target: str
    comparison: str
    bound: Number


def kept(system: System, notes: list[Note] | None = None) -> System:
    """The system, its comparisons asking what is kept."""
    known = _bounded(system)
    asked = dict.fromkeys(known, 0)
    comparing = list(filter(_compares, system.equations))
    for equation in comparing:
        _ask(equation.value, known, asked)
    counts = dict.fromkeys(known, 0)
    for equation in system.equations:
        if not known.keys().isdisjoint(names_read(equation)):
            for element in reads(equation):
                if element.tensor in counts:
                    counts[element.tensor] += 1
    own = {s: b for s, b in known.items() if asked[s] and counts[s] == asked[s] + 1}
    for source, bounded in own.items():
        note(notes, "kept", bounded.target, f"tells what comparisons ask of {source}")
    if not own:
        return system
    changed = {id(e): e.valued(_ask(e.value, own, dict(asked))) for e in comparing}
    return system.with_equations(changed.get(id(e), e) for e in system.equations)


def _bounded(system: System) -> dict[str, _Bounded]:
    """For each local tensor that is bounded by a number where it lies: by whom, from which side."""
    tensors, definitions = system.by_name, system.definitions()
    found = {}
    for equation in filter(_is_bounded, system.equations):
        source = _source(equation)
        if source is None or len(definitions[equation.target]) > 1:
            continue
        tensor, target = tensors[source.tensor], tensors[equation.target]
        alike = (tensor.shape, tensor.dtype) == (target.shape, target.dtype)
        whole = tuple(equation.extents.values()) == target.shape
        if alike and whole and tensor.role == "local" and target.dtype.startswith("float"):
            function, (bound, _) = equation.value.function, equation.value.arguments  # type: ignore[attr-defined]
            found[source.tensor] = _Bounded(equation.target, _BOUNDS[function], bound)
    return found


@of_form
def _compares(equation: Equation) -> bool:
    return not calls(equation.value).isdisjoint(_TURNED)


@of_form
def _is_bounded(equation: Equation) -> bool:
    return _source(equation) is not None


def _source(equation: Equation) -> Element | None:
    """``z[i, j]`` of ``y[i, j] = max(0, z[i, j])``."""
    match equation.value:
        case Call(function, (Number(), Element(_, subscripts) as source)) if function in _BOUNDS:
            return source if equation.is_plain and subscripts == equation.subscripts else None
    return None


def _ask(e: Expr, known: Mapping[str, _Bounded], asked: dict[str, int]) -> Expr:
    """The expression with its comparisons asking what is kept; counts what was asked of whom."""
    match e:
        case Call(sign, (Number() as a, Element() as b)) if sign in _TURNED:
            return _ask(Call(_TURNED[sign], (b, a)), known, asked)
        case Call(sign, (Element(source, subscripts), b)) if source in known:
            target, comparison, bound = known[source]
            if (sign, b) == (comparison, bound):
                asked[source] += 1
                return Call(sign, (Element(target, subscripts), b))
    return rebuild(e, lambda child: _ask(child, known, asked))
