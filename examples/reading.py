"""What the examples that learn to write have in common: the text they read, how they are judged, what they write.

The text is the Python standard library's own source, which every machine has.
"""

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np

import graphnn as gn

LIBRARY = Path(textwrap.__file__).parent
LENGTH = 32
BATCH = 32


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


def sample(model: gn.Model, alphabet: str, start: str, count: int) -> str:
    """Goes on from ``start``, each character drawn from what the network expects, sharpened."""
    rng = np.random.default_rng(0)
    written = start.rjust(LENGTH)
    for _ in range(count):
        window = np.array([[alphabet.index(c) for c in written[-LENGTH:]]], "int32")
        p = model.predict(window)[0, -1].astype("float64") ** 1.5
        written += alphabet[rng.choice(len(alphabet), p=p / p.sum())]
    return written.lstrip()


def learn(
    network: Callable[[int], gn.Model],
    optimizer: Callable[[int], gn.optimizers.Optimizer],
    epochs: int,
    characters: int,
) -> float:
    """Train the network of so many letters with the optimizer for so many steps; gives the share of characters
    foretold right on unseen text."""
    gn.set_seed(0)
    source = text(characters)
    alphabet = "".join(sorted(set(source)))
    x, y = windows(np.array([alphabet.index(c) for c in source], "int32"))
    held = len(x) // 10

    model = network(len(alphabet))
    steps = epochs * -(-(len(x) - held) // BATCH)
    model.compile(optimizer(steps), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[:-held], y[:-held], batch_size=BATCH, epochs=epochs)
    loss, accuracy = model.evaluate(x[-held:], y[-held:], verbose=0)
    most = np.bincount(y[-held:].ravel()).max() / y[-held:].size
    print(f"\nThe most frequent character is right in {most:.1%} of all cases;")
    print(f"the network in {accuracy:.1%}, on text it has not seen (loss {loss:.3f}). It writes:\n")
    print(sample(model, alphabet, "    def ", 300 if characters > 20000 else 40))
    return accuracy


def from_command_line(main: Callable[[int, int], float], description: str) -> None:
    """``main(epochs, characters)`` as the command line asks."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--characters", type=int, default=60000)
    arguments = parser.parse_args()
    main(arguments.epochs, arguments.characters)
