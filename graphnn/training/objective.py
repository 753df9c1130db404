"""Objective: what training makes small and what it reports, as nodes on top of a model's outputs."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain, count
from typing import Any

import numpy as np

from compiler import Options

from ..catalogue import define
from ..errors import GraphnnError, ShapeError
from ..functions import add, cast, mean, multiply
from ..graph.node import Input, Node
from ..graph.operation import Operation
from ..graph.surroundings import unique_name
from ..losses import Loss
from ..metrics import Metric, count_of, counted_of
from ..metrics import get as metric
from ..optimizers import Optimizer
from ..reduction import reduction_of, sample_values, values_by

__all__ = [
    "Losses",
    "Metrics",
    "Objective",
    "Settings",
    "guessed_truth",
    "measures_of",
    "objective",
    "per_output",
]

Losses = str | Loss | Sequence[str | Loss | None] | Mapping[str, str | Loss | None]
Metrics = Sequence[str | Metric | Sequence[str | Metric] | None] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """What `Model.compile` was told; each list has an entry for each output."""

    optimizer: Optimizer
    losses: list[Loss | None]  # None: an output that is not trained
    metrics: list[list[tuple[str, Metric]]]
    loss_weights: list[float]
    weighted_metrics: list[list[tuple[str, Metric]]]
    ftz: bool = False
    windows: str = "auto"

    def __post_init__(self) -> None:
        Options(**self.options)  # refuses what it does not know

    @property
    def options(self) -> dict[str, Any]:
        """How everything that the model computes is compiled."""
        return {"ftz": self.ftz, "windows": self.windows}

    @property
    def count(self) -> int:
        """How many numbers are reported."""
        trained = sum(loss is not None for loss in self.losses)
        measures = sum(map(len, [*self.metrics, *self.weighted_metrics]))
        return 1 + (trained if trained > 1 else 0) + measures


@dataclass(frozen=True, slots=True)
class Objective:
    """Inputs for truths and weights, the loss, and the metrics by the names under which they are reported."""

    truths: tuple[Input, ...]
    weights: tuple[Input | None, ...]
    loss: Node
    metrics: dict[str, Node]
    counts: dict[str, Node]  # over which metrics that are ratios are averaged; others over samples

    @property
    def names(self) -> list[str]:
        return ["loss", *self.metrics]

    @property
    def nodes(self) -> list[Node]:
        return [self.loss, *self.metrics.values(), *self.counts.values()]

    def shares(self, results: Sequence[np.ndarray], samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Loss and metrics, a row for each batch, out of the values of `nodes`, and what each of them counts."""
        found = np.stack([np.asarray(value, np.float64).reshape(-1) for value in results], axis=1)
        end = len(self.names)
        counts = dict(zip(self.counts, found[:, end:].T, strict=True))
        all_ = np.full(len(found), float(samples))
        return found[:, :end], np.stack([counts.get(name, all_) for name in self.names], axis=1)


def _weighted(rank: int, axes: str, suffix: str) -> dict[str, Operation]:
    """For a weight for each sample, or for each step of each: what becomes of a batch's values.

    A loss is divided by the number of samples, as Keras does, or it is a sum; a metric is divided by the
    sum of the weights, a share by the sum of those that count.
    """
    given: dict[str, Any] = {
        "samples": [{"w": (4, 3)[:rank], "v": (4, 3)}],
        "domains": {"w": "positive"},
    }
    weighted = f"mean[...](w[{axes}]*v[{axes}, ...])"
    loss = define(
        f"weighted_mean{suffix}",
        f"y = mean[{axes}, ...](w[{axes}]*v[{axes}, ...])",
        group="loss",
        **given,
    )
    total = define(
        f"weighted_sum{suffix}",
        f"y = sum[{axes}, ...](w[{axes}]*v[{axes}, ...])",
        group="loss",
        **given,
    )
    ratio = define(
        f"weighted_ratio{suffix}",
        f"count = sum[{axes}](w[{axes}])\ny = where(count == 0, 0, sum[{axes}]({weighted})/count)",
        outputs=("y", "count"),
        group="metric",
        **given,
    )
    share = define(
        f"weighted_share{suffix}",
        f"count = sum[{axes}, ...](w[{axes}]*counted[{axes}, ...])\n"
        f"y = where(count == 0, 0, sum[{axes}, ...](w[{axes}]*hits[{axes}, ...])/count)",
        samples=[{"w": (4, 3)[:rank], "hits": (4, 3), "counted": (4, 3)}],
        domains={"w": "positive", "hits": 2, "counted": 2},
        outputs=("y", "count"),
        group="metric",
    )
    return {"loss": loss, "sum": total, "ratio": ratio, "share": share}


_WEIGHTED = {1: _weighted(1, "n", ""), 2: _weighted(2, "n, t", "_of_steps")}
_KINDS = {"sum": "sum", "mean_with_sample_weight": "ratio"}  # of losses with these reductions


