"""Everything the compiler refuses, it refuses with one of these."""

__all__ = ["ArrayError", "CompilerError"]


class CompilerError(ValueError):
    """A system that is not valid or cannot be compiled; names the equation and the cause."""


class ArrayError(CompilerError):
    """An array that does not fit its tensor: names the tensor, what it expects, what it got."""
