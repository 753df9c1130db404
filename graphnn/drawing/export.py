"""Other forms of an SVG picture: PNG, PDF, HTML; and the graph alone as DOT."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from re import search, sub

import graphviz

from ..errors import GraphnnError
from .picture import Picture
from .style import ARROWS, BOXES

__all__ = ["dot", "html", "pdf", "png"]

_LARGEST_IMAGE = 32e6  # pixels: more take seconds, and many viewers refuse them


def png(svg: str, zoom: float = 2.0) -> bytes:
    """A bitmap, twice the size of the SVG unless that would be huge."""
    try:
        import resvg_py
    except ImportError as error:
        raise _missing("resvg-py") from error
    width, height = _size(svg)
    zoom = min(zoom, (_LARGEST_IMAGE / (width * height)) ** 0.5)
    made = resvg_py.svg_to_bytes(
        svg_string=svg, width=max(1, round(width * zoom)), skip_system_fonts=True
    )
    return bytes(made)


def pdf(svg: str) -> bytes:
    """One page with the picture as outlines; equal pictures give equal bytes."""
    try:
        import fpdf
        import fpdf.svg
    except ImportError as error:
        raise _missing("fpdf2") from error
    drawing = fpdf.svg.SVGObject(sub(r"<title>[^<]*</title>", "", svg).encode())
    document = fpdf.FPDF(unit="pt", format=_size(svg))
    document.set_creation_date(datetime(2000, 1, 1, tzinfo=UTC))
    document.set_auto_page_break(False)
    document.add_page()
    drawing.draw_to_page(document)
    return bytes(document.output())


def html(svg: str, title: str) -> str:
    """One page that needs nothing else; a short script adds zooming with the wheel and moving."""
    page = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    parts = {"{{title}}": escape(title or "graph"), "{{svg}}": svg}
    return sub("|".join(parts), lambda found: parts[found[0]], page)


def dot(picture: Picture) -> str:
    """Titles and arrows for other tools; texts are quoted, formulas stay out."""
    graph = graphviz.Digraph(node_attr={"shape": "box", "style": "rounded,filled"})
    names = {box.id: f"b{k}" for k, box in enumerate(picture.boxes)}
    for box in picture.boxes:
        style = BOXES[box.kind]
        label = _plain("\n".join(filter(None, (box.title, box.subtitle))))
        graph.node(names[box.id], label, color=style.stroke, fillcolor=style.fill)
    for arrow in picture.arrows:
        colour = ARROWS[arrow.kind].stroke
        graph.edge(names[arrow.source], names[arrow.target], _plain(arrow.label), color=colour)
    return graph.source


def _missing(library: str) -> GraphnnError:
    return GraphnnError(
        f"this format needs {library}: pip install 'graphnn[viz]'; .svg and .html do without"
    )


def _plain(words: str) -> str:
    """Text that DOT shows as it is: neither markup nor escape sequences."""
    shown = "".join(c if c.isprintable() or c == "\n" else " " for c in words)
    quoted: str = graphviz.nohtml(graphviz.escape(shown).replace("\n", r"\n"))
    return quoted


def _size(svg: str) -> tuple[float, float]:
    found = search(r'width="([\d.]+)" height="([\d.]+)"', svg)
    assert found
    return float(found[1]), float(found[2])
