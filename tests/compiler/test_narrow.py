"""Stage narrow: a place among few is kept in a byte."""

from __future__ import annotations

import pytest

from compiler.language.expression import Call, Expr, Index, expr
from compiler.language.notes import Note
from compiler.language.system import System
from compiler.rewriting.narrow import PLACES, narrow

from .build import assert_compiled_is_interpreted, element, equation, reduction, tensor

PLACE = element("p", "n", "c")


def _system(
    columns: int = 32,
    places: int = 2,
    role: str = "local",
    dtype: str = "int32",
    asked: Expr = PLACE,
) -> System:
    """Where the greatest of some rows is, and what is asked of that place."""
    place = reduction("argmax", element("x", "n", "i", "c"), i=places)
    value = Call("where", (Call("==", (asked, expr(1))), element("g", "n", "c"), expr(0)))
    space = {"n": 32, "c": columns}
    return System(
        (
            tensor("x", 32, places, columns),
            tensor("g", 32, columns),
            tensor("p", 32, columns, dtype=dtype, role=role),
            tensor("y", 32, columns, role="output"),
        ),
        (
            equation(PLACE, place, **space),
            equation(element("y", "n", "c"), value * 2 + PLACE, **space),
        ),
    )


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("places", [2, PLACES])
def test_places_are_kept_in_bytes(places: int, dtype: str) -> None:
    """The last place, too, and nothing else changes."""
    system = _system(places=places, dtype=dtype)
    notes: list[Note] = []
    short = narrow(system, notes)
    assert short.by_name["p"].dtype == "int8"
    assert short.equations == system.equations
    assert "places in bytes" in "\n".join(map(str, notes))
    assert_compiled_is_interpreted(system)


@pytest.mark.parametrize(
    "system",
    [
        _system(columns=31),
        _system(places=PLACES + 1),
        _system(role="output"),
        _system(asked=element("p", "c", "n")),
        _system(asked=element("p", "n", Index("c") * -1 + 31)),
    ],
    ids=["odd", "many", "output", "across", "backward"],
)
def test_narrow_declines_when(system: System) -> None:
    """Rows are no whole vectors, there are more places, others see them, they are not read in rows."""
    assert narrow(system) == system
    assert_compiled_is_interpreted(system)
