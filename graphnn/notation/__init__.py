"""The notation: text of index formulas, read into trees, given ranges, printed back."""

from .expand import broadcasts, expand, is_generic, reads_bundle
from .formula import Fact, Formula, Line, Resolved
from .parse import parse
from .printing import resolved_text
from .resolve import resolve, symbolic
from .select import select

__all__ = [
    "Fact",
    "Formula",
    "Line",
    "Resolved",
    "broadcasts",
    "expand",
    "is_generic",
    "parse",
    "reads_bundle",
    "resolve",
    "resolved_text",
    "select",
    "symbolic",
]
