"""Inside: large results of small sums that only the turns of a recurrence need are computed by these turns.

Before:   z.outside[n, t, j:512] = sum[i:64](x[n, t, i]*W[i, j])                   all turns, far away when read
          for t2 in range(64):
              z[n, t2, j] = z.outside[n, t2, j] + sum[k](h[n, t2 - 1, k]*U[k, j]);    h[n, t2, k] = ...
After:    for t2 in range(64):
              z.outside[n, t2, j:512] = sum[i:64](x[n, t2, i]*W[i, j])             one place for all turns
              z[n, t2, j] = z.outside[n, t2, j] + sum[k](h[n, t2 - 1, k]*U[k, j]);    h[n, t2, k] = ...

What `outside` has taken out comes back where the recurrence will be done in `strands`: a turn of one has as many rows
as a tile, the weights stay near, and the result is read before anything else takes its place in the nearest cache. And
where there are none because other weights are large: then these come from afar in every turn anyway.

Declines where others read the result or add to it, or another turn reads it; where its sums are longer than its rows,
for then more is read than written; where caches keep all of it; where rows are few or read one another, for all at once
is faster; and where its own weights would come from afar in every turn, and are more than what they give there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import prod

from ..caches import FAR, NEAR
from ..language.expression import Index, Reduce, reduces, walk
from ..language.notes import Note, note
from ..language.steps import Recurrence, Step, equations
from ..language.system import Equation, System, reads
from ..rewriting.order import at
from .fuse import Fusion
from .strands import shared_by_rows

__all__ = ["inside"]


LARGE = FAR // 2  # elements of a result, of which no cache keeps all until it is read


def inside(
    steps: Sequence[Step], system: System, notes: list[Note] | None = None
) -> tuple[Step, ...]:
    """The program with such equations in the recurrences that need them."""
    if not any(isinstance(step, Recurrence) for step in steps):
        return tuple(steps)
    found: list[Step | None] = list(steps)
    writers = Counter(equation.target for equation in equations(steps))
    readers: dict[str, list[int]] = {}
    for k, step in enumerate(steps):
        for name in {e.tensor: None for own in equations([step]) for e in reads(own)}:
            readers.setdefault(name, []).append(k)
    for k, step in enumerate(steps):
        if not isinstance(step, Equation) or step.target not in system.temporaries:
            continue
        if not step.is_plain or not reduces(step.value) or writers[step.target] > 1:
            continue
        (first, *others) = readers.get(step.target, [k])
        loop = found[first]
        turn = _of_a_turn(step, loop) if isinstance(loop, Recurrence) and not others else None
        if not isinstance(loop, Recurrence) or turn is None:
            continue
        if declined := _declined(step, turn, loop, system):
            note(notes, "inside", step.target, f"declined: {declined}")
            continue
        note(notes, "inside", step.target, f"in each of {loop.size} turns")
        found[first], found[k] = replace(loop, steps=(turn, *loop.steps)), None
    return tuple(step for step in found if step is not None)


def _of_a_turn(equation: Equation, loop: Recurrence) -> Equation | None:
    """The equation for the turn that reads what it defines; None where another turn does, too."""
    read = (e for own in equations([loop]) for e in reads(own) if e.tensor == equation.target)
    places = {element.subscripts for element in read}
    for axis, index in enumerate(equation.subscripts):
        own = {place[axis] for place in places}
        rest = [s for place in places for k, s in enumerate(place) if k != axis]
        if own != {loop.index} or any(loop.index in walk(s) for s in rest):
            continue
        assert isinstance(index, Index)  # for it is plain
        others = equation.extents.keys() - {index}
        is_whole = equation.extents[index] == loop.size and loop.index not in others
        return at(equation, index, loop.index) if is_whole else None
    return None


def _declined(whole: Equation, turn: Equation, loop: Recurrence, system: System) -> str:
    """Why an equation stays outside of a loop that would have it for each turn; empty if it does not."""
    result = [1, *turn.extents.values()]
    sums = (e for e in walk(turn.value) if isinstance(e, Reduce))
    if prod(whole.extents.values()) < LARGE:
        return "caches keep all of it"
    if result[-1] < max(prod(b.extent for b in sum_.binders) for sum_ in sums):
        return "its sums are longer than its rows"
    kernels = [Fusion(e.indices, (e,)) for e in (turn, *equations([loop]))]
    shared, others = (shared_by_rows(some, system) for some in (kernels, kernels[1:]))
    if shared is None or others is None:
        return "rows are few, or read one another"
    if shared > NEAR and shared - others > prod(result):
        return "its weights would come from afar in every turn"
    return ""
