"""Outside: what a recurrence does not need from itself is computed before its loop, for all turns at once.

Before:   z[n, t, k] = sum[i](x[n, t, i]*W[i, k]) + sum[j](h[n, t - 1, j]*U[j, k]);    h[n, t, k] = tanh(z[n, t, k])
After:    z.outside[n, t, k] = sum[i](x[n, t, i]*W[i, k])
          z[n, t, k] = z.outside[n, t, k] + sum[j](h[n, t - 1, j]*U[j, k]);    h[n, t, k] = tanh(z[n, t, k])

One large product is faster than many small ones. Declines for what has no reduction: it would only cost memory.
"""

from __future__ import annotations

from ..language.expression import Element, Expr, Reduce, elements, free_indices, rebuild, reduces
from ..language.system import Equation, System
from .additions import Additions
from .order import cycles

__all__ = ["outside"]


def outside(system: System) -> System:
    """The system with equations of their own for such parts."""
    added = Additions(system)
    inside = {id(e): {o.target for o in cycle} for cycle in cycles(system) for e in cycle}
    equations = [
        _split(e, inside[id(e)], added) if id(e) in inside else e for e in system.equations
    ]
    return added.to(system, equations)


def _split(equation: Equation, cycle: set[str], added: Additions) -> Equation:
    """An equation of a cycle, its free reductions read from elsewhere."""

    def visit(e: Expr) -> Expr:
        if not reduces(e):
            return e
        if not isinstance(e, Reduce):
            return rebuild(e, visit)
        if any(read.tensor in cycle for read in elements(e)):
            return e
        return _read(e, equation, added)

    return equation.valued(visit(equation.value))


def _read(part: Reduce, equation: Equation, added: Additions) -> Expr:
    """An element of a new tensor that holds ``part`` for all values of its indices."""
    target = equation.target
    if not added.known[target].dtype.startswith("float") or part.kind.startswith("arg"):
        return part
    used = free_indices(part)
    indices = tuple(b for b in equation.indices if b.index in used)
    shape = [b.extent for b in indices]
    name = added.tensor(target, f"outside{len(added.equations) or ''}", shape)
    places = tuple(b.index for b in indices)
    origin = f"outside the recurrence of {target}"
    added.equations.append(Equation(name, places, indices, part, origin=origin))
    return Element(name, places)
