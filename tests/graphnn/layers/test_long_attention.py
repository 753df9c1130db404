"""Attention over long sequences: training keeps something for each place, and nothing for each pair of places."""

from __future__ import annotations

import pytest

import graphnn as gn
from graphnn.layers import MultiHeadAttention

WIDTH, HEADS = 64, 4


@pytest.mark.parametrize(("length", "causal"), [(2048, False), (4096, True), (8192, True)])
def test_training_stores_no_pairs_of_places(length: int, causal: bool) -> None:
    """All that a step keeps are some vectors for each place: a row of pairs would be 128 more, at least."""
    x = gn.Input((1, length, WIDTH))
    y = MultiHeadAttention(HEADS, WIDTH // HEADS)(x, x, use_causal_mask=causal)
    loss = gn.mean(y * y)
    step = gn.function([x], [loss, *gn.compute_gradients(loss).values()])
    assert step.memory < 30 * length * WIDTH * 4
