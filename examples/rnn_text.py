"""The guide's recurrent network, Embedding - LSTM - LSTM - Dense - softmax, learns to write Python.

It reads the Python standard library's own source, character by character, and at each says which comes next. Prints
what guessing by frequency would reach, what the network reaches on text it has not seen, and a sample it wrote.

    python examples/rnn_text.py [--epochs 10] [--characters 60000]
"""

from reading import LENGTH, from_command_line, learn

import graphnn as gn
from graphnn.layers import LSTM, Dense, Embedding


def network(letters: int) -> gn.Model:
    """At each step the probabilities of the next character."""
    characters = gn.Input((None, LENGTH), name="characters", dtype="int32")
    x = Embedding(letters, 32)(characters)
    x = LSTM(96, return_sequences=True)(x)
    x = LSTM(96, return_sequences=True)(x)
    return gn.Model(characters, gn.softmax(Dense(letters)(x)), name="writer")


def optimizer(steps: int) -> gn.optimizers.Optimizer:
    """Gradients through long texts are clipped."""
    return gn.optimizers.Adam(0.005, global_clipnorm=1.0)


def main(epochs: int, characters: int) -> float:
    """Gives the share of characters foretold right on unseen text."""
    return learn(network, optimizer, epochs, characters)


if __name__ == "__main__":
    from_command_line(main, __doc__)
