"""Stage schedule: tiles by the shape of the index expressions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.language.expression import Call, Index
from compiler.language.system import Equation, System, Tensor
from compiler.scheduling.fuse import Fusion
from compiler.scheduling.layout import Layout
from compiler.scheduling.loops import Fold, Kernel, Loop, Range, statements
from compiler.scheduling.lower import Storage, lower
from compiler.scheduling.schedule import schedule
from compiler.target import named

from .build import element, equation, matrix_product, reduction, tensor

WIDE, NARROW = named("x86-64-v4"), named("x86-64-v3")


def _scheduled(
    tensors: tuple[Tensor, ...], own: Equation, target: object = WIDE, once: str = ""
) -> Kernel:
    storages = {
        t.name: Storage(t, ((0, 0),) * len(t.shape), Layout(tuple(range(len(t.shape)))))
        for t in tensors
    }
    kernel = lower(Fusion(own.indices, (own,)), "kernel", storages, {})
    return schedule(kernel, target, frozenset([once]))  # type: ignore[arg-type]


def _product(system: System, target: object = WIDE) -> Kernel:
    return _scheduled(system.tensors, system.equations[0], target)


def _loops(kernel: Kernel) -> list[Range]:
    return [s.range for s in statements(kernel.body) if isinstance(s, Loop)]


def _folds(kernel: Kernel) -> list[Fold]:
    return [s for s in statements(kernel.body) if isinstance(s, Fold)]


def test_schedule_tiles_a_matrix_product() -> None:
    """Vectors along the columns, rows beside them, as many as the registers hold."""
    for target, width, registers in ((WIDE, 16, 32), (NARROW, 8, 16)):
        rows, columns = _loops(_product(matrix_product(128, 128, 128), target))
        assert (columns.index, columns.width, rows.index) == ("j", width, "i")
        accumulators = columns.rows * rows.rows
        assert registers // 4 <= accumulators < registers - columns.rows


def test_schedule_takes_more_rows_where_vectors_come_from_afar() -> None:
    """Each vector that the nearest cache does not keep serves several rows, though fewer would fit the extent."""
    rows = [r.rows for r in _loops(_product(matrix_product(37, 203, 77))) if r.index == "i"]
    assert rows
    assert min(rows) >= 4


@pytest.mark.parametrize(("terms", "places"), [(1024, 1), (512, 2), (3072, 1)])
@pytest.mark.parametrize("columns", [1, 8, 64])
def test_schedule_takes_no_more_rows_than_a_cache_has_ways(
    terms: int, places: int, columns: int
) -> None:
    """Rows that lie a page apart share one place of the nearest cache, which has room for eight."""
    rows = [r.rows for r in _loops(_product(matrix_product(112, terms, columns))) if r.index == "i"]
    assert 4 <= max(rows) <= 8 * places


def test_schedule_tiles_a_transposed_product_alike() -> None:
    """With the reduced index outside (a weight gradient) the tile is the same."""
    product = element("A", "k", "i") * element("B", "k", "j")
    own = equation(element("C", "i", "j"), reduction("sum", product, k=64), i=64, j=64)
    tensors = (tensor("A", 64, 64), tensor("B", 64, 64), tensor("C", 64, 64, role="output"))
    rows, columns = _loops(_scheduled(tensors, own))
    assert (columns.index, columns.width) == ("j", 16)
    assert rows.index == "i"
    assert rows.rows > 4


def test_schedule_runs_dot_products_along_the_reduced_index() -> None:
    """Where both operands are contiguous in the reduced index only, vectors run along it."""
    product = element("A", "i", "k") * element("B", "j", "k")
    own = equation(element("C", "i", "j"), reduction("sum", product, k=256), i=64, j=64)
    tensors = (tensor("A", 64, 256), tensor("B", 64, 256), tensor("C", 64, 64, role="output"))
    kernel = _scheduled(tensors, own)
    assert [r.width for fold in _folds(kernel) for r in fold.ranges] == [16]
    assert all(r.width == 1 for r in _loops(kernel))
    rows = [r.rows for r in _loops(kernel)]
    assert sorted(r > 1 for r in rows) == [True, True]


def test_schedule_takes_rows_that_lie_near() -> None:
    """Rows run along the index that moves least through memory, though another fits the tile better."""
    product = element("x", "n", Index("w") + Index("j"), "c") * element("K", "j", "c", "o")
    own = equation(
        element("y", "n", "w", "o"), reduction("sum", product, j=3, c=16), n=16, w=61, o=32
    )
    tensors = (
        tensor("x", 16, 63, 32),
        tensor("K", 3, 16, 32),
        tensor("y", 16, 61, 32, role="output"),
    )
    rows = {r.index: r.rows for r in _loops(_scheduled(tensors, own)) if r.width == 1}
    assert rows["n"] == 1 < rows["w"]


def test_schedule_folds_walk_through_memory() -> None:
    """Of the ranges of a sum the one that steps least is innermost, however the formula orders them."""
    product = element("x", "k", "i", "n") * element("K", "k", "i", "o")
    own = equation(element("y", "n", "o"), reduction("sum", product, i=30, k=20), n=32, o=32)
    tensors = (tensor("x", 20, 40, 32), tensor("K", 20, 40, 32), tensor("y", 32, 32, role="output"))
    ranges = [r.index for fold in _folds(_scheduled(tensors, own)) for r in fold.ranges]
    assert [i for i in ranges if "." not in i] == ["k", "i"]


def test_schedule_reads_the_larger_operand_of_dot_products_once() -> None:
    """Of two loops over rows the one around the other is that over the operand that does not stay near."""
    for rows, columns, outer in ((64, 65_536, "j"), (65_536, 64, "i")):
        product = element("A", "i", "k") * element("B", "j", "k")
        own = equation(element("C", "i", "j"), reduction("sum", product, k=128), i=rows, j=columns)
        tensors = (
            tensor("A", rows, 128),
            tensor("B", columns, 128),
            tensor("C", rows, columns, role="output"),
        )
        assert _loops(_scheduled(tensors, own))[0].index == outer


def test_schedule_keeps_several_sums_running() -> None:
    """A single sum has several accumulators, else each addition waits for the one before."""
    own = equation(element("s"), reduction("sum", element("x", "i"), i=4096))
    kernel = _scheduled((tensor("x", 4096), tensor("s", role="output")), own)
    (inner,) = [f for f in _folds(kernel) if not f.body]
    assert inner.ranges[-1].rows >= 4


@pytest.mark.parametrize(("places", "unrolled"), [(4, True), (9, True), (400, False)])
def test_schedule_writes_out_what_is_short(places: int, unrolled: bool) -> None:
    """The maximum of a few neighbours needs no loop, the sum of many does."""
    own = equation(
        element("y", "i", "c"), reduction("max", element("x", "i", "j", "c"), j=places), i=8, c=16
    )
    kernel = _scheduled((tensor("x", 8, places, 16), tensor("y", 8, 16, role="output")), own)
    (fold,) = _folds(kernel)
    assert all(r.unrolled == unrolled for r in fold.ranges)


def test_schedule_sums_in_blocks() -> None:
    """A long sum is a sum of short ones, whose extent does not depend on the length."""
    own = equation(element("s", "j"), reduction("sum", element("x", "i", "j"), i=100003), j=16)
    kernel = _scheduled((tensor("x", 100003, 16), tensor("s", 16, role="output")), own)
    outer, inner = _folds(kernel)
    assert inner.ranges[0].block is not None
    assert inner.ranges[0].block[1] <= 1024
    assert outer.ranges[0].step == inner.ranges[0].block[1]


def test_schedule_writes_out_or_cuts_into_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never both, however short blocks are: each would add up all terms."""
    monkeypatch.setattr("compiler.scheduling.schedule.BLOCK", 16)
    total = equation(element("y"), reduction("sum", element("x", "k", 0), k=68))
    (fold,) = _folds(_scheduled((tensor("x", 68, 3), tensor("y", role="output")), total))
    assert all(r.unrolled and not r.block for r in fold.ranges)


