"""Stretch: a function called on one batch of rows after the other, as many of them at once as fit into some time.

    for stretch in stretches(function, arrays, 32, order):
        while stretch.left:
            stretch.go_on(seconds)
        stretch.values()                            what the batches gave, an array for each output

Rows are gathered and batches done inside one native call, so that they cost no Python. Whatever ends it, a whole number
of batches is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..function import Function

__all__ = ["TURN", "Stretch", "stretches"]

TURN = 0.05  # seconds until Python looks at what else there is: an interrupt, a progress bar


class Stretch:
    """Batches of ``size`` rows each, taken from the arrays in this order, or as they lie."""

    def __init__(
        self,
        function: Function,
        arrays: Sequence[np.ndarray],
        size: int,
        order: np.ndarray | None = None,
    ) -> None:
        compiled = function.prepare([array[:size] for array in arrays])
        executable, count = compiled.executable, len(arrays[0] if order is None else order) // size
        buffers = [executable.buffer(name) for name in compiled.outputs]
        self.size = size
        self._results = [np.empty((count, *b.shape), b.dtype) for b in buffers]
        given = {name: arrays[k] for name, k in compiled.inputs}
        taken = dict(zip(compiled.outputs, self._results, strict=True))
        self._series = executable.series(given, taken, order)
        self._count, self._lock = count, function.lock

    @property
    def left(self) -> int:
        """How many batches are still to be done."""
        return self._count - self._series.done

    def go_on(self, seconds: float = TURN) -> None:
        """Do the next batch, and what follows it, but begin none after so many seconds.

        IndexError before a batch with a label or token out of range.
        """
        with self._lock:
            self._series.run(self._series.done, self._count, seconds)

    def values(self, first: int = 0) -> list[np.ndarray]:
        """For each output what the batches gave that are done, from the first-th of the stretch on."""
        return [array[first : self._series.done] for array in self._results]


def stretches(
    function: Function,
    arrays: Sequence[np.ndarray],
    size: int,
    order: np.ndarray | None = None,
    first: int = 0,
) -> Iterator[Stretch]:
    """All batches from ``first`` on: those of ``size`` rows, then the last one with what remains."""
    count = len(arrays[0])
    whole = count - count % size
    begin = first * size
    for start, stop in ((min(begin, whole), whole), (max(begin, whole), count)):
        if start < stop:
            parts = arrays if order is not None else [array[start:stop] for array in arrays]
            rows = None if order is None else order[start:stop]
            yield Stretch(function, parts, min(size, stop - start), rows)
