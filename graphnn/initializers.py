"""Initializers: the first value of a weight, from its shape; Keras's names and defaults.

    GlorotUniform    U(-l, l),  l = sqrt(6/(fan_in + fan_out))
    HeNormal         N(0, s) cut off at 2 s,  s**2 = 2/fan_in

An initializer is called with a shape and a dtype. Each call draws a stream of its own (see
`graphnn.random`), so that weights depend on the seed and on how many were made before, on nothing
else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from . import random
from .errors import GraphnnError, unknown

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
]

Initializer = Callable[[Sequence[int], str], np.ndarray]
# The standard deviation of a normal distribution cut off at two of its own.
_CUT = 0.87962566103423978


@dataclass(frozen=True, slots=True)
class Constant:
    """Every element is ``value``."""

    value: float = 0.0

    def __call__(self, shape: Sequence[int], dtype: str = "float32") -> np.ndarray:
        return np.full(tuple(shape), self.value, dtype)


Zeros = partial(Constant, 0.0)
Ones = partial(Constant, 1.0)


@dataclass(frozen=True, slots=True)
class RandomUniform:
    """Evenly spread over [``minval``, ``maxval``)."""

    minval: float = -0.05
    maxval: float = 0.05
    seed: int | None = None

    def __call__(self, shape: Sequence[int], dtype: str = "float32") -> np.ndarray:
        stream = random.next_stream(self.seed)
        return random.uniform(shape, self.minval, self.maxval, stream).astype(dtype)


@dataclass(frozen=True, slots=True)
class RandomNormal:
    """Normally distributed."""

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def __call__(self, shape: Sequence[int], dtype: str = "float32") -> np.ndarray:
        stream = random.next_stream(self.seed)
        return random.normal(shape, self.mean, self.stddev, stream).astype(dtype)


@dataclass(frozen=True, slots=True)
class TruncatedNormal:
    """Normally distributed, within two ``stddev`` of the ``mean``."""

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def __call__(self, shape: Sequence[int], dtype: str = "float32") -> np.ndarray:
        stream = random.next_stream(self.seed)
        return random.truncated_normal(shape, self.mean, self.stddev, stream).astype(dtype)


@dataclass(frozen=True, slots=True)
class VarianceScaling:
    """Variance ``scale``/n, where n is "fan_in", "fan_out" or "fan_avg"; "uniform" or "truncated_normal".

    Sources: Glorot, Bengio: Understanding the difficulty of training deep feedforward neural
    networks, 2010; He et al.: Delving Deep into Rectifiers, 2015; LeCun et al.: Efficient BackProp,
    1998.

    >>> weights = GlorotUniform(seed=1)((3, 5), "float32")
    >>> weights.shape, bool(abs(weights).max() < (6 / 8) ** 0.5)
    ((3, 5), True)
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "truncated_normal"
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in ("fan_in", "fan_out", "fan_avg"):
            raise GraphnnError(f"mode is fan_in, fan_out or fan_avg, got {self.mode!r}")
        if self.distribution not in ("uniform", "truncated_normal"):
            raise GraphnnError(
                f"distribution is uniform or truncated_normal, got {self.distribution!r}"
            )

    def __call__(self, shape: Sequence[int], dtype: str = "float32") -> np.ndarray:
        fan_in, fan_out = fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(fan, 1)
        stream = random.next_stream(self.seed)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return random.uniform(shape, -limit, limit, stream).astype(dtype)
        deviation = math.sqrt(variance) / _CUT
        return random.truncated_normal(shape, 0.0, deviation, stream).astype(dtype)


@dataclass(frozen=True, slots=True)
class Orthogonal:
    """``gain`` times a matrix with orthonormal rows, or columns if it has more rows; axes but the last count as one.

    Source: Saxe, McClelland, Ganguli: Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks, 2013.

    >>> Q = Orthogonal(seed=1)((3, 5), "float64")
    >>> bool(abs(Q @ Q.T - np.eye(3)).max() < 1e-12)
    True
    """

    gain: float = 1.0
    seed: int | None = None

    def __call__(self, shape: Sequence[int], dtype: str = "float32") -> np.ndarray:
        if len(shape) < 2:
            raise GraphnnError(f"an orthogonal matrix has two axes or more, got {tuple(shape)}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        long, short = max(rows, columns), min(rows, columns)
        stream = random.next_stream(self.seed)
        start = random.normal((long, short), 0.0, 1.0, stream).astype("float64")
        q, r = np.linalg.qr(start)
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # the one factorization whose r is positive
        return (self.gain * (q if rows >= columns else q.T)).reshape(shape).astype(dtype)


@dataclass(frozen=True, slots=True)
class Identity:
    """``gain`` on the diagonal of a matrix, 0 elsewhere."""

    gain: float = 1.0

    def __call__(self, shape: Sequence[int], dtype: str = "float32") -> np.ndarray:
        if len(shape) != 2:
            raise GraphnnError(f"an identity is a matrix, got {tuple(shape)}")
        rows, columns = shape
        return (self.gain * np.eye(rows, columns)).astype(dtype)


GlorotUniform = partial(VarianceScaling, 1.0, "fan_avg", "uniform")
GlorotNormal = partial(VarianceScaling, 1.0, "fan_avg", "truncated_normal")
HeUniform = partial(VarianceScaling, 2.0, "fan_in", "uniform")
HeNormal = partial(VarianceScaling, 2.0, "fan_in", "truncated_normal")
LecunUniform = partial(VarianceScaling, 1.0, "fan_in", "uniform")
LecunNormal = partial(VarianceScaling, 1.0, "fan_in", "truncated_normal")


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """How many inputs reach an output, how many outputs an input: the last two axes, times the window before them."""
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


_BY_NAME: dict[str, Callable[[], Initializer]] = {
    "constant": Constant,
    "glorot_normal": GlorotNormal,
    "glorot_uniform": GlorotUniform,
    "he_normal": HeNormal,
    "he_uniform": HeUniform,
    "identity": Identity,
    "lecun_normal": LecunNormal,
    "lecun_uniform": LecunUniform,
    "ones": Ones,
    "orthogonal": Orthogonal,
    "random_normal": RandomNormal,
    "random_uniform": RandomUniform,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "zeros": Zeros,
}
_BY_NAME |= {name.title().replace("_", ""): make for name, make in _BY_NAME.items()}
_BY_NAME |= {"normal": RandomNormal, "one": Ones, "uniform": RandomUniform, "zero": Zeros}


def get(initializer: str | Initializer) -> Initializer:
    """The initializer of that name, as Keras spells it, or the function ``(shape, dtype) -> array`` itself.

    >>> get("HeNormal") == get("he_normal"), get("zero") == get("zeros")
    (True, True)
    """
    if isinstance(initializer, str):
        if initializer not in _BY_NAME:
            raise unknown("initializer", initializer, _BY_NAME)
        return _BY_NAME[initializer]()
    if not callable(initializer):
        raise GraphnnError(
            f"an initializer is a name or a function (shape, dtype) -> array, got {initializer!r}"
        )
    return initializer
