"""Two hundred random systems, each with its derived gradients: compiled = interpreted.

Both run in the system's own float type; what is compiled may be at most four times as far from the truth as NumPy's own
arithmetic is.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from random import Random

import numpy as np
import pytest

from compiler.language.expression import Number, Reduce
from compiler.language.system import System, Tensor
from graphnn.calculus.derive import derive
from graphnn.calculus.naming import seed_name
from graphnn.notation import Resolved

from .compiler.test_compile import agree
from .systems import Case, random_case

SEEDS = range(200)


def with_gradients(case: Case, seed: int) -> Case:
    """The system and the gradients of its real outputs by its real inputs, as one system."""
    tensors = {t.name: t for t in case.system.tensors}
    outputs = tuple(n for n, t in tensors.items() if t.role == "output" and _is_real(t))
    operands = tuple(n for n, t in tensors.items() if t.role in ("input", "parameter"))
    shapes = {n: tuple(Number(Fraction(k)) for k in t.shape) for n, t in tensors.items()}
    resolved = Resolved(case.system.equations, shapes, operands, outputs)
    derived = derive(resolved)
    (real,) = {t.dtype for n, t in tensors.items() if n in outputs}
    random = np.random.default_rng(seed)
    arrays = dict(case.arrays)
    for name in outputs:
        seed_of = seed_name(resolved, name)
        if seed_of in derived.shapes:
            values = random.integers(-8, 8, tensors[name].shape) / 8
            arrays[seed_of] = np.asarray(values, dtype=real)
    whole = {e.target for e in derived.equations if _is_position(e.value)}
    for name, sizes in derived.shapes.items():
        role = "output" if name in derived.outputs else "input" if name in arrays else "local"
        dtype = "int64" if name in whole else real
        shape = tuple(int(n.value) for n in sizes)  # type: ignore[attr-defined]
        tensors.setdefault(name, Tensor(name, shape, dtype, role))
    return Case(System(tuple(tensors.values()), case.system.equations + derived.equations), arrays)


def _is_real(t: Tensor) -> bool:
    return t.dtype.startswith("float")


def _is_position(value: object) -> bool:
    return isinstance(value, Reduce) and value.kind in ("argmax", "argmin")


@pytest.mark.parametrize("seed", SEEDS)
def test_random_systems_and_their_gradients_agree(seed: int) -> None:
    """Forward and gradient, shapes around the vector widths."""
    case = random_case(Random(seed), 300)
    parameters = tuple(
        replace(t, role="input") for t in case.system.tensors if t.role == "parameter"
    )
    system = case.system
    if parameters or system.updates:
        given = {t.name: t for t in parameters}
        system = System(tuple(given.get(t.name, t) for t in system.tensors), system.equations)
    reals = {t.dtype for t in system.tensors if t.role == "output" and _is_real(t)}
    case = Case(system, case.arrays)
    if len(reals) == 1:
        case = with_gradients(case, seed)
    agree(case.system, case.arrays)
