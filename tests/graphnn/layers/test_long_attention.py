"""Attention over long sequences: training keeps something for each place, and nothing for each pair of places."""

from __future__ import annotations

import pytest

import graphnn as gn
from graphnn.layers import MultiHeadAttention


@pytest.mark.parametrize(
    ("length", "heads", "depth", "causal"),
    [(2048, 4, 16, False), (4096, 2, 64, True), (8192, 4, 16, True)],
)
def test_training_stores_no_pairs_of_places(
    length: int, heads: int, depth: int, causal: bool
) -> None:
    """All that a step keeps are some vectors for each place: a row of pairs would be 64 more, at least."""
    width = heads * depth
    x = gn.Input((1, length, width))
    y = MultiHeadAttention(heads, depth)(x, x, use_causal_mask=causal)
    loss = gn.mean(y * y)
    step = gn.function([x], [loss, *gn.compute_gradients(loss).values()])
    assert step.memory < 30 * length * width * 4
