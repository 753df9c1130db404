"""Small systems written by hand for the tests of single stages."""

from __future__ import annotations

import numpy as np

import compiler
from compiler.language.expression import Binder, Element, Expr, Index, Reduce, expr
from compiler.language.system import Equation, System, Tensor

__all__ = [
    "assert_compiled_is_interpreted",
    "binders",
    "element",
    "equation",
    "matrix_product",
    "reduction",
    "tensor",
]


def tensor(name: str, *shape: int, role: str = "input", dtype: str = "float32") -> Tensor:
    """``tensor("x", 64, 784)``."""
    return Tensor(name, shape, dtype, role)


def _subscript(value: object) -> Expr:
    return Index(value) if isinstance(value, str) else expr(value)


def element(name: str, *subscripts: object) -> Element:
    """``element("x", "n", Index("t") - 1)``: a string is an index."""
    return Element(name, tuple(map(_subscript, subscripts)))


def binders(**sizes: int) -> tuple[Binder, ...]:
    """``binders(i=3, j=4)``."""
    return tuple(Binder(Index(name), expr(size)) for name, size in sizes.items())


def reduction(kind: str, body: Expr, **sizes: int) -> Reduce:
    """``reduction("sum", x*W, k=784)``."""
    return Reduce(kind, body, binders(**sizes))


def equation(target: Element, value: object, add: bool = False, **sizes: int) -> Equation:
    """``target = value`` for all values of the indices."""
    return Equation(target.tensor, target.subscripts, binders(**sizes), expr(value), add)


def matrix_product(rows: int, inner: int, columns: int) -> System:
    """``C[i, j] = sum[k](A[i, k]*B[k, j])``."""
    product = element("A", "i", "k") * element("B", "k", "j")
    return System(
        (
            tensor("A", rows, inner),
            tensor("B", inner, columns),
            tensor("C", rows, columns, role="output"),
        ),
        (equation(element("C", "i", "j"), reduction("sum", product, k=inner), i=rows, j=columns),),
    )


def assert_compiled_is_interpreted(system: System) -> None:
    """Both evaluators give the same for random real inputs."""
    generator = np.random.default_rng(0)
    arrays = {
        t.name: generator.normal(size=t.shape).astype(t.dtype)
        for t in system.tensors
        if t.role in ("input", "parameter")
    }
    expected = compiler.evaluate(system, arrays)
    found = compiler.compile(system, compiler.Options(cache="off"))(arrays)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-5, err_msg=name)
