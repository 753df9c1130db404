"""Straight: statements without loops, all of them for some lanes before those for the next ones.

Before:   v = a[n, k]*s[n, k] in 16 lanes;  y[n, k] = v;  z[n, k] = v*(1 - a[n, k]) in 16 lanes
After:    in 2 lanes: v = a*s;  y = v;  z = v*(1 - a);                                          and 7 times again

What a lane has computed or read is in use briefly, so that it need not wait in memory for a register. Vectors side by
side stay together, for one after the other would leave the processor less to do at a time.

Declines where one statement may read what another one stores in another lane: each is then done in all lanes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from ..scheduling.loops import Let, Statement, Store, loads
from .lanes import Lane, Lanes
from .values import Values

__all__ = ["first_straight", "straight"]


def first_straight(body: Sequence[Statement]) -> list[Let | Store]:
    """The statements before the first loop."""
    found: list[Let | Store] = []
    for statement in body:
        if not isinstance(statement, (Let, Store)):
            break
        found.append(statement)
    return found


def straight(values: Values, body: Sequence[Let | Store]) -> None:
    """Code for statements in all lanes that are open."""
    if len(body) > 1 and not _are_apart(values.lanes, body):
        for statement in body:
            straight(values, [statement])
        return
    indices = [_indices(values, statement) for statement in body]
    done: set[object] = set()
    for some in _side_by_side(values.lanes, [i for own in indices for i in own]):
        for k, (statement, own) in enumerate(zip(body, indices, strict=True)):
            for lane in some:
                place = {i: row for i, row in lane.items() if i in own}
                key = (k, *place.values())
                if key not in done:
                    done.add(key)
                    _write(values, statement, place)


def _are_apart(lanes: Lanes, body: Sequence[Let | Store]) -> bool:
    """Is nothing that is read stored in any of the lanes?"""
    stores = [s for s in body if isinstance(s, Store)]
    pairs = ((load, store) for s in body for load in loads(s) for store in stores)
    return all(
        lanes.are_apart(load.address, store.address)
        for load, store in pairs
        if load.tensor == store.tensor
    )


def _indices(values: Values, statement: Let | Store) -> Sequence[str]:
    if isinstance(statement, Store):
        return values.stored(statement)
    return values.nodes.of(statement.value).indices


def _side_by_side(lanes: Lanes, indices: Sequence[str]) -> Iterator[list[Lane]]:
    """All lanes of some indices, those together that differ in their vectors only."""

    def rows(lane: Lane) -> list[int]:
        return [row for i, row in lane.items() if i != lanes.vector]

    return (list(some) for _, some in itertools.groupby(lanes.over(indices), rows))


def _write(values: Values, statement: Let | Store, lane: Lane) -> None:
    """A statement in one lane: a value under a name, or in memory."""
    if isinstance(statement, Store):
        values.store(statement, lane)
        return
    own, node = values.nodes.of(statement.register), values.nodes.of(statement.value)
    values.lanes.keep(values.lanes.key(own, lane), values.value(node, lane))
