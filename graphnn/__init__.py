"""graphnn: neural networks as formulas. ``import graphnn as gn``.

An operation is one line of index notation; shape, gradient, picture and native code follow from it.

    build     Input, Parameter, op, layers, activations, losses, arithmetic on nodes, Model, Sequential
    derive    compute_gradients, optimizers
    run       function, evaluate, set_seed
    look      print, draw, explain
    prove     check_gradients, find_nan
"""

from typing import TYPE_CHECKING

from . import (
    activations,
    callbacks,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
)
from .activations import (
    elu,
    gelu,
    leaky_relu,
    linear,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from .comparisons import (
    argmax,
    argmin,
    clip,
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    not_equal,
    where,
)
from .errors import CompilerError, DtypeError, FormatError, GraphnnError, NotationError, ShapeError
from .function import Function, evaluate, explain, function
from .functions import (
    abs,
    add,
    cast,
    concat,
    cos,
    divide,
    erf,
    erfc,
    exp,
    log,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    multiply,
    negative,
    power,
    reshape,
    sin,
    sqrt,
    square,
    subtract,
    sum,
    transpose,
)
from .gradients import compute_gradients, derivation
from .graph.graph import Graph
from .graph.node import Input, Node, Parameter
from .graph.operation import Operation, op
from .graph.updates import Updates
from .layers.base import Layer
from .loading import load_model
from .losses import (
    binary_crossentropy,
    categorical_crossentropy,
    mean_absolute_error,
    mean_squared_error,
    sparse_categorical_crossentropy,
)
from .model import Model
from .optimizers import Optimizer
from .random import set_seed
from .sequential import Sequential
from .slicing import part as _part  # noqa: F401  # x[:, 0]
from .training.callbacks import Callback, History

if TYPE_CHECKING:
    from .drawing.draw import draw
    from .verification import check_gradients, find_nan

__version__ = "0.1.0"

__all__ = [
    "Callback",
    "CompilerError",
    "DtypeError",
    "FormatError",
    "Function",
    "Graph",
    "GraphnnError",
    "History",
    "Input",
    "Layer",
    "Model",
    "Node",
    "NotationError",
    "Operation",
    "Optimizer",
    "Parameter",
    "Sequential",
    "ShapeError",
    "Updates",
    "abs",
    "activations",
    "add",
    "argmax",
    "argmin",
    "binary_crossentropy",
    "callbacks",
    "cast",
    "categorical_crossentropy",
    "check_gradients",
    "clip",
    "compute_gradients",
    "concat",
    "cos",
    "derivation",
    "divide",
    "draw",
    "elu",
    "equal",
    "erf",
    "erfc",
    "evaluate",
    "exp",
    "explain",
    "find_nan",
    "function",
    "gelu",
    "greater",
    "greater_equal",
    "initializers",
    "layers",
    "leaky_relu",
    "less",
    "less_equal",
    "linear",
    "load_model",
    "log",
    "losses",
    "matmul",
    "max",
    "maximum",
    "mean",
    "mean_absolute_error",
    "mean_squared_error",
    "metrics",
    "min",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "op",
    "optimizers",
    "power",
    "regularizers",
    "relu",
    "reshape",
    "set_seed",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "sparse_categorical_crossentropy",
    "sqrt",
    "square",
    "subtract",
    "sum",
    "tanh",
    "transpose",
    "where",
]


def __getattr__(name: str) -> object:
    """Proofs need sympy and mpmath, pictures Graphviz: they load when they are first asked for."""
    if name == "check_gradients":
        from .verification import check_gradients

        return check_gradients
    if name == "find_nan":
        from .verification import find_nan

        return find_nan
    if name == "draw":
        from .drawing.draw import draw

        return draw
    modules = (
        activations,
        callbacks,
        initializers,
        layers,
        losses,
        metrics,
        optimizers,
        regularizers,
    )
    homes = [m.__name__.replace("graphnn", "gn") for m in modules if name in m.__all__]
    there = f"; there is {homes[0]}.{name}" if homes else ""
    raise AttributeError(f"module 'graphnn' has no attribute {name!r}{there}")
