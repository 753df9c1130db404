"""Formula -> formula of its gradients: what the graph asks the calculus for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from ..notation import Formula, parse, symbolic
from .naming import gradient_name, seed_name
from .ready import gradient_text

__all__ = ["Derived", "gradient_formula"]


@dataclass(frozen=True, slots=True)
class Derived:
    """The gradients of a formula as a formula.

    ``targets`` names the gradient of each real operand, ``seeds`` the output that each arriving gradient belongs to.
    All other operands are tensors of the forward formula.
    """

    formula: Formula
    targets: Mapping[str, str]
    seeds: Mapping[str, str]


def gradient_formula(
    formula: Formula, outputs: tuple[str, ...], attributes: Mapping[str, Fraction]
) -> Derived:
    """The gradients by all real operands of ``formula``, given what arrives at ``outputs``."""
    return _derived(replace(formula, outputs=outputs), tuple(attributes.items()))


@lru_cache(maxsize=4096)
def _derived(formula: Formula, attributes: tuple[tuple[str, Fraction], ...]) -> Derived:
    resolved = symbolic(formula)
    seeds = {seed_name(resolved, output): output for output in resolved.outputs}
    text = gradient_text(resolved)
    if not text:  # no operand is real
        return Derived(Formula("", (), (), (), ()), {}, seeds)
    made = {line.target for line in parse(text, dict(attributes)).lines}
    names = {operand: gradient_name(resolved, operand) for operand in resolved.operands}
    targets = {operand: name for operand, name in names.items() if name in made}
    return Derived(parse(text, dict(attributes), tuple(targets.values())), targets, seeds)