@pytest.mark.parametrize(("terms", "outer"), [(3, "i"), (64, "i"), (512, "j")])
def test_schedule_writes_row_by_row(terms: int, outer: str) -> None:
    """Memory is written in its order while all columns stay near; else it is they that are read once."""
    kernel = _product(matrix_product(96, terms, 96))
    assert next(r.index for r in _loops(kernel) if "." not in r.index) == outer


def test_schedule_moves_the_last_rows_back() -> None:
    """Rows that do not divide the extent overlap: no second copy of the code."""
    (rows, _) = _loops(_product(matrix_product(127, 64, 64)))
    assert rows.overlap


def test_schedule_computes_once_what_may_replace_its_source() -> None:
    """A tensor written over its own operand is cut exactly, the rest is a loop of its own."""
    product = reduction("sum", element("A", "i", "k") * element("B", "k", "j"), k=64)
    own = equation(element("C", "i", "j"), element("W", "i", "j") - product, i=127, j=64)
    tensors = (
        tensor("A", 127, 64),
        tensor("B", 64, 64),
        tensor("W", 127, 64),
        tensor("C", 127, 64, role="output"),
    )
    ranges = [r for r in _loops(_scheduled(tensors, own, once="C")) if r.index == "i"]
    assert not any(r.overlap for r in ranges)
    assert sum(r.extent for r in ranges) == 127


