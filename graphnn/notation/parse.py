"""Text -> Formula: a small subset of Python's own syntax, read with ``ast`` against a whitelist, never evaluated.

    formula   := { equation | "assert" expr "==" expr }
    equation  := target ("=" | "+=") expr
    target    := name [ "[" item {"," item} "]" ]             no brackets = a scalar
    item      := index | index ":" size | "..." | "[" index {"," index} "]" | integer expression,
                 in which an element may declare an index: d_E[t[i:3], j] += ...
    expr      := number | pi | inf | index | group | attribute | scalar | element | reduction | call
               | expr (+ - * / ** // %) expr | - expr | expr compare expr | expr and/or expr | not expr
    group     := "[" (index | "...") {"," ...} "]"            [n, i] is the place n*dim(x, 1) + i
    element   := name "[" (integer expression | "..." | group) {"," ...} "]"
    reduction := kind "[" binder {"," binder} "]" "(" expr ")"
    kind      := sum | mean | max | min | firstmax | firstmin | prod | argmax | argmin
    binder    := index | index ":" size | "..."
    call      := where(c, a, b) | max(a, b, ...) | exp(a) | ... | dim(name, axis)
               | uniform(key, counter, place)                 random, in [0, 1), see compiler.reference.philox
    name      := identifier | identifier ".new"               the new value of a state

A name that is neither a bound index nor an attribute is a tensor; without brackets it is a scalar one.
Text from outside is safe: anything not listed is refused, and so is what `limits` finds too large.
"""

from __future__ import annotations

import ast

from compiler.language.expression import Index

from ..errors import NotationError
from .formula import Fact, Formula, Line
from .limits import read_syntax
from .names import is_read_later, names_read, target_name
from .reader import Attributes, Reader

__all__ = ["parse"]


def parse(
    text: str, attributes: Attributes | None = None, outputs: tuple[str, ...] | None = None
) -> Formula:
    """The formula that ``text`` stands for.

    ``attributes`` names the numbers in it: integers are put in, real ones stay symbols. ``outputs`` are the results; by
    default every target that no later line reads. Raises `NotationError`.
    """
    tree = read_syntax(text)
    known = dict(attributes or {})
    source = text.splitlines()
    lines: list[Line] = []
    facts: list[Fact] = []
    targets = {name for node in tree.body if (name := target_name(node))}
    for node in tree.body:
        reader = Reader(source[node.lineno - 1], node.lineno, known, targets)
        if isinstance(node, ast.Assert):
            facts.append(reader.fact(node))
        elif isinstance(node, (ast.Assign, ast.AugAssign)):
            lines.append(reader.equation(node))
        else:
            raise reader.error("expected an equation 'name[indices] = expression'", node)
    if not lines:
        raise NotationError("expected an equation 'name[indices] = expression', got no line at all")
    _check_single(lines)
    operands = names_read(lines, facts)
    defined = dict.fromkeys(line.target for line in lines)
    results = outputs or tuple(t for t in defined if not is_read_later(t, lines))
    missing = [name for name in results if name not in defined]
    if missing:
        listed = ", ".join(defined)
        raise NotationError(f"output {missing[0]} is not defined by any line; {listed} is", text)
    return Formula(
        text, tuple(lines), tuple(facts), tuple(n for n in operands if n not in defined), results
    )


def _check_single(lines: list[Line]) -> None:
    """Several lines may define parts of a tensor, but two cannot both begin at its first element."""
    whole: set[str] = set()
    for line in lines:
        if not line.accumulate and all(isinstance(s, Index) for s in line.subscripts):
            if line.target in whole:
                raise NotationError(
                    f"{line.target} is defined twice, both times from its first element on:"
                    " join the lines, or add the second with '+='",
                    line.source,
                    line.number,
                )
            whole.add(line.target)
