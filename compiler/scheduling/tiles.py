"""Tiles: which lanes of which indices a kernel computes in lockstep, chosen by counting instructions.

    matrix product   C[i, j] += A[i, k]*B[k, j]    12 rows of i, 2 vectors of j
    window           y[w, o] += x[w + s, c]*K[s, c, o]    14 rows of w, 2 vectors of o
    dot products     C[i, j] += A[i, k]*B[j, k]    vectors of k, 4 rows of i, 6 of j, added up at the end

A load whose address does not change with an index is shared by all lanes of that index: that is what makes a tile
pay, and the count of loads and arithmetic per turn of the innermost loop is all that the choice looks at.
Accumulators and what they are fed with must fit into the registers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..target import Target
from .loops import (
    Apply,
    Fold,
    Literal,
    Statement,
    Store,
    loads,
    statements,
    values,
    walk,
)
from .rewrite import dependences, indices
from .sizes import BLOCK, CLOSE, fewest

__all__ = ["Tile", "choose", "instructions"]

_CHEAP = ("+", "-", "*", "/", "sqrt", "neg", "max", "min", "where", "abs", "and", "or", "not", "inside", "convert",
          "wrap", "<", "<=", ">", ">=", "==", "!=")  # fmt: skip
_COSTLY = {"**": 250, "sin": 80, "cos": 80, "erfc": 70, "erf": 60, "log1p": 50, "expm1": 40, "log": 40, "tanh": 30,
           "uniform": 100, "//": 6, "%": 6}  # fmt: skip
_OTHER = 20  # instructions of any other function, about
_MOST_LANES = 28
_FAR = 1024  # elements: rows so far apart share no line and no page, but often places of a cache
_MOST_CODE = 1200  # instructions after a reduction, for all its lanes: they cost time to compile
_STALL = 0.4  # cycles that a load in such a row waits
_PAGE = 1024  # elements: rows that lie so far apart, or a multiple of it, share one place of the nearest cache
_WAYS = 8  # lines that it keeps there, at least
_CROWDED = 1.0  # cycles that a load waits in a row beyond these
_NEAREST = 1 << 13  # elements that stay in the nearest cache while tiles read them again
_LOAD = 0.6  # cycles of a load: two at once, but for those that must wait
_FETCH = 0.75  # cycles that a vector takes more from the next cache
_LAST = 0.75  # of the cycles of a tile that one with fewer vectors takes at least: its rows are read as often
_PACKED = 0.25  # and where it lies beside the one before
_LESS = 0.9  # of the lanes, with which vectors half as wide are the better ones where they take half the time
_BESIDE = 8  # rows at least, of vectors whose lanes lie apart, that are turned in registers: all of a line
_TURN = 4.0  # cycles that a turn of a loop takes at least: one multiply-add after the other


@dataclass(frozen=True, slots=True)
class Tile:
    """``vector`` runs in vectors of ``width`` lanes; ``rows`` are unrolled of that index and others."""

    vector: str | None
    width: int
    rows: Mapping[str, int]
    inside_folds: bool = False  # the vectors run along the indices of the folds

    def lanes(self, index: str) -> int:
        return self.rows.get(index, 1) * (self.width if index == self.vector else 1)


@dataclass(frozen=True, slots=True)
class _Access:
    """A load or store: how far apart neighbours along each index are, how often it happens."""

    steps: Mapping[str, int]
    indices: frozenset[str]  # all that it depends on, subscripts that are data included
    times: int
    folded: frozenset[str]  # indices of the folds around
    is_store: bool

    def cost(self, index: str, width: int) -> float:
        """Instructions for ``width`` lanes along an index."""
        if index not in self.indices:
            return 2.0 * width if self.is_store else 0.3
        near = self.steps.get(index) == 1
        if self.is_store:
            return 1.0 if near else 2.0 * width
        return 1.0 if near else 1.2 * width

    def is_far(self, rows: Mapping[str, int], extents: Mapping[str, int]) -> bool:
        """Do rows lie far apart, though they could be taken along an index that moves less?"""
        steps = {i: abs(c) for i, c in self.steps.items() if extents.get(i, 1) > 1}
        far = any(n > 1 and steps.get(i, 0) >= _FAR for i, n in rows.items())
        return far and min(steps.values()) < _FAR

    def crowded(self, rows: Mapping[str, int]) -> int:
        """How many rows find no room in their places of the nearest cache."""
        places, count = 1, 1
        for index, n in rows.items():
            step = abs(self.steps.get(index, 0))
            if n > 1 and step:
                places *= min(n, _PAGE // math.gcd(step, _PAGE))
                count *= n
        return max(0, count - _WAYS * places)


class _Facts:
    """What is counted of a kernel's body."""

    def __init__(self, extents: Mapping[str, int], body: Sequence[Statement]) -> None:
        self.extents = extents
        self.registers = dependences(body)
        self.accesses = list(self._accesses(body, frozenset(), 1))
        self.folds = [s for s in statements(tuple(body)) if isinstance(s, Fold)]
        self.work = _operations(body)
        self.fold_extents = {r.index: r.extent for f in self.folds for r in f.ranges}
        sums = (a for f in self.folds for a in f.accumulators)
        self.summed = {id(a): indices(a.value, self.registers) for a in sums}

    def _accesses(
        self, body: Sequence[Statement], folded: frozenset[str], times: int
    ) -> Iterator[_Access]:
        for statement in body:
            inner, often = folded, times
            if isinstance(statement, Fold):
                inner = folded | {r.index for r in statement.ranges}
                often = times * math.prod(r.extent for r in statement.ranges)
                yield from self._accesses(statement.body, inner, often)
            for load in dict.fromkeys(loads(statement)):
                found = indices(load, self.registers)
                loose = frozenset(
                    i for v, _ in load.address.others for i in indices(v, self.registers)
                )
                steps = {i: c for i, c in load.address.terms if i not in loose}
                yield _Access(steps, found, often, inner, False)
            if isinstance(statement, Store):
                found = indices(statement.address, self.registers)
                yield _Access(dict(statement.address.terms), found, often, inner, True)


