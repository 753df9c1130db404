"""Winograd: a sum over a window that moves by single steps is computed for a tile of places at once.

Before:   y[n, h, w, o] = sum[i:3, j:3, c](x[n, h + i, w + j, c]*K[i, j, c, o])
After:    y.window[p, q, c, o] = sum[i, j](G[p, i]*G[q, j]*K[i, j, c, o])
          y.tiles[b, p, q, t, c] = sum[i:6, j:6](B[p, i]*B[q, j]*x[.., 4*.. + i, 4*t + j, c])
          y.points[b, p, q, t, o] = sum[c](y.tiles[b, p, q, t, c]*y.window[p, q, c, o])
          y[.., 4*.. + d, 4*t + e, o] = sum[p:6, q:6](A[p, d]*A[q, e]*y.points[b, p, q, t, o])

16 places take 36 products in the place of 144. The matrices are those of `interpolation`; each is written out, along
one axis after the other, as one equation for each of its rows. A gradient with respect to x is such a sum too. That
with respect to K has its window among its results and its places in the sum; there the transforms are the transposes:

          K'.points[p, q, c, o] = sum[b, t](x.tiles[b, p, q, t, c]*g.tiles[b, p, q, t, o])

What lies between the equations is larger than what goes in. Blocks of tiles (the indices b) come first in all of it, so
that a later stage can do all equations for one block before the next, and nothing between them leaves the cache.

A result is not bound to its own window any more: errors are relative to the largest values around (see `Options`), and
a value that is no number reaches all places of its tile. Declines where nothing is saved: few channels, few places; for
what replaces a state; and, unless asked for, in other precisions than float32.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace

from ..language.form import form, of_alike, of_others
from ..language.notes import Note, note
from ..language.system import Equation, System
from .additions import Additions
from .by_tiles import ByTiles
from .order import cycles
from .phases import inlined
from .tiling import Tiling, tiling
from .windows import windows

__all__ = ["winograd"]


def winograd(system: System, policy: str, notes: list[Note] | None = None) -> System:
    """The system, its sums over windows by tiles; ``policy`` as in `Options`."""
    if policy == "direct":
        return system
    cyclic = {e.target for cycle in cycles(system) for e in cycle}
    states = system.new_values
    tensors = system.by_name
    has_windows = of_alike(lambda equation: windows(equation, tensors) is not None, system)

    def own_tiles(equation: Equation) -> Tiling | str:
        dtype = tensors[equation.target].dtype
        if dtype != "float32" and (policy == "auto" or not dtype.startswith("float")):
            return f"declined: {dtype} is added up as it is written"
        product = windows(equation, tensors)
        assert product is not None
        return tiling(product, policy == "auto")

    tiles_of = of_alike(own_tiles, system)

    def found(equation: Equation) -> Tiling | str | None:
        if equation.target in cyclic or not has_windows(equation):
            return None
        if equation.target in states:
            return "declined: it replaces a state"
        return tiles_of(equation)

    def is_cut(equation: Equation) -> bool:
        tiles = found(equation)
        return isinstance(tiles, Tiling) and not tiles.product.to_window

    system = inlined(system, is_cut)
    writer = _Writer(system, own_tiles)
    for equation in system.equations:
        tiles = found(equation)
        if isinstance(tiles, Tiling):
            writer.write(equation)
        else:
            writer.equations.append(equation)
        if tiles is not None:
            note(notes, "winograd", equation.target, str(tiles))
    whole = (*system.tensors, *writer.added.tensors)
    return replace(system, tensors=whole, equations=tuple(writer.equations))


# --- equations ---------------------------------------------------------------------------------------------------


class _Writer:
    """The equations so far; those of sums that are alike are written once, then as they are for other tensors."""

    def __init__(self, system: System, tiles_of: Callable[[Equation], Tiling | str]) -> None:
        self.kinds, self.tiles_of = system.kinds, tiles_of
        self.added = Additions(system)
        self.equations: list[Equation] = []
        self.known: dict[Hashable, tuple[ByTiles, tuple[str, ...]]] = {}

    def write(self, equation: Equation) -> None:
        own, names = form(equation)
        key = own, tuple(map(self.kinds.get, names))
        if key not in self.known:
            tiling = self.tiles_of(equation)
            assert isinstance(tiling, Tiling)
            self.known[key] = ByTiles(self.added, equation, tiling), names
            self.equations += self.known[key][0].equations
            return
        tiles, others = self.known[key]
        new = dict(zip(others, names, strict=True))
        for name, label in tiles.labels.items():
            new[name] = self.added.tensor(equation.target, label, self.added.known[name].shape)
        self.equations += [of_others(each, new, equation.origin) for each in tiles.equations]
