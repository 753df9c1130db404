"""Again: what is much larger than all it comes from is computed again for those who need it late, not kept for them.

Before:   z[t, u] = sum[d](q[t, d]*k[u, d]);    m[t] = max[u](z[t, u]);    y[t, o] = sum[u](exp(z[t, u] - m[t])*v[u, o])
          g[u, o] = sum[t](d[t, o]*exp(z[t, u] - m[t]))                     d comes from y by way of other products
After:    z.again[t, u] = sum[d](q[t, d]*k[u, d])
          g.sum[u, o] += sum[t:32](d[32*b + t, o]*exp(z.again[32*b + t, u] - m[32*b + t]))            b:32
          g[u, o] = g.sum[u, o]

Between the first and the last that ask for such a tensor other products are waited for, while it would lie in memory.
Computed again, it passes from kernel to kernel in blocks of rows on either side (see `groups`), and is never stored;
so that a sum over the rows can go with them, it is added up in pieces, in their order. Where nobody waits for a whole
row, blocks are cut across the rows, too, and sums over columns are added up likewise: then rows may be of any length.

Maxima and sums of the rows are few, and are kept. Declines where a tensor fits into a cache, or blocks of whole rows do
not; where it is not much larger than what it comes from, or smaller than what lies between, or is a sum of many terms;
where others ask for it all the way; and where no product asks for it late: what is asked element by element is asked of
less (see `kept`), unless it is computed again anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from math import prod
from operator import or_

from ..caches import HEIGHT, LINE, is_far
from ..language.expression import (
    Binder,
    Element,
    Expr,
    Reduce,
    elements,
    expr,
    free_indices,
    fresh_index,
    rebuild,
    reduces,
    renamed,
    substitute,
    walk,
)
from ..language.notes import Note, note
from ..language.system import Equation, System, Tensor, reads
from .additions import Additions
from .order import cycles

__all__ = ["again", "is_large"]

LARGER = 4  # times, at least, than all that it comes from
TERMS = 256  # of one element, at most
PIECE = 1 << 16  # elements of whole rows that are added up at once
ROWS = 24  # of these, at least: fewer would read the rest too often
UNITS = 2  # of rows, and of columns, that are added up at once where blocks are cut both ways


def again(system: System, notes: list[Note] | None = None) -> System:
    """The system without large tensors that wait."""
    names = {t.name for t in system.tensors if t.role == "local" and is_large(t)}
    if not names:
        return system
    return _Writer(system, names, notes).system()


def is_large(tensor: Tensor) -> bool:
    """Is it no matter of a cache?"""
    return tensor.dtype.startswith("float") and is_far(prod(tensor.shape))


class _Writer:
    """What depends on what, and the equations made so far."""

    def __init__(self, system: System, large: set[str], notes: list[Note] | None) -> None:
        self.given, self.notes = system, notes
        self.added = Additions(system)
        self.known = self.added.known
        inside = {id(e) for cycle in cycles(system) for e in cycle}
        self.inside = {k for k, e in enumerate(system.equations) if id(e) in inside}
        alone = {n: e for n, (e, *more) in system.definitions().items() if not more}
        self.sources = {
            n: e for n, e in alone.items() if n in large and e.is_plain and id(e) not in inside
        }
        self.equations = dict(enumerate(system.equations))
        self.before = _before(system)
        self.made: dict[str, str] = {}
        self.is_cut = True  # are all rows?

    def system(self) -> System:
        """All that is large and waits computed again."""
        late: dict[int, dict[str, str]] = {}
        copies: dict[int, list[Equation]] = {}
        for name in reversed(self.sources):
            readers = self.late(name)
            if not readers:
                continue
            is_cut = self.may_be_cut(name, readers)
            if not self.is_cheap(name) or not (is_cut or self.is_near(name)):
                note(
                    self.notes,
                    "again",
                    name,
                    "declined: it comes from too much, or its rows are long",
                )
                continue
            note(self.notes, "again", name, f"computed again for {len(readers)} equations")
            self.is_cut &= is_cut
            copies.setdefault(min(readers), []).extend(self.again(name))
            for k in readers:
                late.setdefault(k, {})[name] = self.made[name]
        if not late:
            return self.given
        for k, names in late.items():
            equation = self.equations[k]
            self.equations[k] = equation.valued(renamed(equation.value, names))
        rows = self.rows({n for names in late.values() for n in names.values()})
        equations: list[Equation] = []
        for k, equation in self.equations.items():
            equations += copies.get(k, [])
            equations += [equation] if k in self.inside else self.in_pieces(equation, rows)
        return replace(self.given, tensors=tuple(self.known.values()), equations=tuple(equations))

    # --- which ---------------------------------------------------------------------------------------------------

    def late(self, name: str) -> list[int]:
        """Equations that read a tensor when products which others that read it lead to are done.

        None where no late one is a product, unless it is computed again anyway; or where one leads to what another
        late one waits for.
        """
        readers = [k for k, e in self.equations.items() if any(x.tensor == name for x in reads(e))]
        asking = _bits(readers)
        after = [k for k in self.equations if self.before[k] & asking and not asking >> k & 1]
        products = [k for k in after if _is_product(self.equations[k])]
        late = [k for k in readers if self.before[k] & _bits(products)]
        needed = self.needed(late)
        early = self.needed(k for k in products if needed >> k & 1)
        worth = any(name in self.made or _is_product(self.equations[k]) for k in late)
        if not worth or early & _bits(late):
            return []
        return [k for k in readers if not early >> k & 1]

    def needed(self, equations: Iterable[int]) -> int:
        """What must be done before some equations, as bits."""
        return reduce(or_, (self.before[k] for k in equations), 0)

    def is_cheap(self, name: str) -> bool:
        """Does it come from little, with nothing larger between, with few operations, in rows that stay near?"""
        size, equation = self.size(name), self.sources[name]
        given = dict.fromkeys(e.tensor for e in reads(equation))
        made = [tensor for tensor in given if tensor in self.sources]
        small = sum(self.size(tensor) for tensor in given if tensor not in self.sources)
        is_short = LARGER * small <= size and _terms(equation.value) <= TERMS
        return is_short and all(self.size(n) <= size and self.is_cheap(n) for n in made)

    def is_near(self, name: str) -> bool:
        """Does a block of whole rows stay near?"""
        return ROWS * self.known[name].shape[-1] <= PIECE

    def may_be_cut(self, name: str, readers: Sequence[int]) -> bool:
        """Does nobody late wait for whole rows, of this and what comes from it place by place?"""
        rows, asking = self.rows({name}), _bits(readers)
        late = {k: e for k, e in self.equations.items() if (self.before[k] | 1 << k) & asking}
        needed = self.needed(k for k, equation in late.items() if equation.target in rows)
        return all(
            self.moving(e, equation, rows) is not None
            and not needed >> k & 1
            and _step(prod(b.extent for b in e.binders), UNITS * LINE)
            for k, equation in late.items()
            for e in walk(equation.value)
            if isinstance(e, Reduce) and _is_across(e, rows)
        )

    def again(self, name: str) -> list[Equation]:
        """The equations that compute a tensor once more."""
        if name in self.made:
            return []
        equation = self.sources[name]
        given = dict.fromkeys(e.tensor for e in reads(equation))
        before = [e for tensor in given if tensor in self.sources for e in self.again(tensor)]
        self.made[name] = self.added.tensor(name, "again", self.known[name].shape)
        value = renamed(equation.value, self.made)
        return [*before, replace(equation, target=self.made[name], value=value)]

    def size(self, name: str) -> int:
        return prod(self.known[name].shape)

    def rows(self, names: set[str]) -> set[str]:
        """These, and what is as large and comes from them place by place."""
        found = set(names)
        for equation in self.equations.values():
            if equation.target in self.sources and any(
                e.tensor in found and e.subscripts == equation.subscripts for e in reads(equation)
            ):
                found.add(equation.target)
        return found

    # --- sums over rows ------------------------------------------------------------------------------------------

    def in_pieces(self, equation: Equation, rows: set[str]) -> Iterator[Equation]:
        """The equation, its sums over rows of large tensors added up in pieces."""
        made: list[Equation] = []

        def cut(e: Expr) -> Expr:
            if isinstance(e, Reduce) and (found := self.pieces(e, equation, rows)):
                made.append(found)
                return Element(found.target, found.subscripts)
            return rebuild(e, cut) if reduces(e) else e

        changed = equation.valued(cut(equation.value))
        yield from made
        yield changed

    def moving(self, e: Reduce, equation: Equation, rows: set[str]) -> Element | None:
        """The element of a large tensor along which a sum moves that may be added up in pieces."""
        if e.kind != "sum" or len(e.binders) != 1 or reduces(e.body):
            return None
        moving = (x for x in elements(e.body) if x.tensor in rows and e.indices[0] in x.subscripts)
        return next(moving, None) if free_indices(e).keys() <= equation.extents.keys() else None

    def pieces(self, e: Reduce, equation: Equation, rows: set[str]) -> Equation | None:
        """A sum over rows, or over columns where these are cut, all in one place."""
        large = self.moving(e, equation, rows)
        if large is None:
            return None
        ((row, _),) = e.binders
        count, is_across = e.binders[0].extent, row not in large.subscripts[:-1]
        if is_across and not self.is_cut:
            return None
        most = UNITS * (LINE if is_across else HEIGHT)
        if not self.is_cut:
            most = max(1, PIECE // self.known[large.tensor].shape[-1])
        least = _step(count, most)
        if least in (0, 1, count):
            return None
        used = free_indices(e)
        results = tuple(b for b in equation.indices if b.index in used)
        block = fresh_index("b", dict.fromkeys((*equation.sizes, row)))
        shape = [equation.extents[b.index] for b in results]
        target = self.added.tensor(equation.target, "sum", shape)
        body = substitute(e.body, {row: block * least + row})
        value = Reduce("sum", body, (Binder(row, expr(least)),))
        indices = (Binder(block, expr(count // least)), *results)
        places = tuple(b.index for b in results)
        return Equation(target, places, indices, value, accumulate=True, origin=equation.origin)


def _before(system: System) -> list[int]:
    """Of each equation those that must be done before, as bits."""
    writers: dict[str, list[int]] = {}
    for k, equation in enumerate(system.equations):
        writers.setdefault(equation.target, []).append(k)
    needs = [{w for e in reads(eq) for w in writers.get(e.tensor, ())} for eq in system.equations]
    found = [0] * len(needs)
    changed = True
    while changed:
        changed = False
        for k, own in enumerate(needs):
            bits = 0
            for w in own:
                bits |= found[w] | 1 << w
            changed |= bits != found[k]
            found[k] = bits
    return found


def _is_product(equation: Equation) -> bool:
    """Is it a sum over products of different tensors?"""
    sums = (e for e in walk(equation.value) if isinstance(e, Reduce) and e.kind == "sum")
    return any(len({x.tensor for x in elements(s.body)}) > 1 for s in sums)


def _step(count: int, most: int) -> int:
    """How many of some terms are added up at once; 0 where what divides them is too small."""
    found = next(n for n in range(min(count, most), 0, -1) if count % n == 0)
    return found if 4 * found >= most or found == count else 0


def _is_across(e: Reduce, rows: set[str]) -> bool:
    """Does it run along the rows of a large tensor?"""
    return any(x.tensor in rows and x.subscripts[-1] in e.indices for x in elements(e.body))


def _terms(e: Expr) -> int:
    return sum(prod(b.extent for b in s.binders) for s in walk(e) if isinstance(s, Reduce))


def _bits(numbers: Iterable[int]) -> int:
    return sum(1 << k for k in numbers)
