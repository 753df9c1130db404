"""Writes graphnn/calculus/ready.txt: the derived gradients of everything in the catalogue, and of usual networks.

Run it after a change to a formula or to the calculus; a test says when it is due.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphnn import activations, functions, layers, losses, optimizers  # noqa: F401  (they fill it)
from graphnn.calculus.ready import READY, ready_blocks
from graphnn.catalogue import CATALOGUE
from graphnn.errors import ShapeError
from graphnn.notation import Resolved, symbolic
from tools.usual import usual_formulas

__all__ = ["ready_formulas"]


def ready_formulas() -> Iterator[Resolved]:
    """Every formula whose gradient is shipped."""
    yield from resolved_catalogue()
    yield from usual_formulas()


def resolved_catalogue() -> Iterator[Resolved]:
    """Every formula of the catalogue that has a form with symbolic sizes."""
    for entry in CATALOGUE.values():
        for operation in entry.operations():
            try:
                yield symbolic(operation.formula)
            except ShapeError:  # derived for given shapes instead
                continue


if __name__ == "__main__":
    READY.write_text(ready_blocks(ready_formulas()) + "\n", encoding="utf-8")
