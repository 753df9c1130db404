"""Lanes: the loops that are open while code is written, and what has been computed in each of their lanes.

A range that covers rows x width values of its index opens ``rows`` lanes (unrolled), each a vector if ``width``
is more than one; at most one index runs in vectors at a time. What was computed is remembered under (node, lanes
of the indices that it depends on), in scopes that close with their loops.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

from ..scheduling.loops import Affine, Range
from .assembler import Assembler, vector
from .nodes import Node

__all__ = ["Lane", "Lanes"]

Lane = Mapping[str, int]  # a row for each unrolled index
Body = Callable[[Sequence[str]], list[str]]


class Lanes:
    """The open loops; ``starts`` is the value of each index in its first lane."""

    def __init__(self, assembler: Assembler, outer: Sequence[str]) -> None:
        self.a = assembler
        self.starts: dict[str, str | int] = {index: f"%t{k}" for k, index in enumerate(outer)}
        self.rows: dict[str, int] = {}  # unrolled indices
        self.vector: str | None = None
        self.width = 1
        self.own = ("0", "0")  # first and last of the shared turns that are this thread's
        self.masks: dict[int, str | None] = {}  # by row of the vector index; None: all lanes count
        self.scopes: list[dict[object, str]] = [{}]

    def over(self, indices: Sequence[str]) -> Iterator[Lane]:
        """All unrolled lanes of these indices, vectors side by side, so that what they share is in use briefly."""
        own = [i for i in self.rows if i in indices and i != self.vector]
        own += [i for i in self.rows if i in indices and i == self.vector]
        for rows in itertools.product(*(range(self.rows[i]) for i in own)):
            yield dict(zip(own, rows, strict=True))

    def key(self, node: Node, lane: Lane) -> object:
        """Under which a node's value in a lane is remembered."""
        return (node.number, *(lane.get(i, 0) for i in node.indices if i in self.rows))

    def is_wide(self, node: Node) -> bool:
        """Is its value a vector now?"""
        return self.vector is not None and self.vector in node.indices

    def mask(self, lane: Lane) -> str | None:
        """Which elements of a vector in this lane count; None: all."""
        return None if self.vector is None else self.masks.get(lane.get(self.vector, 0))

    def are_apart(self, a: Affine, b: Affine) -> bool:
        """Do two addresses differ in whichever of the open lanes each is taken?"""
        if a.terms != b.terms or a.others or b.others:
            return False
        spans = {i: rows - 1 for i, rows in self.rows.items()}
        if self.vector is not None:
            spans[self.vector] = self.rows.get(self.vector, 1) * self.width - 1
        reach = sum(abs(a.coefficient(i)) * span for i, span in spans.items())
        return abs(a.constant - b.constant) > reach

    def look(self, key: object) -> str | None:
        """What was computed before, if it was."""
        for scope in reversed(self.scopes):
            if key in scope:
                return scope[key]
        return None

    def keep(self, key: object, register: str) -> str:
        """Remember until the innermost loop closes."""
        self.scopes[-1][key] = register
        return register

    def loop(
        self,
        range_: Range,
        carried: Sequence[tuple[str, str]],
        body: Body,
    ) -> list[str]:
        """A loop that hands (type, start) pairs on from turn to turn; gives their last values."""
        if range_.block is None and range_.extent == 0:
            return [start for _, start in carried]
        if range_.share is not None:
            return self._shared(range_, range_.share, body)
        if range_.is_single or range_.unrolled:
            states = [start for _, start in carried]
            for place in range(range_.start, range_.stop, range_.advance):
                states = self._turn(range_, place, str(range_.stop), states, body)
            return states
        start, stop = str(range_.start), str(range_.stop)
        if range_.block is not None:
            first = self.starts[range_.block[0]]
            start = str(first)
            end = self.a.op(f"add i64 {first}, {range_.block[1]}")
            stop = self.a.intrinsic("smin", "i64", end, stop)
            start = self.a.op(f"add i64 {first}, {range_.skip}") if range_.skip else start
        return self._turns(range_, start, (stop, stop), carried, body)

    def _shared(self, range_: Range, share: int, body: Body) -> list[str]:
        """Of a loop that the threads share, the turns of this one: from none to all."""
        outside = self.own
        first, last = (self.a.op(f"sub i64 {place}, {share}") for place in outside)
        first = self.a.intrinsic("smax", "i64", first, "0")
        last = self.a.intrinsic("smin", "i64", last, str(range_.turns * range_.within))
        some, none = self.a.label("share"), self.a.label("rest")
        self.a.branch(self.a.op(f"icmp slt i64 {first}, {last}"), some, none)
        self.a.block(some)
        if range_.within > 1:
            body = self._with_those_inside(range_, (first, last), body)
            first = self.a.op(f"udiv i64 {first}, {range_.within}")
            last = self.a.op(f"add i64 {last}, {range_.within - 1}")
            last = self.a.op(f"udiv i64 {last}, {range_.within}")
        stop = str(range_.stop)
        if range_.is_single:
            self._turn(range_, range_.start, stop, [], body)
        else:
            start, until = (
                self.a.op(
                    f"add i64 {self.a.op(f'mul i64 {place}, {range_.advance}')}, {range_.start}"
                )
                for place in (first, last)
            )
            self._turns(range_, start, (until, stop), [], body)
        self.own = outside
        self.a.jump(none)
        self.a.block(none)
        return []

    def _with_those_inside(self, range_: Range, own: tuple[str, str], body: Body) -> Body:
        """The body of a loop whose turns are shared with those of one inside: which of these are this thread's?"""

        def inside(carried: Sequence[str]) -> list[str]:
            start = self.starts[range_.index]  # a last turn may overlap the one before
            place = self.a.op(f"add i64 {start}, {range_.advance - 1 - range_.start}")
            turn = self.a.op(f"udiv i64 {place}, {range_.advance}")
            before = self.a.op(f"mul i64 {turn}, {range_.within}")
            first, last = (self.a.op(f"sub i64 {place}, {before}") for place in own)
            self.own = first, last
            return body(carried)

        return inside

    def _turns(
        self,
        range_: Range,
        start: str,
        ends: tuple[str, str],
        carried: Sequence[tuple[str, str]],
        body: Body,
    ) -> list[str]:
        """One turn or more, up to the first of ``ends``; lanes count up to the second."""
        until, stop = ends
        before, head, after = self.a.here, self.a.label("loop"), self.a.label("done")
        self.a.jump(head)
        self.a.block(head)
        index = self.a.phi("i64", (start, before))
        phis = [self.a.phi(type_, (value, before)) for type_, value in carried]
        place = index
        if range_.overlap:
            place = self.a.intrinsic("smin", "i64", index, str(range_.stop - range_.span))
        results = self._turn(range_, place, stop, phis, body)
        following = self.a.op(f"add nuw nsw i64 {index}, {range_.advance}")
        more = self.a.op(f"icmp slt i64 {following}, {until}")
        for phi, value in zip([index, *phis], [following, *results], strict=True):
            self.a.arrive(phi, value, self.a.here)
        self.a.branch(more, head, after)
        self.a.block(after)
        return results

    def _turn(
        self,
        range_: Range,
        start: str | int,
        stop: str,
        carried: Sequence[str],
        body: Body,
    ) -> list[str]:
        """One turn of a loop: its index is known, its lanes are open, its masks set."""
        outside = (self.vector, self.width, self.masks)
        self.starts[range_.index] = start
        if range_.rows > 1:
            self.rows[range_.index] = range_.rows
        self.scopes.append({})
        if range_.width > 1:
            self.vector, self.width = range_.index, range_.width
            self.masks = {k: self._row_mask(range_, start, stop, k) for k in range(range_.rows)}
        results = body(carried)
        self.scopes.pop()
        self.vector, self.width, self.masks = outside
        self.rows.pop(range_.index, None)
        del self.starts[range_.index]
        return results

    def _row_mask(self, range_: Range, start: str | int, stop: str, row: int) -> str | None:
        """Which lanes of one vector lie before the end."""
        pieces = [range_.extent, range_.block[1] if range_.block else 0]
        if range_.overlap or all(piece % range_.span == 0 for piece in pieces):
            return None
        width, first = range_.width, row * range_.width
        if isinstance(start, int):
            valid = range_.stop - start - first
            if valid >= width:
                return None
            return self.a.constants(vector("i1", width), [k < valid for k in range(width)])
        type_ = vector("i32", width)  # half as long as vectors of indices
        left = self.a.op(f"sub i64 {stop}, {start}")
        left = self.a.intrinsic("smin", "i64", left, str(range_.span))
        left = self.a.op(f"trunc i64 {left} to i32")
        places = self.a.constants(type_, [first + k for k in range(width)])
        return self.a.op(f"icmp slt {type_} {places}, {self.a.splat(type_, left)}")
