"""The formula that a layer's docstring shows is the one that is compiled."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

import graphnn as gn
from compiler.language.expression import Element, Expr, Index, canonical, rebuild, substitute
from compiler.language.system import Equation, reads
from compiler.language.text import expression_text
from graphnn.graph.lower import Lowered, lower
from graphnn.graph.node import Node


@dataclass(frozen=True)
class Shown:
    """A layer, shapes of its inputs, and what the names in its formula stand for: ``x0``, ``x1`` are the inputs."""

    arguments: Mapping[str, Any] = field(default_factory=dict)
    operands: Mapping[str, str] = field(default_factory=lambda: {"x": "x0"})
    numbers: Mapping[str, float] = field(default_factory=dict)
    shapes: Sequence[tuple[int, ...]] = ((2, 3, 4),)
    dtype: str = "float32"


IMAGE = ((2, 7, 6, 3),)
WEIGHTS = {"x": "x0", "K": "kernel", "b": "bias"}
CELL = {**WEIGHTS, "U": "recurrent_kernel"}
LEARNT = {"x": "x0", "gamma": "gamma", "beta": "beta"}
HEADS = {
    "query": "x0",
    "key": "x1",
    "value": "x1",
    **{f"W{part[0]}": f"{part}_kernel" for part in ("query", "key", "value", "output")},
    **{f"b{part[0]}": f"{part}_bias" for part in ("query", "key", "value", "output")},
}
SEQUENCES = {"units": 5, "return_sequences": True}
SHOWN = {
    "Activation": Shown({"activation": "relu"}),
    "Add": Shown(operands={"a": "x0", "b": "x1"}, shapes=((2, 3), (2, 3))),
    "AveragePool2D": Shown({"pool_size": 2, "strides": 3}, numbers={"k": 2, "s": 3}, shapes=IMAGE),
    "BatchNormalization": Shown(operands=LEARNT, numbers={"epsilon": 0.001}),
    "Concatenate": Shown(operands={"a": "x0", "b": "x1"}, shapes=((2, 3), (2, 4))),
    "Conv2D": Shown(
        {"filters": 5, "kernel_size": 2, "strides": 2, "dilation_rate": 3},
        WEIGHTS,
        {"s": 2, "d": 3},
        IMAGE,
    ),
    "Dense": Shown({"units": 5}, {"x": "x0", "W": "kernel", "b": "bias"}),
    "Dropout": Shown({"rate": 0.25}, {"x": "x0", "key": "key", "step": "step"}, {"keep": 0.75}),
    "Embedding": Shown(
        {"input_dim": 7, "output_dim": 5}, {"t": "x0", "E": "embeddings"}, shapes=((2, 3),), dtype="int32"
    ),
    "Flatten": Shown(),
    "GRU": Shown(SEQUENCES, CELL, {"units": 5}),
    "GlobalAveragePool2D": Shown(shapes=IMAGE),
    "LSTM": Shown(SEQUENCES, CELL, {"units": 5}),
    "LayerNormalization": Shown(operands=LEARNT, numbers={"epsilon": 0.001}),
    "MaxPool2D": Shown({"pool_size": 2, "strides": 3}, numbers={"k": 2, "s": 3}, shapes=IMAGE),
    "MultiHeadAttention": Shown({"num_heads": 2, "key_dim": 5}, HEADS, shapes=((2, 3, 4), (2, 6, 7))),
    "Reshape": Shown({"target_shape": (3, 4)}, shapes=((2, 12),)),
    "SimpleRNN": Shown(SEQUENCES, CELL),
}  # fmt: skip


def shown(kind: type) -> str:
    """The lines of a docstring that are formulas: indented, or in double backquotes."""
    found = re.findall(
        r"^ {4}(\w+\[.*\] = .*)$|``(\w+\[[^`]*\] = [^`]*)``",
        inspect.cleandoc(kind.__doc__ or ""),
        re.M,
    )
    return "\n".join(line or inline for line, inline in found)


def lines(lowered: Lowered, output: Node, leaves: Mapping[Node, str]) -> list[str]:
    """What defines an output, tensor by tensor, with names that only depend on the equations."""
    system = lowered.system
    definitions = system.definitions()
    names = {tensor: leaves[node] for tensor, node in lowered.leaves.items()}
    waiting, found = [lowered.names[output]], []
    while waiting:
        tensor = waiting.pop(0)
        names.setdefault(tensor, f"tensor{len(names)}")
        for equation in definitions.get(tensor, ()):
            for element in reads(equation):
                if element.tensor not in names:
                    names[element.tensor] = f"tensor{len(names)}"
                    waiting.append(element.tensor)
            found.append(line(equation, names))
    return found


def line(equation: Equation, names: Mapping[str, str]) -> str:
    """An equation with its indices numbered, and other names for its tensors."""
    numbered = {b.index: Index(f"i{k}") for k, b in enumerate(equation.indices)}

    def renamed(e: Expr) -> Expr:
        new = rebuild(e, renamed)
        return Element(names[new.tensor], new.subscripts) if isinstance(new, Element) else new

    place = Element(equation.target, equation.subscripts)
    left, right = (
        expression_text(canonical(renamed(substitute(e, numbered))))
        for e in (place, equation.value)
    )
    sizes = [expression_text(size) for _, size in equation.indices if size is not None]
    return f"{left} = {right} for {', '.join(sizes)}"


def test_every_layer_is_among_these() -> None:
    """No layer is without a formula in its docstring."""
    kinds = {getattr(gn.layers, name) for name in gn.layers.__all__} - {gn.Layer}
    assert {kind.__name__ for kind in kinds} == SHOWN.keys()
    assert all(map(shown, kinds))


@pytest.mark.parametrize("name", SHOWN)
def test_shown_formula_is_compiled(name: str) -> None:
    """The docstring's lines, made an operation, give the equations that the layer is compiled from."""
    case, kind = SHOWN[name], getattr(gn.layers, name)
    inputs = {f"x{k}": gn.Input(shape, f"x{k}", case.dtype) for k, shape in enumerate(case.shapes)}
    layer = kind(**case.arguments)
    compiled = layer(*inputs.values())
    side = getattr(compiled, "training", compiled)
    parameters = {p.name.split(".")[-1]: p for p in gn.Graph([side], training=True).parameters}
    leaves = {**inputs, **parameters}
    text = shown(kind)
    last = text.rpartition("\n")[2].partition("[")[0]
    operation = gn.op(text, outputs=(last,), **case.numbers)
    written = operation(**{operand: leaves[given] for operand, given in case.operands.items()})
    labels = {node: label for label, node in leaves.items()}
    both = (lines(lower([node], training=True), node, labels) for node in (written, side))
    assert next(both) == next(both)
