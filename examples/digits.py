"""The guide's image network on scikit-learn's handwritten digits: define, look, train, verify.

Prints the network as equations, a derived gradient with its formula, the training, the test accuracy and the files it
wrote: forward graph and gradient graph (SVG), training curve (PNG).

    python examples/digits.py [--epochs 12] [--output out]
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import graphnn as gn
from graphnn.layers import Conv2D, Dense, Flatten, MaxPool2D


def digits() -> tuple[np.ndarray, ...]:
    """1,797 images of 8x8 pixels, scaled to 0 .. 1, and their labels as one-hot rows."""
    data = load_digits()
    images = (data.images / 16).astype("float32")[..., None]
    labels = np.eye(10, dtype="float32")[data.target]
    return tuple(
        train_test_split(images, labels, test_size=0.2, random_state=0, stratify=data.target)
    )


def network() -> gn.Model:
    """Conv2D - MaxPool2D - Conv2D - MaxPool2D - Flatten - Dense relu - Dense - softmax."""
    image = gn.Input((None, 8, 8, 1), name="image")
    x = Conv2D(32, 3, padding="same", activation="relu")(image)
    x = MaxPool2D(2)(x)
    x = Conv2D(64, 3, padding="same", activation="relu")(x)
    x = MaxPool2D(2)(x)
    x = Flatten()(x)
    x = Dense(128, activation="relu")(x)
    logits = Dense(10)(x)
    return gn.Model(image, gn.softmax(logits), name="digits")


def main(epochs: int, output: Path) -> float:
    output.mkdir(parents=True, exist_ok=True)
    gn.set_seed(0)
    x_train, x_test, y_train, y_test = digits()

    model = network()
    print(f"The network, as equations:\n\n{model}\n")

    probabilities = model.outputs[0]
    label = gn.Input((None, 10), name="label")
    loss = gn.losses.categorical_crossentropy(label, probabilities)
    gradients = gn.compute_gradients(loss)
    print("Derived gradients of the first convolution:\n")
    for parameter in model.parameters[:2]:
        print(f"{gradients[parameter].formula}\n")

    forward = gn.draw(loss).save(output / "digits_forward.svg")
    backward = gn.draw(loss, graph="gradient").save(output / "digits_gradient.svg")

    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        x_train, y_train, batch_size=32, epochs=epochs, validation_data=(x_test, y_test)
    )
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    curve = history.plot(output / "digits_training.png")
    print(f"\nTest accuracy: {accuracy:.1%} on {len(x_test)} images the network has not seen")
    print(f"Forward graph:  {forward}\nGradient graph: {backward}\nTraining curve: {curve}")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--output", type=Path, default=Path("out"))
    arguments = parser.parse_args()
    main(arguments.epochs, arguments.output)
