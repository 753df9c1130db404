"""The guide is built, and what it shows is what is compiled."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from html import unescape
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

import graphnn as gn
from graphnn.__main__ import main
from graphnn.catalogue import CATALOGUE
from graphnn.graph.node import Node
from graphnn.guide import build
from graphnn.guide.chapters import CHAPTERS
from graphnn.guide.code import Cell, Run, run, shown, tokens
from graphnn.guide.entry import Entry, Example, chapter
from graphnn.guide.facts import applications, drawing, graph
from graphnn.guide.laws import LAWS
from graphnn.guide.theme import themed
from graphnn.layers import Layer

ENTRIES = [entry for module in CHAPTERS for entry in chapter(module).entries]


@dataclass(frozen=True)
class Site:
    """The pages as text and as trees, by file name."""

    folder: Path
    texts: dict[str, str]
    trees: dict[str, Element]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The whole guide but for the pictures of graphs."""
    folder = tmp_path_factory.mktemp("guide")
    texts = {file.name: file.read_text(encoding="utf-8") for file in build(folder, small=True)}
    return Site(folder, texts, {name: _tree(text) for name, text in texts.items()})


def _tree(text: str) -> Element:
    return ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))


def _words(element: Element) -> str:
    return "".join(element.itertext())


@cache
def _run(entry: Entry) -> Run:
    return run(entry.example)


def _section(site: Site, page: str, name: str) -> Element:
    (found,) = (e for e in site.trees[f"{page}.html"].iter("section") if e.get("id") == name)
    return found


def test_pages_are_well_formed(site: Site) -> None:
    """Every page is a document in which each element is closed, with one main part and one heading."""
    for tree in site.trees.values():
        assert len(list(tree.iter("main"))) == len(list(tree.iter("h1"))) == 1


def test_links_resolve(site: Site) -> None:
    """Each link and each file that a page names is there, each place in a page too; no place has two elements."""
    places = {}
    for name, tree in site.trees.items():
        found = [e.get("id") for e in tree.iter() if e.get("id")]
        assert len(found) == len(set(found)), name
        places[name] = set(found)
    for name, tree in site.trees.items():
        for element in tree.iter():
            target = element.get("href") or element.get("src")
            if target:
                file, _, place = target.partition("#")
                assert (site.folder / (file or name)).is_file(), (name, target)
                assert not place or place in places[file or name], (name, target)


def test_nothing_is_fetched(site: Site) -> None:
    """No page, style sheet or picture names anything outside of the folder, and no page needs a script."""
    for file in [*site.folder.rglob("*.html"), *site.folder.rglob("*.css")]:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"<script|https?:|@import|(src|href)=\"//|url\(\"?//", text), file


def test_every_operation_of_the_catalogue_appears(site: Site) -> None:
    """The reference shows all groups and all operations, each with the text that is compiled."""
    tree = site.trees["reference.html"]
    ids = {e.get("id"): e for e in tree.iter() if e.get("id")}
    for name, entry in CATALOGUE.items():
        assert f"group-{entry.group or 'arithmetic'}" in ids
        assert entry.operation.formula.text in _words(ids[f"operation-{name}"])


def test_every_layer_appears(site: Site) -> None:
    """Each public layer has an entry, whether or not somebody has written one."""
    text = _words(site.trees["layers.html"])
    for name in gn.layers.__all__:
        layer = getattr(gn.layers, name)
        if layer is not Layer:
            assert layer.__name__ in text


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_shown_formulas_are_compiled(entry: Entry, site: Site) -> None:
    """The formulas of an entry are those of the graph that its subject is compiled from."""
    subject = _run(entry).subject
    if isinstance(subject, Node):
        compiled = gn.function(graph(subject).inputs, subject, training=True).graph
        wanted = {a.operation.formula.text for a in compiled.applications}
        page = entry.example.__module__.rpartition(".")[2]
        codes = _section(site, page, entry.name).iter("code")
        found = {_words(code) for code in codes if code.get("class") == "notation"}
        assert wanted - found <= {"y[...] = x[...]"}
        assert {a.operation.formula.text for a in applications(subject)} == found


CONCEPTS = {
    "tensors": ("dimensions", "images", "sequences", "weights"),
    "layers": ("dense", "conv2d", "lstm", "gru", "max-pool2d", "dropout", "batch-normalization"),
    "activations": ("relu", "sigmoid", "tanh", "softmax", "leaky-relu"),
    "softmax": ("example", "exponential", "uses"),
    "losses": (
        "mean-squared-error",
        "binary-crossentropy",
        "categorical-crossentropy",
        "sparse-categorical-crossentropy",
    ),
    "optimizers": ("sgd", "adam", "rmsprop", "momentum", "learning-rate", "batch-size"),
    "training": ("training-step", "loop", "modes"),
    "architectures": ("image-classification", "mlp", "cnn", "rnn", "transformer"),
}
DERIVED = ("layers", "activations", "losses")


