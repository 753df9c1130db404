"""The README tells the truth: its examples run and print what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_examples_print_what_the_readme_says(tmp_path):
    """Define, print, draw, differentiate, explain, train: in order, in a fresh process, with real output."""
    pytest.importorskip("sklearn")
    command = [sys.executable, "-m", "doctest", "-v", str(ROOT / "README.md")]
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        command, cwd=tmp_path, env=here, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout.rpartition("Failed example:")[2]
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed and int(passed[1]) > 15
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
