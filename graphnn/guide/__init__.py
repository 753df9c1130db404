"""The guide: a site of static pages, one entry for each concept, made from the catalogue and from real runs.

    entry      an entry is a function: its docstring is the text, its body the code that is shown and run
    code       source and results of such a function
    facts      what follows from the node it returns: formulas, gradients with their steps, shapes, picture
    plots      curves and bars as SVG
    chapters/  the entries
    laws       the laws that derivations name
    build      entries to pages

Nothing on a page is copied from anywhere: formulas are those that are compiled, gradients those that are
derived, numbers those that a run has given.
"""

from .build import build

__all__ = ["build"]
