"""Stage winograd: sums over windows by tiles, the same numbers up to a bound that is part of the contract."""

from __future__ import annotations

import numpy as np
import pytest
import sympy

import compiler
from compiler import Options, System
from compiler.errors import CompilerError
from compiler.language.expression import Call, Expr, Index, expr, walk
from compiler.language.notes import Note
from compiler.language.system import Equation
from compiler.rewriting.interpolation import combined, interpolation
from compiler.rewriting.windows import windows
from compiler.rewriting.winograd import winograd

from .build import assert_compiled_is_interpreted, element, equation, reduction, tensor

KINDS = ("places", "backward", "window")


def _system(
    kind: str,
    batch: int,
    size: tuple[int, ...],
    inner: int,
    outer: int,
    pad: int = 1,
    length: int = 3,
    **given: str,
) -> System:
    """A sum over windows of one length along each axis: its value, or its gradient for the data or the window."""
    dtype = given.get("dtype", "float32")
    places, steps = "hw"[: len(size)], "ij"[: len(size)]
    after = tuple(n + 2 * pad - length + 1 for n in size)
    x, k = tensor("x", batch, *size, inner), tensor("k", *(length for _ in size), inner, outer)
    y = tensor("y", batch, *after, outer)

    def moved(sign: int) -> tuple[Expr, ...]:
        pairs = zip(map(Index, places), map(Index, steps), strict=True)
        return tuple(p + s - pad if sign > 0 else p - s + pad for p, s in pairs)

    def shape(*pairs: tuple[str, tuple[int, ...]]) -> dict[str, int]:
        return {i: n for letters, sizes in pairs for i, n in zip(letters, sizes, strict=True)}

    window = (steps, (length,) * len(size))
    match kind:
        case "places":
            body = element("x", "n", *moved(1), "c") * element("k", *steps, "c", "o")
            value = reduction("sum", body, **shape(window), c=inner) + element("b", "o")
            space = {"n": batch, **shape((places, after)), "o": outer}
            operands, result = (x, k, tensor("b", outer)), y
        case "backward":
            body = element("k", *steps, "c", "o") * element("y", "n", *moved(-1), "o")
            value = reduction("sum", body, o=outer, **shape(window))
            space = {"n": batch, **shape((places, size)), "c": inner}
            operands, result = (k, y), x
        case _:
            body = element("y", "n", *places, "o") * element("x", "n", *moved(1), "c")
            value = reduction("sum", body, n=batch, **shape((places, after)))
            space = {**shape(window), "c": inner, "o": outer}
            operands, result = (x, y), k
    target = element("result", *space)
    result = tensor("result", *result.shape, role="output")
    tensors = tuple(tensor(t.name, *t.shape, role=t.role, dtype=dtype) for t in (*operands, result))
    return System(tensors, (equation(target, value, **space),))


def _arrays(system: System) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    return {
        t.name: random.normal(size=t.shape).astype(t.dtype)
        for t in system.tensors
        if t.role == "input"
    }


def _notes(system: System, policy: str = "auto") -> str:
    notes: list[Note] = []
    winograd(system, policy, notes)
    return "\n".join(map(str, notes))


# --- the identity ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("outputs", "window"), [(2, 3), (4, 3), (5, 3), (2, 5), (1, 3), (3, 2)])
def test_interpolation_is_a_correlation(outputs: int, window: int) -> None:
    """``A^T((G g)*(B^T d))`` is ``sum[i](d[a + i]*g[i])``, exactly, for symbols."""
    found = interpolation(outputs, window)
    count = outputs + window - 1
    assert len(found.data) == len(found.window) == len(found.outputs) == count
    d, g = sympy.symbols(f"d:{count}"), sympy.symbols(f"g:{window}")

    def transformed(matrix: object, terms: object) -> sympy.Matrix:
        return sympy.Matrix(matrix).applyfunc(sympy.Rational) * sympy.Matrix(terms)

    points = transformed(found.data, d).multiply_elementwise(transformed(found.window, g))
    results = sympy.Matrix(found.outputs).applyfunc(sympy.Rational).T * points
    for a, result in enumerate(results):
        assert sympy.expand(result - sum(d[a + i] * g[i] for i in range(window))) == 0


