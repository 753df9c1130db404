"""Stage groups: kernels hand blocks of rows to one another, and compute what they would have computed alone."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

import compiler
from compiler import Options, System, caches
from compiler.language.expression import Call, Constant, Element, Expr, Index, expr
from compiler.language.system import Equation
from compiler.pipeline import stages
from compiler.scheduling import cuts, group, groups, together

from ..systems import random_case
from .build import assert_compiled_is_interpreted, element, equation, reduction, tensor

N, H, W = Index("n"), Index("h"), Index("w")


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever may be done together is, however small."""
    monkeypatch.setattr(caches, "FAR", 0)
    monkeypatch.setattr(groups, "HANDED", 0)
    monkeypatch.setattr(cuts, "LARGE", 0)
    monkeypatch.setattr(cuts, "FEW", 2)
    for module in (cuts, group):
        monkeypatch.setattr(module, "FEWEST", 2)
    for name, value in {"OFTEN": 0, "OFTEN_LARGE": 0, "COUNT": 3, "SMALL": 0, "ASIDE": 16}.items():
        monkeypatch.setattr(group, name, value)


def _text(system: System, stage: str = "groups") -> str:
    text = stages(system, Options(cache="off", threads=1).settle())(stage)
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def _results(system: System, threads: int = 1) -> dict[str, Any]:
    random = np.random.default_rng(1)
    arrays = {
        t.name: random.normal(size=t.shape).astype("float32")
        for t in system.tensors
        if t.role == "input"
    }
    if threads == 0:
        return compiler.evaluate(system, arrays)
    return compiler.compile(system, Options(cache="off", threads=threads))(arrays)


def _agree(system: System) -> None:
    """As the interpreter says, and the same bits for any number of threads."""
    alone = _results(system)
    for name, expected in _results(system, 0).items():
        small = 2e-6 * max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(alone[name], expected, rtol=2e-5, atol=small, err_msg=name)
        for threads in (2, 3):
            assert _results(system, threads)[name].tobytes() == alone[name].tobytes()


def _system(*equations: Equation, **shapes: tuple[int, ...]) -> System:
    """Inputs are what no equation defines, outputs what no other one reads."""
    targets = {e.target for e in equations}
    read = {str(e).partition("=")[2] for e in equations}
    roles = {
        name: "input"
        if name not in targets
        else "local"
        if any(f"{name}[" in text for text in read)
        else "output"
        for name in shapes
    }
    tensors = (tensor(name, *shape, role=roles[name]) for name, shape in shapes.items())
    return System(tuple(tensors), equations)


def _row_operation(rows: int, length: int, other: int = 0) -> System:
    """A maximum, a sum of exponentials and a quotient; ``other``: of a row further on."""
    shifted = Call("exp", (element("x", "n", "i") * 2 - element("m", "n"),))
    return _system(
        equation(element("m", "n"), reduction("max", element("x", "n", "i"), i=length), n=rows),
        equation(element("e", "n", "i"), shifted, n=rows, i=length),
        equation(element("s", "n"), reduction("sum", element("e", "n", "i"), i=length), n=rows),
        equation(
            element("y", "n", "i"),
            element("e", "n", "i") / element("s", N + other),
            n=rows - other,
            i=length,
        ),
        x=(rows, length),
        m=(rows,),
        e=(rows, length),
        s=(rows,),
        y=(rows, length),
    )


def _window(images: int, rows: int, columns: int, channels: int, extra: int = 0) -> System:
    """Products over windows and the greatest of four; of the gradient, its sum and a product with the input."""
    inside = element("x", "n", H + Index("i"), W + Index("j"), 0) * element("k", "i", "j", "c")
    high, wide = 2 * rows + extra, 2 * columns
    place = [element("z", "n", 2 * H + i, 2 * W + j, "c") for i in (0, 1) for j in (0, 1)]
    greatest = place[0]
    for other in place[1:]:
        greatest = Call("max", (greatest, other))
    wider = {"n": images, "h": high, "w": wide, "c": channels}
    narrow = {"n": images, "h": rows, "w": columns, "c": channels}
    halves = [
        equation(
            element("d", "n", 2 * H + i, 2 * W + j, "c"),
            element("y", "n", "h", "w", "c") * element("z", "n", 2 * H + i, 2 * W + j, "c"),
            **narrow,
        )
        for i in (0, 1)
        for j in (0, 1)
    ]
    counted = {"n": images, "h": high}
    bias = reduction("sum", element("d", "n", "h", "w", "c"), w=wide)
    weights = element("d", "n", "h", "w", "c") * element(
        "x", "n", H + Index("i"), W + Index("j"), 0
    )
    return _system(
        equation(element("z", "n", "h", "w", "c"), reduction("sum", inside, i=3, j=3), **wider),
        equation(element("y", "n", "h", "w", "c"), greatest, **narrow),
        *halves,
        equation(element("b", "n", "c"), bias, add=True, **counted, c=channels),
        equation(
            element("g", "n", "i", "j", "c"),
            reduction("sum", weights, w=wide),
            add=True,
            **counted,
            i=3,
            j=3,
            c=channels,
        ),
        x=(images, high + 2, wide + 2, 1),
        k=(3, 3, channels),
        z=(images, high, wide, channels),
        y=(images, rows, columns, channels),
        d=(images, high, wide, channels),
        b=(images, channels),
        g=(images, 3, 3, channels),
    )