@pytest.mark.parametrize("page", CONCEPTS)
def test_every_concept_has_its_entry(site: Site, page: str) -> None:
    """What a course on the fundamentals names has code that was run; formulas with derived gradients, or a plot."""
    for name in CONCEPTS[page]:
        section = _section(site, page, name)
        kinds = {e.get("class") for e in section.iter()}
        assert any(e.tag == "pre" for e in section.iter()), name
        assert page not in DERIVED or {"notation", "gradient"} <= kinds, name
        assert page not in ("activations", "optimizers") or "plot" in kinds or name == "batch-size"


def test_guide_says_what_the_source_says(site: Site) -> None:
    """The numbers of the guide that this one explains: shapes, and the softmax of three logits."""
    for number in ("(32, 224, 224, 3)", "(784, 128)"):
        assert number in _words(site.trees["tensors.html"])
    assert "0.659, 0.242, 0.099" in _words(site.trees["softmax.html"])


def test_every_law_is_explained(site: Site) -> None:
    """A derivation names no law that the chapter on gradients does not explain."""
    known = {law.name for law in LAWS}
    for text in site.texts.values():
        named = re.findall(r'href="derivations.html#law-[^"]*">([^<]*)<', text)
        assert set(map(unescape, named)) <= known


def test_build_is_deterministic(site: Site, tmp_path: Path) -> None:
    """The same guide is written to the byte, in whatever order names have been used before."""
    for file in build(tmp_path, small=True):
        assert file.read_text(encoding="utf-8") == site.texts[file.name]


def test_pictures_follow_the_colour_scheme() -> None:
    """Every colour of a picture has a counterpart for dark pages; the picture stays well-formed."""
    made = drawing(gn.relu(gn.Input((2, 3), name="x")))
    assert made is not None
    svg = themed(made.to_svg())
    ElementTree.fromstring(svg)
    for attribute, colour in re.findall(r'(fill|stroke)="(#[0-9a-f]{6})"', svg):
        assert f'[{attribute}="{colour}"]{{{attribute}:#' in svg


def test_code_is_shown_with_its_results() -> None:
    """A cell ends where something is yielded, and holds its value; what is returned is not shown."""

    def example() -> Example:
        """Not shown."""
        a = 1  # one
        yield a + 1
        b = [a, 0.5]
        yield b

    done = run(example)
    assert done.cells == (Cell("a = 1  # one\na + 1", "2"), Cell("b = [a, 0.5]\nb", "[1, 0.5]"))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_colouring_keeps_the_code(entry: Entry) -> None:
    """The coloured pieces of some code are the code."""
    for cell in _run(entry).cells:
        assert "".join(token.text for token in tokens(cell.source)) == cell.source


@pytest.mark.parametrize(
    ("value", "text"),
    [((4,), "(4,)"), ([0.123456, 2], "[0.1235, 2]"), ("x", "x"), ((), "()"), (True, "True")],
)
def test_results_are_readable(value: object, text: str) -> None:
    """Numbers have four digits, tuples of one keep their comma."""
    assert shown(value) == text


def _without(library: str) -> Callable[[], str]:
    program = (
        f"import sys; sys.modules[{library!r}] = None; sys.argv = ['graphnn', 'guide', 'out'];"
        "from graphnn.__main__ import main; main()"
    )

    def call() -> str:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.returncode == 1
        return done.stdout + done.stderr

    return call


@pytest.mark.parametrize("library", ["typer", "rich"])
def test_missing_library_is_named(library: str) -> None:
    """Without the extra the command line says what to install, and nothing else."""
    text = _without(library)()
    assert library in text and "pip install 'graphnn[guide]'" in text
    assert "Traceback" not in text


def test_command_line_writes_the_guide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``python -m graphnn guide OUT`` builds the guide there and says where to begin."""
    asked = []

    def write(out: Path, small: bool, tell: Callable[[str], object]) -> list[Path]:
        asked.append((out, small))
        return [out / "index.html"]

    monkeypatch.setattr("graphnn.guide.build", write)
    monkeypatch.setattr(sys, "argv", ["graphnn", "guide", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0 and asked == [(tmp_path, False)]
    assert "index.html" in "".join(capsys.readouterr().out.split())
