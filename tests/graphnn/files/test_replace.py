"""A saved file is the old one or the new one, whatever fails and whenever the process dies."""

import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

import graphnn as gn
from graphnn.files.replace import replace_file

from .models import classifier, same

CALLS = ("open", "write", "fsync", "chmod", "replace", "close")


class Recorder:
    """Stands for some functions of `os`: writes down their calls, and lets the n-th fail."""

    def __init__(self, monkeypatch, fail_at=None):
        self.calls, self.fail_at = [], fail_at
        for name in CALLS:
            monkeypatch.setattr(os, name, self.wrapped(name, getattr(os, name)))

    def wrapped(self, name, function):
        def call(*arguments, **options):
            self.calls.append(name)
            if len(self.calls) == self.fail_at:
                if name == "close":
                    function(*arguments, **options)
                raise OSError(28, f"no space left ({name})")
            return function(*arguments, **options)

        return call


def test_the_order_that_survives_a_power_failure(tmp_path, monkeypatch):
    """Content first, then the rename, then the directory, each synced."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    recorder = Recorder(monkeypatch)
    replace_file(path, [b"new ", b"content"])
    monkeypatch.undo()
    steps = "open write write chmod fsync close replace open fsync close"
    assert " ".join(recorder.calls) == steps
    assert path.read_bytes() == b"new content"


@pytest.mark.parametrize("fail_at", range(1, 11))
def test_failing_at_any_call(fail_at, tmp_path, monkeypatch):
    """The n-th call fails: an OSError, a whole file, old or new, no other file, and the next attempt works."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    recorder = Recorder(monkeypatch, fail_at)
    with pytest.raises(OSError, match="no space left"):
        replace_file(path, [b"new ", b"content"])
    monkeypatch.undo()
    is_in_place = "replace" in recorder.calls[: fail_at - 1]
    assert path.read_bytes() == (b"new content" if is_in_place else b"old")
    assert os.listdir(tmp_path) == ["file"]
    replace_file(path, [b"newer"])
    assert path.read_bytes() == b"newer"


def test_a_model_survives_a_failing_disk(tmp_path, monkeypatch):
    """The same through `save`: the old model can be loaded, and training goes on."""
    model = classifier()
    path = tmp_path / "model"
    model.save(path)
    before = path.read_bytes()
    model.weights[0].assign(model.weights[0].value + 1)
    for fail_at in range(1, 60):
        recorder = Recorder(monkeypatch, fail_at)
        try:
            model.save(path)
        except OSError:
            monkeypatch.undo()
            assert "replace" in recorder.calls[: fail_at - 1] or path.read_bytes() == before
        else:
            break
    monkeypatch.undo()
    assert fail_at > 10
    assert same(gn.load_model(path).get_weights(), model.get_weights())


def test_small_writes_are_continued(tmp_path, monkeypatch):
    """A system that takes a few bytes at a time gets them all."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    replace_file(tmp_path / "file", [b"0123456789" * 10])
    assert (tmp_path / "file").read_bytes() == b"0123456789" * 10


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_the_mode_of_a_file_is_kept(mode, tmp_path):
    """Who may read a file does not change by saving; a new file gets what the umask leaves."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    replace_file(path, [b"new"])
    assert stat.S_IMODE(path.stat().st_mode) == mode
    umask = os.umask(0o027)
    try:
        replace_file(tmp_path / "other", [b"new"])
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "other").stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path):
    """What it points at is replaced."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "file")
    for content in (b"old", b"new"):
        replace_file(tmp_path / "link", [content])
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real" / "file").read_bytes() == content


def test_what_is_no_file_is_refused(tmp_path):
    """A directory, a pipe, a missing folder: an OSError before anything is written."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing" / "file"):
        with pytest.raises(OSError, match=r"is a directory|regular|there is no directory"):
            replace_file(path, [b"new"])
    assert os.listdir(tmp_path) == ["pipe"]


def test_leftovers_of_dead_processes_go(tmp_path):
    """What a killed process left beside a file is removed by the next one that saves there; nothing else is."""
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    dead = int(done.stdout)
    leftover = tmp_path / f".file.{dead}.0123abcd.new"
    others = [f".file.{os.getpid()}.0123abcd.new", f".other.{dead}.0123abcd.new", ".file.new"]
    for name in (leftover.name, *others):
        (tmp_path / name).write_bytes(b"unfinished")
    replace_file(tmp_path / "file", [b"new"])
    assert sorted(os.listdir(tmp_path)) == sorted(["file", *others])


def test_threads_saving_to_one_path(tmp_path):
    """The last one wins; every moment's content is whole."""
    contents = [bytes([k]) * 100_000 for k in range(4)]

    def save(content):
        for _ in range(10):
            replace_file(tmp_path / "file", [content])

    threads = [threading.Thread(target=save, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if (tmp_path / "file").exists():
            assert (tmp_path / "file").read_bytes() in contents
    for thread in threads:
        thread.join()
    assert os.listdir(tmp_path) == ["file"]


KILLED = """
import sys
from graphnn.files.replace import replace_file
number = 0
print("ready", flush=True)
while True:
    number += 1
    replace_file(sys.argv[1], [number.to_bytes(8, "little") * 50_000, number.to_bytes(8, "little")])
    print(number, flush=True)
"""


def test_killed_while_saving(tmp_path):
    """kill -9 at some moment, again and again: the file is the last one that was reported, or the one after it."""
    path = tmp_path / "file"
    for round_number in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        for _ in range(1 + 3 * round_number):
            last = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        reported = int(rest[-1]) if rest else last
        data = path.read_bytes()
        number = int.from_bytes(data[:8], "little")
        assert data == number.to_bytes(8, "little") * 50_001
        assert number - reported in (0, 1)
        assert len(os.listdir(tmp_path)) <= 2
    replace_file(path, [b"end"])
    assert os.listdir(tmp_path) == ["file"]