def _weighted_mean(batch: int, heads: int, length: int, is_causal: bool, depth: int = 16) -> System:
    """Scores of all pairs of places, their weights, and means weighted by these."""
    b, h, t, s = (Index(i) for i in "bhts")
    score = reduction("sum", element("q", b, t, h, "d") * element("k", b, s, h, "d"), d=depth)
    if is_causal:
        score = Call("where", (Call("<=", (s, t)), score, -Constant("inf")))
    shifted = Call("exp", (element("z", b, h, t, s) - element("m", b, h, t),))
    weight = element("e", b, h, t, s) / element("n", b, h, t)
    rows = {"b": batch, "h": heads, "t": length}
    pairs = {**rows, "s": length}
    return _system(
        equation(element("z", b, h, t, s), score, **pairs),
        equation(element("m", b, h, t), reduction("max", element("z", b, h, t, s), s=length), **rows),
        equation(element("e", b, h, t, s), shifted, **pairs),
        equation(element("n", b, h, t), reduction("sum", element("e", b, h, t, s), s=length), **rows),
        equation(element("a", b, h, t, s), weight, **pairs),
        equation(
            element("y", b, t, h, "d"),
            reduction("sum", element("a", b, h, t, s) * element("v", b, s, h, "d"), s=length),
            b=batch, t=length, h=heads, d=depth,
        ),
        **dict.fromkeys("qkvy", (batch, length, heads, depth)),
        **dict.fromkeys("zea", (batch, heads, length, length)),
        **dict.fromkeys("mn", (batch, heads, length)),
    )  # fmt: skip


