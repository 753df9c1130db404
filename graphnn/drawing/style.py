"""How pictures look: one table of colours and one of measures.

Colours follow those of Okabe and Ito, which people who see few colours can still tell apart; fills are pale so that
dark text stands out, and kinds differ by outline too, not by colour alone. Lengths are points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ARROWS", "BOXES", "INK", "MUTED", "PAPER", "ArrowStyle", "BoxStyle", "Measures"]

INK = "#1b2430"
MUTED = "#5b6673"
PAPER = "#ffffff"


@dataclass(frozen=True, slots=True)
class BoxStyle:
    word: str  # in the legend
    fill: str
    stroke: str
    width: float = 1.0
    dashes: str = ""
    radius: float = 5.0


@dataclass(frozen=True, slots=True)
class ArrowStyle:
    word: str
    stroke: str
    width: float = 1.1
    dashes: str = ""


@dataclass(frozen=True, slots=True)
class Measures:
    title: float = 11.0
    subtitle: float = 9.0
    formula: float = 13.0
    label: float = 8.5
    heading: float = 15.0
    legend: float = 9.5
    inset: float = 10.0  # from a box's edge to what it holds
    gap: float = 7.0  # between the lines of a box
    margin: float = 18.0  # around the picture
    frame: float = 11.0  # around the boxes of a layer
    between: float = 26.0  # boxes side by side
    below: float = 26.0  # boxes below each other
    arrowhead: float = 6.5


BOXES: Mapping[str, BoxStyle] = {
    "input": BoxStyle("input", "#e9f2fa", "#2f7fb5", radius=13),
    "parameter": BoxStyle("parameter", "#e8f5ef", "#1f8f6d"),
    "operation": BoxStyle("operation", "#ffffff", "#7c8896"),
    "loss": BoxStyle("loss", "#f8ecf4", "#b0578f", width=1.8),
    "gradient": BoxStyle("gradient", "#fdf0e6", "#cf5f0c"),
    "update": BoxStyle("update", "#fdf6e0", "#b88400"),
    "state": BoxStyle("state, kept between steps", "#eef7fc", "#3d93bd", dashes="4 2.5"),
}
ARROWS: Mapping[str, ArrowStyle] = {
    "forward": ArrowStyle("value", "#4a5665"),
    "gradient": ArrowStyle("gradient, flowing back", "#cf5f0c"),
    "update": ArrowStyle("new value", "#b88400", dashes="5 3"),
    "reuse": ArrowStyle("value used again by a gradient", "#97a1ad", 0.8, "2.5 2"),
    "pair": ArrowStyle("belong together", "#b9c1ca", 0.8, "1 2.5"),
}
