"""Strongly connected components: which vertices of a directed graph reach one another, and an order of these sets.

    0 -> 1 <-> 2 -> 3     becomes     [0], [1, 2], [3]

A vertex is a number, a graph says of each vertex which come after it. Depth first, without recursion, so that long
chains are no problem. Source: R. Tarjan, Depth-first search and linear graph algorithms (1972).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from heapq import heapify, heappop, heappush

__all__ = ["After", "components"]

After = Sequence[Collection[int]]  # the vertices that edges lead to, from each vertex


def components(after: After) -> list[list[int]]:
    """The sets, each sorted, so that no edge leads back; of those that may come next, that with the least vertex."""
    parts = [sorted(part) for part in _connected(after)]
    part_of = {vertex: k for k, part in enumerate(parts) for vertex in part}
    edges = [
        dict.fromkeys(part_of[b] for a in part for b in after[a] if part_of[b] != k)
        for k, part in enumerate(parts)
    ]
    waiting = [0] * len(parts)
    for following in edges:
        for k in following:
            waiting[k] += 1
    ready = [(part[0], k) for k, part in enumerate(parts) if not waiting[k]]
    heapify(ready)
    found = []
    while ready:
        _, k = heappop(ready)
        found.append(parts[k])
        for other in edges[k]:
            waiting[other] -= 1
            if not waiting[other]:
                heappush(ready, (parts[other][0], other))
    return found


def _connected(after: After) -> Iterator[list[int]]:
    number: dict[int, int] = {}  # vertices in the order in which they are met
    low: dict[int, int] = {}  # the first vertex met that is known to be reached from one
    pending: dict[int, None] = {}  # met, their sets not complete yet
    for start in range(len(after)):
        path = [] if start in number else [(start, iter(after[start]))]
        while path:
            vertex, following = path[-1]
            if vertex not in number:
                number[vertex] = low[vertex] = len(number)
                pending[vertex] = None
            for other in following:
                if other not in number:
                    path.append((other, iter(after[other])))
                    break
                if other in pending:
                    low[vertex] = min(low[vertex], number[other])
            else:
                path.pop()
                if path:
                    before = path[-1][0]
                    low[before] = min(low[before], low[vertex])
                if low[vertex] == number[vertex]:
                    part = [pending.popitem()[0]]
                    while part[-1] != vertex:
                        part.append(pending.popitem()[0])
                    yield part