def _operations(body: Sequence[Statement]) -> float:
    """Instructions of one lane outside folds, about."""
    return sum(
        instructions(v)
        for s in body
        if not isinstance(s, Fold)
        for top in values(s)
        for v in walk(top)
        if isinstance(v, Apply)
    )


def instructions(value: Apply) -> float:
    match value:
        case Apply("**", (_, Literal(type="i64"))):
            return 2
    return 1 if value.function in _CHEAP else _COSTLY.get(value.function, _OTHER)


def choose(
    extents: Mapping[str, int],
    body: Sequence[Statement],
    element_bytes: int,
    target: Target,
    scattered: frozenset[str],
) -> Tile:
    """The tile for a kernel; ``scattered`` are indices along which stores may meet, so that no vector may run there."""
    facts = _Facts(extents, body)
    most = target.lanes(element_bytes)
    vector, inside = _direction(facts, most, scattered)
    if inside:
        return _best(facts, Tile(None, 1, {}, True), most, target)
    if vector is None:
        return Tile(None, 1, {})
    width = min(most, 1 << (extents[vector] - 1).bit_length())
    if not facts.folds:
        return _pointwise(facts, Tile(vector, width, {vector: 1}))
    if target.halves and width == most:
        width = _less_idle(extents[vector], width)
    return _best(facts, Tile(vector, width, {vector: 1}), width, target)


