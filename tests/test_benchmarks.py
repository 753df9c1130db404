"""The benchmarks compare like with like and never invent a figure."""

from __future__ import annotations

from types import ModuleType

import pytest

from benchmarks.harness import Framework, Measurement, Settings, measure
from benchmarks.report import ratios, tables
from benchmarks.workloads import Workload
from benchmarks.workloads.layers import (
    Block,
    Convolution,
    Dense,
    Embedding,
    Flatten,
    MaxPooling,
    Normalization,
    Positions,
    Recurrent,
)

SHORT = Settings(turns=1, seconds=0.01, starts=1, threads=2)


def measured(
    framework: str, milliseconds: float, losses: tuple[float, ...] = (2.0, 1.5)
) -> Measurement:
    return Measurement("mlp", framework, "", list(losses), [2.0], [1.0], [milliseconds], 100.0)


def test_ratio_is_that_of_the_fastest_peer() -> None:
    """The ratio is the time of the best peer over ours; a peer without figures takes no part."""
    absent = Measurement("mlp", "JAX", "jax is not installed")
    found = [measured("graphnn", 2.0), measured("PyTorch", 6.0), measured("other", 5.0), absent]
    assert ratios(found) == {"mlp": 2.5}
    assert "mlp in JAX: no figures, jax is not installed." in tables(found)


def test_no_ratio_without_a_peer_or_without_us() -> None:
    """Where nothing can be compared there is no ratio."""
    absent = Measurement("mlp", "graphnn", "ended with status -11")
    assert ratios([measured("graphnn", 2.0)]) == ratios([absent, measured("JAX", 1.0)]) == {}
    assert "ended with status -11" in tables([absent, measured("JAX", 1.0)])


def test_different_training_is_reported() -> None:
    """A framework whose losses differ is said to do something else."""
    found = [measured("graphnn", 2.0), measured("JAX", 6.0, losses=(2.0, 1.6))]
    assert "JAX does not train like graphnn" in tables(found)


def test_unsteady_turns_are_reported() -> None:
    """Turns that differ much were disturbed by something else on the machine, and that is said."""
    found = measured("JAX", 2.0)
    assert "not quiet" not in tables([found])
    found.turns += [2.5, 4.0]
    assert "mlp in JAX: turns from 2 to 4 ms" in tables([found])


def test_missing_framework_is_reported() -> None:
    """A framework that cannot be imported has a reason instead of figures."""
    (result,) = measure("mlp_tiny", [Framework("absent", "absent", "absent")], SHORT)
    assert result.problem.endswith("is not installed")
    assert result.milliseconds is None


@pytest.mark.parametrize(
    "network",
    [
        Workload("perceptron", 5, (7,), (Dense(6, relu=True), Dense(3))),
        Workload(
            "images",
            3,
            (9, 8, 2),
            (
                *(Convolution(4, relu=False), Normalization(), MaxPooling()),
                *(Convolution(5, 2, 2, "valid"), Flatten(), Dense(3)),
            ),
        ),
        Workload(
            "sequences",
            3,
            (5,),
            (
                *(Embedding(9, 4), Recurrent("lstm", 3, whole=True, both=True)),
                *(Recurrent("gru", 5, both=True), Dense(2)),
            ),
        ),
        Workload(
            "attention",
            3,
            (5,),
            (Embedding(9, 8), Positions(), Block(2, 6), Block(4, 6, causal=True), Dense(9)),
        ),
    ],
    ids=lambda network: network.name,
)
def test_frameworks_train_alike(network: Workload, torch: ModuleType, jax: ModuleType) -> None:
    """From the same weights every framework has the same losses, step after step."""
    from benchmarks.workloads import graphnn, pytorch
    from benchmarks.workloads import jax as in_jax

    start = network.start()
    steps = [file.build(network, start) for file in (graphnn, pytorch, in_jax)]
    for _ in range(4):
        ours, *peers = [step() for step in steps]
        assert [ours] * len(peers) == pytest.approx(peers, rel=1e-3)
