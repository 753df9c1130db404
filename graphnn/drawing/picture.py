"""What a picture shows, said without any graph of operations: boxes, arrows, pairs.

    Picture  := title + (Box, ...) + (Arrow, ...) + ((left box, right box), ...)
    Box      := id, title, subtitle, formulas, kind, cluster, tooltip
    Arrow    := source id -> target id, label, kind

A box's ``cluster`` is the path of layer names it lies in, ``("encoder", "dense_1")``; layers become rounded frames. A
pair stands side by side on one line: an operation and its gradient, a gradient and the update that uses it. Texts and
ids may hold any characters; formulas are LaTeX.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..errors import GraphnnError

__all__ = ["ARROW_KINDS", "BOX_KINDS", "COLUMNS", "Arrow", "Box", "Picture"]

# Kinds of boxes in the order of the legend, and the column each stands in where pairs make columns.
COLUMNS = {
    "input": 0,
    "parameter": 0,
    "operation": 0,
    "loss": 0,
    "gradient": 1,
    "update": 2,
    "state": 2,
}
BOX_KINDS = tuple(COLUMNS)
ARROW_KINDS = ("forward", "gradient", "update")


@dataclass(frozen=True, slots=True)
class Box:
    id: str
    title: str
    subtitle: str = ""
    formulas: tuple[str, ...] = ()
    kind: str = "operation"
    cluster: tuple[str, ...] = ()
    tooltip: str = ""

    @property
    def column(self) -> int:
        return COLUMNS[self.kind]


@dataclass(frozen=True, slots=True)
class Arrow:
    """``label`` names indices and sizes: ``n:32, o:10``."""

    source: str
    target: str
    label: str = ""
    kind: str = "forward"


@dataclass(frozen=True, slots=True)
class Picture:
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...] = ()
    title: str = ""
    pairs: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        known = Counter(box.id for box in self.boxes)
        problems = [f"two boxes have the id {name!r}" for name, n in known.items() if n > 1]
        problems += [
            f"box {box.id!r} is of unknown kind {box.kind!r}; known are {', '.join(BOX_KINDS)}"
            for box in self.boxes
            if box.kind not in BOX_KINDS
        ]
        problems += [
            f"arrow {arrow.source!r} -> {arrow.target!r} is of unknown kind {arrow.kind!r};"
            f" known are {', '.join(ARROW_KINDS)}"
            for arrow in self.arrows
            if arrow.kind not in ARROW_KINDS
        ]
        ends = [end for arrow in self.arrows for end in (arrow.source, arrow.target)]
        ends += [end for pair in self.pairs for end in pair]
        problems += [
            f"no box has the id {end!r}" for end in dict.fromkeys(ends) if end not in known
        ]
        if problems:
            raise GraphnnError("; ".join(problems))

    @property
    def by_id(self) -> dict[str, Box]:
        return {box.id: box for box in self.boxes}

    def look(self, arrow: Arrow) -> str:
        """An arrow's kind, or "reuse" where a forward value serves a gradient (the loss starts them)."""
        boxes = self.by_id
        source, target = boxes[arrow.source], boxes[arrow.target]
        is_reuse = source.column == 0 and target.column == 1 and source.kind != "loss"
        return "reuse" if is_reuse else arrow.kind
