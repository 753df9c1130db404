"""Text -> Formula: a small subset of Python's own syntax, read with ``ast`` against a whitelist, never evaluated.

    formula   := { equation | "assert" expr "==" expr }
    equation  := target ("=" | "+=") expr
    target    := name [ "[" item {"," item} "]" ]             no brackets = a scalar
    item      := index | index ":" size | "..." | "[" index {"," index} "]" | integer expression
    expr      := number | pi | inf | index | attribute | scalar | element | reduction | call
               | expr (+ - * / ** // %) expr | - expr | expr compare expr | expr and/or expr | not expr
    element   := name "[" (integer expression | "..." | group) {"," ...} "]"
    reduction := sum | mean | max | min | firstmax | firstmin | prod | argmax | argmin  "[" binder {"," binder} "]" "(" expr ")"
    binder    := index | index ":" size | "..."
    call      := where(c, a, b) | max(a, b, ...) | exp(a) | ... | dim(name, axis)
    name      := identifier | identifier ".new"               the new value of a state

A name that is neither a bound index nor an attribute is a tensor; without brackets it is a scalar one. Text from outside is
safe: anything not listed is refused, and so is text that is too long, too deep or has numbers too large.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from fractions import Fraction

from compiler.expression import (
    ELLIPSIS,
    FUNCTIONS,
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
from .formula import Fact, Formula, Line

__all__ = ["GROUP", "parse", "tensors_of"]

GROUP = "group"  # Call(GROUP, indices): several indices fused row-major into one subscript
MAX_CHARACTERS = 20_000
MAX_DEPTH = 60
MAX_DIGITS = 40
MAX_EXPONENT = 1000

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


def parse(
    text: str, attributes: Attributes | None = None, outputs: tuple[str, ...] | None = None
) -> Formula:
    """The formula that ``text`` stands for.

    ``attributes`` names the numbers in it: integers are put in, real ones stay symbols. ``outputs`` are the results; by
    default every target that no later line reads. Raises `NotationError`.
    """
    tree = _syntax(text)
    known = dict(attributes or {})
    source = text.splitlines()
    lines: list[Line] = []
    facts: list[Fact] = []
    targets = {name for node in tree.body if (name := _target_name(node))}
    for node in tree.body:
        reader = _Reader(source[node.lineno - 1], node.lineno, known, targets)
        if isinstance(node, ast.Assert):
            facts.append(reader.fact(node))
        elif isinstance(node, (ast.Assign, ast.AugAssign)):
            lines.append(reader.equation(node))
        else:
            raise reader.error("expected an equation 'name[indices] = expression'", node)
    if not lines:
        raise NotationError("expected an equation 'name[indices] = expression', got no line at all")
    operands = _read_names(lines, facts)
    defined = dict.fromkeys(line.target for line in lines)
    results = outputs or tuple(t for t in defined if not _read_later(t, lines))
    missing = [name for name in results if name not in defined]
    if missing:
        raise NotationError(f"output {missing[0]} is not defined by any line")
    return Formula(
        text, tuple(lines), tuple(facts), tuple(n for n in operands if n not in defined), results
    )


def _syntax(text: str) -> ast.Module:
    """The syntax tree, once the text is known to be small enough to be looked at."""
    if not isinstance(text, str):
        raise NotationError(f"a formula is a string, got {type(text).__name__}")
    if len(text) > MAX_CHARACTERS:
        raise NotationError(
            f"a formula has at most {MAX_CHARACTERS} characters, this one {len(text)}"
        )
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        line = (error.text or "").rstrip("\n")
        column = max((error.offset or 1) - 1, 0)
        raise NotationError(error.msg, line[:200], error.lineno or 1, min(column, 200)) from None
    except (RecursionError, MemoryError):
        raise NotationError("the formula is nested too deeply") from None
    except ValueError as error:
        raise NotationError(str(error)) from None
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if level:
        raise NotationError(f"the formula is nested more than {MAX_DEPTH} levels deep")
    return tree


def _target_name(node: ast.stmt) -> str | None:
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return _name(target.value if isinstance(target, ast.Subscript) else target)


def _name(node: ast.AST | None) -> str | None:
    """``x`` or ``m.new``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr == "new":
        return f"{node.value.id}.new"
    return node.id if isinstance(node, ast.Name) else None


def _read_names(lines: list[Line], facts: list[Fact]) -> dict[str, None]:
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


