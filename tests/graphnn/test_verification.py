"""check_gradients: right gradients are proved, wrong ones are caught and shown."""

import numpy as np
import pytest

from graphnn.catalogue import CATALOGUE
from graphnn.functions import sum
from graphnn.graph.node import Constant, Input, Parameter
from graphnn.graph.operation import Operation, op
from graphnn.verification import check_gradients
from graphnn.verification.check import check_operation


def applied(operation: Operation, shapes, domains):
    """An application of a catalogue operation on parameters of these shapes."""
    nodes = {}
    for k, (name, shape) in enumerate(shapes.items()):
        if isinstance(domains.get(name), int):
            values = np.arange(np.prod(shape, dtype=int)).reshape(shape) % domains[name]
            nodes[name] = Constant(values.astype("int32"))
        else:
            values = 0.2 + np.random.default_rng(k).random(shape)
            nodes[name] = Parameter(values, name)
    results = operation(**nodes)
    return results if isinstance(results, tuple) else (results,)


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_gradient_of_the_catalogue_is_right(name):
    """Derived gradient = central difference in 50 digits, and proved symbolically."""
    entry = CATALOGUE[name]
    for operation in entry.operations():
        for shapes in entry.samples:
            results = applied(operation, shapes, entry.domains)
            application = results[0].application
            smooth = [k for k, n in application.operands.items() if n.dtype == "float64"]
            targets = tuple(r.target for r in results if r.dtype == "float64")
            for verdict in check_operation(application, targets, smooth if targets else []):
                assert verdict.ok, verdict
                assert verdict.symbolic == "proved", verdict


def test_a_users_operation_is_verified_too():
    """One line that the catalogue does not have."""
    x = Input((None, 3))
    a = Parameter(np.ones((3, 3)), "a")
    custom = op("y[n, i] = sum[j](A[i, j] * x[n, j]**2) / (1 + abs(x[n, i]))")
    report = check_gradients(sum(custom(a, Input((None, 3), dtype="float64"))))
    assert report.ok and x.shape == (None, 3)


def test_a_wrong_law_is_caught(monkeypatch):
    """Planted: what comes back through a formula is doubled. The report names node, index, both values and formula."""
    from graphnn.calculus import formulas

    right = formulas.gradient_formula

    def wrong(formula, outputs, attributes):
        derived = right(formula, outputs, attributes)
        return formulas.Derived(_doubled(derived.formula), derived.targets, derived.seeds)

    monkeypatch.setattr("graphnn.gradients.gradient_formula", wrong)
    w = Parameter(np.array([0.3, -0.7]), "w")
    square = op("y[i] = x[i]**2*(1 - x[i])", "humped")
    report = check_gradients(sum(square(w)))
    assert not report.ok
    verdict = next(v for v in report.verdicts if v.node.startswith("humped"))
    assert verdict.symbolic == "differs" and verdict.error > 0.2
    assert verdict.derived == pytest.approx(2 * verdict.expected)
    assert (
        "at x[" in str(verdict) and "formula" in str(verdict) and "y[i] = x[i]**2" in str(verdict)
    )
    with pytest.raises(AssertionError, match="derived gradients are wrong"):
        report.assert_ok()


def _doubled(formula):
    from dataclasses import replace

    lines = tuple(replace(line, value=2 * line.value) for line in formula.lines)
    return replace(formula, lines=lines)


def test_a_wrong_sum_of_gradients_is_caught(monkeypatch):
    """Planted: where several gradients meet only one arrives. The check of the whole graph sees it."""
    monkeypatch.setattr("graphnn.gradients._total", lambda node, parts: parts[0])
    w = Parameter(np.array([0.3, -0.7]), "w")
    report = check_gradients(sum(w * w + w))
    assert not report.ok
    assert [v.operand for v in report.verdicts if not v.ok] == ["w"]
