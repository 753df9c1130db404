"""Room: what a step needs is compared with what there is before it is taken."""

from __future__ import annotations

from pathlib import Path

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


def test_a_group_s_limit_leaves_what_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The narrowest of the control groups around the process; files' pages are given back."""
    files = {"memory.max": "900", "memory.current": "700", "memory.stat": "anon 500\nfile 200\n"}
    inner, outer = tmp_path / "groups/a/b", tmp_path / "groups/a"
    inner.mkdir(parents=True)
    for name, text in files.items():
        (outer / name).write_text(text)
    (inner / "memory.max").write_text("max\n")
    (tmp_path / "own").write_text("1:name=systemd:/\n0::/a/b\n")
    monkeypatch.setattr(room, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(room, "_OWN", tmp_path / "own")
    assert room._free() in (None, 900 - 700 + 200)
