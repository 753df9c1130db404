"""Schedule."""

from __future__ import annotations

from collections.abc import Mapping

from .loops import Kernel
from .target import Target

__all__ = ["schedule"]


def schedule(kernel: Kernel, target: Target) -> Kernel:
    return kernel
