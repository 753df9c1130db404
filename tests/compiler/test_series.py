"""A series of steps is the same steps, done in one native call: same bits, whole steps, nothing left behind."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

import compiler
from compiler import ArrayError, Executable, Options, System
from compiler.language.expression import Call, Element, Index
from compiler.machine.native import address

from .build import element, equation, reduction, tensor

SIZE, WIDTH, ROWS, LABELS = 6, 96, 40, 7
RANDOM = np.random.default_rng(8)
DATA = {
    "x": RANDOM.normal(size=(ROWS, WIDTH)).astype("float32"),
    "t": RANDOM.integers(0, LABELS, ROWS).astype("int32"),
}
ORDER = RANDOM.permutation(ROWS)


def _system(size: int = SIZE, width: int = WIDTH) -> System:
    """``w`` moves by what the rows give, rows of ``E`` are chosen by the labels, ``s`` is one number."""
    chosen = Element("E", (Element("t", (Index("n"),)), Index("j")))
    product = reduction("sum", element("x", "n", "k") * element("w", "k", "j"), k=width)
    moved = reduction("mean", element("x", "n", "k") * element("y", "n", "j"), n=size)
    square = element("y", "n", "j") * element("y", "n", "j")
    return System(
        (
            tensor("x", size, width),
            tensor("t", size, dtype="int32"),
            tensor("E", LABELS, width, role="parameter"),
            tensor("w", width, width, role="parameter"),
            tensor("y", size, width, role="output"),
            tensor("v", width, width, role="local"),
            tensor("s", role="output"),
        ),
        (
            equation(element("y", "n", "j"), Call("tanh", (product + chosen,)), n=size, j=width),
            equation(element("s"), reduction("mean", square, n=size, j=width)),
            equation(element("v", "k", "j"), element("w", "k", "j") - moved / 8, k=width, j=width),
        ),
        (("w", "v"),),
    )


def _executable(threads: int = 1) -> Executable:
    executable = compiler.compile(_system(), Options(cache="off", threads=threads))
    random = np.random.default_rng(1)
    for name in "wE":
        buffer = executable.buffer(name)
        buffer[:] = random.normal(size=buffer.shape) / 9
    return executable


def _step_by_step(order: np.ndarray | None, count: int) -> list[bytes]:
    executable, found = _executable(), []
    for n in range(count):
        part = slice(n * SIZE, (n + 1) * SIZE)
        rows = part if order is None else order[part]
        arrays = {name: array[rows] for name, array in DATA.items()}
        found += [a.tobytes() for a in executable.run(arrays, ["y", "s"])]
    return [*found, executable.buffer("w").tobytes()]


def _in_series(order: np.ndarray | None, parts: list[int], threads: int) -> list[bytes]:
    executable = _executable(threads)
    steps = ROWS // SIZE
    y, s = np.zeros((steps, SIZE, WIDTH), "f4"), np.zeros(steps, "f4")
    series = executable.series(DATA, {"y": y, "s": s}, order)
    for first, stop in zip([0, *parts], parts, strict=False):
        series.run(first, stop, seconds=60)
        assert series.done == stop
    found = [a.tobytes() for n in range(parts[-1]) for a in (y[n], s[n])]
    return [*found, executable.buffer("w").tobytes()]


@pytest.mark.parametrize("order", [None, ORDER], ids=["neighbours", "gathered"])
@pytest.mark.parametrize("parts", [[6], [1, 2, 6], [5]])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_series_is_its_steps(
    order: np.ndarray | None, parts: list[int], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs of every step and the state at the end, for any number of threads, in one call or several."""
    monkeypatch.setattr(compiler.scheduling.distribute, "WORTH", 0.0)
    monkeypatch.setattr(compiler.scheduling.distribute, "WORTH_WAKING", 0.0)
    assert _in_series(order, parts, threads) == _step_by_step(order, parts[-1])


