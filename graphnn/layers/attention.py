"""Attention: each place of one sequence takes a mean over another, weighted by how well they match.

    z[b, h, t, s] = sum[d](q[b, t, h, d]*k[b, s, h, d])/sqrt(dim(q, 3))
    a[b, h, t, s] = exp(z[b, h, t, s])/sum[r](exp(z[b, h, t, r]))
    y[b, t, h, d] = sum[s](a[b, h, t, s]*v[b, s, h, d])

Queries, keys and values are projections of the sequences, h counts the heads. Heads are an index of the weights, so
nothing is ever reshaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import regularizers
from ..catalogue import define
from ..errors import GraphnnError, ShapeError
from ..graph.node import Node, Parameter
from ..graph.operation import Operation, op
from ..initializers import Initializer
from .base import Layer, fixed_size, positive
from .dropout import checked_rate, dropped

__all__ = ["MultiHeadAttention"]

_VASWANI = "Vaswani et al.: Attention Is All You Need, 2017"
_CAUSAL = "s <= t"


# --- formulas ---------------------------------------------------------------------------------------------------


def _projection(
    name: str, text: str, bias: str, **shapes: tuple[int, ...]
) -> dict[bool, Operation]:
    """The operation with a bias and without."""
    own = shapes.pop("b")
    return {
        use: define(
            name if use else f"{name}_without_bias",
            text + (f" + {bias}" if use else ""),
            samples=[{**shapes, "b": own} if use else shapes],
            group="layer",
            source=_VASWANI,
        )
        for use in (True, False)
    }


def _weights(conditions: Sequence[str]) -> str:
    """Scores and their softmax; where a condition fails a weight is 0, also where it fails for all of them."""
    score = "sum[d](q[b, t, h, d]*k[b, s, h, d])/sqrt(dim(q, 3))"
    weight = "exp(z[b, h, t, s])/sum[r](exp(z[b, h, t, r]))"
    if conditions:
        score = f"where({' and '.join(conditions)}, {score}, -inf)"
        weight = f"where(z[b, h, t, s] == -inf, 0, {weight})"
    return f"z[b, h, t, s] = {score}\na[b, h, t, s] = {weight}"


_split = _projection(
    "heads",
    "y[..., h, d] = sum[e](x[..., e]*W[e, h, d])",
    "b[h, d]",
    x=(2, 3, 4),
    W=(4, 2, 3),
    b=(2, 3),
)
_join = _projection(
    "heads_joined",
    "y[..., o] = sum[h, d](x[..., h, d]*W[h, d, o])",
    "b[o]",
    x=(2, 3, 2, 3),
    W=(2, 3, 4),
    b=(4,),
)
_PAIR = {"q": (2, 3, 2, 2), "k": (2, 4, 2, 2)}
for _name, _conditions, _masks in (
    ("attention_weights", [], {}),
    ("attention_weights_causal", [_CAUSAL], {}),
    ("attention_weights_masked", ["mask[b, t, s] != 0"], {"mask": (2, 3, 4)}),
):
    define(
        _name,
        _weights(_conditions),
        samples=[{**_PAIR, **_masks}],
        domains=dict.fromkeys(_masks, 2),
        group="layer",
        source=_VASWANI,
    )
_weighted = define(
    "attention",
    "y[b, t, h, d] = sum[s](a[b, h, t, s]*v[b, s, h, d])",
    samples=[{"a": (2, 2, 3, 4), "v": (2, 4, 2, 3)}],
    group="layer",
    source=_VASWANI,
)
# The axes of the masks: those of the query's places, of the value's and the key's, of both.
_MASKS = {"query": "bt", "value": "bs", "key": "bs", "attention": "bts"}


# --- layer ------------------------------------------------------------------------------------------------------


class MultiHeadAttention(Layer):
    """Scaled dot-product attention with ``num_heads`` heads.

        q[b, t, h, d] = sum[e](query[b, t, e]*Wq[e, h, d]) + bq[h, d]
        k[b, s, h, d] = sum[e](key[b, s, e]*Wk[e, h, d]) + bk[h, d]
        v[b, s, h, d] = sum[e](value[b, s, e]*Wv[e, h, d]) + bv[h, d]
        z[b, h, t, s] = sum[d](q[b, t, h, d]*k[b, s, h, d])/sqrt(dim(q, 3))
        a[b, h, t, s] = exp(z[b, h, t, s])/sum[r](exp(z[b, h, t, r]))
        y[b, t, h, d] = sum[s](a[b, h, t, s]*v[b, s, h, d])
        o[b, t, f] = sum[h, d](y[b, t, h, d]*Wo[h, d, f]) + bo[f]

    Shapes: query (batch, T, E), value and key (batch, S, ...) -> o (batch, T, ``output_shape`` or E).
    Weights in this order: Wq (E, heads, ``key_dim``), bq, Wk, bk, Wv (..., heads, ``value_dim``), bv,
    Wo (heads, value_dim, output), bo. ``dropout`` is the rate at which weights a are dropped in training.

    Source: Vaswani et al.: Attention Is All You Need, 2017.

    >>> from graphnn.graph.node import Input
    >>> x = Input((None, 20, 64))
    >>> MultiHeadAttention(num_heads=4, key_dim=16)(x, x, use_causal_mask=True).shape
    (None, 20, 64)
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | None = None,
        *,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        seed: int | None = None,
        kernel_regularizer: str | Operation | None = None,
        bias_regularizer: str | Operation | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self.num_heads = positive(num_heads, f"{self.name}: num_heads")
        self.key_dim = positive(key_dim, f"{self.name}: key_dim")
        self.value_dim = positive(value_dim or key_dim, f"{self.name}: value_dim")
        self.dropout, self.seed = checked_rate(dropout, self.name), seed
        self.use_bias = use_bias
        self.output_shape = output_shape
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self._projections: dict[str, tuple[Parameter, Parameter | None]] = {}

    def __call__(  # type: ignore[override]  # each input has its name
        self,
        query: Node,
        value: Node,
        key: Node | None = None,
        query_mask: Node | None = None,
        value_mask: Node | None = None,
        key_mask: Node | None = None,
        attention_mask: Node | None = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """The output; with ``return_attention_scores`` also the weights a (batch, heads, T, S).

        ``key`` is ``value`` unless given. Masks are bool or 0/1 integers, true where attention may
        go: for the places of query, value and key (batch, length), for pairs (T, S), (batch, T, S)
        or (batch, heads, T, S); a size may be 1 for all. A causal mask lets place t see the places
        up to t. Where nothing may be seen the weights are 0, neither NaN nor equal shares, and so are
        their gradients.
        """
        masks = {
            "query": query_mask,
            "value": value_mask,
            "key": None if key is None or key is value else key_mask,
            "attention": attention_mask,
        }
        given = {name: mask for name, mask in masks.items() if mask is not None}
        return self.use(
            [query, value, value if key is None else key, *given.values()],
            training,
            masks=tuple(given),
            causal=use_causal_mask,
            scores=return_attention_scores,
        )

    def build(self, *inputs: Node) -> None:
        query, value, key = inputs[:3]
        for node in (query, value, key):
            if node.ndim != 3:
                raise ShapeError(
                    f"{self.name}: expected sequences (batch, time, features), {node.name} is {node.type}"
                )
        heads, last = self.num_heads, self.output_shape or fixed_size(query, -1, self)
        for name, node, size in (
            ("query", query, self.key_dim),
            ("key", key, self.key_dim),
            ("value", value, self.value_dim),
        ):
            self._add(name, (fixed_size(node, -1, self), heads, size), (heads, size))
        self._add("output", (heads, self.value_dim, last), (last,))

    def _add(self, name: str, kernel: tuple[int, ...], bias: tuple[int, ...]) -> None:
        weight = self.add_parameter(
            f"{name}_kernel", kernel, self.kernel_initializer, regularizer=self.kernel_regularizer
        )
        shift = None
        if self.use_bias:
            shift = self.add_parameter(
                f"{name}_bias", bias, self.bias_initializer, regularizer=self.bias_regularizer
            )
        self._projections[name] = weight, shift

    def call(
        self,
        *inputs: Node,
        masks: Sequence[str] = (),
        causal: bool = False,
        scores: bool = False,
    ) -> Node:
        query, value, key, *given = inputs
        projected = {
            name: self.apply(_split[self.use_bias], node, *self._projections[name])
            for name, node in (("query", query), ("key", key), ("value", value))
        }
        for name, node in projected.items():
            node.name = f"{self.name}.{name}"
        conditions, read = ([_CAUSAL] if causal else []), {}
        for name, mask in zip(masks, given, strict=True):
            conditions.append(f"{name}_mask[{self._place(name, mask)}] != 0")
            read[f"{name}_mask"] = mask
        name = "attention_weights_masked" if conditions else "attention_weights"
        operation = op(_weights(conditions), name, ("a",))
        a = self.apply_named(operation, q=projected["query"], k=projected["key"], **read)
        a.name = f"{self.name}.weights"
        kept = dropped(a, self.dropout, self, seed=self.seed)
        mixed = self.apply(_weighted, kept, projected["value"])
        mixed.name = f"{self.name}.mixed"
        output = self.apply(_join[self.use_bias], mixed, *self._projections["output"])
        return (output, a) if scores else output  # type: ignore[return-value]

    def _place(self, name: str, mask: Node) -> str:
        """How a mask is read: at 0 along an axis of size 1."""
        axes = _MASKS[name]
        if name == "attention":
            axes = {2: "ts", 3: axes, 4: "bhts"}.get(mask.ndim, axes)
        if mask.ndim != len(axes) or mask.dtype.startswith("float"):
            raise GraphnnError(
                f"{self.name}: {name}_mask must be bool or integer and have {len(axes)} axes,"
                f" {mask.name} is {mask.type}"
            )
        return ", ".join("0" if n == 1 else i for i, n in zip(axes, mask.shape, strict=True))
