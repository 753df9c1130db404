"""Windows: which sums are products of data, read at a place and some steps on, with something else.

    y[n, h, o] = sum[i:3, c](x[n, h + i, c]*K[i, c, o])         to its places: the steps are bound
    K'[i:3, c, o] = sum[n, h](x[n, h + i, c]*g[n, h, o])        to its window: the places are bound

The one index of ``h + i`` that the sum binds is a plain subscript of the other operand. All that is no window belongs
to the rows (n, repeated for all of it), to the channels (c, of the data) or to the filters (o, of the other alone).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..language.expression import Call, Element, Expr, Index, Number, Reduce, reduces, walk
from ..language.integers import polynomial
from ..language.match import covers
from ..language.system import Equation, Tensor

__all__ = ["LENGTHS", "Window", "Windows", "windows"]

LENGTHS = (3, 4, 5)  # steps of a window, the same along all axes


@dataclass(frozen=True, slots=True)
class Window:
    """An axis of the data that is read at ``place + sign*step + offset``."""

    axis: int
    place: Index
    step: Index
    sign: int
    offset: int


@dataclass(frozen=True, slots=True)
class Windows:
    """``sum(data*other)``, the windows along axes of the data, and what all other indices are."""

    sum: Reduce
    data: Element
    other: Element
    windows: tuple[Window, ...]
    rows: tuple[Index, ...]
    channels: tuple[Index, ...]
    filters: tuple[Index, ...]
    extents: Mapping[Index, int]
    to_window: bool

    @property
    def length(self) -> int:
        """Steps of the window along each axis."""
        return self.extents[self.windows[0].step]


def windows(equation: Equation, tensors: Mapping[str, Tensor]) -> Windows | None:
    """The sum over windows in an equation, if there is one and all of its indices have a role.

    The equation covers its target: what is computed beyond its last place must be nobody else's."""
    if not reduces(equation.value):
        return None
    sums = [e for e in walk(equation.value) if isinstance(e, Reduce)]
    if len(sums) != 1 or sums[0].kind != "sum" or not covers(equation, tensors[equation.target]):
        return None
    match sums[0].body:
        case Call("*", (Element() as one, Element() as two)) if one.tensor != two.tensor:
            found = (
                _windows(equation, sums[0], *pair, tensors) for pair in ((one, two), (two, one))
            )
            return next((each for each in found if each is not None), None)
    return None


def _windows(
    equation: Equation, sum_: Reduce, data: Element, other: Element, tensors: Mapping[str, Tensor]
) -> Windows | None:
    """The same where it is known which operand are the data."""
    free = equation.extents
    bound = {b.index: int(b.size.value) for b in sum_.binders if isinstance(b.size, Number)}
    plain = [s for s in other.subscripts if isinstance(s, Index)]
    fixed = [s for s in other.subscripts if isinstance(s, Number)]
    axes = _axes(data, free, bound)
    if axes is None or len(plain) + len(fixed) != len(other.subscripts):
        return None
    found, beside = axes
    steps = {w.step in free for w in found}
    moving = [i for w in found for i in (w.place, w.step)]
    own = [i for i in beside if i not in plain]
    shared = [i for i in beside if i in plain]
    filters = [i for i in plain if i not in beside and i not in moving]
    every = [*moving, *own, *shared, *filters]
    is_each = len(set(every)) == len(every) and set(every) == {*free, *bound}
    roles = all(i in free for i in (*own, *filters)) and all(i in bound for i in shared)
    apart = all((i in plain) == (i in bound) for i in moving)
    if len(steps) != 1 or len(bound) != len(sum_.binders) or not (is_each and roles and apart):
        return None
    if len({{**free, **bound}[w.step] for w in found}) != 1:
        return None
    (to_window,) = steps
    rows, channels = (shared, own) if to_window else (own, shared)
    shape = tensors[other.tensor].shape
    extents = {**free, **bound}
    if to_window and any(shape[other.subscripts.index(w.place)] != extents[w.place] for w in found):
        return None  # what lies behind the last place would count too
    roles_of_others = tuple(rows), tuple(channels), tuple(filters)
    return Windows(sum_, data, other, tuple(found), *roles_of_others, extents, to_window)


def _axes(
    data: Element, free: Mapping[Index, int], bound: Mapping[Index, int]
) -> tuple[list[Window], list[Index]] | None:
    """The windows of the data, and the indices of all other axes but fixed ones."""
    found: list[Window] = []
    beside: list[Index] = []
    for axis, subscript in enumerate(data.subscripts):
        window = _window(axis, subscript, free, bound)
        if window is not None:
            found.append(window)
        elif isinstance(subscript, Index):
            beside.append(subscript)
        elif not isinstance(subscript, Number):
            return None
    return found, beside


def _window(
    axis: int, subscript: Expr, free: Mapping[Index, int], bound: Mapping[Index, int]
) -> Window | None:
    """A subscript ``place + step`` of a free and a bound index, the step over a window of one of the `LENGTHS`."""
    form = polynomial(subscript)
    terms = {m[0]: int(c) for m, c in form.terms if len(m) == 1 and isinstance(m[0], Index)}
    if len(terms) != 2 or len(form.terms) != 2 + (form.constant != 0):
        return None
    ours, theirs = ([i for i in terms if i in own] for own in (free, bound))
    if len(ours) != 1 or len(theirs) != 1:
        return None
    extents = {**free, **bound}
    pair = (*theirs, *ours)
    step, place = sorted(pair, key=lambda i: (extents[i] not in LENGTHS, extents[i]))
    if extents[step] not in LENGTHS or terms[place] != 1 or abs(terms[step]) != 1:
        return None
    return Window(axis, place, step, terms[step], int(form.constant))
