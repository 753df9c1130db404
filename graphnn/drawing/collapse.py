"""Large pictures made small: everything of a layer in one box.

depth 0    one box for each outermost layer
depth 1    outermost layers are frames, the layers inside them are boxes
"""

from __future__ import annotations

from dataclasses import replace

from .picture import Box, Picture

__all__ = ["collapse"]

Key = tuple[tuple[str, ...], int]


def collapse(picture: Picture, depth: int | None) -> Picture:
    """The picture with each cluster that lies deeper than ``depth`` as one box (None: as it is).

    What is computed forwards and what is computed backwards stay two boxes.
    """
    if depth is None:
        return picture
    groups: dict[Key | str, list[Box]] = {}
    for box in picture.boxes:
        groups.setdefault(_group(box, depth), []).append(box)
    boxes: list[Box] = []
    place: dict[str, str] = {}
    for members in groups.values():
        merged = _merge(members, depth)
        boxes.append(merged)
        place |= {box.id: merged.id for box in members}
    moved = (
        replace(a, source=place[a.source], target=place[a.target])
        for a in picture.arrows
        if place[a.source] != place[a.target]
    )
    pairs = ((place[a], place[b]) for a, b in picture.pairs if place[a] != place[b])
    return replace(
        picture,
        boxes=tuple(boxes),
        arrows=tuple(dict.fromkeys(moved)),
        pairs=tuple(dict.fromkeys(pairs)),
    )


def _group(box: Box, depth: int) -> Key | str:
    return box.id if len(box.cluster) <= depth else (box.cluster[: depth + 1], box.column)


def _merge(members: list[Box], depth: int) -> Box:
    first = members[0]
    if len(first.cluster) <= depth:
        return first
    kinds = list(dict.fromkeys(box.kind for box in members))
    kind = kinds[0] if len(kinds) == 1 else ("operation", "gradient", "update")[first.column]
    inside = [box for box in members if box.kind not in ("parameter", "state")] or members
    titles = list(dict.fromkeys(box.title for box in inside))
    shown = " · ".join(titles[:4]) + (" · …" if len(titles) > 4 else "")
    return Box(
        id=first.id,
        title=first.cluster[depth],
        subtitle="" if shown == first.cluster[depth] else shown,
        kind=kind,
        cluster=first.cluster[:depth],
        tooltip="\n".join(box.tooltip for box in members if box.tooltip),
    )
