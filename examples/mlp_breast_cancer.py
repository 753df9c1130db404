"""The guide's multilayer perceptron for two classes: is a tumour malignant? Data: scikit-learn's breast cancer set.

Dense relu - Dropout - Dense relu - Dense sigmoid with binary cross-entropy; training stops when the validation loss
does not improve any more, and the best weights are kept. Prints accuracy, precision and recall on samples not seen.

    python examples/mlp_breast_cancer.py [--epochs 60]
"""

import argparse

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import graphnn as gn
from graphnn.layers import Dense, Dropout


def network() -> gn.Model:
    """30 measurements of a cell's nucleus to the probability that the tumour is benign."""
    measurements = gn.Input((None, 30), name="measurements")
    x = Dense(32, activation="relu")(measurements)
    x = Dropout(0.2)(x)
    x = Dense(16, activation="relu")(x)
    return gn.Model(measurements, Dense(1, activation="sigmoid")(x), name="tumours")


def main(epochs: int) -> float:
    """Gives the accuracy on samples that were not trained on."""
    gn.set_seed(0)
    data = load_breast_cancer()
    x_train, x_test, y_train, y_test = train_test_split(
        data.data, data.target, test_size=0.2, random_state=0, stratify=data.target
    )
    center, width = x_train.mean(0), x_train.std(0)
    x_train, x_test = (x_train - center) / width, (x_test - center) / width

    model = network()
    model.compile(
        gn.optimizers.Adam(0.003),
        loss="binary_crossentropy",
        metrics=["accuracy", "precision", "recall"],
    )
    patient = gn.callbacks.EarlyStopping(patience=8, restore_best_weights=True)
    model.fit(x_train, y_train, epochs=epochs, validation_split=0.15, callbacks=[patient])
    found = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    print(f"\nOf {len(x_test)} tumours not seen before {found['accuracy']:.1%} are told right;")
    print(f"benign ones: precision {found['precision']:.1%}, recall {found['recall']:.1%}")
    return found["accuracy"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    main(parser.parse_args().epochs)
