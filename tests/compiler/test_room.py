"""Room: what a step needs is compared with what there is before it is taken."""

from __future__ import annotations

import pytest

import graphnn as gn
from compiler.machine import room


def test_a_step_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before memory is taken: how much it would be, and for which results; smaller ones go on."""
    monkeypatch.setattr(room, "_free", lambda: 100 << 20)
    x = gn.Input((None, 1000), "x")
    outer = gn.op("z[n, i, j] = x[n, i]*x[n, j]", name="outer")(x)
    function = gn.function(x, outer)
    message = r"takes 400\..* MB|a step takes 0.4 GB: 0.4 GB for outer: f32\[100, 1000, 1000\]"
    with pytest.raises(MemoryError, match=message):
        function([[1.0] * 1000] * 100)
    assert function([[1.0] * 1000]).shape == (1, 1000, 1000)


def test_what_the_system_refuses_is_told_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result of more bytes than there are addresses, or a weight."""
    monkeypatch.setattr(room, "_free", lambda: None)
    x = gn.Input((1, 1 << 20), "x")
    cube = gn.op("z[n, i, j, k] = x[n, i]*x[n, j]*x[n, k]", name="cube")(x)
    with pytest.raises(MemoryError, match="for cube: f32"):
        gn.function(x, cube)([[1.0] * (1 << 20)])
    with pytest.raises(MemoryError, match=r"table.embeddings: no room for f32\[\d+, \d+\]"):
        gn.layers.Embedding(1 << 40, 1 << 20, name="table")(gn.Input((3,), dtype="int32"))


def test_the_system_says_what_is_free() -> None:
    """At least what this process works in; None where nobody says."""
    free = room._free()
    assert free is None or free > 1 << 20