def _less_idle(extent: int, width: int) -> int:
    """Half the width, if clearly fewer lanes of the last vector are idle then."""
    whole, half = (math.ceil(extent / n) * n for n in (width, width // 2))
    return width // 2 if half <= _LESS * whole else width


def _direction(facts: _Facts, most: int, scattered: frozenset[str]) -> tuple[str | None, bool]:
    """The index along which vectors run: of the kernel, or (second answer) of its folds, or neither."""
    turns = sum(math.prod(r.extent for r in fold.ranges) for fold in facts.folds)
    best = facts.work + turns + sum(a.times * (1.0 if a.is_store else 0.5) for a in facts.accesses)
    vector = None
    for index in reversed(list(facts.extents)):
        extent = facts.extents[index]
        if index in scattered or extent == 1:
            continue
        moved = (a.times * a.cost(index, most) / _shared(facts, a, index) for a in facts.accesses)
        cost = (sum(moved) + turns + facts.work) / (extent / math.ceil(extent / most))
        if cost < best:
            best, vector = cost, index
    if facts.folds and facts.fold_extents:
        cost = facts.work + sum(1.0 for a in facts.accesses if not a.folded)
        for fold in facts.folds:
            along = _along(facts, fold)
            if along is None:
                return vector, False
            extent = facts.fold_extents[along]
            lanes = extent / math.ceil(extent / most)
            turns = math.prod(r.extent for r in fold.ranges)
            own = [a for a in facts.accesses if along in a.folded]
            cost += (
                sum(a.times * a.cost(along, most) / _shared(facts, a, along) for a in own) / lanes
            )
            cost += turns / lanes + 10
        if cost < best:
            return None, True
    return vector, False


def _along(facts: _Facts, fold: Fold) -> str | None:
    """The index of a fold along which most loads are contiguous."""
    if any(isinstance(s, Fold) for s in fold.body) or not fold.ranges:
        return None
    own = [a for a in facts.accesses if fold.ranges[0].index in a.folded]
    counts = {r.index: sum(a.steps.get(r.index) == 1 for a in own) for r in fold.ranges}
    best = max(counts, key=lambda i: (counts[i], facts.fold_extents[i]))
    return best if counts[best] and facts.fold_extents[best] > 1 else None


def _shared(facts: _Facts, access: _Access, vector: str) -> int:
    """By how many lanes of other indices a load can be shared."""
    if access.is_store or not access.folded or vector not in access.indices:
        return 1
    free = [n for i, n in facts.extents.items() if i not in access.indices and i != vector]
    return min(8, math.prod(free))


def _pointwise(facts: _Facts, tile: Tile) -> Tile:
    """No folds: a few vectors at a time; where a load jumps, rows along the index in which it is contiguous."""
    assert tile.vector is not None
    count = math.ceil(facts.extents[tile.vector] / tile.width)
    most = 4 if facts.work < 8 else 2
    rows = {tile.vector: min(count, most)}
    beside = next((i for i in reversed(list(facts.extents)) if i != tile.vector), None)
    if count < most and beside is not None:
        rows[beside] = min(facts.extents[beside], most // count)
    for access in facts.accesses:
        if tile.vector in access.indices and access.steps.get(tile.vector) != 1:
            near = [i for i, c in access.steps.items() if c == 1 and i in facts.extents]
            if near and near[0] != tile.vector and facts.work < 8:
                most = min(max(_BESIDE, tile.width), facts.extents[near[0]])
                rows = {tile.vector: 1, near[0]: 1 << (most.bit_length() - 1)}
    return Tile(tile.vector, tile.width, rows)


# --- tiles of reductions -----------------------------------------------------------------------------------------


def _best(facts: _Facts, tile: Tile, width: int, target: Target) -> Tile:
    """The rows that give the fewest cycles for the whole kernel."""
    fold = max(facts.folds, key=lambda f: math.prod(r.extent for r in f.ranges))
    own = {r.index for r in fold.ranges}
    heavy = [a for a in facts.accesses if own & a.folded and not a.is_store]
    best, chosen = math.inf, tile
    for rows in _candidates(facts, tile, heavy, width):
        cycles = _cycles(facts, fold, heavy, tile, rows, width, target)
        if cycles < best:
            best, chosen = cycles, Tile(tile.vector, tile.width, rows, tile.inside_folds)
    return chosen


def _candidates(
    facts: _Facts, tile: Tile, heavy: Sequence[_Access], width: int
) -> Iterator[dict[str, int]]:
    """Rows for the vector index and for one or two others that some load does not depend on."""
    counts = dict(reversed(list(facts.extents.items())))  # neighbours in memory first
    if tile.vector is not None:
        counts[tile.vector] = math.ceil(counts[tile.vector] / width)
    sharing = [i for i in counts if i != tile.vector and any(i not in a.indices for a in heavy)]
    firsts = [tile.vector] if tile.vector is not None else [*sharing, None]
    for first in firsts:
        others: list[tuple[str, ...]] = [(i,) for i in sharing if i != first] or [()]
        others += [
            (a, b)
            for a, b in itertools.permutations([i for i in sharing if i != first], 2)
            if counts[a] <= 8 and counts[a] > 1
        ]
        cap = 8 if others == [()] else 6
        for outer in _splits(counts[first], cap) if first is not None else (1,):
            base = {} if first is None else {first: outer}
            for group in others:
                if not group:
                    yield base
                    continue
                whole = {i: counts[i] for i in group[:-1]}
                room = _MOST_LANES // (outer * math.prod(whole.values()))
                for rows in _splits(counts[group[-1]], room):
                    yield {**base, **whole, group[-1]: rows}


def _splits(count: int, most: int) -> list[int]:
    """Sizes up to ``most`` that cut ``count`` into equal parts as well as can be, the largest first."""
    sizes = dict.fromkeys(
        math.ceil(count / math.ceil(count / n)) for n in range(min(count, most), 0, -1)
    )
    return list(sizes)


def _cycles(
    facts: _Facts,
    fold: Fold,
    heavy: Sequence[_Access],
    tile: Tile,
    rows: Mapping[str, int],
    width: int,
    target: Target,
) -> float:
    """Cycles of the whole kernel, or infinity where the registers do not suffice.

    Rows overlap where they do not fit; of the vectors the last tile has as many as are left.
    """
    tiles = math.prod(
        math.ceil(n / rows.get(i, 1)) for i, n in facts.extents.items() if i != tile.vector
    )
    if tile.vector is None:
        return tiles * _tile_cycles(facts, fold, heavy, tile, rows, width, target)
    vectors = math.ceil(facts.extents[tile.vector] / width)
    whole, rest = divmod(vectors, rows[tile.vector])
    each = _tile_cycles(facts, fold, heavy, tile, rows, width, target)
    if rest == 0 or math.isinf(each):
        return tiles * whole * each
    fewer = {**rows, tile.vector: rest}
    last = _tile_cycles(facts, fold, heavy, tile, fewer, width, target)
    return tiles * (whole * each + max(last, _LAST * each))


def _fetched(
    facts: _Facts, fold: Fold, access: _Access, tile: Tile, rows: Mapping[str, int], width: int
) -> float:
    """Cycles that a vector of an operand takes besides, if it does not stay in the nearest cache.

    It lies near for the next rows, if there are some, where a tile reads few; `blocks` packs what many rows read.
    """
    terms = math.prod(r.extent for r in fold.ranges if r.index in access.indices)
    whole = terms * math.prod(n for i, n in facts.extents.items() if i in access.indices)
    own = terms * math.prod(n for i, n in rows.items() if i in access.indices)
    own *= 1 if tile.vector is None else width
    others = {i: n for i, n in facts.extents.items() if i not in access.indices}
    if whole <= _NEAREST:
        return 0.0
    is_packed = whole > CLOSE // 4 and tile.vector is not None
    least = fewest(4 * whole)
    if is_packed and all(n % rows.get(i, 1) == 0 and n >= least for i, n in others.items()):
        return _PACKED if own * min(1.0, BLOCK / terms) > _NEAREST else 0.0
    times = math.prod(math.ceil(n / rows.get(i, 1)) for i, n in others.items())
    return _FETCH if own > _NEAREST else _FETCH / times


def _tile_cycles(
    facts: _Facts,
    fold: Fold,
    heavy: Sequence[_Access],
    tile: Tile,
    rows: Mapping[str, int],
    width: int,
    target: Target,
) -> float:
    """Cycles of one tile, or infinity where the registers do not suffice."""

    def lanes(found: frozenset[str]) -> int:
        return math.prod(n for i, n in rows.items() if i in found)

    accumulators = work = 0
    for a in fold.accumulators:
        own = lanes(facts.summed[id(a)])
        accumulators += own * (2 if a.position else 1)
        work += own * max(1, sum(isinstance(v, Apply) for v in walk(a.value)))
    along = tile.vector if tile.vector is not None else _along(facts, fold)
    assert along is not None
    fed = [a for a in heavy if along in a.indices]
    vectors = max((lanes(a.indices) for a in fed), default=0)
    feeding = min((lanes(a.indices) for a in fed), default=0)
    count = sum(lanes(a.indices) * max(a.cost(along, width), 1.0) for a in heavy)
    far = sum(lanes(a.indices) for a in heavy if a.is_far(rows, facts.extents))
    if accumulators + feeding + 1 > target.registers - 1 and accumulators > 1:
        return math.inf
    if accumulators * facts.work > _MOST_CODE and accumulators > 6:
        return math.inf
    if tile.inside_folds and any(lanes(a.indices) > _WAYS for a in fed):
        return math.inf
    turn = max(work / 2, _LOAD * count, (work + count + 2) / 4, _TURN) + _STALL * far
    turn += _CROWDED * sum(a.crowded(rows) for a in heavy if along not in a.indices)
    turn += sum(_fetched(facts, fold, a, tile, rows, width) * lanes(a.indices) for a in fed)
    turns = math.prod(r.extent for r in fold.ranges)
    around = accumulators * (1.5 + facts.work) + 15 + vectors
    if tile.inside_folds:
        turns = turns // facts.fold_extents[along] * math.ceil(facts.fold_extents[along] / width)
        around += 10 * accumulators
    return turns * turn + around
