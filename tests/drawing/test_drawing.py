"""Pictures: what is drawn lies where it should, any text is harmless, equal pictures are equal files."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import graphviz
import pytest

import graphnn as gn
from graphnn import layers
from graphnn.drawing import Arrow, Box, Drawing, Picture, layout
from graphnn.drawing.collapse import collapse
from graphnn.drawing.geometry import strays
from graphnn.drawing.layout import Layout, place
from graphnn.drawing.legend import legend
from graphnn.drawing.typeset import formula, text
from graphnn.errors import GraphnnError

from . import examples

pytest.importorskip("ziamath")
pytest.importorskip("pygraphviz")

SVG = "{http://www.w3.org/2000/svg}"
ROOT = Path(__file__).parents[2]
EXAMPLES = [examples.forward, examples.gradient, examples.dense_gradient, examples.training]
HOSTILE = [
    "<b>",
    '"',
    "a\nb",
    '];x[image="/etc/passwd"];',
    r"\N \G \left(",
    "</svg><script>alert(1)</script>",
    "日本語",
    "&amp;",
    "--><!--",
    "{{svg}}",
    "\x00\x0b",
    "",
    "cluster_0",
    r"\frac{",
]


def laid_out(picture: Picture, box: tuple[float, float] = (120, 50)) -> Layout:
    """The layout of a picture whose boxes and labels have plain sizes."""
    columns = layout.columns_of(picture)
    frames = dict.fromkeys(
        (columns[b.id], b.cluster[:k]) for b in picture.boxes for k in range(1, len(b.cluster) + 1)
    )
    labels = tuple((70.0, 12.0) if a.label else (0.0, 0.0) for a in picture.arrows)
    return place(picture, (box,) * len(picture.boxes), labels, dict.fromkeys(frames, (60.0, 14.0)))


def chain(length: int) -> Picture:
    """A long network with its gradients, three operations to a layer."""
    boxes, arrows, pairs = [], [], []
    for k in range(length):
        layer = (f"layer{k // 3}",)
        boxes += [
            Box(f"f{k}", "dense", "", (r"y_{n,o} = \sum_{i} x_{n,i}\,W_{i,o}",), cluster=layer),
            Box(f"w{k}", "kernel", kind="parameter", cluster=layer),
            Box(f"g{k}", "gradient", kind="gradient", cluster=layer),
        ]
        arrows.append(Arrow(f"w{k}", f"f{k}", "i:3, o:5"))
        pairs.append((f"f{k}", f"g{k}"))
        if k:
            arrows += [
                Arrow(f"f{k - 1}", f"f{k}", "n:32, o:10"),
                Arrow(f"g{k}", f"g{k - 1}", "n:32, o:10", "gradient"),
                Arrow(f"f{k - 1}", f"g{k}"),
            ]
    return Picture(tuple(boxes), tuple(arrows), "", tuple(pairs))


@pytest.mark.parametrize("example", EXAMPLES)
def test_nothing_covers_a_box(example: object) -> None:
    """Boxes lie apart from each other and from all labels of arrows and frames."""
    picture = example()  # type: ignore[operator]
    named = (replace(arrow, label=arrow.label or "x[n:32]") for arrow in picture.arrows)
    found = laid_out(replace(picture, arrows=tuple(named)))
    assert not any(a.meets(b) for a, b in itertools.combinations(found.boxes, 2))
    labels = [r.label for r in found.routes if r.label] + [frame.label for frame in found.frames]
    assert not any(label.meets(box) for label in labels for box in found.boxes)


@pytest.mark.parametrize("example", EXAMPLES)
def test_arrows_run_from_source_to_target(example: object) -> None:
    """Each curve begins at its source and ends at its target, those that flow up included."""
    picture = example()  # type: ignore[operator]
    found = laid_out(picture)
    areas = {box.id: area for box, area in zip(picture.boxes, found.boxes, strict=True)}
    for arrow, route in zip(picture.arrows, found.routes, strict=True):
        for point, end in ((route.curve[0], arrow.source), (route.curve[-1], arrow.target)):
            area = areas[end]
            assert area.left - 1 <= point[0] <= area.right + 1
            assert area.top - 1 <= point[1] <= area.bottom + 1


def test_frames_hold_their_boxes_only() -> None:
    """A layer's frame surrounds the boxes of that layer and column, and no other box."""
    picture = examples.gradient()
    found, columns = laid_out(picture), layout.columns_of(picture)
    for frame in found.frames:
        for box, area in zip(picture.boxes, found.boxes, strict=True):
            column, path = frame.place
            inside = columns[box.id] == column and box.cluster[: len(path)] == path
            assert frame.area.meets(area) == inside


def test_gradients_stand_to_the_right_of_what_they_differentiate() -> None:
    """Pairs share a line; the gradient column begins where the forward column ends."""
    picture = examples.gradient()
    found = laid_out(picture)
    areas = {box.id: area for box, area in zip(picture.boxes, found.boxes, strict=True)}
    forward = [areas[box.id].right for box in picture.boxes if box.column == 0]
    gradients = [areas[box.id].left for box in picture.boxes if box.column == 1]
    assert max(forward) < min(gradients)
    for left, right in picture.pairs:
        assert areas[left].centre[1] == pytest.approx(areas[right].centre[1], abs=0.5)


