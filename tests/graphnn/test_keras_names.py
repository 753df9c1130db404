"""What is called as in Keras takes Keras's arguments: the same names, places and defaults, but for what is listed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import graphnn as gn

LAYERS = [name for name in gn.layers.__all__ if name not in ("BatchNorm", "Layer", "LayerNorm")]
CALLBACKS = list(gn.callbacks.__all__)
METHODS = ("compile", "evaluate", "fit", "predict", "test_on_batch", "train_on_batch")
# Defaults of our own, and metrics in the place that is more often used.
OWN = {
    "Model.compile": {"metrics"},
    "Model.predict": {"verbose"},
}


def arguments(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The arguments that have names."""
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(function).parameters.items()
    return {name: p for name, p in found if name != "self" and p.kind not in starred}


def assert_alike(ours: Callable[..., Any], theirs: Callable[..., Any], name: str) -> None:
    """What may be given by place stands in Keras's place; defaults are Keras's."""
    own, other = arguments(ours), arguments(theirs)
    placed = [n for n, p in own.items() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    for place, (argument, expected) in enumerate(zip(placed, other, strict=False)):
        assert argument == expected or argument in OWN.get(name, ()), (name, place)
    assert len(placed) <= len(other)
    for argument in own.keys() & other.keys() - OWN.get(name, set()):
        given, expected = own[argument].default, other[argument].default
        assert inspect.Parameter.empty in (given, expected) or given == expected, (name, argument)


def keras_name(name: str) -> str:
    """The name that Keras has for certain."""
    return name.replace("Pool2D", "Pooling2D")


@pytest.mark.parametrize("name", LAYERS)
def test_layers_take_the_arguments_of_keras(keras: ModuleType, name: str) -> None:
    """Places and defaults of every layer's arguments; names and ``trainable`` are given by name."""
    theirs = getattr(keras.layers, keras_name(name))
    assert_alike(getattr(gn.layers, name).__init__, theirs.__init__, name)


@pytest.mark.parametrize("name", ["Adagrad", "Adam", "AdamW", "RMSprop", "SGD"])
def test_optimizers_take_the_arguments_of_keras(keras: ModuleType, name: str) -> None:
    """Places and defaults of every optimizer's arguments."""
    ours, theirs = (getattr(module.optimizers, name).__init__ for module in (gn, keras))
    assert_alike(ours, theirs, name)


def test_losses_callbacks_and_methods_take_the_arguments_of_keras(keras: ModuleType) -> None:
    """Places and defaults of losses, of callbacks, and of what a model does."""
    for loss in gn.losses.LOSSES:
        assert_alike(loss, getattr(keras.losses, loss.__name__), loss.__name__)
    for name in CALLBACKS:
        ours, theirs = (getattr(module.callbacks, name).__init__ for module in (gn, keras))
        assert_alike(ours, theirs, name)
    for name in METHODS:
        assert_alike(getattr(gn.Model, name), getattr(keras.Model, name), f"Model.{name}")


def test_initializers_have_the_names_of_keras(keras: ModuleType) -> None:
    """Every name that Keras knows for an initializer of ours is known, in small letters and as a class."""
    from keras.src import initializers

    for name, kind in initializers.ALL_OBJECTS_DICT.items():
        if hasattr(gn.initializers, kind.__name__) and not name.lower().endswith("initializer"):
            shape = (3, 3)
            assert gn.initializers.get(name)(shape, "float32").shape == shape, name
