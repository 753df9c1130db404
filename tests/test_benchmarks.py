"""The benchmarks compare like with like and never invent a figure."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from benchmarks.cases import CASES, GROUPS, selected
from benchmarks.harness import Framework, Measurement, Settings, measure
from benchmarks.probe import Limits
from benchmarks.report import ratios, tables
from benchmarks.workloads import WORKLOADS, Task, Workload
from benchmarks.workloads.layers import (
    Block,
    Convolution,
    Dense,
    Embedding,
    Flatten,
    Layer,
    MaxPooling,
    Normalization,
    Positions,
    Recurrent,
)

SHORT = Settings(turns=1, seconds=0.01, starts=1, threads=2)
TRAINING = GROUPS[0]
LIMITS = Limits(giga_operations=400.0, giga_bytes=30.0)


def measured(
    framework: str, milliseconds: float, results: tuple[float, ...] = (2.0, 1.5)
) -> Measurement:
    losses = [[loss] for loss in results]
    return Measurement("mlp", framework, "", losses, [2.0], [1.0], [milliseconds], 100.0)


def test_ratio_is_that_of_the_fastest_peer() -> None:
    """The ratio is the time of the best peer over ours; a peer without figures takes no part."""
    absent = Measurement("mlp", "JAX", "jax is not installed")
    found = [measured("graphnn", 2.0), measured("PyTorch", 6.0), measured("other", 5.0), absent]
    assert ratios(found) == {"mlp": 2.5}
    assert "mlp in JAX: no figures, jax is not installed." in tables(TRAINING, found, LIMITS)


def test_no_ratio_without_a_peer_or_without_us() -> None:
    """Where nothing can be compared there is no ratio."""
    absent = Measurement("mlp", "graphnn", "ended with status -11")
    assert ratios([measured("graphnn", 2.0)]) == ratios([absent, measured("JAX", 1.0)]) == {}
    assert "status -11" in tables(TRAINING, [absent, measured("JAX", 1.0)], LIMITS)


def test_different_training_is_reported() -> None:
    """A framework whose losses differ is said to do something else."""
    found = [measured("graphnn", 2.0), measured("JAX", 6.0, results=(2.0, 1.6))]
    assert "JAX does not compute what graphnn does" in tables(TRAINING, found, LIMITS)


def test_unsteady_turns_are_reported() -> None:
    """Turns that differ much were disturbed by something else on the machine, and that is said."""
    found = measured("JAX", 2.0)
    assert "not quiet" not in tables(TRAINING, [found], LIMITS)
    found.turns += [2.5, 4.0]
    assert "mlp in JAX: turns from 2 to 4 ms" in tables(TRAINING, [found], LIMITS)


def test_missing_framework_is_reported() -> None:
    """A framework that cannot be imported has a reason instead of figures."""
    ((result,),) = measure([CASES["mlp_tiny"]], [Framework("absent", "absent", "absent")], SHORT)
    assert result.problem.endswith("is not installed")
    assert result.milliseconds is None


def test_roofline_is_the_tighter_limit() -> None:
    """A step takes at least the time of its operations, and at least that of its bytes."""
    assert Limits(2.0, 4.0).milliseconds(operations=6e6, traffic=4e6) == 3.0
    assert Limits(2.0, 4.0).milliseconds(operations=2e6, traffic=8e6) == 2.0


def test_operations_are_those_of_the_formulas() -> None:
    """Known counts: each product once forward and twice backward, but for the gradient of the input."""
    one = Workload(2, (3,), (Dense(5),))
    assert one.operations("apply") == 2 * 2 * 3 * 5
    assert one.operations("train") == 2 * one.operations("apply")
    assert one.operations("differentiate") == 3 * one.operations("apply")
    known = {
        "mlp": 129e6,
        "cnn28": 453e6,
        "cnn224": 52e9,
        "lstm": 2.8e9,
        "gru": 0.9e9,
        "tfm": 3.4e9,
    }
    for name, count in known.items():
        assert WORKLOADS[name].operations("train") == pytest.approx(count, rel=0.02)


def test_cases_are_found_by_name_pattern_and_group() -> None:
    """No two cases have the same name; a group's name stands for all of its cases."""
    assert len(CASES) == sum(len(group.cases) for group in GROUPS)
    assert [(g.name, len(cases)) for g, cases in selected(["lstm", "mlp-batch-*", "products"])] == [
        ("training", 1),
        ("scaling", 6),
        ("products", 40),
    ]


NETWORKS: dict[str, tuple[tuple[int, ...], tuple[Layer, ...]]] = {
    "perceptron": ((7,), (Dense(6, relu=True), Dense(3, bias=False))),
    "images": (
        (9, 8, 2),
        (
            *(Convolution(4, relu=False, bias=False), Normalization(), MaxPooling()),
            *(Convolution(5, 2, 2, "valid"), Flatten(), Dense(3)),
        ),
    ),
    "sequences": (
        (5,),
        (
            *(Embedding(9, 4), Recurrent("lstm", 3, whole=True, both=True)),
            *(Recurrent("gru", 5, both=True), Dense(2)),
        ),
    ),
    "attention": (
        (5,),
        (Embedding(9, 8), Positions(), Block(2, 6), Block(4, 6, causal=True), Dense(9)),
    ),
}


@pytest.mark.parametrize(
    ("name", "task"),
    [
        *((name, "train") for name in NETWORKS),
        *(("perceptron", task) for task in ("predict", "apply", "differentiate")),
    ],
)
def test_frameworks_compute_alike(
    name: str, task: Task, torch: ModuleType, jax: ModuleType
) -> None:
    """From the same weights every framework has the same results, step after step."""
    from benchmarks.workloads import graphnn, pytorch
    from benchmarks.workloads import jax as in_jax

    sample, layers = NETWORKS[name]
    network = Workload(3, sample, layers)
    start = network.start()
    steps = [getattr(file, task)(network, start) for file in (graphnn, pytorch, in_jax)]
    for _ in range(4):
        ours, *peers = [[np.linalg.norm(part) for part in step()] for step in steps]
        for results in peers:
            assert ours == pytest.approx(results, rel=1e-3)
