"""What follows from a node: the formulas behind it, their gradients with the steps, the shapes, the picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from compiler.language.expression import Number
from compiler.language.text import decimal

from ..calculus.derivation import Derivation, sides
from ..calculus.formulas import gradient_formula
from ..catalogue import CATALOGUE
from ..drawing.adapter import picture
from ..drawing.draw import draw
from ..drawing.drawing import Drawing
from ..gradients import derivation
from ..graph.application import Application, Result
from ..graph.graph import Graph
from ..graph.node import Constant, Node, Parameter
from ..graph.operation import Operation
from ..graph.updates import Updates
from ..model import Model
from ..notation import symbolic
from .entry import Subject

__all__ = [
    "Equation",
    "Formula",
    "Row",
    "Step",
    "applications",
    "drawing",
    "formula",
    "graph",
    "result",
    "told",
]

Equation = tuple[str, str, str]  # left side, sign and right side as LaTeX
_TOLD = ("formula", "result")  # what a derivation begins and ends with
_COPIES = ("cast", "identity")


@dataclass(frozen=True, slots=True)
class Step:
    equation: Equation
    laws: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table of shapes: the name in the formula, the node it is here, its type."""

    name: str
    node: str
    role: str
    type: str
    elements: str


@dataclass(frozen=True, slots=True)
class Formula:
    """One operation: its text, which is what is compiled, and what is derived from it."""

    name: str
    text: str
    numbers: str
    source: str
    equations: tuple[Equation, ...]
    gradient: tuple[Equation, ...] = ()
    steps: tuple[Step, ...] = ()
    rows: tuple[Row, ...] = ()


def graph(subject: Subject, training: bool = True) -> Graph:
    """Everything that the subject is made of."""
    match subject:
        case Model():
            return Graph(subject.outputs, training)
        case Updates():
            return Graph(subject.new_values.values(), training)
        case Node():
            return Graph([subject], training)
    return Graph([], training)


def applications(subject: Subject) -> list[Application]:
    """One use of each formula that the subject is made of, in training, in inference, and between two steps.

    Of updates, what makes them from gradients. Models have too many: their equations are shown as a whole.
    """
    if isinstance(subject, Model):
        return []
    training, inference = graph(subject), graph(subject, training=False)
    changes = [n.application for n in training.changes.values() if isinstance(n, Result)]
    below = [a.differentiates for a in training.applications if isinstance(subject, Updates)]
    found: dict[str, Application] = {}
    for application in (*training.applications, *inference.applications, *changes):
        is_plumbing = application.role == "gradient" or application.operation.name in _COPIES
        if not is_plumbing and application not in below:
            found.setdefault(application.operation.formula.text, application)
    order = list(found.values())
    return order[::-1] if isinstance(subject, Updates) else order


def told(application: Application, subject: Subject) -> Formula:
    """An operation with everything that follows from it."""
    derived = None if isinstance(subject, Updates) else derivation(application.operation)
    return formula(application.operation, derived, tuple(_rows(graph(subject), application)))


def formula(
    operation: Operation,
    derived: Derivation | None = None,
    rows: tuple[Row, ...] = (),
    gradient: tuple[Equation, ...] = (),
) -> Formula:
    """An operation with its ``gradient``, or with the one that ``derived`` ends with and the steps to it."""
    known = CATALOGUE.get(operation.name)
    steps = [Step(sides(s.equation), s.laws) for s in derived.steps] if derived else []
    return Formula(
        operation.name,
        operation.formula.text,
        numbers(operation.attributes),
        known.source if known else "",
        tuple(sides(e) for e in symbolic(operation.formula).equations),
        gradient or tuple(s.equation for s in steps if s.laws == ("result",)),
        tuple(s for s in steps if s.laws[0] not in _TOLD),
        rows,
    )


def result(operation: Operation) -> tuple[Equation, ...]:
    """The gradients of an operation as the graph uses them, without steps; none where nothing is real."""
    outputs = operation.formula.outputs
    derived = gradient_formula(operation.formula, outputs, operation.attributes)
    return tuple(sides(line) for line in derived.formula.lines if derived.targets)


def numbers(attributes: Mapping[str, Fraction]) -> str:
    """``s0 = 1, s1 = 1``."""
    return ", ".join(f"{name} = {decimal(value)}" for name, value in attributes.items())


def _rows(whole: Graph, application: Application) -> Iterable[Row]:
    for operand, given in application.operands.items():
        node = whole.chosen(given)
        if not (isinstance(node, Constant) and node.is_number):
            yield _row(operand, node, "given")
    for target in application.formula.outputs:
        yield _row(target, application.result(target), "result")


def _row(name: str, node: Node, role: str) -> Row:
    sizes = [n.value for n in node.dims if isinstance(n, Number)]
    total = 1
    for size in sizes:
        total *= int(size)
    if isinstance(node, Parameter):
        role = "learnt" if node.trainable else "kept"
    known = len(sizes) == len(node.dims)
    return Row(name, node.name, role, node.type, f"{total:,}" if known else "")


def drawing(subject: Subject) -> Drawing | None:
    """A picture of the subject, as it is in training; of a model each layer is one box."""
    if isinstance(subject, Updates):
        return draw(subject)
    if isinstance(subject, (Node, Model)):
        depth = 0 if isinstance(subject, Model) else None
        return Drawing(picture(graph(subject), subject.name), depth=depth)
    return None
