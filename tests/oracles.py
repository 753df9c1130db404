"""Other frameworks as fixtures: a test that names `torch`, `jax` or `keras` is skipped without it.

    def test_gelu_is_torch_gelu(torch): ...

They give independent answers, in float64 where asked, and are loaded once, when the first test
needs them. Keras computes with JAX, so that one test process never holds three runtimes.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

__all__ = ["floatx", "jax", "keras", "torch"]


def _load(name: str) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they deprecate is not our business
        return pytest.importorskip(name, reason=f"{name} is not installed: make oracles")


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    """PyTorch on one thread: its sums then come in the same order every time."""
    module = _load("torch")
    module.set_num_threads(1)
    return module


@pytest.fixture(scope="session")
def jax() -> ModuleType:
    """JAX on the CPU, with float64 available; its programs run a few times, so they are compiled in a hurry."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    module = _load("jax")
    module.config.update("jax_enable_x64", True)
    module.config.update("jax_disable_most_optimizations", True)
    return module


@pytest.fixture(scope="session")
def keras(jax: ModuleType) -> ModuleType:
    """Keras 3 computing with JAX, in float64 where a layer says so: by itself it would take float32 half of the way."""
    os.environ["KERAS_BACKEND"] = "jax"
    module = _load("keras")
    from keras.src.backend.common import dtypes

    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    return module


@pytest.fixture
def floatx(keras: ModuleType) -> Iterator[Callable[[str], None]]:
    """``floatx("float64")``: Keras's own precision during a test, of rates, states and layers alike."""

    def take(dtype: str) -> None:
        keras.config.set_floatx(dtype)
        keras.config.set_dtype_policy(dtype)

    before = keras.config.floatx()
    yield take
    take(before)
