"""Vain: where a search among the kernels that follow has found nothing, it finds nothing again.

    z_3 = ..., m_3 = ..., y_3 = ...    no group begins with z_3: all that was looked at is these and the next kernels
    z_4 = ..., m_4 = ..., y_4 = ...    nor then with z_4, where the same kernels follow, up to the names of tensors

Networks are made of equal blocks: what a search costs goes by how many different ones there are. The beginnings of
programs that were looked at in vain are a tree. A step is a kernel without names, what is known of its tensors, and
which of them were met before. This is exact for searches that look at kernels in order, and ask of a tensor only what
is among its facts and whether two are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import Any

from .fuse import Fusion, fusion_form

__all__ = ["Vain"]

_Step = tuple[int, tuple[int, ...]]
_END = (-1, ())  # here a search has ended


class Vain:
    """Beginnings of programs; ``facts`` are all that a search may ask of a tensor."""

    def __init__(self, facts: Callable[[str], Hashable]) -> None:
        self.facts = facts
        self.tree: dict[_Step, Any] = {}
        self.numbers: dict[Hashable, int] = {}
        self.formed: dict[int, tuple[int, tuple[str, ...]]] = {}

    def begins(self, parts: Sequence[Any]) -> bool:
        """Do they begin as some did that were looked at in vain?"""
        tree = self.tree
        for step in self.steps(parts):
            if _END in tree:
                return True
            if step not in tree:
                return False
            tree = tree[step]
        return _END in tree

    def add(self, parts: Sequence[Any], count: int) -> None:
        """So many of the parts were looked at; where one of them is no kernel, nothing is kept."""
        steps = list(islice(self.steps(parts), count))
        if len(steps) == count:
            tree = self.tree
            for step in steps:
                tree = tree.setdefault(step, {})
            tree[_END] = {}

    def steps(self, parts: Sequence[Any]) -> Iterator[_Step]:
        """Each kernel by a number, and its tensors by numbers in the order in which they are met."""
        met: dict[str, int] = {}
        for part in parts:
            if not isinstance(part, Fusion):
                return
            number, names = self.form(part)
            yield number, tuple([met.setdefault(name, len(met)) for name in names])

    def form(self, kernel: Fusion) -> tuple[int, tuple[str, ...]]:
        """A number for the kernel and what is known of its tensors, and the names of these."""
        if id(kernel) not in self.formed:
            own, names = fusion_form(kernel)
            key = own, tuple(map(self.facts, names))
            self.formed[id(kernel)] = self.numbers.setdefault(key, len(self.numbers)), names
        return self.formed[id(kernel)]
