"""Collapse: two loops that walk through memory like one become one.

Before:   for n in range(0, 64):
              for i in range(0, 784):
                  y[784*n + i] = max(0, x[784*n + i])
After:    for i in range(0, 50176):
              y[i] = max(0, x[i])

An outer index ``a`` and an inner one ``b`` of extent B are one index if wherever either appears, a's coefficient
is B times b's. Parallel loops may come in any order, so all pairs are tried; so may the ranges of a fold, unless it
looks for the first place of a maximum.
Loops of one turn vanish. Declines wherever some address sees the two differently.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from .loops import (
    Affine,
    Fold,
    Kernel,
    Loop,
    Range,
    Statement,
    statements,
)
from .rewrite import affines, rewrite_statement

__all__ = ["collapse"]


def collapse(kernel: Kernel) -> Kernel:
    """The kernel with as few loops as its addresses allow."""
    ranges, body = _peeled(kernel.body)
    ranges, body = _without_single(ranges, body)
    ranges, body = _merged(ranges, body, any_order=True)
    body = tuple(_fold(s) for s in body)
    for range_ in reversed(ranges):
        body = (Loop(range_, body),)
    return replace(kernel, body=body)


def _peeled(body: tuple[Statement, ...]) -> tuple[list[Range], tuple[Statement, ...]]:
    ranges = []
    while len(body) == 1 and isinstance(body[0], Loop):
        ranges.append(body[0].range)
        body = body[0].body
    return ranges, body


def _fold(statement: Statement) -> Statement:
    """A fold with its own ranges merged, and those of the folds inside."""
    if not isinstance(statement, Fold):
        return statement
    ranges, (only,) = _without_single(list(statement.ranges), (statement,))
    ordered = any(a.position is not None for a in statement.accumulators)
    ranges, (only,) = _merged(ranges, (only,), any_order=not ordered)
    assert isinstance(only, Fold)
    return replace(only, ranges=tuple(ranges), body=tuple(_fold(s) for s in only.body))


def _without_single(
    ranges: list[Range], body: tuple[Statement, ...]
) -> tuple[list[Range], tuple[Statement, ...]]:
    fixed = {r.index: Affine(r.start) for r in ranges if r.extent == 1}
    return [r for r in ranges if r.extent != 1], _rewritten(body, fixed)


def _merged(
    ranges: list[Range], body: tuple[Statement, ...], any_order: bool
) -> tuple[list[Range], tuple[Statement, ...]]:
    pair = next(_candidates(ranges, body, any_order), None)
    while pair is not None:
        outer, inner = pair
        body = _rewritten(body, {outer.index: Affine(0)})
        whole = replace(inner, stop=outer.extent * inner.extent)
        ranges = [whole if r is inner else r for r in ranges if r is not outer]
        pair = next(_candidates(ranges, body, any_order), None)
    return ranges, body


def _candidates(
    ranges: Sequence[Range], body: tuple[Statement, ...], any_order: bool
) -> Iterator[tuple[Range, Range]]:
    """Pairs of ranges, outer and inner, that all addresses see as one."""
    seen = [a for s in statements(body) for a in affines(s)]
    for k, outer in enumerate(ranges):
        for m, inner in enumerate(ranges):
            if (m == k + 1 or (any_order and m != k)) and all(
                a.coefficient(outer.index) == inner.extent * a.coefficient(inner.index)
                for a in seen
            ):
                yield outer, inner


def _rewritten(body: tuple[Statement, ...], fixed: dict[str, Affine]) -> tuple[Statement, ...]:
    if not fixed:
        return body
    drop = fixed.keys()
    return tuple(
        rewrite_statement(s, fixed, lambda r: None if r.index in drop else r) for s in body
    )