@pytest.mark.parametrize(
    ("columns", "halves", "width"),
    [
        (20, True, 8),
        (20, False, 16),
        (72, True, 8),
        (100, True, 16),
        (32, True, 16),
        (10, True, 16),
    ],
)
def test_schedule_takes_narrow_vectors_where_wide_ones_are_idle(
    columns: int, halves: bool, width: int
) -> None:
    """On processors that compute vectors in two halves, if that leaves a tenth of the lanes less without work."""
    kernel = _product(matrix_product(64, 64, columns), replace(WIDE, halves=halves))
    assert {r.width for r in _loops(kernel) if r.index == "j"} == {width}


def test_schedule_masks_the_last_vector() -> None:
    """100 columns are whole vectors and a masked one."""
    x = element("x", "i", "j")
    own = equation(element("y", "j", "i"), Call("exp", (x,)), i=3, j=100)
    tensors = (tensor("x", 3, 100), tensor("y", 100, 3, role="output"))
    ranges = [r for r in _loops(_scheduled(tensors, own)) if r.width > 1]
    assert sum(r.extent for r in ranges) == 100


def test_schedule_declines_vectors_where_additions_may_meet() -> None:
    """Along an index whose places are data nothing runs in vectors."""
    place = element("t", "n")
    own = equation(element("y", place, "e"), element("g", "n", "e"), add=True, n=50, e=8)
    tensors = (
        tensor("t", 50, dtype="int32"),
        tensor("g", 50, 8),
        tensor("y", 9, 8, role="output"),
    )
    widths = {r.index: r.width for r in _loops(_scheduled(tensors, own))}
    assert widths == {"n": 1, "e": 8}


def test_schedule_vectorizes_windows_over_channels() -> None:
    """A maximum over a window runs in vectors along what is contiguous."""
    h = Index("h")
    window = reduction("max", element("x", h * 2 + Index("i"), "c"), i=2)
    own = equation(element("y", "h", "c"), window, h=8, c=32)
    kernel = _scheduled((tensor("x", 16, 32), tensor("y", 8, 32, role="output")), own)
    assert [r.index for r in _loops(kernel) if r.width > 1] == ["c"]
