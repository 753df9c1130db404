"""Once: what was found out about an equation holds for all that are alike.

    y_3[n, o] = max(0, z_3[n, o])      where    z_3[n, o] = sum[i](y_2[n, i]*W_3[i, o])
    y_4[n, o] = max(0, z_4[n, o])      where    z_4[n, o] = sum[i](y_3[n, i]*W_4[i, o])

A rewriting sees an equation and, one after the other, the definitions that it asks for. Equations are alike if they
are equal up to the names of tensors, and so is each definition that was asked for, one name standing for the same other
one throughout. Of such an equation the rewriting would ask the same, hear the same, and come to the same result up to
names: so this is the first one, of other tensors. Networks are made of equal blocks, and blocks of equal layers; what a
rewriting costs goes by how many different ones there are.

What has been asked is a tree: at each node a question (a tensor, by its number among the names met so far), a branch
for each answer, at each leaf a result. This is exact, no hash stands for a formula; it holds for every rewriting that

    asks for definitions only by `Definitions.of`
    asks of tensors only what is among their ``facts`` and whether two are the same
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from .form import form, of_others
from .match import Definitions
from .system import Equation

__all__ = ["Once"]

# Without names and with facts of these, and these in order; without names, and their numbers.
_Formed = tuple[Hashable, tuple[str, ...]]
_Answer = tuple[Hashable, tuple[int, ...]]


@dataclass(slots=True)
class _Node:
    """What is asked next, and what followed each answer; or a result, in these names (None: nothing has changed)."""

    asked: int | None = None
    branches: dict[_Answer, _Node] = field(default_factory=dict)
    result: Equation | None = None
    said: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def is_idle(self) -> bool:
        """Is nothing asked, and nothing changed?"""
        return self.asked is None and self.result is None


class _Facts(dict[str, int]):
    """What is known of each tensor, as a number, found when somebody asks."""

    def __init__(self, facts: Callable[[str], Hashable]) -> None:
        self.facts, self.numbers = facts, dict[Hashable, int]()

    def __missing__(self, name: str) -> int:
        number = self.numbers.setdefault(self.facts(name), len(self.numbers))
        self[name] = number
        return number


class Once:
    """A rewriting of equations, done once for those that are alike.

    ``rewrite`` gives the new equation, and what there is to say of it; ``facts`` all that it may ask of a tensor.
    Without ``definitions`` it asks for none.
    """

    def __init__(
        self,
        definitions: Definitions | None,
        facts: Callable[[str], Hashable],
        rewrite: Callable[[Equation], tuple[Equation, tuple[str, ...]]],
    ) -> None:
        self.definitions, self.rewrite = definitions, rewrite
        self.roots: dict[Hashable, _Node] = {}  # of forms with facts
        self.forms: dict[str, _Formed] = {}  # of definitions that were asked for
        self.known = _Facts(facts)

    def __call__(self, equation: Equation) -> tuple[Equation, tuple[str, ...]]:
        """The new equation, and what was said of it."""
        first, own = self.formed(equation)
        node = self.roots.get(first)
        if node is not None and node.is_idle:
            return equation, node.said
        numbers = _numbered(own)
        while node is not None and node.asked is not None:
            answer = _answer(self.definition(list(numbers)[node.asked]), numbers)
            node = node.branches.get(answer)
        if node is None:
            return self.learn(equation, first, _numbered(own))
        if node.result is None:
            return equation, node.said
        new = dict(zip(node.names, numbers, strict=True))
        return of_others(node.result, new, equation.origin), node.said

    def learn(
        self, equation: Equation, first: Hashable, numbers: dict[str, int]
    ) -> tuple[Equation, tuple[str, ...]]:
        """Rewrite an equation that is like none before, and keep what it asked for."""
        if self.definitions:
            self.definitions.asked.clear()
        result, said = self.rewrite(equation)
        node = self.roots.setdefault(first, _Node())
        for name in list(self.definitions.asked) if self.definitions else ():
            asked = numbers[name]
            assert not node.names, "it asks by names"
            assert node.asked in (None, asked), "it asks by names"
            node.asked = asked
            answer = _answer(self.definition(name), numbers)
            node = node.branches.setdefault(answer, _Node())
        assert node.asked is None, "it asks by names"
        node.result = None if result == equation else result
        node.said, node.names = said, tuple(numbers)
        return node.result or equation, said

    def definition(self, name: str) -> _Formed:
        """What defines a tensor, without names."""
        if name not in self.forms:
            assert self.definitions is not None
            equation = self.definitions.equations.get(name)
            self.forms[name] = (None, ()) if equation is None else self.formed(equation)
        return self.forms[name]

    def formed(self, equation: Equation) -> _Formed:
        """The form of the equation, and what is known of its names."""
        own, names = form(equation)
        return (own, tuple([self.known[name] for name in names])), names


def _numbered(names: tuple[str, ...]) -> dict[str, int]:
    """Names of a form, which are different ones, with numbers."""
    return {name: number for number, name in enumerate(names)}


def _answer(formed: _Formed, numbers: dict[str, int]) -> _Answer:
    """With numbers for the names met so far; new ones go on."""
    own, names = formed
    return own, tuple([numbers.setdefault(name, len(numbers)) for name in names])
