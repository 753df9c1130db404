"""The guide's complete example, line for line, at its own shapes: 32 RGB images of 224 x 224 pixels, two classes.

Cats and dogs are not on this machine, so class 0 is a Chinese temple and class 1 a flower: random crops of the two
sample photographs that come with scikit-learn.

    python examples/guide_image_classification.py [--steps 10]
"""

import argparse

import numpy as np
from sklearn.datasets import load_sample_image

import graphnn as gn
from graphnn import Input, categorical_crossentropy, compute_gradients, softmax
from graphnn.layers import Conv2D, Dense, Flatten, MaxPool2D
from graphnn.optimizers import Adam

gn.set_seed(0)

# 1) INPUT: Batch of 32 cat/dog images
input_tensor = Input((32, 224, 224, 3))
input_tensor.shape  # -> (32, 224, 224, 3)  RGB images

# 2) LAYERS (Forward Pass)
conv1_output = Conv2D(32, (3, 3), activation="relu")(input_tensor)  # Extract features
pool1_output = MaxPool2D((2, 2))(conv1_output)  # Downsample
conv2_output = Conv2D(64, (3, 3), activation="relu")(pool1_output)  # More features
pool2_output = MaxPool2D((2, 2))(conv2_output)  # Downsample
flatten_output = Flatten()(pool2_output)  # 2D -> 1D
dense1_output = Dense(128, activation="relu")(flatten_output)  # Classification head
logits = Dense(2)(dense1_output)  # 2 classes (cat/dog)

# 3) ACTIVATION (Softmax)
probabilities = softmax(logits)
# Example: [0.85, 0.15] -> 85% dog, 15% cat

# 4) LOSS (During Training)
true_label = [1, 0]  # Dog = class 0
true_label = Input((32, 2))  # one such row for each image of the batch
loss = categorical_crossentropy(true_label, probabilities)

# 5) OPTIMIZATION (Backpropagation)
optimizer = Adam(learning_rate=0.001)
gradients = compute_gradients(loss)
updates = optimizer.apply_gradients(gradients)  # Update all weights


def batches(seed: int):
    """Random crops of the two photographs, scaled to -1 .. 1, with their labels, without end."""
    photographs = [load_sample_image(f"{name}.jpg") for name in ("china", "flower")]
    rng = np.random.default_rng(seed)
    while True:
        images = np.empty((32, 224, 224, 3), "float32")
        classes = rng.integers(0, 2, 32)
        for image, label in zip(images, classes, strict=True):
            photograph = photographs[label]
            top = rng.integers(0, photograph.shape[0] - 224)
            left = rng.integers(0, photograph.shape[1] - 224)
            image[...] = photograph[top : top + 224, left : left + 224] / 127.5 - 1
        yield images, np.eye(2, dtype="float32")[classes]


def main(steps: int) -> float:
    """Train for some batches; gives the share of new crops that are recognised."""
    train = gn.function([input_tensor, true_label], [loss, probabilities], updates)
    predict = gn.function([input_tensor], probabilities)

    # 6) REPEAT with next batch
    source = batches(seed=0)
    for step in range(1, steps + 1):
        images, labels = next(source)
        value, found = train(images, labels)
        right = np.mean(found.argmax(1) == labels.argmax(1))
        print(f"step {step:3d}   loss {value:.4f}   right {right:.0%}", flush=True)

    images, labels = next(batches(seed=1))
    found = predict(images)
    accuracy = float(np.mean(found.argmax(1) == labels.argmax(1)))
    first = ", ".join(f"{p:.2f}" for p in found[0])
    print(
        f"\nNew crops: {accuracy:.0%} right; the first one is [{first}], its label {labels[0].tolist()}"
    )
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10)
    main(parser.parse_args().steps)
