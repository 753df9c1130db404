"""Blocks and panels of long contractions: which loops there are, and that every element is right."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest

import compiler
from compiler import Options
from compiler.language.expression import Call, Element, Index, expr
from compiler.language.system import Equation, System
from compiler.pipeline import stages
from compiler.scheduling.sizes import ACROSS, evenly

from .build import element, equation, matrix_product, reduction, tensor


def _text(system: System, stage: str) -> str:
    return stages(system, Options(cache="off", threads=1).settle())(stage)


def _product(a: Element, b: Element, **sizes: int) -> Equation:
    rows, terms, columns = sizes.values()
    value = reduction("sum", a * b, k=terms)
    return equation(element("C", "i", "j"), value, i=rows, j=columns)


def _across(rows: int, terms: int, columns: int, dtype: str = "float32") -> System:
    """``C[i, j] = sum[k](A[k, i]*B[k, j])``."""
    own = _product(element("A", "k", "i"), element("B", "k", "j"), i=rows, k=terms, j=columns)
    tensors = (
        tensor("A", terms, rows, dtype=dtype),
        tensor("B", terms, columns, dtype=dtype),
        tensor("C", rows, columns, role="output", dtype=dtype),
    )
    return System(tensors, (own,))


def _whole(system: System, threads: int = 1) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Small whole numbers, for which every order of a sum gives the same; and what comes of them."""
    random = np.random.default_rng(1)
    arrays = {
        t.name: random.integers(-3, 4, t.shape).astype(t.dtype)
        for t in system.tensors
        if t.role in ("input", "parameter")
    }
    return arrays, compiler.compile(system, Options(cache="off", threads=threads))(arrays)


def test_blocks_copy_what_the_tiles_share() -> None:
    """Rows in blocks, and a panel for each block of the sum."""
    text = _text(matrix_product(512, 512, 512), "schedule")
    assert "for i.block in range(0, 512, 64):" in text
    assert "B.along = float[8192]" in text
    assert "B.along[32*k - 32*k.block + j - j.block] = B[512*k + j]" in text
    assert "A.across" not in text


def test_sums_wait_in_the_result() -> None:
    """It has a place for each of them, and what is done with the whole sum finds it there."""
    text = _text(matrix_product(512, 512, 512), "schedule")
    assert "waiting" not in text
    assert text.count("C[512*i + j] = ((C[512*i + j] if (k.block > 0) else 0) + v1.part)") == 2
    assert text.count("C[512*i + j] =") == 2
    text = _text(_shifted("C"), "schedule")
    assert "waiting" not in text
    assert "v1 = C[300*i + j]" in text


def test_sums_wait_in_a_panel_where_the_result_is_no_place_for_them() -> None:
    """What replaces a state lies where the state is still read."""
    assert "sum.waiting" in _text(_shifted("W"), "schedule")


def test_sums_do_not_wait_where_something_else_is_stored_first() -> None:
    """What is done before a sum would be found in the place of the sum."""
    product = reduction("sum", element("A", "i", "k") * element("B", "k", "j"), k=600)
    first, last = element("D", "i", "j"), element("C", "i", "j")
    system = System(
        (
            tensor("A", 300, 600),
            tensor("B", 600, 320),
            tensor("x", 300, 320),
            tensor("D", 300, 320, role="output"),
            tensor("C", 300, 320, role="output"),
        ),
        (
            equation(first, element("x", "i", "j") * 2, i=300, j=320),
            equation(last, product + first, i=300, j=320),
        ),
    )
    assert "C[320*i + j] if (k.block > 0)" in _text(system, "schedule")
    arrays, found = _whole(system)
    np.testing.assert_array_equal(found["D"], 2 * arrays["x"])
    np.testing.assert_array_equal(found["C"], arrays["A"] @ arrays["B"] + 2 * arrays["x"])


