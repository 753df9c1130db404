"""What is measured: groups of cases, each a network (or a single layer) and a task.

training              whole training steps of the seven workloads
inference             the same networks predict, for 1 and for 64 samples
others                training steps of networks that nothing was tuned for
scaling               training steps along one size: batch, width, depth, length, threads
products              matrix products; product_gradients: and both gradients
convolutions          convolutions; convolution_gradients: and both gradients
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from .workloads import WORKLOADS, Task, Workload, perceptron, reader, transformer
from .workloads.layers import (
    Averaging,
    Convolution,
    Dense,
    Embedding,
    Flatten,
    Layer,
    MaxPooling,
    Normalization,
    Recurrent,
)

__all__ = ["CASES", "GROUPS", "Case", "Group", "selected"]


@dataclass(frozen=True, slots=True)
class Case:
    """A workload and what is done with it, with a number of ``threads`` of its own or the usual."""

    name: str
    task: Task
    workload: Workload
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that are measured and shown alike.

    ``fresh``: each case in processes of its own. ``starts``: also the time to the first step.
    ``curves``: names end in the number over which times are drawn.
    """

    name: str
    title: str
    cases: tuple[Case, ...]
    fresh: bool = True
    starts: bool = False
    curves: bool = False


def selected(patterns: Sequence[str]) -> Iterator[tuple[Group, list[Case]]]:
    """The cases of each group whose name, or whose group's name, fits one of the patterns."""
    for group in GROUPS:
        names = ((case, (case.name, group.name)) for case in group.cases)
        cases = [c for c, own in names if any(fnmatchcase(n, p) for n in own for p in patterns)]
        if cases:
            yield group, cases


# --- networks ------------------------------------------------------------------------------------


def _predictions() -> Iterator[Case]:
    for name, workload in WORKLOADS.items():
        for batch in (1, 64):
            yield Case(f"{name}-{batch}", "predict", replace(workload, batch=batch))


def _classifier(*layers: Layer) -> tuple[Layer, ...]:
    return (*layers, Flatten(), Dense(10))


def _normalized(filters: int) -> tuple[Layer, ...]:
    """Two convolutions with batch normalization between them and the relu, then pooling."""
    return (*2 * (Convolution(filters, relu=False), Normalization()), MaxPooling())


