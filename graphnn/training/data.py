"""Data: arrays of samples as a model takes them, found to fit before anything is computed with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DtypeError, GraphnnError, ShapeError
from ..function import bind_sizes, converted
from ..graph.node import Input, Node

__all__ = [
    "Samples",
    "arrays_of",
    "check_numbers",
    "first_array",
    "fitting",
    "truth_input",
    "weight_input",
    "weights_of",
]


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
    if not isinstance(data, np.ndarray) and isinstance(data, Mapping):
        missing = [node.name for node in nodes if node.name not in data]
        if missing or len(data) != len(nodes):
            names = ", ".join(node.name for node in nodes)
            raise GraphnnError(f"{what}: expected arrays for {names}; got {', '.join(data)}")
        data = [data[node.name] for node in nodes]
    parts = list(data) if isinstance(data, (list, tuple)) else [data]
    if len(nodes) == 1 and (len(parts) != 1 or _rank(parts[0]) != nodes[0].ndim):
        parts = [data]  # rows in a list rather than arrays in a list
    if len(parts) != len(nodes):
        raise GraphnnError(f"{what}: expected {len(nodes)} arrays, got {len(parts)}")
    arrays = [_array(part, node, what) for part, node in zip(parts, nodes, strict=True)]
    for node, array in zip(nodes, arrays, strict=True):
        if array.dtype.kind not in "biuf":
            raise DtypeError(f"{what} for {node.name}: expected numbers, got {array.dtype}")
        if not array.ndim:
            raise ShapeError(f"{what} for {node.name}: expected one row per sample, got a number")
    return arrays


def _array(value: object, node: Node, what: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError:
        raise ShapeError(f"{what} for {node.name}: got rows of different lengths") from None


def _rank(value: object) -> int | None:
    """How many axes it has as an array; None if it is none."""
    try:
        return np.asarray(value).ndim
    except ValueError:
        return None


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


def weights_of(
    data: object, classes: object, truths: Sequence[np.ndarray], outputs: Sequence[Node]
) -> list[np.ndarray | None]:
    """A weight for each sample, or for each step of each, for each output; None where all count the same.

    ``data`` is an array for all outputs, or a list or dict of arrays; ``classes`` gives the weight
    of each class of the one output there then is.
    """
    found: list[np.ndarray | None] = [None] * len(outputs)
    if isinstance(data, Mapping) or (len(outputs) > 1 and isinstance(data, (list, tuple))):
        found = list(arrays_of(data, outputs, "sample_weight"))
    elif data is not None:
        found = [np.asarray(data)] * len(outputs)
    if classes is not None:
        if len(outputs) > 1 or not isinstance(classes, Mapping):
            raise GraphnnError("class_weight is a dict {class: weight}, for a model of one output")
        by_class = _class_weights(truths[0], classes, outputs[0])
        given = found[0]
        if given is not None and given.ndim < by_class.ndim:
            given = given.reshape(given.shape + (1,) * (by_class.ndim - given.ndim))
        found[0] = by_class if given is None else by_class * given
    return [None if w is None else _narrow(w) for w in found]


def _class_weights(labels: np.ndarray, weights: Mapping[int, float], output: Node) -> np.ndarray:
    """The weight of each label's class, 1 where none is given; labels are numbers or one-hot rows."""
    if labels.ndim == output.ndim and labels.shape[-1] > 1:
        labels = labels.argmax(-1)
    numbers = _narrow(labels)
    found = np.ones(numbers.shape, output.dtype)
    for number, weight in weights.items():
        found[numbers == number] = weight
    return found


def _narrow(array: np.ndarray) -> np.ndarray:
    """A column as a row."""
    return array[..., 0] if array.ndim > 1 and array.shape[-1] == 1 else array


def weight_input(array: np.ndarray, output: Node) -> Input:
    """An input for the weights of an output's samples; the mask of a sequence is one of 0 and 1."""
    batch = output.shape[0] if output.ndim else None
    return Input((batch, *array.shape[1:]), "sample_weight", output.dtype)


def check_numbers(arrays: Sequence[np.ndarray | None], what: str) -> None:
    """Raise `GraphnnError` where a truth or weight is no number: training would make NaN of all weights."""
    for array in arrays:
        if array is not None and array.dtype.kind == "f" and np.isnan(array).any():
            place = ", ".join(str(k) for k in np.argwhere(np.isnan(array))[0])
            raise GraphnnError(f"{what}[{place}] is NaN")


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
    ready = [converted(array, node) for array, node in zip(arrays, inputs, strict=True)]
    return Samples(tuple(np.require(array, requirements=["C", "A"]) for array in ready))
