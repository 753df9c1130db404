"""Equations that are alike have one form; what is asked of it once is the same as what each would be asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

import graphnn as gn
from compiler import pipeline
from compiler.language import form as forms
from compiler.language.form import form, names_read, of_alike, of_others
from compiler.language.system import Equation, System
from compiler.options import Options
from graphnn.graph.lower import lower

from ..systems import Case, cases
from .build import element, equation, tensor


def _product(target: str, one: str, two: str) -> Equation:
    return equation(element(target, "i"), element(one, "i") * element(two, "i"), i=4)


def test_what_differs_in_names_of_tensors_only_has_one_form() -> None:
    """Which names are the same one, and what indices are called, is part of it."""
    own, names = form(_product("y", "a", "b"))
    assert names == ("y", "a", "b")
    assert form(_product("z", "y", "c")) == (own, ("z", "y", "c"))
    assert form(_product("y", "a", "a"))[0] is not own
    other = equation(element("y", "k"), element("a", "k") * element("b", "k"), k=4)
    assert form(other)[0] is not own


@pytest.mark.parametrize("names", [{"a": "c", "y": "z"}, {"a": "b", "b": "a"}, {"a": "b"}])
def test_an_equation_of_other_tensors_has_the_form_it_would_be_found_to_have(
    names: dict[str, str],
) -> None:
    """Whether names are exchanged, or two become one."""
    own = _product("y", "a", "b")
    other = of_others(own, names, "there")
    assert other == _product(*(names.get(name, name) for name in ("y", "a", "b")))
    assert other.origin == "there"
    assert form(other) == form(replace(other))


def test_what_is_alike_is_asked_once_for_each_kind_of_tensors() -> None:
    """Tensors of other shapes are others, and so is another form."""
    tensors = (tensor("a", 4), tensor("b", 4), tensor("c", 4), tensor("long", 9))
    outputs = tuple(tensor(name, 4, role="output") for name in ("u", "v", "w"))
    equations = (_product("u", "a", "b"), _product("v", "b", "c"), _product("w", "a", "long"))
    asked: list[str] = []
    find = of_alike(lambda q: asked.append(q.target), System((*tensors, *outputs), equations))
    for each in (*equations, *equations):
        find(each)
    assert asked == ["u", "w"]


def test_an_equation_of_other_tensors_is_written_down_when_somebody_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its names, sizes and what it reads are known before."""
    other = of_others(_product("y", "a", "b"), {"a": "c", "y": "z"}, "there")
    with monkeypatch.context() as patch:
        patch.setattr(forms, "renamed", None)
        assert (other.target, names_read(other)) == ("z", ("c", "b"))
        assert list(other.extents.values()) == [4]
    assert str(other) == "z[i:4] = c[i]*b[i]"


# --- with forms and without --------------------------------------------------------------------------------------


class _Each:
    """A table of forms in which nothing is found: each equation has a form of its own."""

    def get(self, key: object) -> None:
        """Nothing."""

    def setdefault(self, key: object, own: forms.Form) -> forms.Form:
        return own


def _printed(system: System, patch: pytest.MonkeyPatch) -> dict[str, str]:
    """What all stages make of a system whose equations nobody knows, and what they say."""
    fresh = replace(system, equations=tuple(replace(q) for q in system.equations))
    explanation = pipeline.stages(fresh, Options(cache="off", threads=2).settle())
    texts = {name: text() for name, text in explanation.texts.items() if name != "assembly"}
    return {**texts, "notes": str(explanation.notes)}


def _are_the_same(system: System) -> None:
    """All stages, with what is alike asked once, and with each equation asked."""
    with pytest.MonkeyPatch.context() as patch:
        once = _printed(system, patch)
        patch.setattr(forms, "_forms", _Each())
        assert _printed(system, patch) == once


def test_equal_blocks_become_the_same_program_whether_asked_once_or_each() -> None:
    """Every stage prints the same for a network of equal blocks, its gradients and updates."""
    h = gn.Input((8, 16, 32))
    for _ in range(3):
        h = gn.layers.LayerNormalization()(h + gn.layers.MultiHeadAttention(2, 16)(h, h))
        h = h + gn.layers.Dense(32)(gn.layers.Dense(48, activation="relu")(h))
    loss = gn.mean(h * h)
    updates = gn.optimizers.Adam().apply_gradients(gn.compute_gradients(loss)).new_values
    _are_the_same(lower([loss], updates, training=True).system)


@settings(max_examples=20, deadline=None)
@given(case=cases())
def test_any_system_becomes_the_same_program_whether_asked_once_or_each(case: Case) -> None:
    """So does a system with gathers, windows, recurrences."""
    _are_the_same(case.system)
