"""Values numbered, so that equal ones are one, with the indices and registers that each depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..scheduling.loops import Affine, Apply, Load, Register, Statement, Value, operands
from ..scheduling.rewrite import dependences

__all__ = ["Node", "Nodes"]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value and what must be known of it everywhere: the indices it depends on and the registers it needs."""

    number: int
    value: Value
    inner: tuple[Node, ...]
    indices: tuple[str, ...]
    registers: frozenset[str]
    type: str


class Nodes:
    """The nodes of one kernel."""

    def __init__(self, body: Sequence[Statement]) -> None:
        self.depends = dependences(body)  # of registers on indices
        self.known: dict[object, Node] = {}
        self.by_identity: dict[int, Node] = {}

    def of(self, value: Value) -> Node:
        """The one node of all equal values."""
        found = self.by_identity.get(id(value))
        if found is not None:
            return found
        inner = tuple(self.of(v) for v in operands(value))
        key: object
        match value:
            case Affine(constant, terms, others):
                key = (
                    constant,
                    terms,
                    tuple((n.number, c) for n, (_, c) in zip(inner, others, strict=True)),
                )
            case Load(tensor, address, type_, condition):
                key = (tensor, address.constant, address.terms, tuple(c for _, c in address.others),
                       type_, condition is None, tuple(n.number for n in inner))  # fmt: skip
            case Apply(function, _, type_):
                key = (function, type_, tuple(n.number for n in inner))
            case _:
                key = value
        if key not in self.known:
            self.known[key] = self._new(value, inner)
        self.by_identity[id(value)] = self.known[key]
        return self.known[key]

    def _new(self, value: Value, inner: tuple[Node, ...]) -> Node:
        indices = {i: None for n in inner for i in n.indices}
        registers = frozenset(r for n in inner for r in n.registers)
        match value:
            case Affine(_, terms, _) | Load(_, Affine(_, terms, _)):
                indices |= {i: None for i, _ in terms}
            case Register(name):
                indices |= dict.fromkeys(sorted(self.depends[name]))
                registers = frozenset([name])
        return Node(len(self.known), value, inner, tuple(indices), registers, value.type)
