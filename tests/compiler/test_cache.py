"""The cache never runs what it did not write whole, and its absence never hurts."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import astuple, fields, replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

import compiler
from compiler import pipeline
from compiler.language.expression import Binder, Element, Index, Number, expr
from compiler.language.form import of_others
from compiler.language.system import Equation, System, Tensor
from compiler.machine import cache
from compiler.machine.program import Limit, Program, decode, encode
from compiler.options import Options, Settings
from compiler.pipeline import stages
from compiler.target import NAMES, Target

from ..systems import random_case

KEY = "0" * 64
OTHER = "1" * 64


@pytest.fixture(autouse=True)
def _warnings_anew() -> Iterator[None]:
    """Each cause is warned of once in a process: here once in a test."""
    cache._warn.cache_clear()
    yield
    cache._warn.cache_clear()


@pytest.fixture
def store(tmp_path: Path) -> cache.Cache:
    opened = cache.opened(tmp_path / "cache")
    assert opened is not None
    return opened


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def test_what_was_put_comes_back(store: cache.Cache) -> None:
    """Bytes under their key, nothing under another."""
    store.put(KEY, b"payload")
    assert store.get(KEY) == b"payload"
    assert store.get(OTHER) is None


def test_the_directory_is_ours_alone(store: cache.Cache) -> None:
    """It is made with mode 0700, the files in it without access for others."""
    store.put(KEY, b"payload")
    assert store.directory.stat().st_mode & 0o777 == 0o700
    assert (store.directory / KEY).stat().st_mode & 0o077 == 0


def test_damaged_files_count_as_absent(
    store: cache.Cache, caplog: pytest.LogCaptureFixture
) -> None:
    """One flipped bit anywhere, any truncation, an empty file: never returned, warned of once."""
    store.put(KEY, b"some payload")
    path = store.directory / KEY
    whole = path.read_bytes()
    for damaged in [
        *(whole[:k] + bytes([whole[k] ^ 1]) + whole[k + 1 :] for k in range(len(whole))),
        *(whole[:k] for k in range(len(whole))),
        whole + b"x",
    ]:
        path.write_bytes(damaged)
        assert store.get(KEY) is None
    assert len(warnings(caplog)) == 1
    store.put(KEY, b"some payload")
    assert store.get(KEY) == b"some payload"


def test_swapped_files_count_as_absent(store: cache.Cache) -> None:
    """A whole file under the key of another is refused."""
    store.put(KEY, b"payload")
    (store.directory / KEY).rename(store.directory / OTHER)
    assert store.get(OTHER) is None


def test_a_link_is_not_followed(store: cache.Cache, tmp_path: Path) -> None:
    """What lies elsewhere is not ours, whatever it holds."""
    store.put(KEY, b"payload")
    moved = (store.directory / KEY).rename(tmp_path / "elsewhere")
    (store.directory / KEY).symlink_to(moved)
    assert store.get(KEY) is None


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_directory_open_to_others_is_not_used(
    tmp_path: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Where others may write, they may write code."""
    tmp_path.chmod(mode)
    assert cache.opened(tmp_path) is None
    assert "others may write" in warnings(caplog)[0]


def test_a_file_open_to_others_is_not_used(store: cache.Cache) -> None:
    """The same for each file."""
    store.put(KEY, b"payload")
    (store.directory / KEY).chmod(0o666)
    assert store.get(KEY) is None


