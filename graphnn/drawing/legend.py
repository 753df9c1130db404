"""The line below a picture that says what its colours, arrows and signs mean; only what occurs is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .picture import BOX_KINDS, Picture
from .style import ARROWS, BOXES, ArrowStyle, BoxStyle, Measures
from .typeset import Ink, formula, text

__all__ = ["Entry", "Legend", "Row", "legend"]

_SWATCH = 20.0
_GAP = 18.0

# Signs in formulas (notation/latex.py) that not every reader knows: pattern, sample, meaning.
_SIGNS = (
    (
        r"\\partial",
        r"\frac{\partial\mathcal{L}}{\partial x}",
        "gradient of the loss with respect to x, worked out here",
    ),
    (r"g\^\{\(", r"g^{(y)}", "gradient that arrives from the output y"),
    (r"\be\^\{\(\w+\)\}_", r"e^{(z)}", "the part of it that all operands of z share"),
    (r"(?<!left)\[", r"[c]", "1 where c holds, else 0"),
    (r"_\{[^{}]*<", r"i<n", "index i takes the values 0 … n−1"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A swatch, if any, and words; places are seen from the row's left end."""

    x: float
    style: BoxStyle | ArrowStyle | None
    words: tuple[tuple[Ink, float], ...]


@dataclass(frozen=True, slots=True)
class Row:
    y: float
    height: float
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Legend:
    width: float
    height: float
    rows: tuple[Row, ...]
    swatch: float = _SWATCH


def legend(picture: Picture, formulas: bool, width: float) -> Legend:
    """The legend of a picture, broken into rows no wider than ``width`` where that can be."""
    rows: list[Row] = []
    y = widest = 0.0
    for kind in (_swatches(picture), _signs(picture) if formulas else iter(())):
        for line in _broken(list(kind), width):
            height = max(ink.height for _, words in line for ink, _ in words) + 3
            entries, x = [], 0.0
            for style, words in line:
                entries.append(Entry(x, style, words))
                x += _length(words) + _GAP
            rows.append(Row(y, height, tuple(entries)))
            widest = max(widest, x - _GAP)
            y += height + 5
    return Legend(widest, max(y - 5, 0), tuple(rows))


Item = tuple[BoxStyle | ArrowStyle | None, tuple[tuple[Ink, float], ...]]


def _swatches(picture: Picture) -> Iterator[Item]:
    """Kinds of boxes and arrows that occur; nothing where there is but one."""
    boxes = {box.kind for box in picture.boxes}
    arrows = {picture.look(arrow) for arrow in picture.arrows}
    styles: list[BoxStyle | ArrowStyle] = [BOXES[kind] for kind in BOX_KINDS if kind in boxes]
    if len(arrows) > 1:
        styles += [style for kind, style in ARROWS.items() if kind in arrows]
    if picture.pairs:
        styles.append(ARROWS["pair"])
    if len(styles) > 1:
        for style in styles:
            yield style, ((text(style.word, Measures().legend), _SWATCH + 6),)


def _signs(picture: Picture) -> Iterator[Item]:
    every = " ".join(latex for box in picture.boxes for latex in box.formulas)
    for needle, latex, words in _SIGNS:
        if re.search(needle, every):
            sign = formula(latex, Measures().formula - 2)
            yield None, ((sign, 0), (text(words, Measures().legend), sign.width + 7))


def _length(words: tuple[tuple[Ink, float], ...]) -> float:
    ink, x = words[-1]
    return x + ink.width


def _broken(items: list[Item], width: float) -> list[list[Item]]:
    lines: list[list[Item]] = []
    room = 0.0
    for item in items:
        need = _length(item[1]) + _GAP
        if not lines or need > room:
            lines.append([])
            room = width + _GAP
        lines[-1].append(item)
        room -= need
    return lines
