"""The guide's Transformer, Embedding - (attention - feed-forward - LayerNorm) twice, learns to write Python.

It reads the Python standard library's own source and says at each character which comes next; attention looks back
only. Prints what guessing by frequency would reach, what the network reaches on text it has not seen, and a sample.

    python examples/transformer_text.py [--epochs 10] [--characters 60000]
"""

import numpy as np
from reading import LENGTH, from_command_line, learn

import graphnn as gn
from graphnn.layers import Add, Dense, Embedding, LayerNormalization, MultiHeadAttention

WIDTH = 64


def block(x: gn.Node) -> gn.Node:
    """Attention to what came before, then a feed-forward network, each beside a way around it."""
    seen = MultiHeadAttention(num_heads=4, key_dim=WIDTH // 4)(x, x, use_causal_mask=True)
    x = LayerNormalization()(Add()([x, seen]))
    hidden = Dense(WIDTH)(Dense(2 * WIDTH, activation="relu")(x))
    return LayerNormalization()(Add()([x, hidden]))


def network(letters: int) -> gn.Model:
    """At each step the probabilities of the next character."""
    characters = gn.Input((None, LENGTH), name="characters", dtype="int32")
    places = gn.Parameter(
        np.random.default_rng(0).normal(size=(LENGTH, WIDTH)).astype("float32") / 10, "places"
    )
    x = Embedding(letters, WIDTH)(characters) + places
    for _ in range(2):
        x = block(x)
    return gn.Model(characters, gn.softmax(Dense(letters)(x)), name="writer")


def optimizer(steps: int) -> gn.optimizers.Optimizer:
    """The rate rises for some steps and falls along a cosine for the others."""
    rate = gn.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=0.004, warmup_steps=20)
    return gn.optimizers.AdamW(rate)


def main(epochs: int, characters: int) -> float:
    """Gives the share of characters foretold right on unseen text."""
    return learn(network, optimizer, epochs, characters)


if __name__ == "__main__":
    from_command_line(main, __doc__)
