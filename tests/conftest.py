"""What every test may use: prints kept as files, and other frameworks as oracles."""

from __future__ import annotations

import gc
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.machine import drive

from .oracles import floatx, jax, keras, torch

# Tests run side by side, one for each processor: a step takes one, unless a test asks for more.
os.environ.setdefault("GRAPHNN_THREADS", "1")
# Expressions are trees, and there are millions: to look for cycles among them takes a tenth of the time.
gc.set_threshold(50_000)

__all__ = ["floatx", "golden", "jax", "keras", "torch"]

GOLDEN = Path(__file__).parent / "golden"
ORACLES = {"jax", "keras", "torch"}


@pytest.fixture(autouse=True)
def _many_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test gets as many threads as it asks for, on any machine."""
    monkeypatch.setattr(drive, "processors", lambda: 64)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/ anew")
    parser.addoption("--slow", action="store_true", help="also what takes minutes: ten seeds")
    parser.addoption("--sample", type=int, help="at most so many cases of each test, all alike")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes minutes; run with --slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that asks for an oracle is marked as such: `make oracles` runs these. Slow ones wait for --slow."""
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: --slow"))
        if ORACLES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.oracle)
    if config.getoption("--sample"):
        _keep_sample(config, items, config.getoption("--sample"))


def _keep_sample(config: pytest.Config, items: list[pytest.Item], count: int) -> None:
    """Of a test with many cases some, evenly spaced: quick to run, and near to what all would say."""
    cases = defaultdict(list)
    for item in items:
        cases[item.nodeid.partition("[")[0]].append(item)
    kept = {c[k * len(c) // count] for c in cases.values() for k in range(count) if k < len(c)}
    kept |= {item for c in cases.values() if len(c) <= count for item in c}
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """``golden("softmax/gradient", text)`` compares with tests/golden/softmax/gradient.txt."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
        assert path.exists(), f"no {path.name} yet: run pytest with --update-golden and read it"
        assert text.rstrip("\n") == path.read_text(encoding="utf-8").rstrip("\n")

    return check
