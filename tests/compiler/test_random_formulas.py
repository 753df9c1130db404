"""Random formulas of one element, rich in what has a stable form: whatever fires, the value is the same."""

from __future__ import annotations

from random import Random

import numpy as np

import compiler
from compiler import System, stabilize
from compiler.language.expression import Call, Expr, expr

from .build import element, equation, tensor

SHARES = ("tanh", "sigmoid", "erf")
PLACES = 7
X, Z = element("x", "i"), element("z", "i")


def _formula(random: Random, depth: int, leaves: list[Expr]) -> Expr:
    """Sums, products and shares of a few leaves, which come again and again."""
    if depth == 0 or random.random() < 0.1:
        return random.choice(leaves)
    u, v = (_formula(random, depth - 1, leaves) for _ in range(2))
    share, power = Call(random.choice(SHARES), (u,)), Call("exp", (u,))
    inverse = Call("exp", (-u,))
    forms = (u + v, u - v, u * v, -u, u / 2, u**2, share, share * v, 1 - share, v + v * share)
    quotients = (v / (1 + power), (power - inverse) / (power + inverse), power - 1, power - inverse)
    return random.choice((*forms, *quotients))


def test_stable_forms_of_random_formulas_have_their_values() -> None:
    """In double precision, where both have all digits that count."""
    tensors = [tensor(name, PLACES, dtype="float64") for name in "xz"]
    tensors.append(tensor("y", PLACES, role="output", dtype="float64"))
    fired = 0
    for seed in range(150):
        random, generator = Random(seed), np.random.default_rng(seed)
        leaves = [X, X, Z, expr(1), expr(1), expr(2)]
        leaves.append(_formula(random, 2, leaves))
        value = _formula(random, 3, leaves)
        before = System(tuple(tensors), (equation(element("y", "i"), value, i=PLACES),))
        after = stabilize(before)
        arrays = {name: generator.uniform(-1.5, 1.5, PLACES) for name in "xz"}
        with np.errstate(all="ignore"):
            expected, found = (compiler.evaluate(each, arrays)["y"] for each in (before, after))
        largest = np.abs(expected).max()
        if largest < 1e6:
            tolerance = 1e-9 * max(1, largest)
            np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance, err_msg=str(value))
            fired += after.equations != before.equations
    assert fired > 40
