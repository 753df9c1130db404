"""Pictures of graphs with typeset formulas: say what is to be seen, get SVG, PNG, PDF, HTML.

    picture    boxes, arrows, pairs: what to show            collapse   layers as single boxes
    style      colours and measures                          typeset    text and formulas as ink
    panels     what stands in a box, its size                layout     places, found by Graphviz
    geometry   rectangles, curves, room for labels          svg        all of it as one document
    legend     what colours and signs mean                   export     PNG, PDF, HTML, DOT
    drawing    the object a user holds

Graphs of operations come in at one place, ``adapter``; all else knows boxes and arrows only.
"""

from .drawing import Drawing
from .picture import ARROW_KINDS, BOX_KINDS, Arrow, Box, Picture

__all__ = ["ARROW_KINDS", "BOX_KINDS", "Arrow", "Box", "Drawing", "Picture"]