def test_time_ends_a_series_after_a_whole_step() -> None:
    """One step is always done; what follows is left for the next call."""
    executable = _executable()
    series = executable.series(DATA, {}, ORDER)
    series.run(0, series.steps, seconds=0)
    assert series.done == 1
    once = executable.buffer("w").tobytes()
    assert once == _step_by_step(ORDER, 1)[-1]
    series.run(1, series.steps, seconds=60)
    assert executable.buffer("w").tobytes() == _step_by_step(ORDER, series.steps)[-1]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_subscript_outside_ends_a_series(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps before it are done, that one has not begun, and the error says where in its rows."""
    monkeypatch.setattr(compiler.scheduling.distribute, "WORTH", 0.0)
    monkeypatch.setattr(compiler.scheduling.distribute, "WORTH_WAKING", 0.0)
    labels = DATA["t"].copy()
    labels[ORDER[2 * SIZE + 1]] = -1
    executable = _executable(threads)
    series = executable.series({**DATA, "t": labels}, {}, ORDER)
    with pytest.raises(IndexError, match=r"t\[1\] is -1, .* of E, where 0 to 6"):
        series.run(0, series.steps, seconds=60)
    assert series.done == 2
    assert executable.buffer("w").tobytes() == _step_by_step(ORDER, 2)[-1]


def test_a_series_leaves_memory_as_it_was_bound() -> None:
    """A step after it runs on the buffers, not on the rows, and writes to its own outputs."""
    executable = _executable()
    s = np.zeros(4, "f4")
    executable.series(DATA, {"s": s}).run(0, 4, seconds=60)
    executable.buffer("x")[:] = 0
    executable.buffer("t")[:] = 0
    s[:] = 9
    executable.step()
    assert s.tolist() == [9, 9, 9, 9]
    rows = executable.buffer("y")
    assert np.array_equal(rows, np.broadcast_to(rows[0], rows.shape))


@pytest.mark.parametrize(
    ("inputs", "outputs", "order", "cause"),
    [
        ({"x": DATA["x"][:, :9]}, {}, None, r"x: expected rows of x: f32\[6, 96\] input, got"),
        ({"x": DATA["x"].astype("f8")}, {}, None, "C-contiguous float32, got f64"),
        ({"x": np.asfortranarray(DATA["x"])}, {}, None, "C-contiguous float32"),
        ({"z": DATA["x"]}, {}, None, "z: expected one of x, t"),
        (DATA, {"s": np.zeros((4, 1), "f4")}, None, "s: expected steps of s"),
        (DATA, {"w": np.zeros((4, WIDTH, WIDTH), "f4")}, None, "w: expected steps of"),
        (DATA, {}, ORDER.astype("int32"), "order is an array of int64"),
        (DATA, {}, ORDER + 1, "the order goes beyond the 40 rows"),
        (DATA, {}, ORDER - 1, "the order goes beyond"),
    ],
)
def test_what_does_not_fit_is_refused(inputs, outputs, order, cause: str) -> None:
    """Shapes, dtypes, names, an order that leads outside: found before there is a series."""
    with pytest.raises(ArrayError, match=cause):
        _executable().series(inputs, outputs, order)


def test_a_series_ends_where_its_rows_end() -> None:
    """Steps that the arrays have no rows for are refused, as is memory that a step writes to."""
    executable = _executable()
    series = executable.series(DATA, {"s": np.zeros(5, "f4")})
    assert series.steps == 5
    for first, stop in ((0, 6), (3, 3), (-1, 2)):
        with pytest.raises(ArrayError, match="there are steps 0 to 4"):
            series.run(first, stop, seconds=60)
    with pytest.raises(ArrayError, match="x: the array shares its memory with that of w"):
        executable.series({"x": executable.buffer("w")}, {})


# --- subnormal numbers --------------------------------------------------------------------------------------------


def _halves(ftz: bool, threads: int) -> tuple[bool, bool]:
    """Are halves of the smallest normal numbers zero, and is the processor's control word as it was?"""
    control = ctypes.CFUNCTYPE(ctypes.c_int64)(address("control"))
    size = 3000
    half = equation(element("y", "i"), element("x", "i") / 2, i=size)
    system = System((tensor("x", size), tensor("y", size, role="output")), (half,))
    before = control()
    executable = compiler.compile(system, Options(cache="off", threads=threads, ftz=ftz))
    tiny = np.full(size, np.finfo("f4").tiny)
    found = executable({"x": tiny})["y"]
    assert (found == 0).all() or (found == tiny / 2).all()
    changed = (control() ^ before) & ~0x3F  # but for x86's notes of what has happened
    return not found.any(), not changed


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("ftz", [False, True])
def test_subnormal_numbers_are_flushed_where_asked(
    ftz: bool, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default they are numbers as others; flushed or not, on all threads, the caller's own arithmetic stays."""
    monkeypatch.setattr(compiler.scheduling.distribute, "WORTH", 0.0)
    monkeypatch.setattr(compiler.scheduling.distribute, "WORTH_WAKING", 0.0)
    assert _halves(ftz, threads) == (ftz, True)
    tiny = np.finfo("f4").tiny
    assert np.float32(tiny) / np.float32(2) > 0
