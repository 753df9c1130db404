"""The code of an entry, as it stands in the source, with the results that it gives here and now.

The function is run, not its text: a page can show nothing that has not happened.
"""

from __future__ import annotations

import ast
import inspect
import io
import keyword
import textwrap
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..graph.surroundings import fresh_names
from ..random import set_seed
from .entry import Example, Subject

__all__ = ["Cell", "Run", "Token", "layers_of", "run", "tokens"]


@dataclass(frozen=True, slots=True)
class Cell:
    """Some lines of code, and what the last of them has given."""

    source: str
    result: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    cells: tuple[Cell, ...]
    subject: Subject


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of code and its kind: "keyword", "string", "number", "comment" or ""."""

    text: str
    kind: str


def run(example: Callable[[], Example]) -> Run:
    """Run an example and pair its source with its results."""
    set_seed(0)
    results: list[str] = []
    with fresh_names():
        steps = example()
        while True:
            try:
                results.append(shown(next(steps)))
            except StopIteration as stop:
                subject = stop.value
                break
    return Run(tuple(_cells(example, results)), subject)


def shown(value: object) -> str:
    """A result as a reader wants it: numbers with four digits, text as it is."""
    match value:
        case str():
            return value
        case np.ndarray():
            return np.array2string(value, precision=4, suppress_small=True, separator=", ")
        case float() | np.floating():
            return f"{value:.4g}"
        case list() | tuple():
            left, right = "[]" if isinstance(value, list) else "()"
            comma = "," if right == ")" and len(value) == 1 else ""
            return f"{left}{', '.join(map(shown, value))}{comma}{right}"
    return str(value)


def layers_of(example: Callable[[], Example]) -> list[str]:
    """The names of the layers that an example speaks of."""
    return [
        node.attr
        for node in ast.walk(_parsed(example))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "layers"
    ]


def _parsed(example: Callable[[], Example]) -> ast.FunctionDef:
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(example))).body
    assert isinstance(function, ast.FunctionDef)
    return function


def _cells(example: Callable[[], Example], results: list[str]) -> Iterator[Cell]:
    """The body between docstring and ``return``, cut behind each ``yield``."""
    lines = textwrap.dedent(inspect.getsource(example)).splitlines()
    function = _parsed(example)
    statements = [s for s in function.body[1:] if not isinstance(s, ast.Return)]
    start = function.body[0].end_lineno or 0
    waiting = iter(results)
    for statement in statements:
        end = statement.end_lineno or 0
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Yield):
            yield Cell(_code(lines[start:end]), next(waiting))
            start = end
    rest = _code(lines[start : statements[-1].end_lineno]) if statements else ""
    if rest:
        yield Cell(rest)


def _code(lines: list[str]) -> str:
    text = textwrap.dedent("\n".join(lines)).strip("\n")
    return "\n".join(line.removeprefix("yield ") for line in text.splitlines())


_KINDS = {tokenize.STRING: "string", tokenize.NUMBER: "number", tokenize.COMMENT: "comment"}


def tokens(source: str) -> Iterator[Token]:
    """The pieces of some code, blanks included, for colouring."""
    lines = source.splitlines(keepends=True)
    row, column = 1, 0
    for found in tokenize.generate_tokens(io.StringIO(source).readline):
        (first, left), (last, right) = found.start, found.end
        if not found.string.strip():
            continue
        gap = "".join(lines[row - 1 : first - 1])[column:] if first > row else ""
        yield Token(gap + lines[first - 1][column if first == row else 0 : left], "")
        is_keyword = found.type == tokenize.NAME and keyword.iskeyword(found.string)
        yield Token(found.string, "keyword" if is_keyword else _KINDS.get(found.type, ""))
        row, column = last, right