def test_threads_do_not_share_blocks_of_terms() -> None:
    """Each adds to what the one before has left; there are but two groups of columns to be shared."""
    system = matrix_product(200, 2048, 64)
    assert "for k.block in range(0, 2048, 256):" in _text(system, "schedule")
    assert _text(system, "distribute") == "kernel_0: 2 turns"
    found = [_whole(system, threads)[1]["C"] for threads in (1, 2, 3)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("target", ["C", "W"])
def test_what_is_done_with_sums_that_wait_is_right(target: str) -> None:
    """For any number of threads, whoever shares what."""
    for threads in (1, 3):
        arrays, found = _whole(_shifted(target), threads)
        expected = arrays["A"] @ arrays["B"] + arrays["W"]
        np.testing.assert_array_equal(found[target], expected)


def _shifted(target: str) -> System:
    """``sum[k](A[i, k]*B[k, j]) + W[i, j]``, which may replace ``W``."""
    product = reduction("sum", element("A", "i", "k") * element("B", "k", "j"), k=600)
    new = "C" if target == "C" else "W.new"
    own = equation(element(new, "i", "j"), product + element("W", "i", "j"), i=260, j=300)
    tensors = (
        tensor("A", 260, 600),
        tensor("B", 600, 300),
        tensor("W", 260, 300, role="input" if target == "C" else "parameter"),
        tensor(new, 260, 300, role="output" if target == "C" else "local"),
    )
    return System(tensors, (own,), () if target == "C" else (("W", new),))


def test_the_first_tile_fills_the_panel() -> None:
    """It multiplies what it copies: no loop does nothing but copy, where tiles of one loop share a panel."""
    text = _text(matrix_product(512, 512, 512), "schedule")
    assert "for k in range" not in text
    assert "for i in range(i.block, min(i.block + 8, 512), 8 rows):" in text
    assert "for i in range(i.block + 8, min(i.block + 64, 512), 8 rows):" in text
    assert text.count("B.along[32*k - 32*k.block + j - j.block] = B[512*k + j]") == 1
    filling = text[text.index("B.along[32*k") :].splitlines()[1]
    assert "(A[512*i + k] * B[512*k + j])" in filling


@pytest.mark.parametrize("sizes", [(512, 512, 512), (512, 128, 512), (500, 700, 300)])
def test_work_is_counted_once_where_a_tile_fills_a_panel(sizes: tuple[int, int, int]) -> None:
    """The operations of a product, whoever does them, but for rows that overlap and vectors of the rest."""
    executable = compiler.compile(matrix_product(*sizes), Options(cache="off", threads=1))
    (row,) = executable.profile(1).rows
    assert 0.99 < row.operations / (2 * math.prod(sizes)) < 1.05
    executable = compiler.compile(_across(*sizes), Options(cache="off", threads=1))
    (row,) = executable.profile(1).rows
    assert 0.99 < row.operations / (2 * math.prod(sizes)) < 1.05


def test_blocks_copy_what_is_read_across_its_rows() -> None:
    """A weight gradient's operand lies together for the rows of a block: tile by tile, 8 rows of each term."""
    text = _text(_across(512, 512, 512), "schedule")
    place = "A.across[513*i.tile - 514*i.block + i + 8*k]"
    assert "for i in range(i.tile, min(i.tile + 8, 512), 8 lanes):\n" in text
    assert f"{place} = A[512*k + i]" in text
    assert text.count(f"({place} * B") == 2


def test_tiles_of_an_odd_number_of_rows_lie_side_by_side() -> None:
    """No vectors would copy them tile by tile."""
    text = _text(_across(3003, 100, 200), "schedule")
    assert "i.tile" not in text
    assert re.search(r"A.across\[i - i.block \+ \d+\*k\] = A\[3003\*k \+ i\]", text)


@pytest.mark.parametrize(("terms", "is_copied"), [(1024, True), (3000, True), (9000, False)])
def test_a_panel_across_has_room_for_all_terms(terms: int, is_copied: bool) -> None:
    """Its blocks have fewer rows where sums wait for many terms; where they would be too few, there is none."""
    text = _text(_across(3072, terms, 512), "schedule")
    lengths = [int(n) for n in re.findall(r"A.across = float\[(\d+)\]", text)]
    assert len(lengths) == is_copied
    assert all(4 * length <= ACROSS for length in lengths)


def _asked(text: str, block: int, terms: int) -> set[tuple[int, int]]:
    """Rows and columns of B, 512 wide, that all tiles of the panel ask for whose first element is B[terms, block]."""
    places = [
        re.sub(r"([a-z])\.([a-z])", r"\1_\2", p) for p in re.findall(r"ask for B\[(.*)\]", text)
    ]
    names = {"j_group": 0, "j_block": block, "k_block": terms, "i_block": 0}
    names["where"] = lambda condition, yes, no: yes if condition else no
    elements = itertools.product(range(64), range(block, block + 32))
    found = (eval(p, {**names, "i": i, "j": j}) for i, j in elements for p in places)
    return {divmod(place, 512) for place in found}


def test_tiles_ask_for_what_the_next_panel_is_filled_from() -> None:
    """All of it, from beside the panel, or for the next terms where its group ends."""
    text = _text(matrix_product(512, 512, 512), "schedule")
    beside = set(itertools.product(range(256), range(160, 192)))
    below = set(itertools.product(range(256, 512), range(32)))
    assert _asked(text, block=128, terms=0) == beside
    assert _asked(text, block=480, terms=0) == below


def test_tiles_do_not_ask_where_a_panel_is_filled_once_for_very_many() -> None:
    """Then filling it takes no time, and most rows would ask for what belongs to no panel."""
    text = _text(matrix_product(2048, 48, 1600), "schedule")
    assert "along" in text
    assert "ask for" not in text


@pytest.mark.parametrize(("tiles", "together"), [(31, 4), (20, 2), (16, 2), (12, 1), (4, 1)])
def test_threads_have_about_as_many_tiles_each(tiles: int, together: int) -> None:
    """As many go together as there may, but not where one of two threads, or of four, would have far more then."""
    assert evenly(tiles, math.ceil(tiles / 8)) == together
    groups = re.findall(
        r"j.group in range\(0, \d+, (\d+)\)", _text(_across(64, 1024, 32 * tiles), "schedule")
    )
    assert all(int(group) == 32 * together for group in groups)


def test_blocks_leave_small_products_alone() -> None:
    """What stays near anyway is not copied."""
    text = _text(matrix_product(64, 64, 64), "schedule")
    assert "block" not in text
    assert "along" not in text


def test_blocks_decline_for_few_rows() -> None:
    """A copy that few tiles share would not pay where what they read stays near, nor for a single tile."""
    assert "along" not in _text(matrix_product(32, 384, 512), "schedule")
    assert "along" not in _text(matrix_product(8, 1024, 1024), "schedule")


@pytest.mark.parametrize("rows", [16, 37])
def test_few_rows_share_a_panel_of_what_comes_from_afar(rows: int) -> None:
    """Each tile of them would read all of it again from memory; the result is the same for any threads."""
    system = matrix_product(rows, 512, 512)
    assert "B.along = float[" in _text(system, "schedule")
    arrays, found = _whole(system)
    assert np.array_equal(found["C"], arrays["A"].astype(float) @ arrays["B"])
    assert np.array_equal(found["C"], _whole(system, threads=2)[1]["C"])


def test_blocks_decline_for_several_terms_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However short the blocks of a sum are, a panel has one term for each turn."""
    monkeypatch.setattr("compiler.scheduling.schedule.BLOCK", 16)
    for limit in ("ROWS", "CLOSE", "WAITING"):
        monkeypatch.setattr(f"compiler.scheduling.blocks.{limit}", 1)
    arrays, found = _whole(matrix_product(3, 128, 3))
    np.testing.assert_array_equal(found["C"], arrays["A"] @ arrays["B"])


def _deep_window(samples: int, lines: int, rows: int, inner: int, columns: int) -> System:
    """``y[n, h, w, o] = sum[i, j, c](x[n, h + i, w + j, c]*K[i, j, c, o])``."""
    x = element("x", "n", Index("h") + Index("i"), Index("w") + Index("j"), "c")
    value = reduction("sum", x * element("K", "i", "j", "c", "o"), i=2, j=2, c=inner)
    y = element("y", "n", "h", "w", "o")
    return System(
        (
            tensor("x", samples, lines + 1, rows + 1, inner),
            tensor("K", 2, 2, inner, columns),
            tensor("y", samples, lines, rows, columns, role="output"),
        ),
        (equation(y, value, n=samples, h=lines, w=rows, o=columns),),
    )


@pytest.mark.parametrize("shape", [(3, 5, 6, 300, 200), (2, 7, 7, 270, 210), (9, 12, 8, 256, 208)])
def test_blocks_take_rows_from_loops_around(shape: tuple[int, int, int, int, int]) -> None:
    """Each panel of a window with many columns serves more than the few rows of one line."""
    system = _deep_window(*shape)
    text = _text(system, "schedule")
    assert "h in range" in text[text.index("K.along[") :]
    arrays, found = _whole(system)
    n, h, w, _, o = shape
    expected = np.zeros((n, h, w, o))
    for i in range(2):
        for j in range(2):
            expected += arrays["x"][:, i : i + h, j : j + w].astype(float) @ arrays["K"][i, j]
    assert np.array_equal(found["y"], expected)
    again = _whole(system, threads=3)[1]
    assert np.array_equal(found["y"], again["y"])


def test_panels_are_no_tensors() -> None:
    """Nobody else sees the memory that a kernel has for itself."""
    system = _shifted("W")
    assert "along" not in _text(system, "plan")
    assert "waiting" not in _text(system, "distribute")


@pytest.mark.parametrize(
    "sizes", [(70, 300, 100), (512, 600, 130), (257, 257, 129), (1000, 100, 300), (64, 1111, 33)]
)
def test_products_in_blocks_are_right(sizes: tuple[int, int, int]) -> None:
    """Sizes that do not divide into tiles, blocks or vectors."""
    arrays, found = _whole(matrix_product(*sizes))
    np.testing.assert_array_equal(found["C"], arrays["A"] @ arrays["B"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "sizes", [(520, 300, 260), (333, 257, 300), (512, 64, 512), (593, 300, 256), (1100, 2500, 200)]
)
def test_products_across_are_right(sizes: tuple[int, int, int], dtype: str) -> None:
    """The transposed operand too, in both precisions; and where the last block is shorter than a tile."""
    arrays, found = _whole(_across(*sizes, dtype))
    np.testing.assert_array_equal(found["C"], arrays["A"].T @ arrays["B"])


def test_a_tensor_times_itself_is_right() -> None:
    """Both panels may be of one tensor."""
    own = _product(element("A", "k", "i"), element("A", "k", "j"), i=384, k=300, j=384)
    tensors = (tensor("A", 300, 384), tensor("C", 384, 384, role="output"))
    arrays, found = _whole(System(tensors, (own,)))
    np.testing.assert_array_equal(found["C"], arrays["A"].T @ arrays["A"])


def test_products_in_a_batch_are_right() -> None:
    """Blocks inside other loops, with work before and after the sum, and windows in it."""
    product = element("A", "n", "i", "s", "k") * element("B", "n", "s", "k", "j")
    total = reduction("sum", product, s=3, k=130)
    value = Call("max", (total + element("b", "j"), expr(0))) * element("d", "n", "i")
    own = equation(element("C", "n", "i", "j"), value, n=3, i=75, j=90)
    tensors = (
        tensor("A", 3, 75, 3, 130),
        tensor("B", 3, 3, 130, 90),
        tensor("b", 90),
        tensor("d", 3, 75),
        tensor("C", 3, 75, 90, role="output"),
    )
    arrays, found = _whole(System(tensors, (own,)))
    total = np.einsum("nisk,nskj->nij", arrays["A"], arrays["B"]) + arrays["b"]
    np.testing.assert_array_equal(found["C"], np.maximum(total, 0) * arrays["d"][..., None])


def test_a_state_may_be_changed_by_its_own_gradient() -> None:
    """A weight is computed once though its rows come in blocks."""
    product = reduction("sum", element("x", "k", "i") * element("g", "k", "j"), k=300)
    own = equation(element("W.new", "i", "j"), element("W", "i", "j") - product, i=260, j=300)
    tensors = (
        tensor("x", 300, 260),
        tensor("g", 300, 300),
        tensor("W", 260, 300, role="parameter"),
        tensor("W.new", 260, 300, role="local"),
    )
    system = System(tensors, (own,), (("W", "W.new"),))
    random = np.random.default_rng(1)
    arrays = {t.name: random.integers(-3, 4, t.shape).astype("float32") for t in tensors[:3]}
    found = compiler.compile(system, Options(cache="off", threads=2))(arrays)
    np.testing.assert_array_equal(found["W"], arrays["W"] - arrays["x"].T @ arrays["g"])


@pytest.mark.parametrize("rows", [83, 311])
def test_rows_that_fill_no_tile_are_computed_after_the_blocks(rows: int) -> None:
    """Where each element is computed once, the last rows are loops of their own, shared with the blocks."""
    product = reduction("sum", element("x", "n", "k", "i") * element("g", "n", "k", "j"), n=9, k=40)
    own = equation(element("W.new", "i", "j"), element("W", "i", "j") - product, i=rows, j=100)
    tensors = (
        tensor("x", 9, 40, rows),
        tensor("g", 9, 40, 100),
        tensor("W", rows, 100, role="parameter"),
        tensor("W.new", rows, 100, role="local"),
    )
    system = System(tensors, (own,), (("W", "W.new"),))
    text = _text(system, "schedule")
    assert f", {rows}, " in text[text.index("sum.waiting[") :]
    assert re.search(r"kernel_0: \d+ turns", _text(system, "distribute"))
    random = np.random.default_rng(1)
    arrays = {t.name: random.integers(-3, 4, t.shape).astype("float32") for t in tensors[:3]}
    expected = arrays["W"] - np.einsum("nki,nkj->ij", arrays["x"], arrays["g"])
    for threads in (1, 2):
        found = compiler.compile(system, Options(cache="off", threads=threads))(arrays)
        np.testing.assert_array_equal(found["W"], expected)


def test_products_in_blocks_are_added_once() -> None:
    """Into what other products have left there, by several threads."""
    product = element("A", "n", "k", "i") * element("B", "n", "k", "j")
    value = reduction("sum", product, k=300)
    own = equation(element("C", "i", "j"), value, add=True, n=3, i=520, j=300)
    tensors = (
        tensor("A", 3, 300, 520),
        tensor("B", 3, 300, 300),
        tensor("C", 520, 300, role="output"),
    )
    for threads in (1, 2):
        arrays, found = _whole(System(tensors, (own,)), threads)
        expected = np.einsum("nki,nkj->ij", arrays["A"], arrays["B"])
        np.testing.assert_array_equal(found["C"], expected)


def test_blocks_give_the_same_bits_to_any_threads() -> None:
    """Panels belong to a thread, blocks to the shape; what reads a panel stays with what fills it."""
    shapes = [matrix_product(520, 300, 260), matrix_product(300, 200, 130), _across(520, 300, 260)]
    for system in shapes:
        random = np.random.default_rng(1)
        arrays = {
            t.name: random.normal(size=t.shape).astype(t.dtype)
            for t in system.tensors
            if t.role == "input"
        }
        results = [
            compiler.compile(system, Options(cache="off", threads=n))(arrays)["C"].tobytes()
            for n in (1, 2, 3)
        ]
        assert len(set(results)) == 1
