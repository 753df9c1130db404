"""Ready derivations: fresh, found without sympy, and kept for each user."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from graphnn.calculus import ready
from graphnn.calculus.derive import derive
from graphnn.notation import parse, resolved_text, symbolic
from tools.derive_catalogue import ready_formulas

from .operations import OPERATIONS


def printed(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ".", **environment},
    )
    return done.stdout


def test_shipped_gradients_are_fresh() -> None:
    """ready.txt is what the calculus derives now; if not, run tools/derive_catalogue.py."""
    assert ready.READY.read_text(encoding="utf-8") == ready.ready_blocks(ready_formulas()) + "\n"


def test_ready_gradients_need_no_sympy() -> None:
    """The gradients of the catalogue, and training a usual network, import no sympy."""
    found = printed(
        "import sys, graphnn as gn; from graphnn.calculus.ready import gradient_text;"
        "from graphnn.notation import parse, symbolic;"
        "print(gradient_text(symbolic(parse('y[...] = max(0, x[...])'))));"
        "x, t = gn.Input((None, 8, 8, 1)), gn.Input((None, 10));"
        "y = gn.layers.Conv2D(4, 3, padding='same', activation='relu')(x);"
        "y = gn.layers.Flatten()(gn.layers.MaxPool2D(2)(y));"
        "y = gn.softmax(gn.layers.Dense(10)(y));"
        "gn.compute_gradients(gn.losses.categorical_crossentropy(t, y));"
        "assert 'sympy' not in sys.modules",
        GRAPHNN_CACHE="off",
    )
    assert found == "d_x[...] = where(x[...] > 0, g_y[...], 0)\n"


def test_new_gradient_is_derived_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not shipped is derived, and then found in the user's cache."""
    monkeypatch.setattr(ready, "cache_directory", lambda: tmp_path / "cache")
    resolved = symbolic(parse("y[i] = x[i]**7 + sin(x[i])"))
    first = ready.gradient_text(resolved)
    monkeypatch.setattr(ready, "_derived", lambda resolved: pytest.fail("derived again"))
    assert ready.gradient_text(resolved) == first == "d_x[i] = g_y[i]*(7*x[i]**6 + cos(x[i]))"


def test_damaged_cache_is_derived_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged entry is not believed."""
    monkeypatch.setattr(ready, "cache_directory", lambda: tmp_path / "cache")
    resolved = symbolic(parse("y[i] = x[i]**9"))
    first = ready.gradient_text(resolved)
    (entry,) = (tmp_path / "cache").iterdir()
    entry.write_bytes(entry.read_bytes()[:-1] + b"?")
    assert ready.gradient_text(resolved) == first


def test_texts_do_not_depend_on_hashing() -> None:
    """Another PYTHONHASHSEED than this process has derives the same text."""
    code = (
        "from graphnn.calculus.derive import derive;"
        "from graphnn.notation import parse, resolved_text, symbolic;"
        "from tests.calculus.operations import OPERATIONS;"
        "print(resolved_text(derive(symbolic(parse(OPERATIONS['gru'].text)))))"
    )
    here = resolved_text(derive(symbolic(parse(OPERATIONS["gru"].text))))
    assert printed(code, PYTHONHASHSEED="1") == here + "\n"
