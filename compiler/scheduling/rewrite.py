"""Loops rewritten, and what depends on what in them: the tools of the stages that change loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from .loops import (
    Affine,
    Apply,
    Fold,
    Let,
    Load,
    Loop,
    Range,
    Register,
    Statement,
    Store,
    Value,
    operands,
    values,
    walk,
)

__all__ = ["affines", "dependences", "indices", "rewrite", "rewrite_affine", "rewrite_statement"]


def affines(statement: Statement) -> Iterator[Affine]:
    """Every affine value and address in a statement itself."""
    for top in values(statement):
        for value in walk(top):
            if isinstance(value, Affine):
                yield value
            elif isinstance(value, Load):
                yield value.address
    if isinstance(statement, Store):
        yield statement.address


def indices(value: Value, registers: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The indices that a value depends on, through registers too."""
    own: frozenset[str] = frozenset()
    match value:
        case Affine(_, terms, _) | Load(_, Affine(_, terms, _)):
            own = frozenset(i for i, _ in terms)
        case Register(name):
            own = registers[name]
    return own.union(*(indices(v, registers) for v in operands(value)))


def dependences(
    body: Sequence[Statement], known: Mapping[str, frozenset[str]] | None = None
) -> dict[str, frozenset[str]]:
    """The indices that each register depends on."""
    found = dict(known or {})
    for statement in body:
        match statement:
            case Loop(_, inner):
                found = dependences(inner, found)
            case Let(register, value):
                found[register.name] = indices(value, found)
            case Fold(ranges, inner, accumulators):
                found = dependences(inner, found)
                own = {r.index for r in ranges}
                blocks = {r.block[0] for r in ranges if r.block}
                for a in accumulators:
                    found[a.register.name] = (indices(a.value, found) | blocks) - own
    return found


def rewrite(value: Value, indices: Mapping[str, Affine]) -> Value:
    """``value`` with indices replaced by affine expressions of others."""
    match value:
        case Affine():
            return rewrite_affine(value, indices)
        case Load(tensor, address, type_, condition):
            inner = None if condition is None else rewrite(condition, indices)
            return Load(tensor, rewrite_affine(address, indices), type_, inner)
        case Apply(function, arguments, type_):
            return Apply(function, tuple(rewrite(a, indices) for a in arguments), type_)
    return value


def rewrite_affine(value: Affine, indices: Mapping[str, Affine]) -> Affine:
    """An address with indices replaced."""
    result = Affine(value.constant)
    for index, factor in value.terms:
        result += indices.get(index, Affine(0, ((index, 1),))).scaled(factor)
    return result + Affine(0, (), tuple((rewrite(v, indices), c) for v, c in value.others))


def rewrite_statement(
    statement: Statement,
    indices: Mapping[str, Affine],
    change: Callable[[Range], Range | None] = lambda r: r,
) -> Statement:
    """A statement with indices replaced and the ranges of folds changed (None drops a range)."""

    def new(value: Value | None) -> Value | None:
        return None if value is None else rewrite(value, indices)

    match statement:
        case Let(register, value):
            return Let(register, rewrite(value, indices))
        case Store():
            return replace(
                statement,
                address=rewrite_affine(statement.address, indices),
                value=rewrite(statement.value, indices),
                condition=new(statement.condition),
            )
        case Loop(range_, body):
            return Loop(range_, tuple(rewrite_statement(s, indices, change) for s in body))
        case Fold(ranges, body, accumulators, asked):
            return Fold(
                tuple(r for r in map(change, ranges) if r is not None),
                tuple(rewrite_statement(s, indices, change) for s in body),
                tuple(
                    replace(
                        a,
                        value=rewrite(a.value, indices),
                        position=a.position and rewrite_affine(a.position, indices),
                    )
                    for a in accumulators
                ),
                tuple(replace(a, address=rewrite_affine(a.address, indices)) for a in asked),
            )
