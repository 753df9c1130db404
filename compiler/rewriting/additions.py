"""Additions: the tensors and equations that a rewriting gives to a system.

added = Additions(system)
name = added.tensor("y", "parts", (16, 64))          y.parts: f32[16, 64] local, of y's dtype
added.equations.append(Equation(name, ...))
added.to(system, equations)                          these before the others
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..language.system import Equation, System, Tensor, fresh_name

__all__ = ["Additions"]


class Additions:
    """What is ``known`` of all tensors, given and new; the new ones and their equations, in order."""

    def __init__(self, system: System) -> None:
        self.known = dict(system.by_name)
        self.tensors: list[Tensor] = []
        self.equations: list[Equation] = []

    def tensor(self, of: str, suffix: str, shape: Sequence[int]) -> str:
        """A new tensor for something of another one; its name, which nobody has."""
        name = fresh_name(f"{of}.{suffix}", self.known)
        self.known[name] = Tensor(name, tuple(shape), self.known[of].dtype)
        self.tensors.append(self.known[name])
        return name

    def to(self, system: System, equations: Iterable[Equation]) -> System:
        """The system with its equations changed to these, and what was added; itself if nothing was."""
        if not self.equations:
            return system
        tensors = (*system.tensors, *self.tensors)
        return System(tensors, (*self.equations, *equations), system.updates)
