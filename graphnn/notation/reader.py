"""Reader: the syntax tree of one line -> its equation, by the grammar of `parse`; all that is not listed is refused."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from fractions import Fraction

from compiler.language.expression import (
    ELLIPSIS,
    FUNCTIONS,
    GROUP,
    REDUCTIONS,
    Binder,
    Call,
    Constant,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Size,
    Symbol,
    expr,
)

from ..errors import NotationError
from .formula import Fact, Line
from .hints import bound_already, hint, unknown_function
from .limits import (
    MAX_DIGITS,
    is_reserved,
    is_size,
    is_whole,
    problem_of,
    without_powers,
    written_number,
)
from .names import is_ellipsis, items_of, name_of, target_name

__all__ = ["Attributes", "Reader"]

_BINARY: Mapping[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
_COMPARE: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
Attributes = Mapping[str, int | float | Fraction]


class Reader:
    """One line while it is being read: the indices in scope, for messages the text."""

    def __init__(self, text: str, number: int, attributes: Attributes, targets: set[str]) -> None:
        self.text, self.number, self.attributes, self.targets = text, number, attributes, targets
        self.scope: dict[str, Index] = {}
        self.bound: dict[ast.expr, Index] = {}
        self.columns: dict[Expr, int] = {}
        self.depth_in_subscript, self.in_value = 0, False  # before its =, or behind it

    def error(self, message: str, node: ast.AST) -> NotationError:
        same_line = getattr(node, "lineno", self.number) == self.number
        column = getattr(node, "col_offset", None) if same_line else None
        return NotationError(message, self.text, self.number, column)

    def equation(self, node: ast.Assign | ast.AugAssign) -> Line:
        if isinstance(node, ast.Assign) and len(node.targets) != 1:
            raise self.error("one target on the left side", node)
        if isinstance(node, ast.AugAssign) and not isinstance(node.op, ast.Add):
            raise self.error("'=' or '+=' between the two sides", node)
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        name = target_name(node)
        if name is None or name in self.attributes or is_reserved(name):
            raise self.error("on the left side expected a tensor name with indices", target)
        declared: list[Binder] = []
        subscripts: tuple[Expr, ...] = ()
        if isinstance(target, ast.Subscript):
            items = items_of(target)
            declared = self.bind_target(items)
            subscripts = tuple(map(self.subscript, items))
        self.in_value = True
        value = self.expression(node.value)
        accumulate = isinstance(node, ast.AugAssign)
        return Line(
            name,
            subscripts,
            tuple(declared),
            value,
            accumulate,
            self.text,
            self.number,
            self.columns,
        )

    def bind_target(self, items: list[ast.expr]) -> list[Binder]:
        """Indices of the left side: plain ones in order, then those inside integer expressions such as t+1, t[i:3]."""
        plain = [i for i in items if isinstance(i, (ast.Name, ast.Slice)) or is_ellipsis(i)]
        plain = [i for i in plain if not (isinstance(i, ast.Name) and i.id in self.attributes)]
        for item in items:
            if isinstance(item, ast.List):
                plain += item.elts
        declared = self.bind(plain)
        for item in items:
            if item in plain or isinstance(item, ast.List):
                continue
            declared += self.bind([n for n in ast.walk(item) if isinstance(n, ast.Slice)])
            for node in ast.walk(item):
                new = isinstance(node, ast.Name) and self.is_new_index(node, item)
                new = new or (is_ellipsis(node) and ELLIPSIS not in self.scope)
                if isinstance(node, ast.expr) and new:
                    declared += self.bind([node])
        return declared

    def is_new_index(self, node: ast.Name, item: ast.expr) -> bool:
        heads = {id(n.value) for n in ast.walk(item) if isinstance(n, ast.Subscript)}
        for call in (n for n in ast.walk(item) if isinstance(n, ast.Call)):
            heads |= {id(call.func), *(id(a) for a in call.args)}
        taken = node.id in self.scope or node.id in self.attributes
        return not taken and id(node) not in heads

    def bind(self, items: list[ast.expr]) -> list[Binder]:
        """New indices: ``i``, ``i:size`` or ``...``."""
        bound = []
        for item in items:
            size: Expr | None = None
            if is_ellipsis(item):
                name = ELLIPSIS
            elif isinstance(item, ast.Slice) and isinstance(item.lower, ast.Name):
                if item.step is not None or item.upper is None:
                    raise self.error("expected 'index:size'", item)
                name, size = item.lower.id, self.size(item.upper)
            elif isinstance(item, ast.Name):
                name = item.id
            else:
                raise self.error("expected an index name, 'index:size' or '...'", item)
            if name in self.scope:
                raise self.error(bound_already(name, self.in_value), item)
            if is_reserved(name):
                raise self.error(f"{name} cannot be the name of an index", item)
            if name in self.targets or name in self.attributes:
                kind = "an attribute" if name in self.attributes else "a tensor"
                raise self.error(f"{name} is {kind} in this formula and cannot be an index", item)
            self.scope[name] = self.bound[item] = Index(name)
            bound.append(Binder(Index(name), size))
        return bound

    def size(self, node: ast.expr) -> Expr:
        """How far an index runs: a number above 0, or one that follows from the shapes of operands."""
        found = self.expression(node)
        value = written_number(found)
        size = found if value is None else Number(value)
        if not is_size(size) or (value is not None and value < 1):
            raise self.error("a size is a whole number above 0, made of numbers and dim(...)", node)
        return size

    def fact(self, node: ast.Assert) -> Fact:
        test = node.test
        if not (
            isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)
        ):
            raise self.error("expected 'assert left == right'", node)
        declared = []
        free = [n for n in ast.walk(test) if isinstance(n, ast.Constant) and n.value is ...]
        if free:
            declared += self.bind([free[0]])
        return Fact(
            self.expression(test.left), self.expression(test.comparators[0]), tuple(declared)
        )

    def expression(self, node: ast.expr) -> Expr:
        found = self._expression(node)
        problem = problem_of(found)
        if problem:
            raise self.error(problem, node)
        self.columns.setdefault(found, node.col_offset)
        return found

    def _expression(self, node: ast.expr) -> Expr:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return self.number_literal(value, node)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Call("neg", (self.expression(operand),))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Call("not", (self.expression(operand),))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return Call(_BINARY[type(op)], (self.expression(left), self.expression(right)))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                pair = (self.expression(left), self.expression(right))
                if all(map(is_whole, pair)):  # positions are compared as such, exactly
                    pair = (without_powers(pair[0]), without_powers(pair[1]))
                return Call(_COMPARE[type(op)], pair)
            case ast.Compare(left=left, ops=ops, comparators=rest) if all(
                type(o) in _COMPARE for o in ops
            ):
                sides = [self.expression(s) for s in (left, *rest)]
                pairs = zip(ops, sides, sides[1:], strict=False)
                return Call("and", tuple(Call(_COMPARE[type(o)], (a, b)) for o, a, b in pairs))
            case ast.BoolOp(op=op, values=values):
                word = "and" if isinstance(op, ast.And) else "or"
                return Call(word, tuple(self.expression(v) for v in values))
            case ast.Call(func=ast.Subscript() as head, args=arguments, keywords=[]):
                return self.reduction(head, arguments, node)
            case ast.Call(func=ast.Name() as head, args=arguments, keywords=[]):
                return self.call(head, arguments, node)
            case ast.Subscript():
                return self.element(node)
            case ast.List(elts=[_, *_] as items):
                return Call(GROUP, tuple(map(self.subscript, items)))
            case ast.Name() | ast.Attribute() if name_of(node):
                return self.name(node)
        raise self.error(f"this is not part of the notation{hint(node)}", node)

    def number_literal(self, value: int | float, node: ast.expr) -> Expr:
        text = repr(value)
        if len(text) > MAX_DIGITS or text in ("inf", "nan"):
            raise self.error(
                f"numbers have at most {MAX_DIGITS} digits; infinity is written inf", node
            )
        return Number(Fraction(text))

    def name(self, node: ast.expr) -> Expr:
        name = name_of(node)
        assert name is not None
        if name in self.scope:
            return self.scope[name]
        if name in self.attributes:
            value = self.attributes[name]
            return expr(value) if value == int(value) else Symbol(name)
        if name in ("pi", "inf"):
            return Constant(name)
        if self.depth_in_subscript and name not in self.targets:
            raise self.error(
                f"index {name} is not bound: put it on the left side or into a reduction", node
            )
        if is_reserved(name):
            raise self.error(f"{name} cannot be the name of a tensor", node)
        return Element(name, ())

    def element(self, node: ast.Subscript) -> Expr:
        name = name_of(node.value)
        if name is None:
            raise self.error(f"only a tensor name can have subscripts{hint(node.value)}", node)
        if name in self.scope or name in self.attributes:
            kind = "an index" if name in self.scope else "an attribute"
            raise self.error(f"{name} is {kind} and cannot have subscripts", node)
        if name in REDUCTIONS:
            raise self.error(f"{name}[...] must be followed by its body in parentheses", node)
        if is_reserved(name):
            raise self.error(f"{name} cannot be the name of a tensor", node)
        return Element(name, tuple(self.subscript(item) for item in items_of(node)))

    def subscript(self, item: ast.expr) -> Expr:
        self.depth_in_subscript += 1
        try:
            if is_ellipsis(item):
                if ELLIPSIS not in self.scope:
                    raise self.error(
                        "'...' is not bound: put it on the left side or into a reduction", item
                    )
                return Index(ELLIPSIS)
            if isinstance(item, ast.Slice) and item in self.bound:
                return self.bound[item]  # on the left side, where it was declared
            if isinstance(item, (ast.Slice, ast.Starred)):
                raise self.error(
                    "a subscript is an integer expression; sizes stand with the index", item
                )
            found = self.expression(item)
            if not is_whole(found):
                raise self.error("a subscript is an integer expression", item)
            return without_powers(found)
        finally:
            self.depth_in_subscript -= 1

    def reduction(self, head: ast.Subscript, arguments: list[ast.expr], node: ast.expr) -> Expr:
        kind = name_of(head.value)
        if kind not in REDUCTIONS:
            raise self.error(f"expected a reduction ({', '.join(REDUCTIONS)}), got {kind}", node)
        if len(arguments) != 1:
            raise self.error(
                f"{kind}[...] takes one expression in parentheses, got {len(arguments)}", node
            )
        outer, nesting = dict(self.scope), self.depth_in_subscript
        binders = self.bind(items_of(head))
        self.depth_in_subscript = 0
        body = self.expression(arguments[0])
        self.scope, self.depth_in_subscript = outer, nesting
        return Reduce(kind, body, tuple(binders))

    def call(self, head: ast.Name, arguments: list[ast.expr], node: ast.expr) -> Expr:
        if head.id == "dim":
            return self.dimension(arguments, node)
        if head.id not in FUNCTIONS:
            raise self.error(unknown_function(head.id), node)
        count = FUNCTIONS[head.id]
        if len(arguments) != count and not (count is None and len(arguments) >= 2):
            wanted = "two or more arguments" if count is None else f"{count} argument(s)"
            raise self.error(f"{head.id} takes {wanted}, got {len(arguments)}", node)
        values = tuple(self.expression(a) for a in arguments)
        if head.id == "uniform" and not all(map(is_whole, values)):
            raise self.error("uniform takes three integer expressions", node)
        if head.id == "uniform":
            values = tuple(map(without_powers, values))
        return Call(head.id, values)

    def dimension(self, arguments: list[ast.expr], node: ast.expr) -> Expr:
        name = name_of(arguments[0]) if len(arguments) == 2 else None
        if name is None:
            raise self.error("expected dim(tensor, axis)", node)
        if is_ellipsis(arguments[1]):
            return Size(name, ELLIPSIS)
        axis = written_number(self.expression(arguments[1]))
        if axis is None or axis.denominator != 1:
            raise self.error("the axis in dim(tensor, axis) is a whole number or '...'", node)
        return Size(name, int(axis))
