"""The examples: each runs in a small mode, says what it reached, and learns."""

import importlib.util
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
pytest.importorskip("sklearn")


@pytest.fixture(autouse=True)
def _beside_each_other(monkeypatch):
    """Examples import one another, as they do when they are run."""
    monkeypatch.syspath_prepend(EXAMPLES)


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["rnn_text", "transformer_text"])
def test_networks_that_read_text(name, capsys):
    """Two epochs on a little text: the loss falls, and a sample is printed."""
    accuracy = example(name).main(epochs=2, characters=8000)
    text = capsys.readouterr().out
    losses = [float(row.split()[3]) for row in text.splitlines() if row.startswith("Epoch")]
    assert losses[1] < losses[0]
    assert accuracy > 0.1
    assert "def " in text.split("It writes:")[1]


def test_the_perceptron(capsys):
    """A dozen epochs on the breast cancer data."""
    assert example("mlp_breast_cancer").main(epochs=12) >= 0.95
    assert "are told right" in capsys.readouterr().out


def test_the_guides_digits(tmp_path, capsys):
    """One epoch: graphs, curve and accuracy."""
    pytest.importorskip("pygraphviz")
    assert example("digits").main(1, tmp_path) > 0.5
    assert {path.suffix for path in tmp_path.iterdir()} == {".svg", ".png"}
    assert "Test accuracy" in capsys.readouterr().out


def test_the_guides_complete_example(capsys):
    """A step at the guide's own shapes."""
    example("guide_image_classification").main(steps=1)
    assert "step   1" in capsys.readouterr().out
