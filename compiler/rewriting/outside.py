"""Outside: what a recurrence does not need from itself is computed before its loop, for all turns at once.

Before:   z[n, t, k] = sum[i](x[n, t, i]*W[i, k]) + sum[j](h[n, t - 1, j]*U[j, k]);    h[n, t, k] = tanh(z[n, t, k])
After:    z.outside[n, t, k] = sum[i](x[n, t, i]*W[i, k])
          z[n, t, k] = z.outside[n, t, k] + sum[j](h[n, t - 1, j]*U[j, k]);    h[n, t, k] = tanh(z[n, t, k])

One large product is faster than many small ones. Declines for what has no reduction: it would only cost memory.
"""

from __future__ import annotations

from ..language.expression import Element, Expr, Reduce, elements, free_indices, rebuild, reduces
from ..language.system import Equation, System, Tensor, fresh_name
from .order import cycles

__all__ = ["outside"]


def outside(system: System) -> System:
    """The system with equations of their own for such parts."""
    writer = _Writer(system)
    inside = {id(e): {o.target for o in cycle} for cycle in cycles(system) for e in cycle}
    equations = [writer.split(e, inside[id(e)]) if id(e) in inside else e for e in system.equations]
    if not writer.equations:
        return system
    tensors = (*system.tensors, *writer.tensors)
    return System(tensors, (*writer.equations, *equations), system.updates)


class _Writer:
    def __init__(self, system: System) -> None:
        self.known = dict(system.by_name)
        self.tensors: list[Tensor] = []
        self.equations: list[Equation] = []

    def split(self, equation: Equation, cycle: set[str]) -> Equation:
        """An equation of a cycle, its free reductions read from elsewhere."""

        def visit(e: Expr) -> Expr:
            if not reduces(e):
                return e
            if not isinstance(e, Reduce):
                return rebuild(e, visit)
            if any(read.tensor in cycle for read in elements(e)):
                return e
            return self.read(equation, e)

        return equation.valued(visit(equation.value))

    def read(self, equation: Equation, part: Reduce) -> Expr:
        """An element of a new tensor that holds ``part`` for all values of its indices."""
        own = self.known[equation.target]
        if not own.dtype.startswith("float") or part.kind.startswith("arg"):
            return part
        used = free_indices(part)
        indices = tuple(b for b in equation.indices if b.index in used)
        name = fresh_name(f"{own.name}.outside{len(self.equations) or ''}", self.known)
        self.known[name] = Tensor(name, tuple(b.extent for b in indices), own.dtype)
        self.tensors.append(self.known[name])
        places = tuple(b.index for b in indices)
        origin = f"outside the recurrence of {own.name}"
        self.equations.append(Equation(name, places, indices, part, origin=origin))
        return Element(name, places)