@pytest.mark.parametrize("outputs", [2, 4, 5])
@pytest.mark.parametrize("is_transposed", [False, True])
def test_combinations_are_the_rows(outputs: int, is_transposed: bool) -> None:
    """However halves are shared, each expression has the coefficients of its row."""
    found = interpolation(outputs, 3)
    for matrix in (found.data, found.window, found.outputs):
        rows = tuple(zip(*matrix, strict=True)) if is_transposed else matrix
        names = [Index(f"t{k}") for k in range(len(rows[0]))]
        for row, value in zip(rows, combined(rows, names), strict=True):
            for k, factor in enumerate(row):
                assert _value(value, {f"t{n}": int(n == k) for n in range(len(row))}) == factor


def test_twins_share_their_halves() -> None:
    """Where rows or columns differ by signs alone, a fifth of all operations at least is done once for two of them."""
    found = interpolation(5, 3)
    for rows in (found.data, found.outputs, tuple(zip(*found.outputs, strict=True))):
        values = combined(rows, [Index(f"t{k}") for k in range(len(rows[0]))])
        calls = [part for value in values for part in walk(value) if isinstance(part, Call)]
        assert len(set(calls)) < 4 / 5 * len(calls)


def _value(e: Expr, numbers: dict[str, int]) -> object:
    match e:
        case Index(name):
            return numbers[name]
        case Call(function, arguments):
            first, *rest = (_value(a, numbers) for a in arguments)
            if function == "neg":
                return -first  # type: ignore[operator]
            (second,) = rest
            return {"+": first + second, "-": first - second, "*": first * second}[function]  # type: ignore[operator]
    return e.value  # type: ignore[attr-defined]


