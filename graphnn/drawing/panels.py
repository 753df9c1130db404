"""What stands inside a box, and how large the box must be for it.

title (bold)                 subtitle
          formula
          formula
"""

from __future__ import annotations

from dataclasses import dataclass

from .picture import Box
from .style import Measures
from .typeset import Ink, formula, text

__all__ = ["Panel", "panel"]


@dataclass(frozen=True, slots=True)
class Panel:
    """Ink of a box, and for each the place of its origin, seen from the box's top left corner."""

    width: float
    height: float
    title: tuple[Ink, float, float]
    subtitle: tuple[Ink, float, float]
    formulas: tuple[tuple[Ink, float, float], ...]


def panel(box: Box, formulas: bool = True) -> Panel:
    """Measure a box and arrange what it holds."""
    measures = Measures()
    title = text(box.title, measures.title, bold=True)
    subtitle = text(box.subtitle, measures.subtitle)
    lines = [formula(latex, measures.formula) for latex in box.formulas if formulas]
    blank = measures.gap * 1.6 if title.width and subtitle.width else 0.0
    inner = max([title.width + blank + subtitle.width, *(ink.width for ink in lines)])
    width = inner + 2 * measures.inset
    y = measures.inset - 1 + title.ascent
    # Two words spread apart over formulas; alone they stand in the middle together.
    spare = 0.0 if lines else (inner - title.width - blank - subtitle.width) / 2
    heading = (title, measures.inset + spare, y)
    note = (subtitle, width - measures.inset - spare - subtitle.width, y)
    y += title.descent
    placed = []
    for ink in lines:
        y += measures.gap + ink.ascent
        placed.append((ink, (width - ink.width) / 2, y))
        y += ink.descent
    return Panel(width, y + measures.inset - 2, heading, note, tuple(placed))
