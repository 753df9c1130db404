"""Resolved formulas back as text: what `parse` and `symbolic` read as the same formula again."""

from __future__ import annotations

from collections import Counter

from compiler.language.text import equation_text, expression_text

from .formula import Fact, Resolved

__all__ = ["resolved_text"]


def resolved_text(resolved: Resolved) -> str:
    """One line per equation, then the facts.

    The reader of a line knows the operands and what the lines before it have finished; a size that
    nothing of this says is written out.
    """
    known = set(resolved.operands)
    left = Counter(equation.target for equation in resolved.equations)
    lines = []
    for equation in resolved.equations:
        lines.append(equation_text(equation, resolved.shapes, known))
        left[equation.target] -= 1
        if not left[equation.target]:
            known.add(equation.target)
    return "\n".join([*lines, *(_fact_text(fact, resolved) for fact in resolved.facts)])


def _fact_text(fact: Fact, resolved: Resolved) -> str:
    left, right = (expression_text(side, resolved.shapes) for side in (fact.left, fact.right))
    return f"assert {left} == {right}"
