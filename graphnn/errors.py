"""Every error graphnn raises on purpose.

All derive from `GraphnnError`, which is a ValueError: what went wrong is a value the caller gave.
Low levels raise the short cause; the public call adds the context once with ``add_note``.
"""

from __future__ import annotations

from compiler.errors import CompilerError, GraphnnError

__all__ = [
    "CompilerError",
    "DtypeError",
    "FormatError",
    "GraphnnError",
    "NotationError",
    "ShapeError",
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
