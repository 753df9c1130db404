"""Which names stand where: in the syntax of a text, and in the expressions read from it."""

from __future__ import annotations

import ast

from compiler.language.expression import Call, Element, Expr, Reduce, Size

from .formula import Fact, Line

__all__ = [
    "is_ellipsis",
    "is_read_later",
    "items_of",
    "name_of",
    "names_read",
    "target_name",
    "tensors_of",
]


def target_name(node: ast.stmt) -> str | None:
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return name_of(target.value if isinstance(target, ast.Subscript) else target)


def name_of(node: ast.AST | None) -> str | None:
    """``x`` or ``m.new``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr == "new":
        return f"{node.value.id}.new"
    return node.id if isinstance(node, ast.Name) else None


def names_read(lines: list[Line], facts: list[Fact]) -> dict[str, None]:
    found: dict[str, None] = {}
    for line in lines:
        for e in (line.value, *line.subscripts, *(b.size for b in line.declared if b.size)):
            found |= dict.fromkeys(tensors_of(e))
    for fact in facts:
        found |= dict.fromkeys([*tensors_of(fact.left), *tensors_of(fact.right)])
    return found


def tensors_of(e: Expr) -> list[str]:
    """Tensors an expression reads, or whose size it asks for, in the order in which they are written."""
    match e:
        case Size(tensor, _):
            return [tensor]
        case Element(tensor, subscripts):
            return [tensor, *(name for s in subscripts for name in tensors_of(s))]
        case Call(_, arguments):
            return [name for a in arguments for name in tensors_of(a)]
        case Reduce(_, body, binders):
            return [n for b in binders if b.size for n in tensors_of(b.size)] + tensors_of(body)
    return []


def is_read_later(target: str, lines: list[Line]) -> bool:
    first = next(k for k, line in enumerate(lines) if line.target == target)
    return any(
        line.target != target and target in tensors_of(line.value) for line in lines[first + 1 :]
    )


def items_of(node: ast.Subscript) -> list[ast.expr]:
    """The subscripts, one by one; ``x[()]`` has none."""
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def is_ellipsis(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...
