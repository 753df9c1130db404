"""Chapters to pages: every example is run, everything that follows from it is put into the templates."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

from .. import layers
from ..catalogue import CATALOGUE
from ..drawing.drawing import Drawing
from ..drawing.mathml import font, mathml
from ..errors import GraphnnError
from ..layers import Layer
from ..model import Model
from . import prose
from .chapters import CHAPTERS
from .code import Cell, layers_of, run, tokens
from .entry import Chapter, Entry, Subject, chapter
from .facts import Formula, applications, drawing, formula, told
from .laws import LAWS
from .reference import QUICK, SIGNS, groups
from .theme import themed

__all__ = ["build"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure as it stands in a page: HTML, or a file."""

    html: str = ""
    file: str = ""
    width: int = 0
    height: int = 0
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """An entry that has been run."""

    name: str
    title: str
    text: str
    cells: tuple[Cell, ...] = ()
    formulas: tuple[Formula, ...] = ()
    named: tuple[Formula, ...] = ()
    equations: str = ""
    figures: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    name: str
    title: str
    text: str
    sections: tuple[Section, ...] = ()
    template: str = "chapter.html"

    @property
    def file(self) -> str:
        return f"{self.name}.html"


@dataclass(slots=True)
class _Site:
    """The folder that is written, and which law is used where."""

    folder: Path
    small: bool
    uses: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)

    def write(self, name: str, content: str | bytes) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file


def build(
    out: str | PathLike[str],
    small: bool = False,
    tell: Callable[[str], object] = lambda title: None,
) -> list[Path]:
    """Write the guide into the folder ``out``; gives the pages, the first one to be opened first.

    ``small`` leaves the pictures of graphs out, ``tell`` hears which entry is at work. Raises `GraphnnError` where a
    library is missing.
    """
    site = _Site(Path(out), small)
    templates = _templates()
    pages = [Page("index", "Neural networks, derived", "", template="index.html")]
    pages += [_page(chapter(module), site, tell) for module in CHAPTERS]
    pages.append(Page("reference", "Reference", "", template="reference.html"))
    tell("the reference")
    common = {
        "pages": pages,
        "laws": LAWS,
        "uses": {law: list(where.values()) for law, where in site.uses.items()},
        "quick": QUICK,
        "signs": SIGNS,
        "groups": groups(),
    }
    written = []
    for place, page in enumerate(pages):
        around = {"before": pages[place - 1] if place else None, "after": _next(pages, place)}
        html = templates.get_template(page.template).render(page=page, **around, **common)
        written.append(site.write(page.file, html))
    site.write("style.css", files(__package__).joinpath("templates/style.css").read_bytes())
    site.write("formulas.ttf", font())
    return written


def _next(pages: list[Page], place: int) -> Page | None:
    return pages[place + 1] if place + 1 < len(pages) else None


def _templates() -> Any:
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError as error:
        raise GraphnnError("the guide needs jinja2: pip install 'graphnn[guide]'") from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__ or "", "templates"),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = lambda text: Markup(prose.html(text))
    environment.filters["plain"] = prose.plain
    environment.filters["math"] = lambda latex: Markup(mathml(latex))
    environment.filters["tokens"] = tokens
    environment.filters["html"] = Markup
    return environment


def _page(chapter: Chapter, site: _Site, tell: Callable[[str], object]) -> Page:
    sections: list[Section] = []
    for entry in chapter.entries:
        if _exists(entry):
            tell(entry.title)
            before = {f.text for section in sections for f in section.formulas}
            sections.append(_section(chapter, entry, site, before))
    if chapter.name == "layers":
        sections += _others(chapter)
    return Page(chapter.name, chapter.title, chapter.text, tuple(sections))


def _section(chapter: Chapter, entry: Entry, site: _Site, before: Collection[str]) -> Section:
    """An entry, run; ``before`` are the formulas that earlier entries of the chapter have explained."""
    done = run(entry.example)
    full, named = [], []
    for application in applications(done.subject):
        operation = application.operation
        known = CATALOGUE.get(operation.name)
        is_foreign = known is not None and known.group not in chapter.groups
        if is_foreign or operation.formula.text in before:
            named.append(formula(operation))
        else:
            full.append(told(application, done.subject))
    _note_laws(full, chapter, entry, site)
    equations = str(done.subject) if isinstance(done.subject, Model) else ""
    figures = tuple(_figures(done.subject, entry, f"{chapter.name}-{entry.name}", site))
    parts = (done.cells, tuple(full), tuple(named), equations, figures)
    return Section(entry.name, entry.title, entry.text, *parts)


def _note_laws(found: list[Formula], chapter: Chapter, entry: Entry, site: _Site) -> None:
    link = f"{chapter.name}.html#{entry.name}"
    for law in (law for each in found for step in each.steps for law in step.laws):
        site.uses.setdefault(law, {})[link] = (link, entry.title)


def _figures(subject: Subject, entry: Entry, name: str, site: _Site) -> Iterator[Shown]:
    """The entry's own figure and the picture of the graph, unless the figure is one."""
    made = entry.figure(subject) if entry.figure else None
    if made is not None:
        yield from _shown(made, f"{name}-figure", entry.caption, site)
    picture = drawing(subject)
    if picture is not None and not isinstance(made, Drawing):
        yield from _shown(picture, name, "", site)


def _shown(made: str | Drawing, name: str, caption: str, site: _Site) -> Iterator[Shown]:
    if isinstance(made, str):
        yield Shown(made, caption=caption)
    elif not site.small:
        svg = made.to_svg()
        size = svg.partition('viewBox="0 0 ')[2].partition('"')[0].split()
        width, height = (round(float(each)) for each in size)
        file = f"pictures/{name}.svg"
        site.write(file, themed(svg))
        yield Shown("", file, width, height, caption)


def _exists(entry: Entry) -> bool:
    """Whether all layers that an entry speaks of are there."""
    return all(hasattr(layers, name) for name in layers_of(entry.example))


def _others(chapter: Chapter) -> Iterator[Section]:
    """Layers that no entry is about, with what their docstrings say."""
    told = [name for entry in chapter.entries for name in layers_of(entry.example)]
    known = {getattr(layers, name, None) for name in told}
    for name in layers.__all__:
        layer = getattr(layers, name)
        if isinstance(layer, type) and layer is not Layer and layer not in known:
            known.add(layer)
            text, _, example = (inspect.getdoc(layer) or "").partition(">>>")
            code = "\n".join(line.removeprefix(">>> ") for line in (">>> " + example).splitlines())
            yield Section(name.lower(), layer.__name__, text.replace("``", "`"), (Cell(code),))