@pytest.mark.parametrize("graph", ["gradient", "train"])
def test_pictures_of_networks_read_from_left_to_right(graph: str) -> None:
    """Branches do not turn them around; no arrow between columns runs around one, no label leaves the picture."""
    title, tags = gn.Input((None, 8), "title", dtype="int32"), gn.Input((None, 5), "tags")
    x = layers.Concatenate()([layers.LSTM(4)(layers.Embedding(9, 4)(title)), tags])
    heads = [layers.Dense(1, "sigmoid")(x), layers.Dense(4, "softmax")(x)]
    model = gn.Model([title, tags], heads)
    model.compile("sgd", ["binary_crossentropy", "categorical_crossentropy"])
    picture = gn.draw(model, graph=graph).picture
    found = laid_out(picture, (150, 60))
    areas = {box.id: area for box, area in zip(picture.boxes, found.boxes, strict=True)}
    columns = [[areas[b.id] for b in picture.boxes if b.column == k] for k in (0, 1)]
    assert max(area.right for area in columns[0]) < min(area.left for area in columns[1])
    for arrow, route in zip(picture.arrows, found.routes, strict=True):
        ends, kinds = (areas[arrow.source], areas[arrow.target]), picture.by_id
        if kinds[arrow.source].column != kinds[arrow.target].column:
            assert not strays(route.curve, *ends, 100)
        if route.label:
            assert 0 <= route.label.left < route.label.right <= found.width
            assert 0 <= route.label.top < route.label.bottom <= found.height
    for frame in found.frames:
        assert frame.area.left <= frame.label.left <= frame.area.centre[0]


def test_forward_flows_down_and_gradients_flow_up() -> None:
    """Reading down the left column is the forward pass, up the right one the backward pass."""
    picture = examples.gradient()
    found = laid_out(picture)
    boxes = picture.by_id
    areas = {box.id: area for box, area in zip(picture.boxes, found.boxes, strict=True)}
    for arrow in picture.arrows:
        downwards = areas[arrow.target].centre[1] - areas[arrow.source].centre[1]
        match boxes[arrow.source].column, boxes[arrow.target].column:
            case 0, 0:
                assert downwards > 0
            case 1, 1:
                assert downwards < 0


def test_large_pictures_are_laid_out() -> None:
    """Six hundred boxes in two hundred lines: every pair still on its line, no box on another."""
    picture = chain(200)
    found = laid_out(picture)
    rows = sorted({round(area.centre[1]) for area in found.boxes})
    assert len(rows) <= 2 * 200
    by_row = sorted(found.boxes, key=lambda area: (round(area.centre[1]), area.left))
    assert not any(a.meets(b) for a, b in itertools.pairwise(by_row))


def test_same_picture_gives_same_bytes_in_any_process() -> None:
    """SVG is byte-identical under any hash seed, and PDF from call to call."""
    program = (
        "import sys; from graphnn.drawing import Drawing; from tests.drawing import examples;"
        "sys.stdout.buffer.write(Drawing(examples.training()).to_svg().encode())"
    )
    made = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "1", "PATH": ""},
        capture_output=True,
        check=True,
    ).stdout
    drawing = Drawing(examples.training())
    assert made == drawing.to_svg().encode()
    assert drawing.to_pdf() == drawing.to_pdf()


def test_ids_of_different_pictures_differ() -> None:
    """Two pictures can stand in one page: no id occurs in both."""
    ids = [
        {
            e.attrib["id"]
            for e in ElementTree.fromstring(Drawing(make()).to_svg()).iter()
            if "id" in e.attrib
        }
        for make in (examples.forward, examples.gradient)
    ]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_every_reference_has_its_outline() -> None:
    """Each <use> names an id of the same document, and each outline is kept once."""
    tree = ElementTree.fromstring(Drawing(examples.gradient()).to_svg())
    outlines = {e.attrib["id"]: e.attrib["d"] for e in tree.iter(f"{SVG}path") if "id" in e.attrib}
    used = [e.attrib["href"].removeprefix("#") for e in tree.iter(f"{SVG}use")]
    assert set(used) == set(outlines)
    assert len(set(outlines.values())) == len(outlines) < len(used) / 5


def test_any_text_is_harmless(tmp_path: Path) -> None:
    """Markup, quotes, DOT, control characters and broken LaTeX are shown and do nothing else."""
    boxes = [Box(t, t, t, (t,), cluster=(t, t), tooltip=t) for t in HOSTILE]
    arrows = [Arrow(a, b, a) for a, b in itertools.pairwise(HOSTILE)]
    drawing = Drawing(Picture(tuple(boxes), tuple(arrows), HOSTILE[5]))
    tree = ElementTree.fromstring(drawing.to_svg())
    assert {e.tag.removeprefix(SVG) for e in tree.iter()} <= {
        "svg",
        "g",
        "defs",
        "path",
        "rect",
        "use",
        "title",
    }
    assert "<script>alert" not in drawing.to_html()
    assert "image" not in drawing_layout(drawing.picture)
    for suffix in ("svg", "png", "pdf", "html", "dot"):
        assert drawing.save(tmp_path / f"p.{suffix}").stat().st_size > 0
    pygraphviz = pytest.importorskip("pygraphviz")
    assert len(pygraphviz.AGraph(drawing.to_dot()).nodes()) == len(HOSTILE)


