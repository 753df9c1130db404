"""Every error graphnn raises on purpose.

All derive from `GraphnnError`, which is a ValueError: what went wrong is a value the caller gave.
Low levels raise the short cause; the public call adds the context once with ``add_note``.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from compiler.errors import CompilerError, GraphnnError

__all__ = [
    "CompilerError",
    "DtypeError",
    "FormatError",
    "GraphnnError",
    "NotationError",
    "ShapeError",
    "unknown",
]


class NotationError(GraphnnError):
    """A formula that cannot be read; the message points into its text."""

    def __init__(
        self, message: str, line: str = "", number: int = 1, column: int | None = None
    ) -> None:
        where = f"line {number}" + ("" if column is None else f", column {column + 1}")
        text = f"{where}: {message}"
        if line:
            text += f"\n  {line}"
        if line and column is not None:
            text += f"\n  {' ' * column}^"
        super().__init__(text)


class ShapeError(GraphnnError):
    """Shapes that a formula cannot take; speaks in index terms."""


class DtypeError(GraphnnError, TypeError):
    """A dtype where another is needed."""


class FormatError(GraphnnError):
    """A file that is damaged, unfinished, hostile or of an unknown kind; nothing of it was used."""


def unknown(kind: str, given: str, names: Iterable[str], otherwise: str = "") -> GraphnnError:
    """For a name that is none: the nearest, all (but those that differ in capitals only), and what else there is.

    >>> print(unknown("loss", "msse", ["mse", "MSE", "mae"]))
    unknown loss 'msse', perhaps mse is meant; known are mae, mse
    """
    known = sorted(name for name in names if name.islower())
    near = get_close_matches(given.lower(), known, n=1)
    guess = f", perhaps {near[0]} is meant" if near else ""
    more = f"; {otherwise}" if otherwise else ""
    return GraphnnError(f"unknown {kind} {given!r}{guess}; known are {', '.join(known)}{more}")
