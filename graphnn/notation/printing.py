"""Resolved formulas back as text: what `parse` and `symbolic` read as the same formula again."""

from __future__ import annotations

from compiler.text import equation_text, expression_text

from .formula import Fact, Resolved

__all__ = ["resolved_text"]


def resolved_text(resolved: Resolved) -> str:
    """One line per equation, then the facts."""
    lines = [equation_text(equation, resolved.shapes) for equation in resolved.equations]
    return "\n".join([*lines, *(_fact_text(fact, resolved) for fact in resolved.facts)])


def _fact_text(fact: Fact, resolved: Resolved) -> str:
    left, right = (expression_text(side, resolved.shapes) for side in (fact.left, fact.right))
    return f"assert {left} == {right}"
