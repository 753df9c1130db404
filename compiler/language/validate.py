"""Is a system one that the compiler can take? Every stage receives and leaves a valid system, but for bytes (`narrow`).

tensors     names are identifiers and unique; shapes are whole numbers; dtypes and roles are known
equations   the target is an output or local; every index has a size; every tensor is known and has
            as many axes as subscripts; functions are known; no Symbol, Size or "..." is left; no
            element is defined twice (places.py)
updates     a parameter takes the value of a tensor of its own shape
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import CompilerError
from .dtypes import DTYPES
from .expression import (
    ARITHMETIC,
    COMPARISONS,
    FUNCTIONS,
    LOGICAL,
    REDUCTIONS,
    Call,
    Constant,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Size,
    Symbol,
)
from .form import of_alike
from .places import defined_twice
from .simplify import kind_of
from .system import ROLES, Equation, System, Tensor
from .text import expression_text

__all__ = ["validate"]

_BINARY = ("-", "/", "//", "%", "**", *COMPARISONS)
_MANY = ("+", "*", "and", "or")


def validate(system: System) -> System:
    """``system`` itself if it is valid; else CompilerError naming the equation and the cause."""
    tensors: dict[str, Tensor] = {}
    for tensor in system.tensors:
        _check_tensor(tensor, tensors)
        tensors[tensor.name] = tensor
    is_faulty = of_alike(lambda equation: bool(_equation_fault(equation, tensors)), system)
    for equation in filter(is_faulty, system.equations):
        raise CompilerError(_located(equation, _equation_fault(equation, tensors)))
    twice = defined_twice(system.equations)
    if twice:
        raise CompilerError(_located(*twice))
    taken: dict[str, None] = {}
    for state, new in system.updates:
        cause = _update_fault(state, new, tensors) or (
            "it is updated twice" if state in taken else ""
        )
        if cause:
            raise CompilerError(f"{state} <- {new}: {cause}")
        taken[state] = None
    return system


def _located(equation: Equation, cause: str) -> str:
    origin = f" ({equation.origin})" if equation.origin else ""
    return f"{equation}{origin}: {cause}"


def _check_tensor(tensor: Tensor, known: Mapping[str, Tensor]) -> None:
    name = tensor.name
    if not name or not all(c.isalnum() or c in "_." for c in name):
        raise CompilerError(f"{name!r} is not a name: letters, digits, _ and . are allowed")
    if name in known:
        raise CompilerError(f"{name}: two tensors have this name")
    if tensor.dtype not in DTYPES:
        raise CompilerError(f"{name}: expected a dtype of {', '.join(DTYPES)}, got {tensor.dtype}")
    if tensor.role not in ROLES:
        raise CompilerError(f"{name}: expected a role of {', '.join(ROLES)}, got {tensor.role}")
    if any(not isinstance(n, int) or n < 0 for n in tensor.shape):
        raise CompilerError(f"{name}: expected a shape of whole numbers, got {tensor.shape}")


def _equation_fault(equation: Equation, tensors: Mapping[str, Tensor]) -> str:
    target = tensors.get(equation.target)
    if target is None:
        return f"{equation.target} is no tensor of the system"
    if target.role in ("input", "parameter"):
        return f"{equation.target} is given ({target.role}), no equation may define it"
    if equation.accumulate and target.dtype == "bool":
        return f"{equation.target} is bool, nothing can be added into it"
    sizes: dict[Index, None] = {}
    for index, size in equation.indices:
        if index in sizes:
            return f"index {index.name} is listed twice"
        if not _is_size(size):
            return f"index {index.name} has no size"
        sizes[index] = None
    place = Element(equation.target, equation.subscripts)
    return _fault(place, sizes, tensors) or _fault(equation.value, sizes, tensors)


def _is_size(size: Expr | None) -> bool:
    return isinstance(size, Number) and size.is_integer and size.value >= 0


def _fault(e: Expr, known: Mapping[Index, None], tensors: Mapping[str, Tensor]) -> str:
    """What is wrong with an expression over these indices, or the empty string."""
    inner: tuple[Expr, ...] = ()
    match e:
        case Number():
            return ""
        case Constant(name):
            return "" if name in ("pi", "inf") else f"{name} is no constant"
        case Index(name):
            return "" if e in known else f"index {name} has no size here"
        case Symbol(name):
            return f"{name} is not a number yet"
        case Size(tensor, axis):
            return f"dim({tensor}, {axis}) is not a number yet"
        case Element(tensor, inner):
            if tensor not in tensors:
                return f"{tensor} is no tensor of the system"
            rank = len(tensors[tensor].shape)
            if len(inner) != rank:
                return f"{tensor} has {rank} axes but {len(inner)} subscripts"
        case Call(function, inner):
            if not _count_is_right(function, len(inner)):
                return f"{function} does not take {len(inner)} arguments"
        case Reduce(kind, body, binders):
            inner, known = (body,), {**known, **dict.fromkeys(e.indices)}
            if kind not in REDUCTIONS:
                return f"{kind} is no reduction"
            for index, size in binders:
                if not _is_size(size):
                    return f"index {index.name} has no size"
    fault = next((fault for fault in (_fault(c, known, tensors) for c in inner) if fault), "")
    if fault:
        return fault
    match e:
        case Call("uniform", arguments):
            return _argument_fault(arguments, tensors)
        case Element(tensor, subscripts):
            return _subscript_fault(tensor, subscripts, tensors)
    return ""


def _subscript_fault(
    tensor: str, subscripts: tuple[Expr, ...], tensors: Mapping[str, Tensor]
) -> str:
    """What is wrong with what stands in the brackets of ``tensor``."""
    for subscript in subscripts:
        if kind_of(subscript, tensors) != "integer":
            return f"a subscript of {tensor} is an integer, {expression_text(subscript)} is none"
    return ""


def _argument_fault(arguments: tuple[Expr, ...], tensors: Mapping[str, Tensor]) -> str:
    """What is wrong with the arguments of ``uniform``."""
    for argument in arguments:
        if kind_of(argument, tensors) != "integer":
            return f"uniform takes integers, {expression_text(argument)} is none"
        if isinstance(argument, Number) and not -(2**63) <= argument.value < 2**63:
            return f"{expression_text(argument)} does not fit into 64 bits"
    return ""


def _count_is_right(function: str, count: int) -> bool:
    if function in FUNCTIONS:
        wanted = FUNCTIONS[function]
        return count >= 2 if wanted is None else count == wanted
    if function in _MANY:
        return count >= 2
    if function in _BINARY:
        return count == 2
    return function in (*ARITHMETIC, *LOGICAL) and count == 1


def _update_fault(state: str, new: str, tensors: Mapping[str, Tensor]) -> str:
    for name in (state, new):
        if name not in tensors:
            return f"{name} is no tensor of the system"
    if tensors[state].role != "parameter":
        return f"only a parameter can be updated, {state} is {tensors[state].role}"
    if tensors[state].shape != tensors[new].shape:
        return f"{state} has shape {tensors[state].shape}, its new value {tensors[new].shape}"
    return ""
