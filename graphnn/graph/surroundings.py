"""Surroundings: what a node takes from where it is made - names, layers, the role in a training step, what is trained.

Every thread has its own, so networks may be built in several at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = [
    "Trainable",
    "current_owner",
    "current_role",
    "current_scope",
    "fresh_names",
    "graph_role",
    "innermost",
    "layer_scope",
    "noted_as_trained",
    "outermost",
    "unique_name",
]


@dataclass(frozen=True, slots=True)
class Scope:
    """A layer at work: its name, what it says it is, and whether it was called for training."""

    name: str = ""
    owner: object = None
    training: bool | None = None


T = TypeVar("T")
Block = AbstractContextManager[None]
_counters: ContextVar[dict[str, itertools.count[int]]] = ContextVar("counters", default={})  # noqa: B039
_scopes: ContextVar[tuple[Scope, ...]] = ContextVar("scopes", default=())
_role: ContextVar[str] = ContextVar("role", default="forward")
_trained: ContextVar[Mapping[Any, bool]] = ContextVar("trained", default={})  # noqa: B039


@contextmanager
def _within(variable: ContextVar[T], value: T) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


# --- names ---------------------------------------------------------------------------------------


def unique_name(base: str) -> str:
    """``base``, then ``base_1``, ``base_2``, ... as Keras counts; inside a layer ``layer.base``."""
    name = innermost().name
    full = f"{name}.{base}" if name else base
    number = next(_counters.get().setdefault(full, itertools.count()))
    return full if number == 0 else f"{full}_{number}"


def fresh_names() -> Block:
    """Names are counted from the start inside, and afterwards as if nothing had been."""
    return _within(_counters, {})


# --- layers --------------------------------------------------------------------------------------


def layer_scope(name: str, owner: object = None, training: bool | None = None) -> Block:
    """Nodes made inside belong to the layer ``name`` (a cluster in pictures, a prefix of their
    names); with ``training`` choices made inside stand for that side always, see `Choice`.
    """
    if training is None:
        training = innermost().training
    return _within(_scopes, (*_scopes.get(), Scope(name, owner, training)))


def outermost() -> Block:
    """Nodes made inside belong to no layer, wherever this is."""
    return _within(_scopes, ())


def innermost() -> Scope:
    """The layer that nodes are being made in, or one without a name."""
    scopes = _scopes.get()
    return scopes[-1] if scopes else Scope()


def current_scope() -> tuple[str, ...]:
    """The names of the layers that nodes are being made in, the outermost first."""
    return tuple(scope.name for scope in _scopes.get())


def current_owner() -> object:
    """What the outermost layer says it is: the use of that layer."""
    scopes = _scopes.get()
    return scopes[0].owner if scopes else None


# --- roles ---------------------------------------------------------------------------------------


@contextmanager
def graph_role(role: str) -> Iterator[None]:
    """Nodes made inside play this role in a training step: "forward", "gradient" or "update"."""
    with _within(_role, role):
        yield


def current_role() -> str:
    return _role.get()


# --- what is trained -----------------------------------------------------------------------------


class Trainable:
    """What is trained or not: as it was set last, but within `noted_as_trained` as that says."""

    _trainable: bool

    @property
    def trainable(self) -> bool:
        """May be set; it counts from a model's next `compile` on, which until then trains as it did."""
        return _trained.get().get(self, self._trainable)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._set_trainable(value)

    def _set_trainable(self, value: bool) -> None:
        self._trainable = value


def noted_as_trained(noted: Mapping[Any, bool]) -> Block:
    """Inside, each of these is trained or not as is said here."""
    return _within(_trained, {**_trained.get(), **noted})
