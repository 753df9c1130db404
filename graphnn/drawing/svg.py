"""A picture as SVG: sizes first, places then, ink last.

Only elements that every viewer and converter knows: paths, rectangles, groups, uses; all colours as attributes, no
style sheet, no font, no script. Equal pictures give equal bytes. Ids begin with a digest of the picture, so that
many pictures can stand in one page.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from .geometry import Point, Rectangle
from .layout import Frame, Layout, Place, Route, columns_of, place
from .legend import Legend, legend
from .panels import Panel, panel
from .picture import Box, Picture
from .style import ARROWS, BOXES, INK, MUTED, PAPER, ArrowStyle, BoxStyle, Measures
from .typeset import Bar, Glyph, Ink, text

__all__ = ["svg"]

_LABEL_PADDING = 5.0


@dataclass(slots=True)
class _Canvas:
    """Lines of SVG, and the outlines that they refer to."""

    prefix: str
    lines: list[str] = field(default_factory=list)
    outlines: dict[str, str] = field(default_factory=dict)

    def add(self, line: str) -> None:
        self.lines.append(line)

    def ink(self, ink: Ink, x: float, y: float, colour: str = INK) -> None:
        if not ink.marks:
            return
        marks = "".join(map(self._mark, ink.marks))
        self.add(f'<g transform="translate({_n(x)} {_n(y)})" fill="{colour}">{marks}</g>')

    def _mark(self, mark: Glyph | Bar) -> str:
        match mark:
            case Bar(x, y, width, height):
                return f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"/>'
            case Glyph(outline, x, y, scale):
                name = self.outlines.setdefault(outline, f"{self.prefix}-{len(self.outlines)}")
                where = f"translate({_n(x)} {_n(y)}) scale({scale:.4f})"
                return f'<use href="#{name}" transform="{where}"/>'


def svg(picture: Picture, formulas: bool = True) -> str:
    """The whole picture as one SVG document."""
    measures = Measures()
    panels = tuple(panel(box, formulas) for box in picture.boxes)
    labels = tuple(text(arrow.label, measures.label) for arrow in picture.arrows)
    names = {frame: text(frame[1][-1], measures.title) for frame in _frames(picture)}
    layout = place(
        picture,
        tuple((p.width, p.height) for p in panels),
        tuple(_label_size(ink) for ink in labels),
        {frame: (ink.width + 4, ink.height + 2) for frame, ink in names.items()},
    )
    title = text(picture.title, measures.heading, bold=True)
    key = legend(picture, formulas, max(layout.width, 420))
    top = measures.margin + (title.height + measures.margin * 0.8 if title.width else 0)
    width = max(layout.width, key.width, title.width) + 2 * measures.margin
    height = (
        top
        + layout.height
        + measures.margin
        + (key.height + measures.margin * 0.8 if key.rows else 0)
    )
    canvas = _Canvas("g" + hashlib.sha256(repr((picture, formulas)).encode()).hexdigest()[:10])
    canvas.ink(title, measures.margin, measures.margin + title.ascent)
    canvas.add(f'<g transform="translate({_n((width - layout.width) / 2)} {_n(top)})">')
    _draw_layout(canvas, picture, layout, panels, labels, names)
    canvas.add("</g>")
    _draw_legend(canvas, key, measures.margin, height - measures.margin - key.height)
    return _document(canvas, picture, width, height)


def _frames(picture: Picture) -> Iterator[Place]:
    """Each frame once, outer ones before those inside them."""
    columns = columns_of(picture)
    yield from dict.fromkeys(
        (columns[box.id], box.cluster[:k])
        for box in picture.boxes
        for k in range(1, len(box.cluster) + 1)
    )


def _label_size(ink: Ink) -> tuple[float, float]:
    return (ink.width + 2 * _LABEL_PADDING, ink.height + 3) if ink.width else (0.0, 0.0)


def _draw_layout(
    canvas: _Canvas,
    picture: Picture,
    layout: Layout,
    panels: tuple[Panel, ...],
    labels: tuple[Ink, ...],
    names: dict[Place, Ink],
) -> None:
    """Frames lie below arrows, arrows below boxes."""
    for frame in layout.frames:
        canvas.add(
            _rectangle(frame.area, 9, f'fill="{_shade(frame)}" stroke="#d5dbe1" stroke-width="0.8"')
        )
    joined = {frozenset((arrow.source, arrow.target)) for arrow in picture.arrows}
    for pair, route in zip(picture.pairs, layout.pairs, strict=True):
        if frozenset(pair) not in joined:
            _draw_route(canvas, route, ARROWS["pair"], has_head=False)
    for arrow, route, ink in zip(picture.arrows, layout.routes, labels, strict=True):
        _draw_route(canvas, route, ARROWS[picture.look(arrow)])
        if route.label:
            x, y = route.label.centre
            canvas.ink(ink, x - ink.width / 2, y + (ink.ascent - ink.descent) / 2, MUTED)
    for frame in layout.frames:
        _draw_name(canvas, frame, names[frame.place])
    for box, area, content in zip(picture.boxes, layout.boxes, panels, strict=True):
        _draw_box(canvas, box, area, content)


def _shade(frame: Frame) -> str:
    return ("#f4f6f8", "#eceff2", "#e4e8ec")[min(len(frame.place[1]), 3) - 1]


def _draw_name(canvas: _Canvas, frame: Frame, name: Ink) -> None:
    """A frame's name, on a ground of its own because arrows may cross it."""
    x, y = frame.area.left + Measures().frame, frame.label.centre[1]
    ground = Rectangle(x - 3, y - name.height / 2, x + name.width + 3, y + name.height / 2)
    canvas.add(_rectangle(ground, 3, f'fill="{_shade(frame)}"'))
    canvas.ink(name, x, y + (name.ascent - name.descent) / 2, MUTED)


