"""A whole model in one file: its graph with all formulas as text, its weights, and the state of its training.

The file is one of safetensors, so that other tools read the weights; the graph stands as JSON among
its metadata. See `encode` for what it says.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import losses
from ..errors import FormatError
from ..losses import Loss
from ..nested import require_built
from ..training.objective import guessed_truth
from .container import Contents, pack, parse_json, read_container, unpack
from .decode import decode
from .decode_graph import Nest
from .encode import encode
from .limits import DEFAULT, Limits
from .measures import Lookup, described_measure, metric
from .replace import replace_file
from .saved import Measure, Saved, Training
from .weights import weight_names

if TYPE_CHECKING:
    from ..model import Model

__all__ = ["packed_model", "read_model", "save_model", "unpacked_model"]

Described = list[list[Measure]]

_FORMAT = "graphnn model"
_GRAPH = "graph"


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write the model to a file, which is replaced as a whole or not at all. Raises OSError."""
    replace_file(path, packed_model(model))


def packed_model(model: Model) -> list[memoryview]:
    """The bytes of its file, in parts."""
    require_built(model.name, model.outputs)
    saved = Saved(
        model.name,
        model.inputs,
        model.outputs,
        model.single_output,
        _training(model),
        model.random.streams,
        model.position,
    )
    graph, arrays = encode(saved, weight_names(model.layers, model.weights))
    text = json.dumps(graph, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return pack(arrays, {"format": _FORMAT, _GRAPH: text})


def read_model(path: str | os.PathLike[str], nest: Nest, limits: Limits = DEFAULT) -> Saved:
    """What `save_model` wrote, in the same nodes; models within it are made by ``nest``.

    Raises OSError, `FormatError`.
    """
    contents = read_container(path, limits)
    try:
        return _saved(contents, nest, limits)
    except FormatError as error:
        raise FormatError(f"{os.fspath(path)}: {error}") from None


def unpacked_model(contents: bytes, nest: Nest, limits: Limits = DEFAULT) -> Saved:
    """The same for a file's bytes. Raises `FormatError`."""
    return _saved(unpack(contents, limits), nest, limits)


def _saved(contents: Contents, nest: Nest, limits: Limits) -> Saved:
    if contents.metadata.get("format") != _FORMAT:
        raise FormatError("no model of graphnn; weights alone are read by model.load_weights")
    if not contents.is_checked:
        raise FormatError("damaged: its digest is missing")
    graph = parse_json(contents.metadata.get(_GRAPH, ""), "the graph")
    return decode(graph, contents.arrays, nest, limits)


def _training(model: Model) -> Training | None:
    """What `Model.compile` was told."""
    if model.settings is None:
        return None
    settings = model.settings
    given = []
    for place, (output, loss) in enumerate(zip(model.outputs, settings.losses, strict=True)):
        truths = [several[place] for several in model.truths]
        given.append((output, truths or [guessed_truth(output, loss)]))

    def described(measures: Sequence[Sequence[tuple[str, Loss]]], lookup: Lookup) -> Described:
        return [
            [described_measure(label, function, lookup, *at) for label, function in several]
            for several, at in zip(measures, given, strict=True)
        ]

    named = [
        [] if loss is None else [(getattr(loss, "__name__", "loss"), loss)]
        for loss in settings.losses
    ]
    return Training(
        settings.optimizer,
        [next(iter(several), None) for several in described(named, losses.get)],
        described(settings.metrics, metric),
        settings.loss_weights,
        described(settings.weighted_metrics, metric),
        settings.ftz,
        settings.windows,
    )
