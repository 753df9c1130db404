"""Are the derived gradients right? A report with a symbolic and a numeric verdict for each.

For every operation of a graph, at small sizes:
    symbolic   formula and derived gradient are written out in scalars; sympy differentiates the scalar and the
               difference must vanish identically ("proved", on the region of the sample point)
    numeric    central differences of the formula in 50-digit arithmetic
For every parameter, on the whole graph: the derivative in one direction against central differences, which shows that
the gradients were also put together right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from compiler.language.expression import Symbol
from compiler.machine.program import limits
from compiler.reference.interpret import evaluate as interpret

from ..gradients import compute_gradients, derived_formulas
from ..graph.application import Application
from ..graph.graph import Graph
from ..graph.lower import Lowered, lower
from ..graph.node import Constant, Input, Node, Parameter
from ..notation import Formula
from .report import GradientReport, Verdict
from .samples import Sample, sample, weyl
from .trial import Trial, Written

__all__ = ["check_gradients", "check_operation"]

STEP = 1e-6
TOLERANCE = 1e-5


def check_gradients(loss: Node, wrt: Iterable[Node] | None = None) -> GradientReport:
    """Check every gradient that `compute_gradients` would use for ``loss``. Raises nothing about wrong gradients.

    >>> x = Input((None, 3)); w = Parameter(np.ones(3, "float32"), "w")
    >>> from graphnn.functions import mean
    >>> check_gradients(mean((x * w) ** 2)).ok
    True
    """
    graph = Graph([loss], training=True)
    gradients = compute_gradients(loss, wrt)
    verdicts: list[Verdict] = []
    seen: set[tuple[str, tuple[str, ...], tuple[str, ...]]] = set()
    for application in graph.applications:
        targets = tuple(t for t, r in application.results.items() if r in graph.symbols)
        operands = [k for k, n in application.operands.items() if n.dtype.startswith("float")]
        key = (application.formula.text, targets, tuple(map(str, application.attributes.items())))
        if key not in seen and operands:
            seen.add(key)
            verdicts += check_operation(application, targets, operands)
    whole = _Whole(loss, gradients)
    verdicts += [whole.verdict(node) for node in gradients if isinstance(node, (Parameter, Input))]
    return GradientReport(tuple(verdicts))


def check_operation(
    application: Application, targets: tuple[str, ...], operands: list[str]
) -> list[Verdict]:
    """The verdicts on one application's formula, operand by operand."""
    verdicts = []
    known: dict[Formula, tuple[Sample, dict[tuple[str, ...], Written]]] = {}
    for operand in operands:
        formula, derived, needed = derived_formulas(application, targets, [operand])
        if operand not in derived.targets:
            continue
        integers = {k for k, n in application.operands.items() if not n.dtype.startswith("float")}
        if formula not in known:
            known[formula] = _tried(formula, integers), {}
        small, written = known[formula]
        gradient = replace(derived, formula=needed)
        trial = Trial(formula, gradient, small, application.name, application.attributes, written)
        verdicts.append(trial.verdict(operand))
    return verdicts


def _tried(formula: Formula, integers: set[str]) -> Sample:
    """Positive values where the formula needs them (logarithms, roots, real powers), else of both signs."""
    needs = any(f"{word}(" in formula.text for word in ("log", "sqrt")) or "**" in formula.text
    return sample(formula, integers, positive=needs)


class _Whole:
    """The loss and all its gradients as one system, at a small batch, in float64."""

    def __init__(self, loss: Node, gradients: Mapping[Node, Node]) -> None:
        self.loss, self.gradients = loss, gradients
        wanted = [loss, *gradients.values()]
        graph = Graph(wanted, training=True)
        sizes = {n: 2 for node in graph.inputs for n in node.dims if isinstance(n, Symbol)}
        computed = [node for node in wanted if not isinstance(node, Constant)]
        self.lowered = _in_float64(lower(computed, sizes=sizes, training=True))
        self.arrays = self.values()
        self.found = interpret(self.lowered.system, self.arrays)

    def values(self) -> dict[str, np.ndarray]:
        """Parameters as they are but for a little, so that no kink is met; inputs without ties; labels in range."""
        system = self.lowered.system
        tops = {limit.input: limit.size for limit in reversed(limits(system))}
        arrays: dict[str, np.ndarray] = {}
        for k, (name, node) in enumerate(self.lowered.leaves.items()):
            tensor = system.by_name[name]
            noise = weyl(tensor.shape, k)
            if tensor.dtype.startswith("float"):
                moved = node.value + 0.01 * noise if isinstance(node, Parameter) else noise
                value = node.value if isinstance(node, Constant) else moved
            else:
                whole = np.floor((noise + 1) / 2 * tops.get(name, 2))
                value = node.value if isinstance(node, (Parameter, Constant)) else whole
            arrays[name] = np.asarray(value, dtype=tensor.dtype)
        return arrays

    def verdict(self, node: Node) -> Verdict:
        """The derivative along one direction of ``node``."""
        gradient = self.gradients[node]
        name = self.lowered.names.get(node)
        derived = expected = scale = 0.0
        if name in self.arrays and not isinstance(gradient, Constant):
            slope = self.found[self.lowered.names[gradient]]
            direction = weyl(slope.shape, 5)
            derived = float(np.sum(slope * direction))
            scale = float(np.sum(np.abs(slope * direction)))
            ahead, behind = (self.moved(name, sign * STEP * direction) for sign in (1, -1))
            expected = float((ahead - behind) / (2 * STEP))
        noise = float(abs(self.found[self.lowered.names[self.loss]])) * 2.0**-50 / STEP
        error = abs(derived - expected) / max(scale, abs(expected), noise / TOLERANCE, 1e-300)
        formula = f"the whole graph of {self.loss.name}"
        ok = error <= TOLERANCE
        return Verdict(
            self.loss.name, node.name, formula, gradient.name, "-", error, (), derived, expected, ok
        )

    def moved(self, name: str, change: np.ndarray) -> np.ndarray:
        arrays = {**self.arrays, name: self.arrays[name] + change}
        return interpret(self.lowered.system, arrays)[self.lowered.names[self.loss]]


def _in_float64(lowered: Lowered) -> Lowered:
    system = lowered.system
    tensors = (replace(t, dtype="float64") if t.dtype == "float32" else t for t in system.tensors)
    return replace(lowered, system=replace(system, tensors=tuple(tensors)))
