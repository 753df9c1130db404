"""The guide's Transformer, Embedding - (attention - feed-forward - LayerNorm) twice, learns to write Python.

It reads the Python standard library's own source and says at each character which comes next; attention looks back
only. Prints what guessing by frequency would reach, what the network reaches on text it has not seen, and a sample.

    python examples/transformer_text.py [--epochs 10] [--characters 60000]
"""

import argparse
import textwrap
from pathlib import Path

import numpy as np

import graphnn as gn
from graphnn.layers import Add, Dense, Embedding, LayerNormalization, MultiHeadAttention

LIBRARY = Path(textwrap.__file__).parent
LENGTH = 32
WIDTH = 64


def text(characters: int) -> str:
    """The beginning of some modules, in ASCII."""
    files = ("argparse.py", "textwrap.py", "statistics.py", "datetime.py", "inspect.py")
    source = "".join((LIBRARY / name).read_text(encoding="utf-8")[:60000] for name in files)
    return source.encode("ascii", "ignore").decode()[:characters]


def windows(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of the text, and the same one character on."""
    count = (len(codes) - 1) // LENGTH
    rows = codes[: count * LENGTH].reshape(count, LENGTH)
    following = codes[1 : count * LENGTH + 1].reshape(count, LENGTH)
    return rows, following


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


def sample(model: gn.Model, alphabet: str, start: str, count: int) -> str:
    """Goes on from ``start``, each character drawn from what the network expects, sharpened."""
    rng = np.random.default_rng(0)
    written = start.rjust(LENGTH)
    for _ in range(count):
        window = np.array([[alphabet.index(c) for c in written[-LENGTH:]]], "int32")
        p = model.predict(window)[0, -1].astype("float64") ** 1.5
        written += alphabet[rng.choice(len(alphabet), p=p / p.sum())]
    return written.lstrip()


def main(epochs: int, characters: int) -> float:
    """Gives the share of characters foretold right on unseen text."""
    gn.set_seed(0)
    source = text(characters)
    alphabet = "".join(sorted(set(source)))
    x, y = windows(np.array([alphabet.index(c) for c in source], "int32"))
    held = len(x) // 10

    model = network(len(alphabet))
    steps = epochs * -(-(len(x) - held) // 32)
    rate = gn.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=0.004, warmup_steps=20)
    model.compile(
        gn.optimizers.AdamW(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(x[:-held], y[:-held], batch_size=32, epochs=epochs)
    loss, accuracy = model.evaluate(x[-held:], y[-held:], verbose=0)
    most = np.bincount(y[-held:].ravel()).max() / y[-held:].size
    print(f"\nThe most frequent character is right in {most:.1%} of all cases;")
    print(f"the network in {accuracy:.1%}, on text it has not seen (loss {loss:.3f}). It writes:\n")
    print(sample(model, alphabet, "    def ", 300 if characters > 20000 else 40))
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--characters", type=int, default=60000)
    arguments = parser.parse_args()
    main(arguments.epochs, arguments.characters)
