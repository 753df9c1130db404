"""A record of what a derivation did: each step with the name of its law and what it made."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Step", "Steps"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the law and the formula after it."""

    law: str
    text: str


@dataclass
class Steps:
    """Collects steps while a derivation runs; laws used inside a step are noted until the step is recorded."""

    recorded: list[Step] = field(default_factory=list)
    laws: dict[str, None] = field(default_factory=dict)

    def note(self, law: str) -> None:
        """A law that is being used for the next step."""
        self.laws[law] = None
