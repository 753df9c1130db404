"""Everything the compiler refuses, it refuses with one of these."""

__all__ = ["ArrayError", "ArrayTypeError", "CompilerError", "GraphnnError"]


class GraphnnError(ValueError):
    """Base of all errors, on both sides: about graphs, formulas, shapes, data, files and systems."""


class CompilerError(GraphnnError):
    """A system that is not valid or cannot be compiled; names the equation and the cause."""


class ArrayError(CompilerError):
    """An array that does not fit its tensor: names the tensor, what it expects, what it got."""


class ArrayTypeError(ArrayError, TypeError):
    """An array of a kind that its tensor does not take."""