def drawing_layout(picture: Picture) -> str:
    """The DOT text that Graphviz is given."""
    sizes = ((50.0, 20.0),) * len(picture.boxes)
    return str(
        layout.graphviz_input(picture, sizes, ((9.0, 9.0),) * len(picture.arrows), {}).source
    )


def test_layout_sees_numbers_only() -> None:
    """No title, formula, label or id of a user is in the text for Graphviz."""
    source = drawing_layout(examples.gradient())
    assert not any(word in source for word in ("conv2d", "digits", "frac", "n:32", "d_soft"))


def test_formats_are_what_they_say(tmp_path: Path) -> None:
    """The suffix chooses the format, capitals or not, and folders are made."""
    drawing = Drawing(examples.dense_gradient())
    starts = {
        "svg": b"<svg",
        "PNG": b"\x89PNG",
        "pdf": b"%PDF",
        "html": b"<!DOCTYPE html>",
        "dot": b"digraph",
    }
    for suffix, start in starts.items():
        file = drawing.save(tmp_path / "new" / f"picture.{suffix}")
        assert file.read_bytes().startswith(start)
    with pytest.raises(GraphnnError, match=r"should end in \.svg"):
        drawing.save(tmp_path / "picture.gif")


def test_page_is_self_contained() -> None:
    """The HTML page holds the picture itself and asks nothing of the network."""
    page = Drawing(examples.forward()).to_html()
    assert "<svg" in page
    assert "{{" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_notebooks_get_svg_and_png() -> None:
    """A drawing shows itself as SVG, PNG and text."""
    bundle = Drawing(examples.dense_gradient())._repr_mimebundle_()
    assert list(bundle) == ["image/svg+xml", "image/png", "text/plain"]


def test_formulas_can_be_left_out() -> None:
    """Without formulas the picture is smaller and says nothing about their signs."""
    picture = examples.dense_gradient()
    assert len(Drawing(picture, formulas=False).to_svg()) < len(Drawing(picture).to_svg())
    assert len(legend(picture, False, 400).rows) < len(legend(picture, True, 400).rows)


def test_depth_collapses_layers() -> None:
    """Depth 0: one box for each layer and direction; arrows inside a layer vanish, others are kept once."""
    small = collapse(examples.gradient(), 0)
    titles = [box.title for box in small.boxes]
    assert titles.count("conv2d") == 2  # forward and gradient
    assert not any(box.cluster for box in small.boxes)
    assert len(set(small.arrows)) == len(small.arrows)
    assert not any(arrow.source == arrow.target for arrow in small.arrows)
    assert collapse(examples.gradient(), 1) == examples.gradient()
    assert collapse(examples.gradient(), None) == examples.gradient()


def test_spec_is_checked() -> None:
    """Unknown ids and kinds and ids given twice are refused by name."""
    box = Box("a", "a")
    with pytest.raises(GraphnnError, match="no box has the id 'b'"):
        Picture((box,), (Arrow("a", "b"),))
    with pytest.raises(GraphnnError, match="two boxes have the id 'a'"):
        Picture((box, box))
    with pytest.raises(GraphnnError, match="unknown kind 'thing'; known are input"):
        Picture((Box("a", "a", kind="thing"),))


def test_missing_engine_names_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pygraphviz and without dot the message says how to get either."""

    def absent(*_: object, **__: object) -> str:
        raise graphviz.ExecutableNotFound(["dot"])

    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setattr(graphviz.Digraph, "pipe", absent)
    with pytest.raises(GraphnnError, match=r"graphnn\[viz\].*`dot` is on the PATH"):
        laid_out(Picture((Box("a", "a"),)))


def test_formula_that_cannot_be_typeset_is_shown_as_written() -> None:
    """Broken LaTeX gives the ink of its text."""
    assert formula(r"\frac{a", 10) == text(r"\frac{a", 8)


def test_brackets_grow_with_what_they_hold() -> None:
    """Brackets around a sum or a fraction are as high as it needs and no higher."""
    inner, outer = formula(r"\sum_{i} a_{i}", 13), formula(r"\left( \sum_{i} a_{i} \right)", 13)
    assert inner.height < outer.height < 2.5 * inner.height
    bars = formula(r"\left| \frac{x}{3} \right|", 13)
    assert len(bars.marks) == 5  # two bars, x, 3 and the fraction's own


def test_text_has_one_line() -> None:
    """Line breaks and control characters are blanks; nothing printable has no ink."""
    assert text("a\nb\x00c", 10) == text("a b c", 10)
    assert text(" \n", 10).width == 0
