"""What a stage did, or why it declined: collected while a system is compiled, printed by explain.

A stage takes ``notes``, a list to append to; nobody listens when it is None.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Note", "note"]


@dataclass(frozen=True, slots=True)
class Note:
    """``stabilize: y: sigmoid from exponentials``."""

    stage: str
    equation: str  # the target
    message: str

    def __str__(self) -> str:
        return f"{self.stage}: {self.equation}: {self.message}"


def note(notes: list[Note] | None, stage: str, equation: str, message: str) -> None:
    """Record a note if anybody listens; the same one only once in a row."""
    new = Note(stage, equation, message)
    if notes is not None and (not notes or notes[-1] != new):
        notes.append(new)