def objective(
    settings: Settings,
    outputs: Sequence[Node],
    truths: Sequence[Input],
    weights: Sequence[Input | None],
    penalties: Sequence[Node] = (),
) -> Objective:
    """Loss and metrics of each output; losses are added, and so are ``penalties``, those of regularizers.

    Of several outputs each loss is reported as well, and what is reported bears the outputs' names.
    """
    parts: list[Node] = []
    losses: dict[str, Node] = {}
    metrics: dict[str, Node] = {}
    several = len(outputs) > 1
    for place, (output, truth, weight) in enumerate(zip(outputs, truths, weights, strict=True)):
        prefix = f"{output.name}_" if several else ""
        function = settings.losses[place]
        if function is not None:
            loss = _scalar(function, truth, output, weight, "loss")
            losses[_free(f"{prefix}loss", losses)] = loss
            factor = settings.loss_weights[place]
            parts.append(loss if factor == 1 else multiply(loss, factor))
        for name, measure in settings.metrics[place]:
            label = _free(prefix + name, metrics)
            metrics[label] = _scalar(measure, truth, output, None, f"metric {name}")
        for name, measure in settings.weighted_metrics[place]:
            label = _free(prefix + name, metrics, "weighted_")
            metrics[label] = _scalar(measure, truth, output, weight, f"metric {name}")
    reported = losses | metrics if len(losses) > 1 else metrics
    counts = {name: total for name, value in reported.items() if (total := count_of(value))}
    parts += [cast(penalty, parts[0].dtype) for penalty in penalties]
    return Objective(tuple(truths), tuple(weights), reduce(add, parts), reported, counts)


def _free(label: str, taken: Container[str], prefix: str = "") -> str:
    """A label that is not taken yet."""
    if label in taken:
        label = prefix + label
    numbered = (f"{label}_{k}" for k in count(1))
    return next(each for each in chain([label], numbered) if each not in taken)


def per_output(given: Any, outputs: Sequence[str], what: str) -> list[Any]:
    """One entry for each output, from a list of them, a dict by their names, or from one for all."""
    if isinstance(given, Mapping):
        names = ", ".join(outputs)
        if len(set(outputs)) < len(outputs):
            raise GraphnnError(f"{what}: outputs have the same name ({names}): give a list")
        if sorted(given) != sorted(outputs):
            raise GraphnnError(f"{what}: expected entries for {names}; got {', '.join(given)}")
        return [given[name] for name in outputs]
    if not isinstance(given, (list, tuple)):
        return [given] * len(outputs)
    if len(given) != len(outputs):
        raise GraphnnError(f"the model has {len(outputs)} outputs, got {len(given)} for {what}")
    return list(given)


def guessed_truth(output: Node, loss: Loss | None) -> Input:
    """The truth that a loss probably takes before data are there: of the output's shape, or else class numbers."""
    truth = Input(output.shape, "y_true", output.dtype)
    try:
        if loss is not None:
            loss(truth, output)
    except GraphnnError:
        return Input(output.shape[:-1], "y_true", "int32")
    return truth


def _scalar(
    function: Loss | Metric, truth: Input, output: Node, weight: Input | None, what: str
) -> Node:
    """One number; a function of one's own may give it, or a value for each sample."""
    if weight is None:
        value = _node(function(truth, output), what)
        return mean(value) if value.ndim else value
    values = _node(values_by(function)(truth, output), what)
    kind = _KINDS.get(reduction_of(function) or "", "loss" if what == "loss" else "ratio")
    if reduction_of(function) in _KINDS:
        values = sample_values(function, values)
    if weight.ndim not in _WEIGHTED or weight.dims != values.dims[: weight.ndim]:
        raise ShapeError(
            f"{weight.name} is {weight.type}, but the {what} gives {values.type}:"
            " there is no value for each weight"
        )
    counted = counted_of(values)
    given = {"v": values}
    if counted is not None:
        kind, given = "share", {"hits": values, "counted": counted}
    operation = _WEIGHTED[weight.ndim][kind]
    return operation.apply({"w": weight, **given}, name=unique_name("weighted")).result("y")


def _node(value: object, what: str) -> Node:
    if not isinstance(value, Node):
        raise GraphnnError(f"the {what} must give a node, got {type(value).__name__}")
    return value


def measures_of(given: Any, outputs: Sequence[str], what: str) -> list[list[tuple[str, Metric]]]:
    """The metrics of each output: those of one as a list, of several in a list or dict with an entry for each."""
    if given is None:
        return [[] for _ in outputs]
    if not isinstance(given, (Mapping, list, tuple)):
        raise GraphnnError(f"{what} is a list, or a dict by the outputs' names, got {given!r}")
    if isinstance(given, Mapping):
        given = dict.fromkeys(outputs) | dict(given)
    elif len(outputs) == 1 and not (len(given) == 1 and isinstance(given[0], (list, tuple))):
        given = [given]
    return [
        [metric(each) for each in (wanted if isinstance(wanted, (list, tuple)) else [wanted])]
        if wanted is not None
        else []
        for wanted in per_output(given, outputs, what)
    ]
