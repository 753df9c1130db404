"""Rectangles, Bézier curves, and room for a label beside a curve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Point", "Rectangle", "Size", "across", "around", "beside", "straight", "strays"]

Point = tuple[float, float]
Size = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Corners of a rectangle; y points down."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def centre(self) -> Point:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def meets(self, other: Rectangle) -> bool:
        """Do they have more than an edge in common?"""
        return (
            min(self.right, other.right) - max(self.left, other.left) > 0.5
            and min(self.bottom, other.bottom) - max(self.top, other.top) > 0.5
        )


def around(centre: Point, size: Size) -> Rectangle:
    x, y = centre
    return Rectangle(x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2)


def straight(source: Rectangle, target: Rectangle) -> tuple[Point, ...]:
    """The straight curve between two rectangles, from edge to edge."""
    start, end = _edge(source, target.centre), _edge(target, source.centre)
    thirds = [
        (start[0] + (end[0] - start[0]) * t, start[1] + (end[1] - start[1]) * t)
        for t in (1 / 3, 2 / 3)
    ]
    return (start, *thirds, end)


def across(source: Rectangle, target: Rectangle) -> tuple[Point, ...]:
    """The curve between facing sides of two rectangles, level at both ends."""
    is_right = target.centre[0] > source.centre[0]
    x, y = source.right if is_right else source.left, source.centre[1]
    to, down = target.left if is_right else target.right, target.centre[1]
    middle = (x + to) / 2
    return (x, y), (middle, y), (middle, down), (to, down)


def strays(curve: Sequence[Point], source: Rectangle, target: Rectangle, far: float) -> bool:
    """Does a curve reach farther than ``far`` to the left or right of both rectangles?"""
    left, right = min(source.left, target.left) - far, max(source.right, target.right) + far
    return any(not left <= x <= right for x, _ in curve)


def _edge(area: Rectangle, towards: Point) -> Point:
    """Where the line from the centre to a point outside leaves the rectangle."""
    x, y = area.centre
    dx, dy = towards[0] - x, towards[1] - y
    steps = [area.width / 2 / abs(dx)] if dx else []
    steps += [area.height / 2 / abs(dy)] if dy else []
    step = min(1.0, *steps) if steps else 0.0
    return x + dx * step, y + dy * step


def beside(curve: Sequence[Point], size: Size, taken: Sequence[Rectangle]) -> Rectangle | None:
    """A place near the middle of the curve that meets nothing taken, neither left of 0 nor above, if there is one."""
    for place in _places(curve, size):
        is_inside = place.left >= 0 and place.top >= 0
        if is_inside and not any(place.meets(other) for other in taken):
            return place
    return None


def _places(curve: Sequence[Point], size: Size) -> Iterator[Rectangle]:
    """From the middle of the curve outwards, on either side of it."""
    for share in (0.5, 0.6, 0.4, 0.7, 0.3, 0.8, 0.2, 0.9, 0.1):
        x, y = _point(curve, share)
        for right, below in _sides(_point(curve, share - 0.05), _point(curve, share + 0.05)):
            yield around((x + right * (size[0] / 2 + 1), y + below * (size[1] / 2 + 1)), size)


def _sides(before: Point, after: Point) -> tuple[Point, Point]:
    """The two directions in which a label keeps clear of a line through two points."""
    dx, dy = after[0] - before[0], after[1] - before[1]
    if abs(dy) < 0.1 * abs(dx):
        return (0, -1), (0, 1)
    if abs(dx) < 0.1 * abs(dy):
        return (1, 0), (-1, 0)
    return ((1, -1), (-1, 1)) if dx * dy > 0 else ((1, 1), (-1, -1))


def _point(curve: Sequence[Point], share: float) -> Point:
    """The point after this share of a curve of cubic pieces."""
    pieces = (len(curve) - 1) // 3
    piece = min(int(share * pieces), pieces - 1)
    t = share * pieces - piece
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
    corners = list(zip(weights, curve[3 * piece : 3 * piece + 4], strict=True))
    return sum(w * x for w, (x, _) in corners), sum(w * y for w, (_, y) in corners)
