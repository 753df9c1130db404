"""A gradient's derivation, step by step, each step with the names of its laws.

y[...] = 1/(1 + exp(-x[...]))                       formula
∂y/∂x[...] = exp(-x[...])/(1 + exp(-x[...]))**2     differentiate
∂y/∂x[...] = y[...]*(1 - y[...])                    through the output
d_x[...] = g_y[...]*y[...]*(1 - y[...])             result
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from compiler.language.expression import Element, Expr
from compiler.language.system import Equation
from compiler.language.text import equation_text

from ..errors import GraphnnError
from ..notation.formula import Line, Resolved
from ..notation.latex import expression_latex
from ..notation.letters import name_latex
from .derive import derive
from .naming import gradient_name, readable
from .steps import Step, Steps

__all__ = ["Derivation", "derivation", "sides"]


@dataclass(frozen=True)
class Derivation:
    """The steps from a formula to its gradients; prints, and shows itself as LaTeX."""

    steps: tuple[Step, ...]
    shapes: Mapping[str, tuple[Expr, ...]]

    def __str__(self) -> str:
        rows = [(equation_text(s.equation, self.shapes), ", ".join(s.laws)) for s in self.steps]
        width = max((len(text) for text, _ in rows if len(text) <= 80), default=0)
        return "\n".join(f"{text.ljust(width)}    {laws}" for text, laws in rows)

    @property
    def latex(self) -> str:
        """The steps below each other, the laws at the right of each."""
        rows = []
        for step in self.steps:
            left, sign, right = sides(step.equation)
            rows.append(f"{left} &{sign} {right} && \\text{{{', '.join(step.laws)}}}")
        return r"\begin{aligned} " + r" \\ ".join(rows) + r" \end{aligned}"

    def _repr_latex_(self) -> str:
        return f"$${self.latex}$$"


def derivation(resolved: Resolved, wrt: Collection[str] | None = None) -> Derivation:
    """How the gradients by the operands in ``wrt`` (by default all real ones) come about.

    Raises `GraphnnError` for an operand that has no gradient.
    """
    steps = Steps()
    result = derive(resolved, wrt, steps)
    for operand in wrt or ():
        if gradient_name(resolved, operand) not in result.outputs:
            raise GraphnnError(
                f"{operand} is no operand with a gradient; those are: {', '.join(resolved.operands)}"
            )
    shapes = {**resolved.shapes, **result.shapes}
    equations = readable((s.equation for s in steps.recorded), resolved, shapes)
    told = [Step(("formula",), e) for e in resolved.equations]
    told += [Step(s.laws, e) for s, e in zip(steps.recorded, equations, strict=True)]
    told += [Step(("result",), e) for e in result.equations]
    return Derivation(tuple(told), shapes)


def sides(e: Equation | Line) -> tuple[str, str, str]:
    """An equation of a derivation as LaTeX: what it gives, the sign, the value."""
    sign = r"\mathrel{+}=" if e.accumulate else "="
    if e.target.startswith("∂"):
        above, below = e.target.replace("∂", "").split("/")
        element = expression_latex(Element(below, e.subscripts))
        left = rf"\frac{{\partial {name_latex(above)}}}{{\partial {element}}}"
    else:
        left = expression_latex(Element(e.target, e.subscripts))
    return left, sign, expression_latex(e.value)
