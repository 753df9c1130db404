"""Pictures for light and dark pages: each colour of a picture gets its counterpart of opposite lightness."""

from __future__ import annotations

import colorsys
import re

from ..drawing.style import PAPER

__all__ = ["dark", "themed"]

_DARK_PAPER = "#14181d"  # of the style sheet too, so that pictures have no edge
_DARKEST, _LIGHTEST = 0.105, 0.9  # lightness


def themed(svg: str) -> str:
    """A picture that follows the reader's colour scheme by itself, wherever it is shown."""
    found = sorted(set(re.findall(r'(fill|stroke)="(#[0-9a-f]{6})"', svg)))
    rules = (
        f'[{attribute}="{colour}"]{{{attribute}:{dark(colour)}}}' for attribute, colour in found
    )
    style = f"<style>@media (prefers-color-scheme: dark){{{''.join(rules)}}}</style>"
    return svg.replace("<defs>", f"{style}<defs>", 1)


def dark(colour: str) -> str:
    """The same hue on the other side of the grey scale.

    >>> dark("#ffffff"), dark("#000000")
    ('#14181d', '#e6e6e6')
    """
    if colour == PAPER:
        return _DARK_PAPER
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    turned = _DARKEST + (1 - lightness) * (_LIGHTEST - _DARKEST)
    parts = colorsys.hls_to_rgb(hue, turned, saturation * 0.8)
    return "#" + "".join(f"{round(part * 255):02x}" for part in parts)
