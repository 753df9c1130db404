"""A record of what a derivation did: each step with the laws it used and the equation it made."""

from __future__ import annotations

from dataclasses import dataclass, field

from compiler.language.system import Equation

__all__ = ["Step", "Steps"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what was done, by which laws, and the equation after it."""

    laws: tuple[str, ...]
    equation: Equation


@dataclass
class Steps:
    """Collects steps while a derivation runs; laws are noted when used and belong to the next step recorded."""

    recorded: list[Step] = field(default_factory=list)
    laws: dict[str, None] = field(default_factory=dict)

    def note(self, *laws: str) -> None:
        """Laws that are being used."""
        self.laws |= dict.fromkeys(laws)

    def record(self, equation: Equation, law: str | None = None) -> None:
        """The equation that the laws noted since the last step, or this one, have made; none used: no step."""
        laws = tuple(self.laws) if law is None else (law,)
        self.laws = {}
        if laws:
            self.recorded.append(Step(laws, equation))
