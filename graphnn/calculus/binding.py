"""Bound indices: named by nesting height, and opened before anything is put inside a reduction.

    sum[j](exp(x[j]))  and  sum[k](exp(x[k]))      are both      sum[#1.0](exp(x[#1.0]))

So expressions that are equal up to the names of bound indices are equal, and nothing is ever captured.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from compiler.language.expression import Binder, Expr, Index, Reduce, free_indices, substitute, walk

__all__ = ["bind", "depends", "fresh", "opened"]

_counter = itertools.count()


def fresh() -> Index:
    """An index that occurs nowhere else."""
    return Index(f"~{next(_counter):09d}")  # padded: names are also sorted


def bind(kind: str, body: Expr, binders: Iterable[Binder]) -> Expr:
    """A reduction whose indices are named by nesting height: equal up to names is then equal."""
    given = tuple(binders)
    if not given:
        return body
    height = 1 + max((_height(r) for r in walk(body) if isinstance(r, Reduce)), default=0)
    bound = tuple(Binder(Index(f"#{height}.{k}"), b.size) for k, b in enumerate(given))
    names: dict[Expr, Expr] = {a.index: b.index for a, b in zip(given, bound, strict=True)}
    return Reduce(kind, substitute(body, names), bound)


def _height(e: Reduce) -> int:
    return int(e.binders[0].index.name[1:].split(".")[0])


def opened(e: Reduce) -> tuple[Expr, tuple[Binder, ...]]:
    """Body and binders over fresh indices, so that anything may be put inside."""
    renamed = tuple(Binder(fresh(), b.size) for b in e.binders)
    names: dict[Expr, Expr] = {a.index: b.index for a, b in zip(e.binders, renamed, strict=True)}
    return substitute(e.body, names), renamed


def depends(e: Expr, indices: Mapping[Index, object]) -> bool:
    """Does ``e`` change with one of these indices?"""
    return any(i in indices for i in free_indices(e))
