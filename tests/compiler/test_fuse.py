"""Stage fuse: values pass in registers between equations over one index space."""

from __future__ import annotations

from compiler.language.expression import Call, Index, expr
from compiler.language.system import Equation, System, Tensor
from compiler.rewriting.order import order
from compiler.scheduling.fuse import Fusion, fuse, fusion_lines, fusions

from .build import assert_compiled_is_interpreted, element, equation, reduction, tensor


def _fused(tensors: tuple[Tensor, ...], *own: Equation) -> list[Fusion]:
    system = System(tensors, own)
    return list(fusions(fuse(order(system), system)))


X, Y = tensor("x", 4, 6), tensor("y", 4, 6, role="output")


def test_fuse_joins_a_chain() -> None:
    """A product, a bias and a maximum with zero become one kernel; what lies between is not stored."""
    product = reduction("sum", element("x", "n", "i") * element("W", "i", "o"), i=6)
    (only,) = _fused(
        (X, tensor("W", 6, 6), tensor("z", 4, 6, role="local"), Y),
        equation(element("z", "n", "o"), product, n=4, o=6),
        equation(element("y", "m", "k"), Call("max", (expr(0), element("z", "m", "k"))), m=4, k=6),
    )
    assert [e.target for e in only.equations] == ["z", "y"]
    assert only.kept == ("z",)
    assert str(only.equations[1]) == "y[n:4, o:6] = max(0, z[n, o])"


def test_fuse_joins_transposed_readers() -> None:
    """The place is what counts, not the order of the indices."""
    (only,) = _fused(
        (X, tensor("z", 6, 4, role="local"), Y),
        equation(element("z", "a", "b"), element("x", "b", "a") * 2, a=6, b=4),
        equation(element("y", "n", "o"), element("z", "o", "n") + 1, n=4, o=6),
    )
    assert len(only.equations) == 2


def test_fuse_stores_what_others_read() -> None:
    """A value that another kernel reads is stored as well."""
    fusions_ = _fused(
        (X, tensor("z", 4, 6, role="local"), Y, tensor("s", 4, role="output")),
        equation(element("z", "n", "o"), element("x", "n", "o") * 2, n=4, o=6),
        equation(element("y", "n", "o"), element("z", "n", "o") + 1, n=4, o=6),
        equation(element("s", "n"), reduction("sum", element("z", "n", "o"), o=6), n=4),
    )
    assert [len(f.equations) for f in fusions_] == [2, 1]
    assert fusions_[0].kept == ()


def test_fuse_declines_when_read_at_another_place() -> None:
    """A neighbour's value is not in a register of this element."""
    first, second = _fused(
        (tensor("x", 6), tensor("z", 6, role="local"), tensor("y", 6, role="output")),
        equation(element("z", "i"), element("x", "i") * 2, i=6),
        equation(element("y", "i"), element("z", "i") + element("z", Index("i") - 1), i=6),
    )
    assert "another place" in second.declined
    assert not first.kept
    assert "declined" in "\n".join(fusion_lines([first, second]))


def test_fuse_declines_when_both_reduce() -> None:
    """Two reductions would compete for registers."""
    total = reduction("sum", element("x", "n", "i"), i=6)
    product = reduction("sum", element("x", "n", "i") * element("z", "n", "o"), i=6)
    _, second = _fused(
        (X, tensor("z", 4, 6, role="local"), Y),
        equation(element("z", "n", "o"), element("x", "n", "o") * total, n=4, o=6),
        equation(element("y", "n", "o"), product, n=4, o=6),
    )
    assert second.declined == "both reduce"


def test_fuse_declines_when_spaces_differ() -> None:
    """A row's value is not joined with what runs over its elements."""
    _, second = _fused(
        (X, tensor("s", 4, role="local"), Y),
        equation(element("s", "n"), element("x", "n", 0) * 2, n=4),
        equation(element("y", "n", "o"), element("s", "n") + element("x", "n", "o"), n=4, o=6),
    )
    assert second.declined == "the index spaces differ"