def _apart(filters: int) -> tuple[Layer, ...]:
    """A window for each channel, then all channels of each place."""
    return Convolution(filters // 2, groups=filters // 2), Convolution(filters, 1)


_OTHERS = {
    "mlp_one": replace(WORKLOADS["mlp"], batch=1),
    "mlp_odd": Workload(37, (311,), perceptron(203, 77, 13)),
    "mlp_deep": Workload(64, (128,), perceptron(*12 * (128,), 10)),
    "mlp_wide": Workload(256, (1024,), perceptron(2048, 1024, 100)),
    "cnn_one": replace(WORKLOADS["cnn28"], batch=1),
    "cnn_odd": Workload(
        37,
        (29, 31, 5),
        _classifier(Convolution(20, 7), MaxPooling(), Convolution(36, 2, padding="valid")),
    ),
    "cnn_strides": Workload(
        32,
        (64, 64, 3),
        _classifier(
            Convolution(24, 5, 2, "valid"),
            Convolution(48, 3, 2, "valid"),
            Convolution(64, 3, padding="valid"),
        ),
    ),
    "cnn_normalized": Workload(
        32, (32, 32, 3), _classifier(*_normalized(32), *_normalized(64), *_normalized(128))
    ),
    "cnn_groups": Workload(
        16,
        (28, 28, 32),
        (Convolution(64, groups=4), Convolution(64, groups=4), Averaging(), Dense(10)),
    ),
    "cnn_apart": Workload(
        32,
        (32, 32, 3),
        (Convolution(32), *_apart(64), MaxPooling(), *_apart(128), Averaging(), Dense(10)),
    ),
    "cnn_dilated": Workload(
        16,
        (40, 40, 3),
        (
            Convolution(32),
            Convolution(32, dilation=2),
            Convolution(32, dilation=4),
            Averaging(),
            Dense(10),
        ),
    ),
    "mlp_narrow": Workload(256, (16,), perceptron(*24 * (16,), 2)),
    "text_mean": Workload(64, (128,), (Embedding(20000, 128), Averaging(), *perceptron(64, 2))),
    "lstm_one": replace(WORKLOADS["lstm"], batch=1),
    "lstm_both": Workload(32, (50,), reader(Recurrent("lstm", 96, both=True))),
    "lstm_deep": Workload(
        37, (40,), reader(*2 * (Recurrent("lstm", 72, whole=True),), Recurrent("lstm", 72))
    ),
    "gru_both": Workload(
        16,
        (100,),
        reader(Recurrent("gru", 64, whole=True, both=True), Recurrent("gru", 64, both=True)),
    ),
    "gru_wide": Workload(64, (32,), reader(Recurrent("gru", 256))),
    "tfm_one": replace(WORKLOADS["tfm"], batch=1),
    "tfm_causal": Workload(8, (100,), transformer(1000, 192, 3, heads=6, causal=True)),
    "tfm_long": Workload(2, (512,), transformer(1000, 64, 2, heads=2, causal=True)),
}


def _curves() -> Iterator[Case]:
    for batch in (1, 4, 16, 64, 256, 1024):
        yield _at("mlp-batch", batch, replace(WORKLOADS["mlp"], batch=batch))
    for batch in (1, 8, 64, 256):
        yield _at("cnn28-batch", batch, replace(WORKLOADS["cnn28"], batch=batch))
    for width in (32, 128, 512, 2048):
        yield _at("mlp-width", width, Workload(64, (width,), perceptron(width, width, 10)))
    for depth in (2, 4, 8, 16, 32):
        yield _at("mlp-depth", depth, Workload(64, (128,), perceptron(*depth * (128,), 10)))
    for length in (16, 64, 256):
        yield _at("lstm-length", length, replace(WORKLOADS["lstm"], sample=(length,)))
    for length in (32, 128, 512):
        yield _at("tfm-length", length, replace(WORKLOADS["tfm"], batch=4, sample=(length,)))
    for length in (512, 1024, 2048, 4096):  # one block, and little besides attention
        layers = transformer(64, 128, 1, heads=4, causal=True)
        yield _at("attention-length", length, Workload(1, (length,), layers))
    for name in ("mlp", "cnn28", "lstm", "tfm"):
        for threads in (1, 2, 4):
            yield _at(f"{name}-threads", threads, WORKLOADS[name], threads)


def _at(curve: str, value: int, workload: Workload, threads: int = 0) -> Case:
    return Case(f"{curve}-{value}", "train", workload, threads)


# --- single layers -------------------------------------------------------------------------------

# Rows, reduced, columns: cubes, the shapes of networks, vectors, thin ones, odd ones.
_PRODUCTS = (
    *((n, n, n) for n in (8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)),
    *((64, 10, 128), (32, 256, 256), (128, 512, 784), (64, 1000, 512), (1024, 3072, 768)),
    *((128, 784, 256), (2048, 64, 64), (4096, 27, 32), (12544, 64, 147), (3136, 64, 576)),
    *((1, 1024, 1024), (1, 512, 4096), (1024, 1024, 1), (4, 1024, 1024), (1024, 4, 1024)),
    *((16, 4096, 16), (7, 5, 3), (17, 17, 17), (31, 33, 35), (37, 203, 77), (63, 65, 67)),
    *((100, 100, 100), (127, 129, 131), (255, 257, 259), (1000, 3, 1000), (333, 777, 555)),
    (2000, 100, 10),
)


def _product(rows: int, reduced: int, columns: int) -> tuple[str, Workload]:
    layer = Dense(columns, bias=False)
    return f"{rows}x{reduced}x{columns}", Workload(rows, (reduced,), (layer,))


# Batch, height and width, channels, filters, window, stride: with borders ("same") where stride is 1.
_CONVOLUTIONS = (
    *((32, 28, 1, 16, 3, 1), (64, 14, 16, 32, 3, 1), (4, 222, 3, 32, 3, 1), (2, 109, 32, 64, 3, 1)),
    *(
        (4, 56, 64, 64, 3, 1),
        (4, 28, 128, 128, 3, 1),
        (4, 14, 256, 256, 3, 1),
        (4, 7, 512, 512, 3, 1),
    ),
    *((1, 56, 64, 64, 3, 1), (1, 112, 64, 64, 3, 1), (1, 224, 3, 64, 7, 2), (8, 224, 3, 64, 7, 2)),
    *(
        (4, 56, 64, 256, 1, 1),
        (4, 56, 256, 64, 1, 1),
        (4, 28, 512, 128, 1, 1),
        (4, 14, 1024, 256, 1, 1),
    ),
    *(
        (4, 56, 64, 128, 3, 2),
        (4, 28, 128, 256, 3, 2),
        (4, 14, 256, 512, 3, 2),
        (4, 56, 256, 512, 1, 2),
    ),
    *((8, 32, 16, 16, 5, 1), (8, 32, 32, 32, 5, 1), (4, 28, 32, 64, 7, 1), (2, 64, 8, 8, 11, 1)),
    *((8, 32, 3, 24, 5, 2), (16, 31, 24, 48, 3, 2), (16, 27, 48, 96, 5, 3), (16, 64, 3, 96, 4, 4)),
    *((37, 29, 5, 20, 7, 1), (37, 14, 20, 36, 2, 1), (5, 33, 17, 19, 3, 1), (3, 61, 7, 13, 3, 1)),
    *((7, 23, 33, 65, 3, 1), (1, 17, 100, 100, 3, 1), (1, 9, 3, 5, 3, 1), (1, 5, 300, 200, 3, 1)),
    *((128, 8, 64, 64, 3, 1), (256, 6, 16, 16, 3, 1), (2, 128, 16, 1, 3, 1), (2, 128, 1, 16, 9, 1)),
)


def _convolution(
    batch: int, size: int, channels: int, filters: int, window: int, stride: int
) -> tuple[str, Workload]:
    padding = "same" if stride == 1 else "valid"
    layer = Convolution(filters, window, stride, padding, relu=False, bias=False)
    name = f"{batch}x{size}x{size}x{channels}-{window}x{window}x{filters}"
    network = Workload(batch, (size, size, channels), (layer,))
    return (name if stride == 1 else f"{name}-s{stride}"), network


def _sweep(task: Task, workloads: Sequence[tuple[str, Workload]]) -> tuple[Case, ...]:
    ending = "" if task == "apply" else "-gradients"
    return tuple(Case(name + ending, task, workload) for name, workload in workloads)


_SHAPES = {
    "product": [_product(*shape) for shape in _PRODUCTS],
    "convolution": [_convolution(*shape) for shape in _CONVOLUTIONS],
}


def _trained(workloads: dict[str, Workload]) -> tuple[Case, ...]:
    return tuple(Case(name, "train", workload) for name, workload in workloads.items())


GROUPS = (
    Group("training", "Training steps", _trained(WORKLOADS), starts=True),
    Group("inference", "Predictions", tuple(_predictions())),
    Group("others", "Training steps of other networks", _trained(_OTHERS)),
    Group("scaling", "Training steps along one size", tuple(_curves()), curves=True),
    *(
        Group(name, title, _sweep(task, _SHAPES[kind]), fresh=False)
        for kind in _SHAPES
        for name, title, task in (
            (f"{kind}s", f"{kind}s".capitalize(), "apply"),
            (f"{kind}_gradients", f"{kind}s with both gradients".capitalize(), "differentiate"),
        )
    ),
)
CASES = {case.name: case for group in GROUPS for case in group.cases}
