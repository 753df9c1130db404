"""A part of a formula: some of its targets and what they need."""

from __future__ import annotations

from dataclasses import replace

from .formula import Formula, Line
from .names import tensors_of

__all__ = ["select"]


def select(formula: Formula, outputs: tuple[str, ...]) -> Formula:
    """The formula with these outputs and only the lines they need."""
    needed, todo = set(outputs), list(outputs)
    while todo:
        name = todo.pop()
        for line in formula.lines:
            if line.target == name:
                fresh = set(_read(line)) - needed
                needed |= fresh
                todo += sorted(fresh)
    lines = tuple(line for line in formula.lines if line.target in needed)
    read = {name for line in lines for name in _read(line)}
    operands = tuple(name for name in formula.operands if name in read)
    return replace(formula, lines=lines, operands=operands, outputs=outputs)


def _read(line: Line) -> list[str]:
    sizes = [b.size for b in line.declared if b.size is not None]
    return [name for e in (line.value, *line.subscripts, *sizes) for name in tensors_of(e)]
