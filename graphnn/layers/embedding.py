"""Embedding: a row of a table for each token."""

from __future__ import annotations

import numpy as np

from .. import regularizers
from ..catalogue import define
from ..errors import DtypeError
from ..graph.node import Node, Parameter, dtype_name
from ..graph.operation import Operation
from ..initializers import Initializer
from .base import Layer, positive

__all__ = ["Embedding"]

_embedding = define(
    "embedding",
    "y[..., e] = E[t[...], e]",
    samples=[{"E": (5, 3), "t": (2, 4)}, {"E": (5, 3), "t": (6,)}],
    domains={"t": 5},
    group="layer",
)


class Embedding(Layer):
    """``y[..., e] = E[t[...], e]``: row t of the table.

    Shapes: tokens t (batch, ...), integers from 0 to ``input_dim`` - 1 -> y (batch, ..., ``output_dim``);
    the table E (input_dim, output_dim) has the float ``dtype`` that the graph from here on has. Raises
    `DtypeError` for tokens that are not integers and, when it runs, IndexError for a token out of range.

    Source: Bengio, Ducharme, Vincent, Jauvin: A Neural Probabilistic Language Model, 2003.

    >>> from graphnn.graph.node import Input
    >>> Embedding(1000, 64)(Input((None, 20), dtype="int32")).shape
    (None, 20, 64)
    """

    input_dtype = "int32"

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: str | Initializer = "uniform",
        embeddings_regularizer: str | Operation | None = None,
        *,
        dtype: str | np.dtype | type = "float32",
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self.input_dim = positive(input_dim, f"{self.name}: input_dim")
        self.output_dim = positive(output_dim, f"{self.name}: output_dim")
        self.dtype = dtype_name(dtype, self.name)
        self.embeddings_initializer = embeddings_initializer
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings: Parameter | None = None

    def build(self, *inputs: Node) -> None:
        shape = (self.input_dim, self.output_dim)
        self.embeddings = self.add_parameter(
            "embeddings",
            shape,
            self.embeddings_initializer,
            self.dtype,
            regularizer=self.embeddings_regularizer,
        )

    def call(self, *inputs: Node) -> Node:
        (t,) = inputs
        if not t.dtype.startswith("int"):
            raise DtypeError(f"{self.name}: expected integer tokens, {t.name} is {t.type}")
        return self.apply(_embedding, self.embeddings, t)
