"""Facts: what is found out about one of those that are alike holds for all, and is kept with what they have in common.

    y_3[n] = exp(x_3[n]),  y_4[n] = exp(x_4[n])    have  _0[n] = exp(_1[n])  in common: it divides nothing

What is in common has no names: so neither has a fact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["InCommon"]

T = TypeVar("T")
Fact = TypeVar("Fact")


class InCommon(Generic[T]):
    """One of those that are alike, without names, and what is known of it."""

    __slots__ = ("__weakref__", "_facts", "nameless")

    def __init__(self, nameless: T) -> None:
        self.nameless = nameless
        self._facts: dict[Callable[[T], Any], Any] = {}

    def fact(self, find: Callable[[T], Fact]) -> Fact:
        """What the function finds, asked once."""
        if find not in self._facts:
            self._facts[find] = find(self.nameless)
        found: Fact = self._facts[find]
        return found