def test_fuse_puts_readers_side_by_side() -> None:
    """Two that read the same tensor become one kernel, though neither reads the other."""
    (only,) = _fused(
        (X, tensor("y", 4, 3, role="output"), tensor("w", 4, 3, role="output")),
        equation(element("y", "n", "o"), Call("exp", (element("x", "n", "o"),)), n=4, o=3),
        equation(element("w", "m", "k"), element("x", "m", Index("k") + 3), m=4, k=3),
    )
    assert [e.target for e in only.equations] == ["y", "w"]
    assert str(only.equations[1]) == "w[n:4, o:3] = x[n, o + 3]"


def test_fuse_puts_no_reader_before_what_it_needs() -> None:
    """Side by side with a kernel means after everything that one reads: else a kernel of its own."""
    first, _, third = _fused(
        (X, tensor("s", 4, role="local"), Y, tensor("w", 4, 6, role="output")),
        equation(element("y", "n", "o"), element("x", "n", "o") * 2, n=4, o=6),
        equation(element("s", "n"), reduction("sum", element("x", "n", "i"), i=6), n=4),
        equation(element("w", "n", "o"), element("x", "n", "o") - element("s", "n"), n=4, o=6),
    )
    assert [e.target for e in (*first.equations, *third.equations)] == ["y", "w"]


def test_fuse_declines_beside_for_a_part() -> None:
    """What defines a part of its target waits for the kernel of all parts, near those who need them."""
    parts = [
        equation(element("z", k, "n", "i"), element("x", "n", "i") * (k + 2), n=4, i=6)
        for k in range(2)
    ]
    first, second = _fused(
        (X, Y, tensor("z", 2, 4, 6, role="output")),
        equation(element("y", "n", "i"), element("x", "n", "i") + 1, n=4, i=6),
        *parts,
    )
    assert [e.target for e in first.equations] == ["y"]
    assert [e.target for e in second.equations] == ["z", "z"]


def test_fuse_declines_beside_a_reduction() -> None:
    """The registers of a contraction are not for those who only read the same."""
    fusions_ = _fused(
        (X, Y, tensor("w", 4, 6, role="output")),
        equation(
            element("y", "n", "o"),
            reduction("sum", element("x", "n", "i") * element("x", "n", "o"), i=6),
            n=4,
            o=6,
        ),
        equation(element("w", "n", "o"), element("x", "n", "o") * 2, n=4, o=6),
    )
    assert len(fusions_) == 2


def test_fuse_reads_a_part_after_it_is_written() -> None:
    """Where several kernels write parts of a tensor, its readers come after the last of them."""
    rows, half = {"n": 4, "o": 3}, Index("o") + 3
    here = ("n", "o")
    system = System(
        (
            X,
            tensor("a", 4, 3, role="local"),
            tensor("s", 4, role="local"),
            tensor("y", 4, 6, role="local"),
            tensor("w", 4, 3, role="output"),
            tensor("v", 4, 3, role="output"),
        ),
        (
            equation(element("a", *here), Call("exp", (element("x", *here),)), **rows),
            equation(element("y", *here), element("a", *here) * 2, **rows),
            equation(element("s", "n"), reduction("sum", element("x", "n", "i"), i=6), n=4),
            equation(element("y", "n", half), element("x", *here) * element("s", "n"), **rows),
            equation(element("w", *here), element("a", *here) - 1, **rows),
            equation(element("v", *here), element("y", "n", half) + element("y", *here), **rows),
        ),
    )
    assert_compiled_is_interpreted(system)


def test_fuse_declines_when_stored_across() -> None:
    """Sums come in vectors along the last index; a copy that lies the other way is made by a kernel of its own."""
    product = reduction("sum", element("x", "n", "i") * element("W", "i", "o"), i=6)
    tensors = (
        X,
        tensor("W", 6, 6),
        tensor("z", 4, 6, role="output"),
        tensor("t", 6, 4, role="output"),
    )
    first, second = _fused(
        tensors,
        equation(element("z", "n", "o"), product, n=4, o=6),
        equation(element("t", "o", "n"), element("z", "n", "o"), o=6, n=4),
    )
    assert [e.target for e in first.equations] == ["z"]
    assert second.declined == "t lies across the rows of z"