def test_no_directory_no_cache(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without a home, or where a file is in the way, there is no cache, and one warning at most."""
    assert cache.opened(None) is None
    assert not warnings(caplog)
    (tmp_path / "file").write_text("")
    assert cache.opened(tmp_path / "file" / "cache") is None
    assert len(warnings(caplog)) == 1


def test_an_unwritable_disk_is_survived(
    store: cache.Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Writing fails with a warning, and leaves nothing behind."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    store.put(KEY, b"payload")
    assert "No space left" in warnings(caplog)[0]
    assert list(store.directory.iterdir()) == []


def test_a_directory_that_vanishes_is_survived(store: cache.Cache) -> None:
    """Deleted while in use: nothing is found, nothing fails."""
    store.directory.rmdir()
    assert store.get(KEY) is None
    store.put(KEY, b"payload")


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    """Above the limit files are dropped, those just read last."""
    store = cache.opened(tmp_path / "cache", limit=1000)
    assert store is not None
    for number in range(3):
        store.put(str(number) * 64, bytes(250))
        os.utime(store.directory / (str(number) * 64), ns=(number, number))
    assert store.get("0" * 64) is not None
    store.put("3" * 64, bytes(250))
    kept = sorted(path.name[0] for path in store.directory.iterdir())
    assert kept == ["0", "2", "3"]


def test_the_directory_is_looked_through_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for each 64th of the limit that is written, not for each file."""
    store = cache.opened(tmp_path / "cache", limit=64_000)
    assert store is not None
    looks: list[cache.Cache] = []
    monkeypatch.setattr(cache.Cache, "_shrink", lambda self: looks.append(self))
    for number in range(300):
        store.put(f"{number:064}", bytes(50))
    assert 0 < len(looks) <= 30


def test_every_part_of_a_target_is_in_the_key() -> None:
    """Any other triple, processor, feature or width is another key; so are text and versions."""
    target = NAMES["x86-64-v3"]
    keys = [cache.module_key("text", target, "1"), cache.module_key("text", target, "2")]
    keys.append(cache.module_key("other text", target, "1"))
    for field in fields(Target):
        old = getattr(target, field.name)
        new = old + "x" if isinstance(old, str) else not old if isinstance(old, bool) else old + 1
        keys.append(cache.module_key("text", replace(target, **{field.name: new}), "1"))
    assert len(set(keys)) == len(keys) == 3 + len(astuple(target))


def test_the_source_of_this_package_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed compiler finds nothing of what the old one wrote."""
    before = cache.module_key("text", NAMES["x86-64"], "1")
    monkeypatch.setattr(cache, "generator_version", lambda: "another")
    assert cache.module_key("text", NAMES["x86-64"], "1") != before


def _system(size: int) -> System:
    i = Index("i")
    equation = Equation("y", (i,), (Binder(i, Number(size)),), Element("x", (i,)))  # type: ignore[arg-type]
    shapes = (Tensor("x", (size,), "float32", "input"), Tensor("y", (size,), "float32", "output"))
    return System(shapes, (equation,))


def test_system_and_options_are_in_the_key(tmp_path: Path) -> None:
    """Other shapes, another dtype or another machine is another key; another cache is not."""
    settings = Options(target=NAMES["x86-64"], cache=tmp_path).settle({})
    x, y = _system(3).tensors
    other_type = replace(_system(3), tensors=(replace(x, dtype="float64"), y))
    keys = [
        cache.program_key(_system(3), settings, "1"),
        cache.program_key(_system(4), settings, "1"),
        cache.program_key(other_type, settings, "1"),
        cache.program_key(_system(3), replace(settings, target=NAMES["aarch64"]), "1"),
    ]
    assert len(set(keys)) == 4
    elsewhere: Settings = replace(settings, cache=tmp_path / "other", debug=3)
    assert cache.program_key(_system(3), elsewhere, "1") == keys[0]


def _renamed(system: System, seed: int = 0) -> System:
    """The same system of tensors whose names come in another order."""
    order = list(range(len(system.tensors)))
    Random(seed).shuffle(order)
    names = {t.name: f"t{k:03}" for k, t in zip(order, system.tensors, strict=True)}
    return System(
        tuple(replace(t, name=names[t.name]) for t in system.tensors),
        tuple(of_others(e, names, "elsewhere") for e in system.equations),
        tuple((names[state], names[new]) for state, new in system.updates),
    )


@pytest.mark.parametrize("seed", range(8))
def test_names_do_not_matter(seed: int) -> None:
    """A system has the same key and the same code whatever its tensors are called."""
    system = random_case(Random(seed), 300).system
    other = _renamed(system, seed)
    settings = Options(cache="off", threads=1).settle()
    assert cache.program_key(system, settings, "1") == cache.program_key(other, settings, "1")
    assert stages(system, settings).program().objects == stages(other, settings).program().objects


def _picked(*names: str) -> System:
    """``y[i] = E[t[i]]`` of tensors with these names."""
    i, (table, place, result) = Index("i"), names
    value = Element(table, (Element(place, (i,)),))
    equation = Equation(result, (i,), (Binder(i, expr(3)),), value)
    tensors = (
        Tensor(table, (5,), "float32", "input"),
        Tensor(place, (3,), "int32", "input"),
        Tensor(result, (3,), "float32", "output"),
    )
    return System(tensors, (equation,))


def test_a_program_is_found_under_other_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept of one system serves an equal one, which is told by its own names what is wrong."""
    options = Options(cache=tmp_path, threads=1)
    compiler.compile(_picked("E", "t", "y"), options)
    monkeypatch.setattr(pipeline, "stages", None)  # nothing is compiled any more
    found = compiler.compile(_picked("y", "E", "t"), options)
    row = np.arange(5, dtype="float32")
    assert found({"y": row, "E": np.array([4, 0, 2], "int32")})["t"].tolist() == [4, 0, 2]
    with pytest.raises(IndexError, match=r"E\[1\] is 5, but it is a subscript of y"):
        found({"y": row, "E": np.array([4, 5, 2], "int32")})


def test_who_is_who_is_in_the_key(tmp_path: Path) -> None:
    """Tensors of one kind that change places in an equation are another program."""
    i = Index("i")
    tensors = (
        *(Tensor(n, (3,), "float32", "input") for n in "ab"),
        Tensor("y", (3,), role="output"),
    )

    def key(first: str, second: str) -> str:
        value = Element(first, (i,)) - Element(second, (i,))
        system = System(tensors, (Equation("y", (i,), (Binder(i, expr(3)),), value),))
        return cache.program_key(system, Options(cache=tmp_path).settle({}), "1")

    assert len({key("a", "b"), key("b", "a"), key("a", "a")}) == 3


def test_a_program_survives_its_bytes() -> None:
    """Encoded and decoded, it is equal."""
    program = Program(
        slots=(Tensor("x", (2, 3), "float32", "input"), Tensor("y", (), "int64", "output")),
        arena=1 << 40,
        zeros=((0, 64), (128, 64)),
        states=("w",),
        limits=(Limit("t", 5, "E"),),
        objects=(b"", b"\x00\xff", bytes(range(256))),
    )
    assert decode(encode(program)) == program


def test_the_environment_is_read_in_order(tmp_path: Path) -> None:
    """What is asked for comes first, then the variable, then the user's cache directory, then home."""
    target = NAMES["x86-64"]

    def directory(asked: str | None, **environment: str) -> Path | None:
        return Options(target=target, cache=asked).settle(environment).cache

    assert directory("/a", GRAPHNN_CACHE="/b") == Path("/a")
    assert directory(None, GRAPHNN_CACHE="/b", HOME="/c") == Path("/b")
    assert directory(None, XDG_CACHE_HOME="/x", HOME="/c") == Path("/x/graphnn")
    assert directory(None, HOME="/c") == Path("/c/.cache/graphnn")
    assert directory(None) is None
    assert directory(None, GRAPHNN_CACHE="off", HOME="/c") is None


def test_numbers_in_the_environment_are_checked() -> None:
    """A variable that is no number in its range is refused by name."""
    options = Options(target=NAMES["x86-64"])
    assert options.settle({"GRAPHNN_THREADS": "3", "GRAPHNN_DEBUG": "2"}).threads == 3
    assert options.settle({}).threads >= 1
    for name, value in (("GRAPHNN_THREADS", "0"), ("GRAPHNN_DEBUG", "7"), ("GRAPHNN_DEBUG", "x")):
        with pytest.raises(ValueError, match=name):
            options.settle({name: value})