@pytest.mark.parametrize(("batch", "heads", "length"), [(1, 3, 37), (2, 2, 48)])
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.usefixtures("eager")
def test_rows_of_one_value_of_all_other_indices(
    batch: int, heads: int, length: int, is_causal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads share the rows of all these values; the results are those of whole tensors."""
    monkeypatch.setattr(group, "NEAR", 900)
    monkeypatch.setattr(group, "NEAR_LARGE", 900)
    for module in (cuts, group):
        monkeypatch.setattr(module, "FEWEST", 8)
    system = _weighted_mean(batch, heads, length, is_causal)
    assert " times:" in _text(system)
    _agree(system)


def test_pairs_of_many_places_are_never_stored() -> None:
    """Of tensors with an element for each pair each thread has a few rows."""
    system = _weighted_mean(1, 8, 401, True)
    text = _text(system, "plan")
    assert all(f"{name}: own" in text for name in "zea")
    assert int(text.split()[2]) < 4 * 401 * 401


def test_row_operations_run_block_by_block() -> None:
    """Maximum, sum and quotient are one group, whose blocks the threads share."""
    system = _row_operation(128, 4000)
    lines = _text(system).splitlines()
    assert lines[:2] == ["16 strands:", "    for strand in range(0, 16):"]
    assert sum(line.startswith("        for n:8") for line in lines) >= 3
    assert not any("wait" in line for line in _text(system, "distribute").splitlines())
    _agree(system)


@pytest.mark.parametrize(("rows", "is_far"), [(1024, True), (128, False)])
def test_what_is_read_again_is_found_near(rows: int, is_far: bool) -> None:
    """A maximum, a sum and quotients of an input that no cache holds go over it block by block, and once."""
    x, length = element("x", "n", "i"), 4096
    shifted = Call("exp", (x - element("m", "n"),))
    system = _system(
        equation(element("m", "n"), reduction("max", x, i=length), n=rows),
        equation(element("s", "n"), reduction("sum", shifted, i=length), n=rows),
        equation(element("y", "n", "i"), shifted / element("s", "n"), n=rows, i=length),
        x=(rows, length),
        m=(rows,),
        s=(rows,),
        y=(rows, length),
    )
    inside = _text(system).partition("strands:")[2]
    assert all((f"        {name}[" in inside) == is_far for name in "msy")


def test_what_was_done_before_joins_its_reader(eager: None) -> None:
    """What the last kernels of a group read lies in one block, though it has nothing in common with the first one."""
    rows, length = 64, 100
    x, d = element("x", "n", "i"), element("d", "n", "i")
    system = _system(
        equation(element("m", "n"), reduction("max", x, i=length), n=rows),
        equation(d, reduction("max", element("g", "n", "i", "k"), k=5), n=rows, i=length),
        equation(element("s", "n"), reduction("sum", d, i=length), n=rows),
        equation(element("y", "n", "i"), x / element("m", "n"), n=rows, i=length),
        equation(element("z", "n", "i"), x + d * element("s", "n"), n=rows, i=length),
        x=(rows, length), g=(rows, length, 5), m=(rows,), d=(rows, length), s=(rows,), y=(rows, length),
        z=(rows, length),
    )  # fmt: skip
    assert _text(system).splitlines()[0].endswith("strands:")
    assert "d: own" in _text(system, "plan")
    _agree(system)


@pytest.mark.usefixtures("eager")
def test_a_kernel_nobody_asks_for_writes_nothing() -> None:
    """A sum that is asked for on a condition, which turns out to hold nowhere, is left over."""
    following: Expr = Index("a") + 1
    half = Call("//", (following, expr(2)))
    even = Call("==", (Call("%", (following, expr(2))), expr(0)))
    asked = Call("and", (even, Call("==", (half, Index("b")))))
    rows = reduction("sum", Element("x", (half, Index("i"))), i=3)
    value = element("g", "a", "b") + Call("where", (asked, rows, expr(0)))
    sums = reduction("sum", element("u", "n", "i"), i=16)
    system = _system(
        equation(element("u", "n", "i"), element("w", "n", "i") * 2, n=64, i=16),
        equation(element("s", "n"), sums, n=64),
        equation(element("y", "a", "b"), value, a=8, b=1),
        w=(64, 16),
        u=(64, 16),
        s=(64,),
        x=(1, 3),
        g=(8, 1),
        y=(8, 1),
    )
    _agree(system)


def test_what_a_group_has_for_itself_is_one_block() -> None:
    """Each thread has its own block of what nobody else reads; the arena has none of it."""
    text = _text(_row_operation(128, 4000), "plan")
    assert "e: own" in text
    assert int(text.split()[2]) < 128 * 4000
    assert "d: own" in _text(_window(16, 20, 24, 16), "plan")


def test_lines_are_left_whole() -> None:
    """Sums of columns and what is done with them stay apart: blocks of columns would be pieces of vectors."""
    rows, columns = 4000, 128
    far = element("x", "n", "i") - element("s", "i")
    system = System(
        (
            tensor("x", rows, columns),
            tensor("s", columns, role="local"),
            tensor("z", rows, columns, role="local"),
            tensor("v", columns, role="output"),
            tensor("y", rows, columns, role="output"),
        ),
        (
            equation(
                element("s", "i"), reduction("max", element("x", "n", "i"), n=rows), i=columns
            ),
            equation(element("z", "n", "i"), Call("exp", (far,)), n=rows, i=columns),
            equation(
                element("v", "i"), reduction("max", element("z", "n", "i"), n=rows), i=columns
            ),
            equation(
                element("y", "n", "i"),
                element("z", "n", "i") / element("v", "i"),
                n=rows,
                i=columns,
            ),
        ),
    )
    assert "strand" not in _text(system)
    _agree(system)


@pytest.mark.parametrize("rows", [37, 64, 131])
def test_any_number_of_rows(rows: int) -> None:
    """Rows that the number of blocks does not divide are in the last one."""
    assert "strands" in _text(_row_operation(rows, 8000))
    _agree(_row_operation(rows, 8000))


@pytest.mark.parametrize("extra", [0, 1])
def test_windows_run_rows_by_rows(extra: int) -> None:
    """Two rows are one row of the next kernel; sums over all rows are added up on the way."""
    system = _window(16, 20, 24, 16, extra)
    text = _text(system)
    assert "16 strands" in text and "d[" in text.partition("strands")[2]
    _agree(system)


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.usefixtures("eager")
def test_blocks_inside_blocks(extra: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too much for one core is cut along a second index; those blocks come in their order."""
    monkeypatch.setattr(group, "NEAR", 3000)
    monkeypatch.setattr(group, "NEAR_LARGE", 3000)
    system = _window(4, 6, 8, 16, extra)
    assert "for block in range" in _text(system)
    _agree(system)


@pytest.mark.usefixtures("eager")
def test_a_row_read_with_its_neighbour() -> None:
    """One kernel that reads its own row and the next one needs both: it stays outside."""
    system = _system(
        equation(element("e", "n", "i"), element("x", "n", "i") * 2, n=32, i=24),
        equation(
            element("y", "n"),
            reduction("sum", element("e", N + 1, "i") * element("e", "n", "i"), i=24),
            n=31,
        ),
        x=(32, 24),
        e=(32, 24),
        y=(31,),
    )
    assert "strand" not in _text(system)
    _agree(system)


@pytest.mark.usefixtures("eager")
def test_new_values_of_states_stay_outside() -> None:
    """Whether a state may be overwritten is asked of kernels by themselves; its value is needed whole."""
    rows, length = 16, 16
    new = equation(element("new", "n", "i"), element("w", "n", "i") - 1, n=rows, i=length)
    total = equation(
        element("y", "n"), reduction("max", element("new", "n", "i"), i=length), n=rows
    )
    system = System(
        (
            tensor("w", rows, length, role="parameter"),
            tensor("new", rows, length, role="local"),
            tensor("y", rows, role="output"),
        ),
        (new, total),
        (("w", "new"),),
    )
    assert "strand" not in _text(system)
    assert_compiled_is_interpreted(system)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.usefixtures("eager")
def test_random_systems(seed: int) -> None:
    """Whatever is done together: the same numbers as one kernel after the other."""
    case = random_case(Random(seed), 2000)
    found = compiler.compile(case.system, Options(cache="off", threads=2))(case.arrays)
    for name, expected in compiler.evaluate(case.system, case.arrays).items():
        np.testing.assert_allclose(found[name], expected, rtol=2e-4, atol=2e-4, err_msg=name)


def test_what_is_passed_by_keeps_its_place() -> None:
    """A sum over all rows comes after the group, and what needs it too; what needs nothing may come before."""
    rows, length = 64, 4096
    x: Expr = element("x", "n", "i")
    system = _system(
        equation(element("a", "n", "i"), x * 2, n=rows, i=length),
        equation(element("t", "i"), reduction("sum", element("a", "n", "i"), n=rows), i=length),
        equation(element("c", "k"), element("v", "k") + 1, k=5),
        equation(element("m", "n"), reduction("max", element("a", "n", "i"), i=length), n=rows),
        equation(
            element("y", "n", "i"), element("a", "n", "i") - element("m", "n"), n=rows, i=length
        ),
        equation(
            element("u", "n"),
            reduction("sum", element("y", "n", "i") * element("t", "i"), i=length),
            n=rows,
        ),
        x=(rows, length),
        v=(5,),
        a=(rows, length),
        t=(length,),
        c=(5,),
        m=(rows,),
        y=(rows, length),
        u=(rows,),
    )
    group, _, after = _text(system).partition("for i:4096")
    assert "m[" in group and "y[" in group and "t[" in after and "u[" in after
    _agree(system)


@pytest.mark.parametrize(
    "system",
    [
        _row_operation(128, 4000, other=1),
        _row_operation(64, 100),
        _row_operation(4, 100_000),
        _row_operation(8, 300_000),
    ],
    ids=["another row is read", "little", "few rows", "rows too long"],
)
def test_declines(system: System) -> None:
    """Where rows touch, are few or long, or hand over little, kernels stay by themselves or in smaller groups."""
    lines = _text(system).splitlines()
    assert not any(line.startswith("        for n") and " y[" in line for line in lines)
    assert not any(line.lstrip().startswith("y[strand") for line in lines)


def test_nothing_is_begun_where_little_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long chain of small tensors takes no time: all of them together are not worth a group."""
    begun = []

    def starts(work: Any, *rest: Any) -> Any:
        begun.append(work)
        return group.starts(work, *rest)

    monkeypatch.setattr(groups, "starts", starts)
    _text(_row_operation(64, 32))
    assert not begun
    _text(_row_operation(1024, 1024))
    assert begun


def test_declines_when_much_is_left_over() -> None:
    """Of twice as many rows as the others have, the last block would be as large as all blocks."""
    rows, all_rows, length = 1000, 1999, 4000
    greatest = reduction("max", element("e", "n", "i"), i=length)
    system = _system(
        equation(element("e", "n", "i"), element("x", "n", "i") * 2, n=all_rows, i=length),
        equation(element("m", "n"), greatest, n=rows),
        equation(
            element("y", "n", "i"), element("e", "n", "i") - element("m", "n"), n=rows, i=length
        ),
        x=(all_rows, length),
        e=(all_rows, length),
        m=(rows,),
        y=(rows, length),
    )
    before, _, inside = _text(system).partition("strands")  # of those that only read its rows
    assert "e[n:1999, i:4000] =" in before
    assert "] = x[" not in inside


def test_declines_when_all_rows_share_much() -> None:
    """Few rows of a product would each read the whole matrix again."""
    rows, inner, columns = 128, 512, 512

    def product(x: str, w: str) -> Expr:
        return reduction("sum", element(x, "n", "i") * element(w, "i", "o"), i=inner)

    system = _system(
        equation(element("a", "n", "o"), product("x", "V"), n=rows, o=columns),
        equation(element("y", "n", "o"), product("a", "W"), n=rows, o=columns),
        x=(rows, inner),
        V=(inner, columns),
        W=(inner, columns),
        a=(rows, columns),
        y=(rows, columns),
    )
    assert "strand" not in _text(system)


def test_zeros_come_before_what_fills_in(eager: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros that join a group stay before the kernels that define parts of the same tensor outside of it."""
    limits = together.BLOCKS._replace(far=0, near=4000)
    monkeypatch.setattr(together, "BLOCKS", limits)
    hidden = Call(
        "exp", (reduction("sum", element("x", "n", "t", "i") * element("w", "i", "j"), i=3),)
    )
    product = reduction("sum", element("z", "n", "t", "j") * element("v", "j", "o"), j=16)
    largest = reduction("max", element("y", "n", "t", "o"), o=8)
    system = _system(
        equation(element("z", "n", "t", "j"), hidden, n=96, t=24, j=16),
        equation(element("y", "n", Index("t") + 1, "o"), product, n=96, t=24, o=8),
        equation(element("m", "n", "t"), largest, n=96, t=25),
        equation(element("r", "n", "t", "o"), element("y", "n", "t", "o") - element("m", "n", "t"), n=96, t=25, o=8),
        x=(96, 24, 3), w=(3, 16), z=(96, 24, 16), v=(16, 8), y=(96, 25, 8), m=(96, 25), r=(96, 25, 8),
    )  # fmt: skip
    text = _text(system)
    assert "together" in text and text.index("] = 0") < text.index("together")
    _agree(system)


def test_of_groups_that_save_as_much_one_has_large_blocks() -> None:
    """Blocks of single rows save as much, but their products have no tiles."""
    heads, length, depth = 4, 1024, 32
    pairs, rows = {"h": heads, "t": length, "u": length}, {"h": heads, "t": length}
    q, k, v = element("q", "t", "h", "d"), element("k", "h", "d", "u"), element("v", "u", "h", "d")
    z, p, m = element("z", "h", "t", "u"), element("p", "h", "t", "u"), element("m", "h", "t")
    system = System(
        (
            tensor("q", length, heads, depth),
            tensor("k", heads, depth, length),
            tensor("v", length, heads, depth),
            *(tensor(name, heads, length, length, role="local") for name in "zp"),
            tensor("m", heads, length, role="local"),
            tensor("y", length, heads, depth, role="output"),
        ),
        (
            equation(z, reduction("sum", q * k, d=depth), **pairs),
            equation(m, reduction("max", z, u=length), **rows),
            equation(p, Call("exp", (z - m,)), **pairs),
            equation(
                element("y", "t", "h", "d"),
                reduction("sum", p * v, u=length),
                t=length,
                h=heads,
                d=depth,
            ),
        ),
    )
    text = _text(system)
    assert "p[h, t, u]" in text and "t:1," not in text


def test_of_groups_that_save_as_much_one_is_shared_evenly() -> None:
    """Of five samples one would be left over, of their rows none is."""
    assert "5 times:" in _text(_weighted_mean(5, 1, 1000, False, 64))
