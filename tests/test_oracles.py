"""The oracles answer in the precision and on the backend that the other tests rely on."""

from __future__ import annotations

from types import ModuleType

import numpy as np


def test_torch_is_the_version_that_is_measured(torch: ModuleType) -> None:
    """Results and ratios refer to one version of PyTorch."""
    assert torch.__version__.startswith("2.13.0")


def test_jax_computes_in_float64(jax: ModuleType) -> None:
    """JAX keeps the double precision that gradients are compared in."""
    assert jax.numpy.asarray(np.float64(1) / 3).dtype == np.float64


def test_keras_computes_with_jax(keras: ModuleType) -> None:
    """Keras takes the backend that is installed with it here."""
    assert keras.backend.backend() == "jax"
