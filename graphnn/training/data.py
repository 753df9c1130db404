"""Data: arrays of samples as a model takes them, found to fit before anything is computed with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DtypeError, GraphnnError, ShapeError
from ..function import bind_sizes, converted
from ..graph.node import Input, Node

__all__ = ["Samples", "arrays_of", "first_array", "fitting", "truth_input"]


@dataclass(frozen=True, slots=True)
class Samples:
    """One array for each input (the truth's come last), all with the same number of rows."""

    arrays: tuple[np.ndarray, ...]

    @property
    def count(self) -> int:
        return len(self.arrays[0])

    def rows(self, selection: slice | np.ndarray) -> list[np.ndarray]:
        return [array[selection] for array in self.arrays]

    def batches(
        self, size: int, order: np.ndarray | None = None, first: int = 0
    ) -> Iterator[list[np.ndarray]]:
        """``size`` rows at a time, the last batch with what remains; in this order, from batch ``first`` on."""
        for start in range(first * size, self.count, size):
            part = slice(start, start + size)
            yield self.rows(part if order is None else order[part])

    def split(self, share: float) -> tuple[Samples, Samples]:
        """All but the last ``share`` of the rows, and those."""
        if not 0 < share < 1:
            raise GraphnnError(f"validation_split must lie between 0 and 1, got {share}")
        at = int(self.count * (1 - share))
        if at in (0, self.count):
            raise GraphnnError(
                f"validation_split={share} of {self.count} samples leaves a part empty"
            )
        return Samples(tuple(self.rows(slice(at)))), Samples(tuple(self.rows(slice(at, None))))


def arrays_of(data: object, nodes: Sequence[Node], what: str) -> list[np.ndarray]:
    """One array for each node, from an array, a list of arrays, or a dict by the nodes' names."""
    if isinstance(data, Mapping):
        missing = [node.name for node in nodes if node.name not in data]
        if missing or len(data) != len(nodes):
            names = ", ".join(node.name for node in nodes)
            raise GraphnnError(f"{what}: expected arrays for {names}; got {', '.join(data)}")
        data = [data[node.name] for node in nodes]
    parts = list(data) if isinstance(data, (list, tuple)) else [data]
    if len(nodes) == 1 and not (len(parts) == 1 and np.asarray(parts[0]).ndim == nodes[0].ndim):
        parts = [data]  # rows in a list rather than arrays in a list
    if len(parts) != len(nodes):
        raise GraphnnError(f"{what}: expected {len(nodes)} arrays, got {len(parts)}")
    arrays = [np.asarray(part) for part in parts]
    for node, array in zip(nodes, arrays, strict=True):
        if array.dtype.kind not in "biuf":
            raise DtypeError(f"{what} for {node.name}: expected numbers, got {array.dtype}")
        if not array.ndim:
            raise ShapeError(f"{what} for {node.name}: expected one row per sample, got a number")
    return arrays


def first_array(data: object) -> np.ndarray:
    """The data of the one input that a model has."""
    values = list(data.values()) if isinstance(data, Mapping) else [data]
    return np.asarray(values[0])


def truth_input(array: np.ndarray, output: Node) -> Input:
    """An input for the truth of an output: integers stay integers, all else has the output's dtype."""
    dtype = output.dtype
    if array.dtype.kind in "iu":
        dtype = "int64" if array.dtype.itemsize > 4 else "int32"
    elif array.dtype.kind == "b":
        dtype = "bool"
    batch = output.shape[0] if output.ndim else None
    return Input((batch, *array.shape[1:]), "y_true", dtype)


def fitting(arrays: Sequence[np.ndarray], inputs: Sequence[Input], batch_size: int) -> Samples:
    """The arrays in their inputs' dtypes. Raises where numbers of rows, shapes or dtypes do not fit."""
    counts = [len(array) for array in arrays]
    if len(set(counts)) > 1:
        listing = ", ".join(f"{n.name} has {c}" for n, c in zip(inputs, counts, strict=True))
        raise ShapeError(f"the arrays differ in their number of samples: {listing}")
    if not counts[0]:
        raise ShapeError(f"{inputs[0].name}: there are no samples")
    for size in dict.fromkeys((min(batch_size, counts[0]), counts[0] % batch_size or batch_size)):
        bind_sizes(inputs, [array[:size] for array in arrays])
    ready = tuple(converted(array, node) for array, node in zip(arrays, inputs, strict=True))
    return Samples(ready)
