"""Application: one use of an operation in a graph; its targets are the graph's computed nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from compiler.language.expression import Expr
from compiler.language.system import Equation
from compiler.language.text import equation_text

from ..notation import Formula, Resolved
from ..notation.latex import equation_latex
from .equations import named_equations, needed_equations
from .node import Node, identifier
from .surroundings import current_role

if TYPE_CHECKING:
    from .operation import Operation

__all__ = ["Application", "Result", "ShownFormula"]


@dataclass(eq=False, frozen=True)
class Application:
    """One use of an operation. ``formula`` is what stands there after broadcasting, ``resolved``
    its equations with sizes; ``role`` its part in a training step; ``differentiates`` the
    application it is the gradient of; ``results`` holds the node of each target that was asked
    for."""

    operation: Operation
    operands: Mapping[str, Node]
    formula: Formula
    resolved: Resolved
    dtypes: Mapping[str, str]
    name: str
    scope: tuple[str, ...]
    role: str = field(default_factory=current_role)
    differentiates: Application | None = None
    results: dict[str, Result] = field(default_factory=dict)

    def result(self, target: str) -> Result:
        """The node of one target, outputs and intermediate results alike."""
        if target not in self.results:
            self.results[target] = Result(self, target)
        return self.results[target]

    @property
    def attributes(self) -> Mapping[str, Fraction]:
        return self.operation.attributes


class Result(Node):
    """One target of an application."""

    def __init__(self, application: Application, target: str) -> None:
        outputs = application.formula.outputs
        name = application.name if outputs == (target,) else f"{application.name}.{target}"
        dims = application.resolved.shapes[target]
        super().__init__(name, dims, application.dtypes[target], application.scope)
        self.application = application
        self.target = target

    @property
    def inputs(self) -> tuple[Node, ...]:
        return tuple(self.application.operands.values())

    @property
    def formula(self) -> ShownFormula:
        """The equations of this node, in the names of the nodes it is computed from."""
        application = self.application
        names = {k: identifier(node.name) for k, node in application.operands.items()}
        for target in application.resolved.shapes:
            names.setdefault(target, identifier(self.name) if target == self.target else target)
        shapes = {names[t]: shape for t, shape in application.resolved.shapes.items()}
        equations = named_equations(application, names)
        return ShownFormula(tuple(needed_equations(equations, [names[self.target]])), shapes)

    def __str__(self) -> str:
        return str(self.formula)


@dataclass(frozen=True, slots=True)
class ShownFormula:
    """Equations to look at: text when printed, ``latex`` for typesetting, typeset by itself in
    Jupyter.
    """

    equations: tuple[Equation, ...]
    shapes: Mapping[str, tuple[Expr, ...]]

    @property
    def latex(self) -> str:
        lines = [equation_latex(e) for e in self.equations]
        if len(lines) == 1:
            return lines[0]
        return r"\begin{aligned}" + r" \\ ".join(lines) + r"\end{aligned}"

    def __str__(self) -> str:
        return "\n".join(equation_text(e, self.shapes) for e in self.equations)

    def _repr_latex_(self) -> str:
        return f"${self.latex}$"
