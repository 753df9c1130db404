"""What the stages left behind can be read: by explain, by the debug ladder, in files."""

import pytest

import compiler
from compiler.options import Options
from compiler.pipeline import stages

from .build import element, equation, reduction, tensor


def softmax() -> compiler.System:
    """``y[n, i] = exp(x[n, i])/sum[j](exp(x[n, j]))``."""
    e = compiler.language.expression.Call("exp", (element("x", "n", "i"),))
    total = reduction(
        "sum", compiler.language.expression.Call("exp", (element("x", "n", "j"),)), j=5
    )
    return compiler.System(
        (tensor("x", 3, 5), tensor("y", 3, 5, role="output")),
        (equation(element("y", "n", "i"), e / total, n=3, i=5),),
    )


def test_notes_tell_which_rule_fired():
    """What was made safe stands above the equations that it led to."""
    text = compiler.compile(softmax(), Options(cache="off")).explain("stabilize")
    assert text.startswith("# y: ")
    assert "max[" in text


@pytest.mark.parametrize(
    ("level", "words"),
    [(2, "stabilize: y:"), (3, "=== schedule ==="), (4, "=== plan ==="), (5, "define"), (6, "ret")],
)
def test_the_ladder_prints_more_with_each_step(level, words, capsys):
    """GRAPHNN_DEBUG goes to standard error; nothing goes to standard output."""
    compiler.compile(softmax(), Options(cache="off", debug=level))
    found = capsys.readouterr()
    assert words in found.err
    assert found.out == ""


def test_stages_that_change_nothing_say_so(capsys):
    """A long list of stages stays readable."""
    compiler.compile(softmax(), Options(cache="off", debug=4))
    assert "unchanged" in capsys.readouterr().err


def test_all_stages_together_repeat_nothing():
    """A stage that is asked for by its name is always printed."""
    explain = compiler.compile(softmax(), Options(cache="off")).explain
    assert "=== winograd ===\nunchanged\n" in explain()
    assert explain("winograd") == explain("partial") != "unchanged"


def test_a_dump_has_a_file_for_each_stage(tmp_path):
    """Numbered, in order."""
    options = Options(cache="off", dump=tmp_path / "out")
    compiler.compile(softmax(), options)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    texts = stages(softmax(), options.settle()).texts
    assert names == [f"{k:02}_{name}.txt" for k, name in enumerate(texts)]


def test_compiling_is_silent_by_default(capsys):
    """Nothing is printed unless somebody asks."""
    compiler.compile(softmax(), Options(cache="off"))
    found = capsys.readouterr()
    assert (found.out, found.err) == ("", "")
