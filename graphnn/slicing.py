"""Parts of a node, written as NumPy writes them; each is one formula.

x[:, 0]          y[a] = x[a, 0]
x[:, -1, :]      y[a, c] = x[a, dim(x, 1) - 1, c]
x[..., 2:8:3]    y[a, b:2] = x[a, 2 + 3*b]
x[:, None]       y[a, b:1, c] = x[a, c]
"""

from __future__ import annotations

from typing import Any

from .errors import GraphnnError, ShapeError
from .graph.node import Node, index_names, is_integer
from .graph.operation import op

__all__ = ["part"]


def part(x: Node, key: object) -> Node:
    """``x[key]`` for whole numbers, slices, ``...`` and None, as many as there are axes or fewer.

    Of an axis whose size is not fixed yet its first place can be taken, its last, or all of it. Raises IndexError
    for a place that is not there, `ShapeError` where the sizes do not say.

    >>> from graphnn import Input
    >>> words = Input((None, 12, 8), "words")
    >>> words[:, 0].shape, words[..., :3].shape
    ((None, 8), (None, 12, 3))
    """
    items = _items(x, key if isinstance(key, tuple) else (key,))
    if all(isinstance(item, slice) and _is_whole(item) for item in items):
        return x
    left: list[str] = []
    right: list[str] = []
    for name, item in zip(index_names(len(items)), items, strict=True):
        if item is None:
            left.append(f"{name}:1")
            continue
        index, subscript = _axis(x, len(right), item, name)
        left += [index] if index else []
        right.append(subscript)
    target = f"y[{', '.join(left)}]" if left else "y"
    source = f"x[{', '.join(right)}]" if right else "x"
    result = op(f"{target} = {source}", "part")(x)
    assert isinstance(result, Node)
    return result


def _items(x: Node, key: tuple[object, ...]) -> list[object]:
    """One for each axis, and None for those that are new."""
    given = [item for item in key if item is not None and item is not Ellipsis]
    for item in given:
        if not is_integer(item) and not isinstance(item, slice):
            raise GraphnnError(
                f"{x.name}[{item!r}]: subscripts of a node are whole numbers, slices, '...' and"
                " None; a tensor is one in a formula, gn.op('y[n, e] = E[t[n], e]')"
            )
    if len(given) > x.ndim or len([item for item in key if item is Ellipsis]) > 1:
        raise IndexError(f"{x.name} is {x.type}: there are too many subscripts in {list(key)}")
    place = next((k for k, item in enumerate(key) if item is Ellipsis), len(key))
    whole = [slice(None)] * (x.ndim - len(given))
    return [*key[:place], *whole, *key[place + 1 :]]


def _is_whole(item: slice) -> bool:
    """``x[:]``, ``x[0:]``, ``x[::1]``"""
    return item.start in (None, 0) and item.stop is None and item.step in (None, 1)


def _axis(x: Node, axis: int, item: Any, name: str) -> tuple[str, str]:
    """The index on the left side, if one is left, and the subscript on the right."""
    size = x.shape[axis]
    if isinstance(item, slice) and _is_whole(item):
        return name, name
    if is_integer(item) and item in (0, -1):
        return "", "0" if item == 0 else f"dim(x, {axis}) - 1"
    if size is None:
        raise ShapeError(
            f"{x.name} is {x.type}: of axis {axis}, whose size is not fixed, there are"
            f" {x.name}[0], {x.name}[-1] and all, got {item!r}"
        )
    if isinstance(item, slice):
        chosen = range(size)[item]
        if not chosen:
            raise ShapeError(f"{x.name} is {x.type}: {item} leaves nothing of axis {axis}")
        return f"{name}:{len(chosen)}", f"{chosen.start} + {chosen.step}*{name}"
    if not -size <= item < size:
        raise IndexError(f"{x.name} is {x.type}: axis {axis} has no place {item}")
    return "", str(item % size)


setattr(Node, "__getitem__", part)  # noqa: B010  # as the operators of `functions`, unknown to types
