"""What a file may ask for before anything is allocated for it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes beyond which a file is refused; ``replace(DEFAULT, tensors=...)`` makes others.

    ``header`` bytes of the header, ``values`` in it, ``tensors`` in the file, ``name`` characters of
    a name, ``rank`` of a tensor, ``size`` elements of any tensor of the graph, ``nodes`` of the
    graph, ``models`` within the model, ``text`` characters of all formulas together, each counted as
    often as it is used.
    """

    header: int = 16 << 20
    values: int = 1_000_000
    tensors: int = 100_000
    name: int = 1024
    rank: int = 32
    size: int = 1 << 44
    nodes: int = 100_000
    models: int = 100
    text: int = 1_000_000


DEFAULT = Limits()