# --- the stage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("size", "pad", "length"),
    [
        ((6, 9), 0, 3),
        ((7, 5), 1, 3),
        ((11,), 1, 3),
        ((4, 4), 2, 3),
        ((11, 10), 2, 5),
        ((12,), 0, 5),
        ((9, 9), 1, 5),
        ((10, 9), 2, 4),
        ((11,), 1, 4),
    ],
    ids=str,
)
def test_tiles_are_the_sum(kind: str, size: tuple[int, ...], pad: int, length: int) -> None:
    """In real numbers nothing changes: the interpreter finds the same to 15 digits, whatever is left of a tile."""
    system = _system(kind, 2, size, 2, 3, pad, length, dtype="float64")
    tiled = winograd(system, "winograd")
    assert len(tiled.equations) > 10
    arrays = _arrays(system)
    expected = compiler.evaluate(system, arrays)["result"]
    found = compiler.evaluate(tiled, arrays)["result"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * abs(expected).max())


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_are_shared(kind: str) -> None:
    """Compiled, all equations of a block are one kernel, and no number of threads changes a bit."""
    system = _system(kind, 8, (30, 41), 16, 32)
    arrays = _arrays(system)
    exact = {name: array.astype("float64") for name, array in arrays.items()}
    double = _system(kind, 8, (30, 41), 16, 32, dtype="float64")
    expected = compiler.compile(double, Options(cache="off"))(exact)["result"]
    results = []
    for threads in (1, 2, 3):
        executable = compiler.compile(system, Options(cache="off", threads=threads))
        results.append(executable(arrays)["result"])
    text = executable.explain("together")  # a block, and in it what passes along one axis
    assert text.count("\ntogether for") == 1 and text.count("    together for") >= 1
    for result in results:
        np.testing.assert_allclose(result, expected, rtol=0, atol=2e-5 * abs(expected).max())
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("length", "outputs", "bound"),
    [
        (3, 5, 8e-6),
        (3, 4, 4e-6),
        (3, 2, 2e-6),
        (4, 3, 4e-6),
        (4, 4, 8e-6),
        (5, 2, 4e-6),
        (5, 3, 8e-6),
    ],
)
def test_errors_are_as_documented(
    kind: str, length: int, outputs: int, bound: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative to the largest result, errors stay below what `Options` says."""
    monkeypatch.setattr("compiler.rewriting.tiling.POINTS", (outputs + length - 1,))
    system, double = (
        _system(kind, 2, (16, 16), 64, 24, length // 2, length, dtype=dtype)
        for dtype in ("float32", "float64")
    )
    arrays = _arrays(system)
    exact = {name: array.astype("float64") for name, array in arrays.items()}
    expected = compiler.compile(double, Options(cache="off"))(exact)["result"]
    executable = compiler.compile(system, Options(cache="off", windows="winograd"))
    assert "x".join([str(outputs)] * 2) in executable.explain("winograd")
    error = abs(executable(arrays)["result"] - expected).max() / abs(expected).max()
    assert error < bound


def test_what_follows_at_each_place_is_computed_with_it() -> None:
    """A pointwise equation that alone reads the sum becomes part of the last transform."""
    system = _system("places", 2, (6, 6), 2, 3)
    (sum_,) = system.equations
    local = tensor("z", *system.by_name["result"].shape, role="local")
    here = tuple(b.index for b in sum_.indices)
    bounded = Call("max", (expr(0), element("z", *here)))
    after = Equation("result", here, sum_.indices, bounded)
    whole = System((*system.tensors, local), (_into(sum_, "z"), after))
    tiled = winograd(whole, "winograd")
    assert "z" not in tiled.by_name
    arrays = _arrays(system)
    expected, found = (compiler.evaluate(s, arrays)["result"] for s in (whole, tiled))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (found == 0).any()


def _into(one: Equation, target: str) -> Equation:
    return Equation(target, one.subscripts, one.indices, one.value)


@pytest.mark.parametrize(
    ("batch", "size", "channels", "tile"),
    [(64, 14, (16, 32), "5x5"), (4, 56, (64, 64), "4x4"), (7, 23, (33, 65), "4x4")],
)
def test_tiles_are_those_that_leave_least(
    batch: int, size: int, channels: tuple[int, int], tile: str
) -> None:
    """14 places are three tiles of 5; where more tiles reach over the end, or few are a block, they are smaller."""
    assert f"{tile} places" in _notes(_system("places", batch, (size, size), *channels))


# --- where it declines -------------------------------------------------------------------------------------------


def test_winograd_declines_where_nothing_is_saved() -> None:
    """Few products, few channels, another precision: each with its reason."""
    assert "products" in _notes(_system("places", 1, (6, 6), 4, 4))
    assert "of the work would be left" in _notes(_system("places", 8, (64, 64), 1, 32))
    large = _system("places", 8, (32, 32), 32, 32, dtype="float64")
    assert "float64" in _notes(large)
    assert "4x4 places" in _notes(large, "winograd")
    assert winograd(_system("places", 8, (32, 32), 32, 32), "direct").equations[0].is_plain


def test_winograd_declines_for_what_replaces_a_state() -> None:
    """A new value is written where the old one lies, by one equation."""
    system = _system("window", 2, (8, 8), 16, 16)
    (only,) = system.equations
    state = tensor("state", *system.by_name["result"].shape, role="parameter")
    new = tensor("new", *state.shape, role="local")
    tensors = (*(t for t in system.tensors if t.name != "result"), state, new)
    whole = System(tensors, (_into(only, "new"),), (("state", "new"),))
    assert "replaces a state" in _notes(whole, "winograd")


@pytest.mark.parametrize(
    "subscripts",
    [
        (Index("h") * 2 + Index("i"), "c"),
        (Index("h") + Index("i") * 2, "c"),
        (Index("h") + Index("i"), Index("c") % 2),
    ],
    ids=["stride", "dilation", "other"],
)
def test_windows_move_by_single_steps(subscripts: tuple[object, ...]) -> None:
    """Strides, dilated windows and anything that is not understood are left alone."""
    body = element("x", *subscripts) * element("k", "i", "c", "o")
    sum_ = reduction("sum", body, i=3, c=4)
    target = tensor("y", 8, 4, role="output")
    system = System(
        (tensor("x", 20, 4), tensor("k", 3, 4, 4), target),
        (equation(element("y", "h", "o"), sum_, h=8, o=4),),
    )
    assert windows(system.equations[0], system.by_name) is None
    assert winograd(system, "winograd") == system


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_parts_of_a_target_are_left_alone(order: tuple[int, int]) -> None:
    """Tiles reach over the end, where another equation's part of the target may begin."""
    body = element("x", "n", Index("h") + Index("i"), "c") * element("k", "i", "c", "o")
    parts = (
        equation(element("y", "n", "h", "o"), reduction("sum", body, i=3, c=32), n=4, h=70, o=48),
        equation(
            element("y", "n", Index("h") + 70, "o"), element("a", "n", "h", "o"), n=4, h=5, o=48
        ),
    )
    system = System(
        (
            tensor("x", 4, 72, 32),
            tensor("k", 3, 32, 48),
            tensor("a", 4, 5, 48),
            tensor("y", 4, 75, 48, role="output"),
        ),
        tuple(parts[k] for k in order),
    )
    assert winograd(system, "winograd") == system
    assert_compiled_is_interpreted(system)


def test_options_know_their_words() -> None:
    """Anything else is refused when it is said."""
    with pytest.raises(CompilerError, match="one of auto, direct, winograd, got 'fast'"):
        Options(windows="fast")
