"""Stages halo, lower and collapse: equations as loops over addresses."""

from __future__ import annotations

from dataclasses import replace

from compiler.language.expression import Call, Index, expr
from compiler.language.system import Equation, System, Tensor
from compiler.rewriting.halo import halo
from compiler.scheduling.collapse import collapse
from compiler.scheduling.fuse import Fusion
from compiler.scheduling.layout import Layout
from compiler.scheduling.loops import Kernel
from compiler.scheduling.lower import Storage, lower

from .build import element, equation, matrix_product, reduction, tensor

ROW = Index("i")


def _lowered(tensors: tuple[Tensor, ...], own: Equation, **borders: tuple[int, int]) -> Kernel:
    storages = {
        t.name: Storage(
            t, (borders.get(t.name, (0, 0)),) * len(t.shape), Layout(tuple(range(len(t.shape))))
        )
        for t in tensors
    }
    return lower(Fusion(own.indices, (own,)), "kernel", storages, {})


def test_lower_writes_loops_and_addresses() -> None:
    """A matrix product is two loops around a fold, with row-major addresses."""
    system = matrix_product(3, 5, 4)
    assert str(_lowered(system.tensors, system.equations[0])) == (
        "def kernel(A, B, C):\n"
        "    for i in range(0, 3):\n"
        "        for j in range(0, 4):\n"
        "            fold k in range(0, 5):\n"
        "                v1 = sum of (A[5*i + k] * B[4*k + j])\n"
        "            v2 = v1\n"
        "            C[4*i + j] = v2"
    )


def test_lower_guards_reads_that_may_be_outside() -> None:
    """A read beyond the edge gets a condition, one that is surely inside does not."""
    tensors = (tensor("x", 6), tensor("y", 6, role="output"))
    value = element("x", ROW - 1) + element("x", "i")
    text = str(_lowered(tensors, equation(element("y", "i"), value, i=6)))
    assert "(x[i - 1] if 0 <= i - 1 < 6 else 0) + x[i]" in text


def test_lower_reads_borders_without_a_condition() -> None:
    """Where memory has borders of zeros wide enough nothing is checked."""
    tensors = (tensor("x", 6), tensor("y", 6, role="output"))
    own = equation(element("y", "i"), element("x", ROW - 1), i=6)
    assert "v1 = x[i]\n" in str(_lowered(tensors, own, x=(1, 0)))


def test_lower_makes_types_explicit() -> None:
    """Integers meet reals by conversion; a mean divides by the count."""
    tensors = (tensor("x", 6), tensor("y", 6, role="output"))
    value = Call("*", (ROW, element("x", "i")))
    assert "(float(i) * x[i])" in str(_lowered(tensors, equation(element("y", "i"), value, i=6)))
    mean = reduction("mean", element("x", "j"), j=6)
    assert "(v1 / 6)" in str(_lowered(tensors, equation(element("y", "i"), mean, i=6)))


def test_lower_checks_subscripts_that_are_data() -> None:
    """What a tensor says is not known, so that the read is checked."""
    tensors = (tensor("t", 6, dtype="int32"), tensor("x", 9), tensor("y", 6, role="output"))
    own = equation(element("y", "i"), element("x", element("t", "i")), i=6)
    assert "x[t[i]] if 0 <= t[i] < 9 else 0" in str(_lowered(tensors, own))


def test_collapse_merges_loops_that_memory_does_not_tell_apart() -> None:
    """Elementwise work on a matrix is one loop."""
    tensors = (tensor("x", 4, 6), tensor("y", 4, 6, role="output"))
    own = equation(element("y", "n", "i"), Call("exp", (element("x", "n", "i"),)), n=4, i=6)
    text = str(collapse(_lowered(tensors, own)))
    assert "for i in range(0, 24):" in text
    assert "y[i] = " in text
    assert "n" not in text.split("range", 1)[1].replace("range", "")


def test_collapse_merges_the_ranges_of_a_fold() -> None:
    """A window's columns and channels are one run of memory."""
    window = element("x", Index("w") + Index("s"), "c") * element("K", "s", "c", "o")
    own = equation(element("y", "w", "o"), reduction("sum", window, s=3, c=4), w=5, o=2)
    tensors = (tensor("x", 7, 4), tensor("K", 3, 4, 2), tensor("y", 5, 2, role="output"))
    assert "fold c in range(0, 12):" in str(collapse(_lowered(tensors, own)))


def test_collapse_declines_when_an_address_tells_the_loops_apart() -> None:
    """A transposed read keeps both loops."""
    tensors = (tensor("x", 6, 4), tensor("y", 4, 6, role="output"))
    own = equation(element("y", "n", "i"), element("x", "i", "n"), n=4, i=6)
    assert str(collapse(_lowered(tensors, own))).count("for") == 2


def _window(role: str) -> System:
    inner = reduction("sum", element("x", ROW + Index("j") - 1) * element("K", "j"), j=3)
    tensors = (
        tensor("z", 9),
        tensor("x", 9, role=role),
        tensor("K", 3),
        tensor("y", 9, role="output"),
    )
    own = [equation(element("y", "i"), inner, i=9)]
    if role == "local":
        own.append(equation(element("x", "i"), element("z", "i") * 2, i=9))
    return System(tensors, tuple(own))


def test_halo_gives_borders_to_a_local_tensor() -> None:
    """One zero on either side for a window of three."""
    system, borders = halo(_window("local"))
    assert borders["x"] == ((1, 1),)
    assert len(system.equations) == 2


def test_halo_copies_an_input_that_is_read_often() -> None:
    """The copy has the borders and every read goes to it."""
    system, borders = halo(_window("input"))
    assert borders["x"] == ((0, 0),)
    assert borders["x.wide"] == ((1, 1),)
    assert [str(e).split(" ")[0] for e in system.equations] == ["x.wide[i0:9]", "y[i:9]"]


def test_halo_takes_no_name_that_is_taken() -> None:
    """A copy does not overwrite a tensor that is called so."""
    given = _window("input")
    system, borders = halo(replace(given, tensors=(*given.tensors, tensor("x.wide", 9))))
    assert borders["x.wide_"] == ((1, 1),) and borders["x.wide"] == ((0, 0),)
    assert len(system.by_name) == len(system.tensors)


def test_halo_computes_an_output_inside_borders() -> None:
    """An output that its own recurrence reads is copied from a tensor with borders."""
    inner = reduction("sum", element("y", ROW - 1, "j") * element("U", "j", "k"), j=4)
    tensors = (tensor("U", 4, 4), tensor("y", 9, 4, role="output"))
    own = equation(element("y", "i", "k"), inner + expr(1), i=9, k=4)
    system, borders = halo(System(tensors, (own,)))
    assert borders["y.wide"] == ((1, 0), (0, 0))
    assert [e.target for e in system.equations] == ["y", "y.wide"]


def test_halo_declines_when_borders_outgrow_the_tensor() -> None:
    """Borders larger than what they surround cost more than checks."""
    value = reduction("sum", element("x", ROW - Index("j")), j=50)
    tensors = (tensor("x", 9), tensor("y", 9, role="output"))
    _, borders = halo(System(tensors, (equation(element("y", "i"), value, i=9),)))
    assert borders == {"x": ((0, 0),), "y": ((0, 0),)}


def test_halo_declines_for_a_single_read() -> None:
    """A copy would cost as much as the work itself."""
    tensors = (tensor("x", 9), tensor("y", 9, role="output"))
    system = System(tensors, (equation(element("y", "i"), element("x", ROW - 1) + expr(1), i=9),))
    assert halo(system)[0] == system
