"""LaTeX as MathML, for pages: a browser sets it as text that can be selected, read aloud and scaled.

latex2mathml writes each letter of a word as a name of its own and puts the index of a sum beside it; here
words become words, indices of large operators stand below them, and brackets are operators.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from ..errors import GraphnnError

__all__ = ["font", "mathml"]

_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_LARGE = {"∑", "∏", "max", "min"}
_FENCES = {"⌊": "prefix", "⌋": "postfix"}
_MISSING = "the guide needs latex2mathml and ziamath: pip install 'graphnn[guide]'"


@lru_cache(maxsize=8192)
def mathml(latex: str) -> str:
    r"""A formula in display style.

    >>> mathml(r"\sum_{i} x_{i}").count("munder")
    2
    """
    try:
        from latex2mathml.converter import convert
    except ImportError as error:
        raise GraphnnError(_MISSING) from error
    root = ElementTree.fromstring(convert(latex, xmlns=_NAMESPACE, display="inline"))
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_NAMESPACE}}}")
    for element in list(root.iter()):
        _mend(element)
    root.attrib = {"displaystyle": "true"}
    return ElementTree.tostring(root, encoding="unicode")


def font() -> bytes:
    """The font of the pictures' formulas (STIX Two Math, Open Font License), for browsers that have none."""
    found = find_spec("ziamath")  # its import is slow and warns, and only a file is wanted
    if found is None or found.origin is None:
        raise GraphnnError(_MISSING)
    return Path(found.origin).with_name("fonts").joinpath("STIXTwoMath-Regular.ttf").read_bytes()


def _mend(element: Element) -> None:
    first = element[0] if len(element) else None
    if element.tag == "msub" and first is not None and first.tag == "mo" and first.text in _LARGE:
        element.tag = "munder"
        first.attrib |= {"movablelimits": "false"}
    if element.tag == "mi" and element.text in _FENCES:
        element.tag = "mo"
        element.attrib = {"form": _FENCES[element.text or ""], "stretchy": "false"}
    if element.tag == "mrow" and len(element) > 1 and all(map(_is_upright, element)):
        element.tag, element.text = "mi", "".join(letter.text or "" for letter in element)
        element[:] = []


def _is_upright(element: Element) -> bool:
    return element.tag == "mi" and element.get("mathvariant") == "normal"
