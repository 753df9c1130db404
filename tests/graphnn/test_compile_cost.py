"""Compiling grows with the number of distinct layers, not faster; memory of attention with the number of places."""

import importlib

import numpy as np
import pytest

import graphnn as gn
from compiler.language.form import Form
from compiler.language.system import System
from compiler.language.validate import validate
from compiler.options import Options
from compiler.pipeline import stages
from compiler.scheduling.group import Group
from compiler.scheduling.schedule import schedule
from graphnn.functions import mean
from graphnn.gradients import compute_gradients
from graphnn.graph import operation
from graphnn.graph.lower import lower
from graphnn.graph.node import Input
from graphnn.layers import Dense, LayerNormalization, SimpleRNN
from graphnn.optimizers import SGD


def sizes_of_stages(*units: int) -> np.ndarray:
    """Lines of equations, of loops and of LLVM code of a training step with layers of so many units."""
    x = Input((4, 24))
    y = x
    for count in units:
        y = Dense(count, activation="tanh")(y)
    loss = mean(y**2)
    updates = SGD(0.1).apply_gradients(compute_gradients(loss)).new_values
    lowered = lower([loss], updates, training=True)
    validate(lowered.system)
    explain = stages(lowered.system, Options(cache="off", threads=1).settle())
    return np.array([explain(stage).count("\n") for stage in ("hoist", "schedule", "emit")])


def test_code_grows_linearly_with_distinct_layers():
    """Twelve layers more cost at most twice what the six before them cost, and a tenth."""
    small, middle, large = (sizes_of_stages(*range(24, 24 - n, -1)) for n in (6, 12, 24))
    assert np.all(middle > small)
    assert np.all(large - middle <= 2.2 * (middle - small))


def test_equal_layers_are_scheduled_once(monkeypatch):
    """Twenty-four equal layers ask the schedule as often as four do."""
    calls = []
    monkeypatch.setattr(
        "compiler.pipeline.schedule",
        lambda kernel, *more: calls.append(kernel) or schedule(kernel, *more),
    )

    def counted(layers):
        calls.clear()
        sizes_of_stages(*[24] * layers)
        return len(calls)

    assert 0 < counted(24) <= counted(4)


ASKED = {
    "compiler.language.validate._equation_fault": "is it valid?",
    "compiler.language.match._is_definition": "may it be read through?",
    "compiler.rewriting.split._cuts": "where does it change?",
    "compiler.rewriting.phases._divisions": "what is divided?",
    "compiler.rewriting.winograd.windows": "are there windows?",
    "compiler.rewriting.halo._beyond": "what is read beyond an edge?",
    "compiler.scheduling.fuse._join": "does it join this kernel?",
    "compiler.pipeline.lower": "what are its loops?",
}


def test_equal_layers_are_asked_once(monkeypatch):
    """Sixteen equal layers, with their gradients and updates, are asked by all stages as often as eight."""
    counts = dict.fromkeys(ASKED, 0)

    def counted(name):
        module, _, function = name.rpartition(".")
        asked = getattr(importlib.import_module(module), function)

        def ask(*given):
            counts[name] += 1
            return asked(*given)

        monkeypatch.setattr(name, ask)

    for name in ASKED:
        counted(name)
    sizes_of_stages(*[24] * 8)
    few = dict(counts)
    counts.update(dict.fromkeys(ASKED, 0))
    sizes_of_stages(*[24] * 16)
    assert all(0 < counts[name] <= few[name] for name in ASKED), (few, counts)


def test_all_tensors_are_gone_through_as_often_for_more_layers(monkeypatch):
    """No stage does so for each equation."""
    calls, names = [], System.names
    monkeypatch.setattr(
        System, "names", lambda own, *roles: calls.append(roles) or names(own, *roles)
    )

    def counted(layers):
        calls.clear()
        y = Input((4, 3, 8))
        for _ in range(layers):
            y = SimpleRNN(8, return_sequences=True)(y)
        stages(lower([y], {}, training=True).system, Options().settle())
        return len(calls)

    assert 0 < counted(6) <= counted(2)


def test_equal_layers_are_searched_for_groups_once(monkeypatch):
    """Where no group begins, none does among twelve equal layers more often than among eight."""
    calls, joins = [], Group.joins
    monkeypatch.setattr(
        Group, "joins", lambda own, work, *more: calls.append(work) or joins(own, work, *more)
    )

    def counted(layers):
        calls.clear()
        y = Input((64, 512))
        for _ in range(layers):
            y = LayerNormalization()(Dense(512, activation="tanh")(y))
        loss = mean(y**2)
        updates = SGD(0.1).apply_gradients(compute_gradients(loss)).new_values
        stages(lower([loss], updates, training=True).system, Options().settle())
        return len(calls)

    assert 0 < counted(12) <= counted(8)


def test_equal_layers_are_written_down_when_they_are_printed(monkeypatch):
    """Of eight more equal layers stages look at names alone, but for the text that is asked for."""
    written, find = [], Form.find
    monkeypatch.setattr(
        Form, "find", lambda own, name, names: written.append(name) or find(own, name, names)
    )

    def counted(layers):
        written.clear()
        lines = sizes_of_stages(*[24] * layers)[0]
        return written.count("value"), lines

    (few, short), (many, long) = counted(8), counted(16)
    assert 0 < many - few <= long - short


def test_equal_layers_share_their_code():
    """Twenty-four equal layers have at most twice the LLVM code of two."""
    assert sizes_of_stages(*[24] * 24)[-1] <= 2 * sizes_of_stages(24, 24)[-1]


def test_equal_layers_are_worked_out_once():
    """Twenty-four equal layers, with their gradients, take as many formulas to be worked out as four."""

    def counted(layers):
        operation._settled.cache_clear()
        sizes_of_stages(*[24] * layers)
        return operation._settled.cache_info().misses

    assert 0 < counted(24) <= counted(4)


def _arena(places: int, is_masked: bool, trains: bool = False) -> int:
    """Bytes that a step of attention over so many places has besides what it is given."""
    x = gn.Input((2, places, 64))
    y = gn.layers.MultiHeadAttention(4, 16)(x, x, use_causal_mask=is_masked)
    f = gn.function([x], [y])
    if trains:
        loss = gn.mean(y * y)
        updates = gn.optimizers.SGD().apply_gradients(gn.compute_gradients(loss))
        f = gn.function([x], loss, updates)
    return int(gn.explain(f, "plan").partition("arena of ")[2].partition(" ")[0])


@pytest.mark.parametrize("is_masked", [False, True])
def test_attention_predicts_without_all_pairs(is_masked: bool) -> None:
    """Memory goes with the number of places, not with its square."""
    assert _arena(8192, is_masked) < 2.1 * _arena(4096, is_masked) < 4.2 * _arena(2048, is_masked)


def test_attention_trains_without_all_pairs() -> None:
    """The scores of all pairs are computed again for the gradient."""
    assert _arena(2048, is_masked=False, trains=True) < 2 * 4 * 2048 * 2048 * 4 / 4
