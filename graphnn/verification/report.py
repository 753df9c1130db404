"""What a check of gradients found, as data that prints."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import GraphnnError

__all__ = ["GradientError", "GradientReport", "Verdict"]


class GradientError(GraphnnError, AssertionError):
    """A derived gradient is wrong."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found for one gradient. ``symbolic`` is "proved", "differs" or "not decided"; ``error`` is the largest
    relative difference to central differences, met at ``index`` with values ``derived`` and ``expected``."""

    node: str
    operand: str
    formula: str
    gradient: str
    symbolic: str
    error: float
    index: tuple[int, ...]
    derived: float
    expected: float
    ok: bool

    def __str__(self) -> str:
        line = f"{'ok   ' if self.ok else 'WRONG'} d {self.node} / d {self.operand}: "
        line += f"symbolic {self.symbolic}, numeric error {self.error:.1e}"
        if self.ok:
            return line
        at = f"[{', '.join(map(str, self.index))}]"
        indented = self.gradient.replace("\n", "\n      ")
        return (
            f"{line}\n    at {self.operand}{at}: derived {self.derived:.12g},"
            f" central difference {self.expected:.12g}\n    formula   {self.formula}\n    gradient  {indented}"
        )


@dataclass(frozen=True, slots=True)
class GradientReport:
    """All verdicts; prints as one line each."""

    verdicts: tuple[Verdict, ...]

    @property
    def ok(self) -> bool:
        return all(v.ok for v in self.verdicts)

    def assert_ok(self) -> None:
        """Raise an AssertionError that shows what is wrong, if anything is."""
        if not self.ok:
            wrong = "\n".join(str(v) for v in self.verdicts if not v.ok)
            raise GradientError(f"derived gradients are wrong:\n{wrong}")

    def __str__(self) -> str:
        proved = sum(v.symbolic == "proved" for v in self.verdicts)
        head = f"{len(self.verdicts)} gradients checked, {proved} proved symbolically: "
        return "\n".join([head + ("all ok" if self.ok else "WRONG"), *map(str, self.verdicts)])
