"""What usual networks ask beside the catalogue: gradients of formulas written for a rank, a window or a side.

The mean of a matrix is not the formula of the mean of a vector, nor is a window of 3 one of 5. Whoever trains one of
the networks below finds all gradients ready.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import graphnn as gn
from graphnn import layers
from graphnn.gradients import derived_formulas
from graphnn.graph.graph import Graph
from graphnn.notation import Resolved, symbolic

__all__ = ["usual_formulas"]


def usual_formulas() -> Iterator[Resolved]:
    """Each formula that is differentiated when one of the networks is trained."""
    for result in _networks():
        graph = Graph([result], training=True)
        for application in graph.applications:
            operands = [k for k, n in application.operands.items() if n.dtype.startswith("float")]
            outputs = tuple(n.target for n in application.results.values() if n in graph.symbols)
            if operands:
                forward, _, _ = derived_formulas(application, outputs, operands)
                yield symbolic(replace(forward, outputs=outputs))


def _networks() -> Iterator[gn.Node]:
    row, text, image = gn.Input((2, 4)), gn.Input((2, 6, 4)), gn.Input((2, 12, 12, 4))
    for x in (gn.Input((2,)), row, text, image):
        yield from (gn.mean(x), gn.sum(x), gn.mean(x, axis=-1), gn.sum(x, axis=-1))
    for x in (row, text, image):
        yield gn.concat([x, x])
        yield x + gn.Input(x.shape[1:])  # positions
        yield layers.Flatten()(x)
    for window, stride in ((1, 1), (1, 2), (3, 1), (3, 2), (5, 1), (7, 1), (7, 2)):
        for bias in (False, True):
            yield layers.Conv2D(4, window, stride, "same", use_bias=bias)(image)
    for pool in (layers.MaxPool2D, layers.AveragePooling2D):
        yield pool(3, 2, "same")(image)
    for cell in (layers.SimpleRNN, layers.LSTM, layers.GRU):
        for whole in (False, True):
            yield cell(4, return_sequences=whole, go_backwards=True)(text)
