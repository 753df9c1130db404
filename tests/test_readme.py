"""The README tells the truth: its examples run and print what it says."""

import doctest
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_examples_print_what_the_readme_says(tmp_path, monkeypatch):
    """Define, print, draw, differentiate, explain, train: in order, with real output."""
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    failures, count = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert count > 15
    assert failures == 0
    assert (tmp_path / "network.svg").read_text(encoding="utf-8").startswith("<")


def test_files_named_by_the_readme_exist():
    """The reading order leads somewhere."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = text.split("| file | what it is |")[1].split("\n\n")[0]
    names = [part for part in rows.split("`")[1::2] if part.endswith((".py", "/"))]
    assert len(names) > 12
    for name in names:
        places = [ROOT / name, ROOT / "graphnn" / name, ROOT / "compiler" / name]
        assert any(place.exists() for place in places), name
