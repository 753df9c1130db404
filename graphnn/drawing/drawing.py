"""A drawing: a picture that can be looked at and saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from ..errors import GraphnnError
from . import export
from .collapse import collapse
from .picture import Picture
from .svg import svg

__all__ = ["Drawing"]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture to look at: it shows itself in notebooks, ``save`` writes it to a file.

    ``depth`` draws layers nested deeper than that as one box each; ``formulas=False`` leaves the formulas out.
    """

    picture: Picture
    formulas: bool = True
    depth: int | None = None

    def to_svg(self) -> str:
        return _svg(self._shown(), self.formulas)

    def to_png(self) -> bytes:
        return export.png(self.to_svg())

    def to_pdf(self) -> bytes:
        return export.pdf(self.to_svg())

    def to_html(self) -> str:
        return export.html(self.to_svg(), self.picture.title)

    def to_dot(self) -> str:
        return export.dot(self._shown())

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the picture; the suffix says how: .svg, .png, .pdf, .html or .dot."""
        file = Path(fspath(path))
        makers: dict[str, Callable[[], str | bytes]] = {
            ".svg": self.to_svg,
            ".png": self.to_png,
            ".pdf": self.to_pdf,
            ".html": self.to_html,
            ".dot": self.to_dot,
        }
        make = makers.get(file.suffix.lower())
        if make is None:
            raise GraphnnError(
                f"cannot tell the format of {fspath(path)!r}: its name should end in"
                f" {', '.join(makers)}"
            )
        made = make()
        data = made if isinstance(made, bytes) else made.encode()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return file

    def _shown(self) -> Picture:
        return collapse(self.picture, self.depth)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "image/svg+xml": self.to_svg(),
            "image/png": self.to_png(),
            "text/plain": repr(self),
        }

    def __repr__(self) -> str:
        shown = self._shown()
        return f"<Drawing of {len(shown.boxes)} boxes and {len(shown.arrows)} arrows>"


@lru_cache(maxsize=32)
def _svg(picture: Picture, formulas: bool) -> str:
    return svg(picture, formulas)
