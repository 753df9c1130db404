"""An entry of the guide is a generator function; a chapter is a module of them.

    @entry("Dense", "layer")
    def dense() -> Example:
        \"\"\"Every output sees every input. ...\"\"\"
        x = gn.Input((32, 784), name="x")
        y = layers.Dense(128)(x)
        yield y.shape
        return y

The docstring is the text, the body the code on the page. What is yielded is shown with its value; what is
returned is the subject, of which formulas, gradients, shapes and picture are shown.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from dataclasses import dataclass
from types import ModuleType

from ..drawing.drawing import Drawing
from ..graph.node import Node
from ..graph.updates import Updates
from ..model import Model
from ..training.callbacks import History

__all__ = ["Chapter", "Entry", "Example", "Figure", "Subject", "chapter", "entry"]

Subject = Node | Updates | Model | History | None
Example = Generator[object, None, Subject]
Figure = Callable[[Subject], str | Drawing]


@dataclass(frozen=True, slots=True)
class Entry:
    """``figure`` makes a picture, or HTML, of the subject; ``caption`` stands below it."""

    title: str
    example: Callable[[], Example]
    figure: Figure | None = None
    caption: str = ""

    @property
    def name(self) -> str:
        """What links to this entry say."""
        return self.example.__name__.replace("_", "-")

    @property
    def text(self) -> str:
        return inspect.getdoc(self.example) or ""


@dataclass(frozen=True, slots=True)
class Chapter:
    """The first line of the module's docstring is the title, the rest the introduction; ``GROUPS`` of the catalogue
    are explained here, operations of others are only named.
    """

    name: str
    title: str
    text: str
    entries: tuple[Entry, ...]
    groups: tuple[str, ...]


_entries: dict[str, list[Entry]] = {}


def entry(
    title: str, figure: Figure | None = None, caption: str = ""
) -> Callable[[Callable[[], Example]], Callable[[], Example]]:
    """Make a function an entry of its module's chapter."""

    def record(example: Callable[[], Example]) -> Callable[[], Example]:
        made = Entry(title, example, figure, caption)
        _entries.setdefault(example.__module__, []).append(made)
        return example

    return record


def chapter(module: ModuleType) -> Chapter:
    """The chapter that a module is."""
    title, _, text = inspect.cleandoc(module.__doc__ or "").partition("\n\n")
    name = module.__name__.rpartition(".")[2]
    entries = tuple(_entries.get(module.__name__, ()))
    return Chapter(name, title.rstrip("."), text, entries, getattr(module, "GROUPS", ()))
