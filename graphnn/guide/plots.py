"""Curves and bars as SVG: lines and words only, colours left to the page, the same bytes every time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

import numpy as np

__all__ = ["Curve", "Plot", "bars", "svg"]

_WIDTH, _HEIGHT = 520.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 12.0, 34.0, 40.0
_JUMP = 0.25  # of the height between neighbouring points is a jump, not a slope


@dataclass(frozen=True, slots=True)
class Curve:
    """``look`` is a class of the style sheet: value, gradient, other, faint."""

    label: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    look: str = "value"
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves over one another; the ranges are those of the curves unless they are given."""

    title: str
    curves: tuple[Curve, ...]
    x_label: str = "x"
    y_label: str = ""
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class _Frame:
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        right = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return _LEFT + right * wide, _TOP + (1 - up) * high


def svg(plot: Plot) -> str:
    """The plot as one SVG element, to stand in a page."""
    curves = [_logarithms(c) for c in plot.curves] if plot.logarithmic else list(plot.curves)
    frame = _Frame(
        plot.x_range or _range([c.x for c in curves], 0),
        plot.y_range or _range([c.y for c in curves], 0.06),
    )
    parts = [*_axes(frame, plot)]
    for curve in curves:
        parts += _curve(frame, curve)
    return _document(plot.title, [*parts, *_legend(curves, 14 + 8.5 * len(plot.y_label))])


def bars(title: str, groups: Sequence[tuple[str, Sequence[float]]], names: Sequence[str]) -> str:
    """Groups of bars side by side, each bar with its number: what goes in, what comes out."""
    parts = []
    wide = _WIDTH / len(groups)
    for g, (label, values) in enumerate(groups):
        left, scale = g * wide + 26, 150 / max(abs(v) for v in values)
        parts.append(_text(g * wide + wide / 2, 24, label, "legend", "middle"))
        step = (wide - 52) / len(values)
        for k, value in enumerate(values):
            x, high = left + k * step + step * 0.14, abs(value) * scale
            parts.append(
                f'<rect class="bar look-{"value" if g == 0 else "other"}" x="{_n(x)}"'
                f' y="{_n(240 - high)}" width="{_n(step * 0.72)}" height="{_n(high)}" rx="3"/>'
            )
            middle = x + step * 0.36
            parts.append(_text(middle, 232 - high, f"{value:.3g}", "number", "middle"))
            parts.append(_text(middle, 260, names[k], "tick", "middle"))
    return _document(title, parts, 268)


def _document(title: str, parts: Sequence[str], height: float = _HEIGHT) -> str:
    body = "\n".join(parts)
    return (
        f'<svg class="plot" viewBox="0 0 {_n(_WIDTH)} {_n(height)}" role="img"'
        f" aria-label={quoteattr(title)}>\n<title>{escape(title)}</title>\n{body}\n</svg>"
    )


def _logarithms(curve: Curve) -> Curve:
    y = np.log10(np.maximum(np.asarray(curve.y, float), 1e-300))
    return Curve(curve.label, curve.x, y, curve.look, curve.dots)


def _range(values: Sequence[Sequence[float] | np.ndarray], margin: float) -> tuple[float, float]:
    joined = np.concatenate([np.asarray(v, float) for v in values])
    finite = joined[np.isfinite(joined)]
    low, high = float(finite.min()), float(finite.max())
    spare = margin * (high - low or 1.0)
    return low - spare, high + spare


def _axes(frame: _Frame, plot: Plot) -> Iterator[str]:
    left, bottom = frame.at(frame.x[0], frame.y[0])
    right, top = frame.at(frame.x[1], frame.y[1])
    for value in _ticks(*frame.x):
        x, _ = frame.at(value, 0)
        yield _line((x, top), (x, bottom), "axis" if value == 0 else "grid")
        yield _text(x, bottom + 16, _number(value), "tick", "middle")
    for value in _ticks(*frame.y):
        _, y = frame.at(0, value)
        yield _line((left, y), (right, y), "axis" if value == 0 else "grid")
        label = f"1e{value:g}" if plot.logarithmic else _number(value)
        yield _text(left - 7, y + 4, label, "tick", "end")
    yield _text((left + right) / 2, bottom + 33, plot.x_label, "label", "middle")
    if plot.y_label:
        yield _text(left, 18, plot.y_label, "label", "start")


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers within a range, about five."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(k for k in (1, 2, 5, 10) if (high - low) / (k * step) <= 6.5)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def _curve(frame: _Frame, curve: Curve) -> Iterator[str]:
    """A line, broken where a value is missing, jumps or lies outside of the frame."""
    piece: list[tuple[float, float]] = []
    pieces = [piece]
    for x, y in zip(curve.x, curve.y, strict=True):
        inside = frame.x[0] <= x <= frame.x[1] and frame.y[0] <= y <= frame.y[1]
        point = frame.at(float(x), float(y)) if inside else None
        if point is None or (piece and not curve.dots and _jumps(piece[-1], point)):
            piece = []
            pieces.append(piece)
        if point is not None:
            piece.append(point)
    for points in pieces:
        if len(points) > 1:
            path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
            yield f'<polyline class="curve look-{curve.look}" points="{path}"/>'
        for x, y in points if curve.dots else ():
            yield f'<circle class="dot look-{curve.look}" cx="{_n(x)}" cy="{_n(y)}" r="2.6"/>'


def _jumps(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return abs(a[1] - b[1]) > _JUMP * (_HEIGHT - _TOP - _BOTTOM)


def _legend(curves: Sequence[Curve], indent: float) -> Iterator[str]:
    x = _LEFT + (indent if indent > 14 else 0)
    for curve in curves:
        if curve.label:
            yield _line((x, 14), (x + 20, 14), f"curve look-{curve.look}")
            yield _text(x + 26, 18, curve.label, "legend", "start")
            x += 44 + 7.4 * len(curve.label)


def _line(a: tuple[float, float], b: tuple[float, float], look: str) -> str:
    (x1, y1), (x2, y2) = a, b
    return f'<line class="{look}" x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"/>'


def _text(x: float, y: float, words: str, look: str, anchor: str) -> str:
    where = f'x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}"'
    return f'<text class="{look}" {where}>{escape(words)}</text>'


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