def _draw_route(canvas: _Canvas, route: Route, style: ArrowStyle, has_head: bool = True) -> None:
    curve = list(route.curve)
    line = f'stroke="{style.stroke}" stroke-width="{style.width}"'
    if style.dashes:
        line += f' stroke-dasharray="{style.dashes}"'
    if not has_head:
        canvas.add(f'<path d="{_path(curve)}" fill="none" {line}/>')
        return
    size = Measures().arrowhead * (0.8 + 0.2 * style.width)
    tip, back = (
        curve[-1],
        next((p for p in reversed(curve) if math.dist(p, curve[-1]) > 0.1), curve[0]),
    )
    length = math.dist(tip, back) or 1.0
    dx, dy = (tip[0] - back[0]) / length, (tip[1] - back[1]) / length
    curve[-1] = (tip[0] - dx * size * 0.8, tip[1] - dy * size * 0.8)
    canvas.add(f'<path d="{_path(curve)}" fill="none" {line}/>')
    base, half = (tip[0] - dx * size, tip[1] - dy * size), size * 0.38
    left = (base[0] - dy * half, base[1] + dx * half)
    right = (base[0] + dy * half, base[1] - dx * half)
    corners = " L".join(f"{_n(x)} {_n(y)}" for x, y in (tip, left, right))
    canvas.add(f'<path d="M{corners}Z" fill="{style.stroke}"/>')


def _draw_box(canvas: _Canvas, box: Box, area: Rectangle, content: Panel) -> None:
    style = BOXES[box.kind]
    words = [box.title, box.subtitle, *box.formulas]
    canvas.add(f'<g role="img" aria-label={_attribute(" ; ".join(filter(None, words)))}>')
    if box.tooltip:
        canvas.add(f"<title>{escape(_printable(box.tooltip))}</title>")
    canvas.add(_rectangle(area, style.radius, _outline(style)))
    for ink, x, y in (content.title, *content.formulas):
        canvas.ink(ink, area.left + x, area.top + y)
    ink, x, y = content.subtitle
    canvas.ink(ink, area.left + x, area.top + y, MUTED)
    canvas.add("</g>")


def _draw_legend(canvas: _Canvas, key: Legend, left: float, top: float) -> None:
    for row in key.rows:
        for entry in row.entries:
            x, y = left + entry.x, top + row.y
            area = Rectangle(x, y + 1, x + key.swatch, y + row.height - 1)
            if isinstance(entry.style, BoxStyle):
                canvas.add(_rectangle(area, min(entry.style.radius, 5), _outline(entry.style)))
            elif isinstance(entry.style, ArrowStyle):
                middle = area.centre[1]
                line = ((area.left, middle),) + ((area.right, middle),) * 3
                _draw_route(
                    canvas, Route(line, None), entry.style, entry.style is not ARROWS["pair"]
                )
            for ink, dx in entry.words:
                shift = (text("x", Measures().legend).ascent - 2.3) / 2
                canvas.ink(ink, x + dx, y + row.height / 2 + shift, MUTED)


def _document(canvas: _Canvas, picture: Picture, width: float, height: float) -> str:
    outlines = (f'<path id="{name}" d="{path}"/>' for path, name in canvas.outlines.items())
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}"'
            f' viewBox="0 0 {_n(width)} {_n(height)}" role="img"'
            f" aria-label={_attribute(picture.title or 'graph')}>",
            f"<defs>{''.join(outlines)}</defs>",
            f'<rect width="{_n(width)}" height="{_n(height)}" fill="{PAPER}"/>',
            *canvas.lines,
            "</svg>\n",
        ]
    )


def _outline(style: BoxStyle) -> str:
    dashes = f' stroke-dasharray="{style.dashes}"' if style.dashes else ""
    return f'fill="{style.fill}" stroke="{style.stroke}" stroke-width="{style.width}"{dashes}'


def _rectangle(area: Rectangle, radius: float, look: str) -> str:
    return (
        f'<rect x="{_n(area.left)}" y="{_n(area.top)}" width="{_n(area.width)}"'
        f' height="{_n(area.height)}" rx="{_n(min(radius, area.height / 2))}" {look}/>'
    )


def _path(curve: Iterable[Point]) -> str:
    first, *rest = (f"{_n(x)} {_n(y)}" for x, y in curve)
    return f"M{first}C{' '.join(rest)}"


def _attribute(words: str) -> str:
    return quoteattr(_printable(words))


def _printable(words: str) -> str:
    """Without the characters that XML has no place for."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in words)


def _n(value: float) -> str:
    """Two decimals at most, and no minus zero."""
    return (
        f"{value:.2f}".rstrip("0").rstrip(".").replace("-0", "0")
        if abs(value) < 0.005
        else (f"{value:.2f}".rstrip("0").rstrip("."))
    )
