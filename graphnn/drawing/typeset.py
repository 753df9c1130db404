"""Text and formulas as ink: outlines of glyphs and bars at their places, the same on every machine.

A text of any font would be as wide as the viewer's machine makes it. Here every letter is an outline from the one font
that ziamath brings (STIX Two Math; its sans-serif for labels), so that boxes fit, pictures need no font installed, and
equal pictures are equal to the byte. An outline is kept once and placed many times.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from xml.etree import ElementTree

from ..errors import GraphnnError

__all__ = ["Bar", "Glyph", "Ink", "formula", "text"]

# First letters of the alphabets within the font: capital A, small a, digit 0.
_ALPHABETS = {False: (0x1D5A0, 0x1D5BA, 0x1D7E2), True: (0x1D5D4, 0x1D5EE, 0x1D7EC)}
_MISSING = "pictures need ziamath: pip install 'graphnn[viz]'"


@dataclass(frozen=True, slots=True)
class Glyph:
    """An outline (SVG path data), scaled and moved."""

    outline: str
    x: float
    y: float
    scale: float


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Ink:
    """Marks around an origin on the baseline, y pointing down; it reaches from -ascent to descent."""

    width: float
    ascent: float
    descent: float
    marks: tuple[Glyph | Bar, ...] = ()

    @property
    def height(self) -> float:
        return self.ascent + self.descent


@lru_cache(maxsize=4096)
def formula(latex: str, size: float) -> Ink:
    """A formula; LaTeX that cannot be typeset is shown as it is written."""
    with _typesetting() as ziamath:
        try:
            return _formula(ziamath, latex, size)
        except Exception:
            # Whatever a foreign parser makes of a foreign text, a picture is still a picture.
            return text(latex, size * 0.8)


def _formula(ziamath: Any, latex: str, size: float) -> Ink:
    mathml = ziamath.tex.tex2mml(latex)
    for operator in ("&#x02211;", "&#x0220F;"):  # stretchy sums and products break brackets
        mathml = mathml.replace(f"<mo>{operator}", f'<mo stretchy="false">{operator}')
    node = ziamath.Math(mathml, size=size).node
    drawn = ElementTree.Element("svg")
    node.draw(0, 0, drawn)
    box = node.bbox
    if not (0 < box.xmax - box.xmin < 1e5 and 0 < box.ymax - box.ymin < 1e3):
        raise ValueError("without extent")
    return Ink(box.xmax - box.xmin, box.ymax, -box.ymin, _marks(drawn, -box.xmin))


@lru_cache(maxsize=4096)
def text(words: str, size: float, bold: bool = False) -> Ink:
    """A line of text; line breaks and other control characters are blanks."""
    line = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    if not line:
        return Ink(0, 0, 0)
    with _typesetting():
        font, line = _font_for(line, bold)
        drawn = ElementTree.Element("svg")
        laid = font.text(line, size=size)
        laid.drawon(drawn, 0, 0)
        return Ink(laid.getsize()[0], size * 0.72, size * 0.22, _marks(drawn, 0))


def _font_for(line: str, bold: bool) -> tuple[Any, str]:
    """The font that has the letters, and the line in the letters of its alphabet."""
    alphabet = "".join(_sans(c, bold) for c in line)
    fonts = _fonts()
    if all(fonts[0].glyphindex(c) for c in alphabet):
        return fonts[0], alphabet
    return fonts[1], line


def _sans(letter: str, bold: bool) -> str:
    capital, small, digit = _ALPHABETS[bold]
    if "A" <= letter <= "Z":
        return chr(capital + ord(letter) - ord("A"))
    if "a" <= letter <= "z":
        return chr(small + ord(letter) - ord("a"))
    return chr(digit + ord(letter) - ord("0")) if "0" <= letter <= "9" else letter


@cache
def _fonts() -> tuple[Any, Any]:
    """The font of formulas, and the one for all letters that it lacks."""
    import ziafont
    import ziamath

    return ziamath.zmath.loadedfonts["default"], ziafont.Font()


@contextmanager
def _typesetting() -> Iterator[Any]:
    """ziamath, set to draw each outline once and refer to it, whatever its user has set."""
    with warnings.catch_warnings():
        # It opens its fonts in a way that Python 3.11 deprecated and 3.13 took back.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            import ziafont
            import ziamath.tex
        except ImportError as error:
            raise GraphnnError(_MISSING) from error
        before = ziafont.config.svg2
        ziafont.config.svg2 = True
        try:
            yield ziamath
        finally:
            ziafont.config.svg2 = before


def _marks(drawn: ElementTree.Element, shift: float) -> tuple[Glyph | Bar, ...]:
    """What ziamath drew: <symbol> outlines, <use> of them, <rect> bars."""
    symbols = {symbol.attrib["id"]: symbol for symbol in drawn.iter("symbol")}
    marks: list[Glyph | Bar] = []
    for element in drawn.iter():
        if element.tag == "use":
            symbol = symbols[element.attrib["href"].removeprefix("#")]
            path = " ".join(part.attrib["d"] for part in symbol.iter("path"))
            left, top, width, _ = map(float, symbol.attrib["viewBox"].split())
            if not path or width == 0:
                continue  # a blank
            x, y, wide = (float(element.attrib[key]) for key in ("x", "y", "width"))
            scale = wide / width
            outline = re.sub(r"\s+", " ", path).strip()
            marks.append(Glyph(outline, x - left * scale + shift, y - top * scale, scale))
        elif element.tag == "rect":
            x, y, w, h = (float(element.attrib[key]) for key in ("x", "y", "width", "height"))
            marks.append(Bar(x + shift, y, w, h))
    return tuple(marks)