def _read_later(target: str, lines: list[Line]) -> bool:
    first = next(k for k, line in enumerate(lines) if line.target == target)
    return any(
        line.target != target and target in tensors_of(line.value) for line in lines[first + 1 :]
    )


class _Reader:
    """One line while it is being read: the indices in scope, for messages the text."""

    def __init__(self, text: str, number: int, attributes: Attributes, targets: set[str]) -> None:
        self.text, self.number, self.attributes, self.targets = text, number, attributes, targets
        self.scope: dict[str, Index] = {}
        self.columns: dict[Expr, int] = {}
        self.depth_in_subscript = 0

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
        name = _target_name(node)
        if name is None or name in self.attributes:
            raise self.error("on the left side expected a tensor name with indices", target)
        declared: list[Binder] = []
        subscripts: tuple[Expr, ...] = ()
        if isinstance(target, ast.Subscript):
            items = _items(target)
            declared = self.bind_target(items)
            subscripts = tuple(self.target_item(item) for item in items)
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
        """Indices of the left side: plain ones in order, then those inside integer expressions such as t+1."""
        plain = [i for i in items if isinstance(i, (ast.Name, ast.Slice)) or _is_ellipsis(i)]
        plain = [i for i in plain if not (isinstance(i, ast.Name) and i.id in self.attributes)]
        for item in items:
            if isinstance(item, ast.List):
                plain += item.elts
        declared = self.bind(plain)
        for item in items:
            if item in plain or isinstance(item, ast.List):
                continue
            for node in ast.walk(item):
                if (isinstance(node, ast.Name) and self.is_new_index(node, item)) or (_is_ellipsis(node) and ELLIPSIS not in self.scope):
                    declared += self.bind([node])
        return declared

    def is_new_index(self, node: ast.Name, item: ast.expr) -> bool:
        heads = {id(n.value) for n in ast.walk(item) if isinstance(n, ast.Subscript)}
        for call in (n for n in ast.walk(item) if isinstance(n, ast.Call)):
            heads |= {id(call.func), *(id(a) for a in call.args)}
        taken = node.id in self.scope or node.id in self.attributes
        return not taken and id(node) not in heads

    def target_item(self, item: ast.expr) -> Expr:
        if isinstance(item, ast.Slice):
            assert isinstance(item.lower, ast.Name)
            return self.scope[item.lower.id]
        return self.subscript(item)

    def bind(self, items: list[ast.expr]) -> list[Binder]:
        """New indices: ``i``, ``i:size`` or ``...``."""
        bound = []
        for item in items:
            size: Expr | None = None
            if _is_ellipsis(item):
                name = ELLIPSIS
            elif isinstance(item, ast.Slice) and isinstance(item.lower, ast.Name):
                if item.step is not None or item.upper is None:
                    raise self.error("expected 'index:size'", item)
                name, size = item.lower.id, self.expression(item.upper)
            elif isinstance(item, ast.Name):
                name = item.id
            else:
                raise self.error("expected an index name, 'index:size' or '...'", item)
            if name in self.scope:
                raise self.error(f"index {name} is already bound here", item)
            if name in self.targets or name in self.attributes:
                kind = "an attribute" if name in self.attributes else "a tensor"
                raise self.error(f"{name} is {kind} in this formula and cannot be an index", item)
            self.scope[name] = Index(name)
            bound.append(Binder(Index(name), size))
        return bound

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
            case ast.BinOp(op=ast.Pow(), right=right) if not _is_small_power(right):
                raise self.error(f"a constant exponent is at most {MAX_EXPONENT}", node)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return Call(_BINARY[type(op)], (self.expression(left), self.expression(right)))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return Call(_COMPARE[type(op)], (self.expression(left), self.expression(right)))
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
            case ast.Name() | ast.Attribute() if _name(node):
                return self.name(node)
        raise self.error("this is not part of the notation", node)

    def number_literal(self, value: int | float, node: ast.expr) -> Expr:
        text = repr(value)
        if len(text) > MAX_DIGITS or text in ("inf", "nan"):
            raise self.error(
                f"numbers have at most {MAX_DIGITS} digits; infinity is written inf", node
            )
        return Number(Fraction(text))

    def name(self, node: ast.expr) -> Expr:
        name = _name(node)
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
        if name in FUNCTIONS or name in REDUCTIONS or name.startswith("__"):
            raise self.error(f"{name} cannot be the name of a tensor", node)
        return Element(name, ())

    def element(self, node: ast.Subscript) -> Expr:
        name = _name(node.value)
        if name is None:
            raise self.error("only a tensor name can have subscripts", node)
        if name in self.scope or name in self.attributes:
            kind = "an index" if name in self.scope else "an attribute"
            raise self.error(f"{name} is {kind} and cannot have subscripts", node)
        if name in FUNCTIONS or name in REDUCTIONS or name.startswith("__"):
            raise self.error(f"{name}[...] must be followed by its body in parentheses", node)
        return Element(name, tuple(self.subscript(item) for item in _items(node)))

    def subscript(self, item: ast.expr) -> Expr:
        self.depth_in_subscript += 1
        try:
            if _is_ellipsis(item):
                if ELLIPSIS not in self.scope:
                    raise self.error(
                        "'...' is not bound: put it on the left side or into a reduction", item
                    )
                return Index(ELLIPSIS)
            if isinstance(item, ast.List):
                return Call(GROUP, tuple(self.group_item(e) for e in item.elts))
            if isinstance(item, (ast.Slice, ast.Starred)):
                raise self.error(
                    "a subscript is an integer expression; sizes stand with the index", item
                )
            return self.expression(item)
        finally:
            self.depth_in_subscript -= 1

    def group_item(self, node: ast.expr) -> Expr:
        if isinstance(node, ast.Slice) and isinstance(node.lower, ast.Name):
            return self.expression(node.lower)
        return Index(ELLIPSIS) if _is_ellipsis(node) else self.expression(node)

    def reduction(self, head: ast.Subscript, arguments: list[ast.expr], node: ast.expr) -> Expr:
        kind = _name(head.value)
        if kind not in REDUCTIONS:
            raise self.error(f"expected a reduction ({', '.join(REDUCTIONS)}), got {kind}", node)
        if len(arguments) != 1:
            raise self.error(
                f"{kind}[...] takes one expression in parentheses, got {len(arguments)}", node
            )
        outer, nesting = dict(self.scope), self.depth_in_subscript
        binders = self.bind(_items(head))
        self.depth_in_subscript = 0
        body = self.expression(arguments[0])
        self.scope, self.depth_in_subscript = outer, nesting
        return Reduce(kind, body, tuple(binders))

    def call(self, head: ast.Name, arguments: list[ast.expr], node: ast.expr) -> Expr:
        if head.id == "dim":
            return self.dimension(arguments, node)
        if head.id not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise self.error(
                f"unknown function {head.id}; known are {known}, dim and the reductions", node
            )
        count = FUNCTIONS[head.id]
        if len(arguments) != count and not (count is None and len(arguments) >= 2):
            wanted = "two or more arguments" if count is None else f"{count} argument(s)"
            raise self.error(f"{head.id} takes {wanted}, got {len(arguments)}", node)
        return Call(head.id, tuple(self.expression(a) for a in arguments))

    def dimension(self, arguments: list[ast.expr], node: ast.expr) -> Expr:
        name = _name(arguments[0]) if len(arguments) == 2 else None
        if name is None:
            raise self.error("expected dim(tensor, axis)", node)
        if _is_ellipsis(arguments[1]):
            return Size(name, ELLIPSIS)
        axis = self.expression(arguments[1])
        sign = 1
        if isinstance(axis, Call) and axis.function == "neg":
            axis, sign = axis.arguments[0], -1
        if not (isinstance(axis, Number) and axis.is_integer):
            raise self.error("the axis in dim(tensor, axis) is a whole number or '...'", node)
        return Size(name, sign * int(axis.value))


def _is_small_power(exponent: ast.expr) -> bool:
    """Exponents made of numbers only must be small and hold no power themselves."""
    nodes = list(ast.walk(exponent))
    if any(isinstance(n, (ast.Name, ast.Subscript)) for n in nodes):
        return True
    values = [n.value for n in nodes if isinstance(n, ast.Constant)]
    powers = any(isinstance(n, ast.Pow) for n in nodes)
    return not powers and all(
        isinstance(v, (int, float)) and abs(v) <= MAX_EXPONENT for v in values
    )


def _items(node: ast.Subscript) -> list[ast.expr]:
    """The subscripts, one by one; ``x[()]`` has none."""
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def _is_ellipsis(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...
