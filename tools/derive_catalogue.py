"""Writes graphnn/calculus/ready.txt: the derived gradients of everything in the catalogue.

Run it after a change to a formula or to the calculus; a test says when it is due.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphnn import activations, functions, layers, losses, optimizers  # noqa: F401  (they fill it)
from graphnn.calculus.ready import READY, ready_blocks
from graphnn.catalogue import CATALOGUE
from graphnn.errors import ShapeError
from graphnn.notation import Resolved, symbolic


def resolved_catalogue() -> Iterator[Resolved]:
    """Every formula of the catalogue that has a form with symbolic sizes."""
    for entry in CATALOGUE.values():
        for operation in entry.operations():
            try:
                yield symbolic(operation.formula)
            except ShapeError:  # derived for given shapes instead
                continue


if __name__ == "__main__":
    READY.write_text(ready_blocks(resolved_catalogue()) + "\n", encoding="utf-8")
