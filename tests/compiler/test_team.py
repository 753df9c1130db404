"""The team: one for a process, never waited for in vain, gone in a forked child, at home in the end."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import compiler
from compiler import Executable, Options
from compiler.machine import drive, locks, team
from compiler.machine.arrays import aligned
from compiler.machine.jit import assembly
from compiler.machine.native import native_text
from compiler.target import NAMES, named
from compiler.uncollected import uncollected

from .build import element, equation, matrix_product, tensor

ROOT = Path(__file__).parent.parent.parent
SYSTEM = matrix_product(128, 512, 128)
RANDOM = np.random.default_rng(5)
SHAPES = {"A": (128, 512), "B": (512, 128)}
HANGS = 60  # seconds: where others are busy, or somebody stops a process, things take their time
ARRAYS = {n: RANDOM.normal(size=shape).astype("float32") for n, shape in SHAPES.items()}


def _executable(threads: int) -> Executable:
    return compiler.compile(SYSTEM, Options(cache="off", threads=threads))


def _result(executable: Executable) -> bytes:
    return executable(ARRAYS)["C"].tobytes()


@pytest.fixture(autouse=True)
def _always_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, a step is shared."""
    monkeypatch.setattr(drive.Choice, "is_alone", lambda choice, now, steps: False)


@pytest.fixture(scope="module")
def expected() -> bytes:
    return _result(_executable(1))


def _workers() -> int:
    return sum(thread.name.startswith("graphnn.") for thread in threading.enumerate())


def test_more_threads_than_processors(expected: bytes) -> None:
    """Many more threads than processors still finish, again and again."""
    executable = _executable(16)
    assert all(_result(executable) == expected for _ in range(30))


def test_executables_share_one_team(expected: bytes) -> None:
    """Teams do not add up: the largest that was asked for serves everyone."""
    for threads in (3, 2, 16, 5):
        assert _result(_executable(threads)) == expected
    assert _workers() == 15


def test_threads_that_begin_at_once_have_the_same_code() -> None:
    """Whatever several threads make at first, one library is left: its code is never freed while it runs."""
    script = """if True:
        from threading import Barrier, Thread
        from compiler.machine import native
        start, found = Barrier(8), []
        def begin():
            start.wait()
            found.append(native._library())
        threads = [Thread(target=begin) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len(found), len(set(map(id, found))))
    """
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | {"GRAPHNN_CACHE": "off"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["8", "1"], done.stderr


def test_small_programs_start_no_threads() -> None:
    """A program with nothing to share leaves the process as it was."""
    program = """
import threading
import numpy as np, compiler
from tests.compiler.build import matrix_product
step = compiler.compile(matrix_product(8, 8, 8), compiler.Options(threads=4, cache="off"))
step({"A": np.ones((8, 8), "f4"), "B": np.ones((8, 8), "f4")})
print(threading.active_count())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["1"], done.stderr


def test_python_threads_do_not_wait_for_one_another(expected: bytes) -> None:
    """Several Python threads call at once: whoever finds the team busy gets the same result alone."""
    executables = [_executable(3), _executable(2), _executable(3)]
    found: list[bytes] = []

    def call(executable: Executable) -> None:
        found.extend(_result(executable) for _ in range(30))

    callers = [threading.Thread(target=call, args=(e,)) for e in (*executables, executables[0])]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(120)
    assert found == [expected] * 120


def test_a_busy_team_is_passed_over(expected: bytes) -> None:
    """While somebody has the team, a step of another thread runs alone instead of waiting."""
    executable = _executable(2)
    found: list[bytes] = []
    with team._turn:
        caller = threading.Thread(target=lambda: found.append(_result(executable)))
        caller.start()
        caller.join(120)
    assert found == [expected]


def test_without_threads_to_be_had(expected: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no more threads, a step runs alone, and with the team when it does again."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    executable = _executable(3)
    monkeypatch.setattr(team._state, "team", None)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert _result(executable) == expected
        assert team._state.team is None
    assert _result(executable) == expected
    assert team._state.team is not None
    team._state.team.dismiss()


def test_an_error_leaves_the_team_usable(expected: bytes) -> None:
    """A call that is refused has not touched the team."""
    executable = _executable(3)
    with pytest.raises(compiler.ArrayError):
        executable({"A": ARRAYS["A"], "B": ARRAYS["B"][:3]})
    assert _result(executable) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_its_own_team(expected: bytes) -> None:
    """A child calls what its parent compiled, with threads of its own; the parent goes on."""
    executable = _executable(3)
    assert _result(executable) == expected
    for _ in range(5):
        child = os.fork()
        if child == 0:
            right = team._state.team is None and _result(executable) == expected
            os._exit(0 if right and team._state.team is not None else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert _result(executable) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_does_not_wait_for_threads_of_its_parent() -> None:
    """A step that another thread was at when the process was forked stops no call of the child, nor leaves it its
    arrays.
    """
    system = compiler.System(
        (tensor("x", 1 << 17), tensor("y", 1 << 17, role="output")),
        (equation(element("y", "n"), element("x", "n") * 2, n=1 << 17),),
    )
    executable = compiler.compile(system, compiler.Options(cache="off", threads=1))
    large, strided = np.ones(1 << 17, "f4"), np.zeros(1 << 18, "f4")[::2]
    is_over = threading.Event()

    def go() -> None:
        while not is_over.is_set():
            executable({"x": large})

    caller = threading.Thread(target=go)
    caller.start()
    ends = []
    for _ in range(10):
        child = os.fork()
        if child == 0:
            signal.alarm(HANGS)
            os._exit(int(executable({"x": strided})["y"].any()))
        ends.append(os.waitpid(child, 0)[1])
    is_over.set()
    caller.join()
    assert not any(ends)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_child_has_whole_steps(threads: int) -> None:
    """Weights that another thread is about to change are all old or all new in a child."""
    size = 1 << 21
    system = compiler.System(
        (tensor("w", size, role="parameter"), tensor("w.new", size, role="local")),
        (equation(element("w.new", "n"), element("w", "n") + 1, n=size),),
        (("w", "w.new"),),
    )
    executable = compiler.compile(system, compiler.Options(cache="off", threads=threads))
    weights, is_over = executable.buffer("w"), threading.Event()

    def go() -> None:
        while not is_over.is_set():
            executable.step()

    caller = threading.Thread(target=go)
    caller.start()
    ends = []
    for _ in range(10):
        child = os.fork()
        if child == 0:
            signal.alarm(HANGS)
            executable.step()
            os._exit(int(weights.min() != weights.max()))
        ends.append(os.waitpid(child, 0)[1])
    is_over.set()
    caller.join()
    assert not any(ends)


def test_locks_may_be_made_while_somebody_forks() -> None:
    """Who forks goes through all locks, however many other threads make meanwhile."""
    interval, is_over = sys.getswitchinterval(), threading.Event()
    many = [locks.lock() for _ in range(1000)]

    def make() -> None:
        while not is_over.is_set():
            many[-1] = locks.lock()

    maker = threading.Thread(target=make)
    sys.setswitchinterval(1e-6)
    maker.start()
    try:
        for _ in range(20):
            locks._before()
            locks._in_parent()
    finally:
        is_over.set()
        maker.join()
        sys.setswitchinterval(interval)


def test_a_process_that_was_stopped_has_not_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a single wait of whoever forks seemed to last, another one follows before it goes on without."""

    class Guard:
        def acquire(self, timeout: float) -> bool:
            return answers.pop(0)

        def release(self) -> None:
            released.append(True)

    answers, released = [False, False, True], list[bool]()
    guard = Guard()
    monkeypatch.setattr(locks, "_all", lambda: [(guard, lambda: None)])
    locks._before()
    locks._in_parent()
    assert released


def test_two_threads_may_fork_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one of them holds while it forks is not opened by the other one."""
    monkeypatch.setattr(locks, "_PATIENCE", 1)
    guard = locks.lock(lambda: None)

    def fork() -> None:
        locks._before()
        locks._in_parent()

    locks._before()
    other = threading.Thread(target=fork)
    other.start()
    other.join()
    assert guard.locked()
    locks._in_parent()
    assert not guard.locked()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_step_may_be_forked_in_its_midst(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who forks at the step that itself is at, as a signal handler may, does not wait for ever."""
    monkeypatch.setattr(locks, "_PATIENCE", 1)
    guard = locks.lock(lambda: tidied.append(True))
    tidied: list[bool] = []
    with guard:
        child = os.fork()
        if child == 0:
            os._exit(0 if tidied and not guard.locked() else 1)
        assert guard.locked()
    assert os.waitpid(child, 0)[1] == 0
    assert not tidied


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_collects_though_its_parent_compiles() -> None:
    """The collector is at rest while a thread compiles; in a child, where that thread is not, it is at work."""
    begun, done = threading.Event(), threading.Event()

    def compiles() -> None:
        with uncollected():
            begun.set()
            done.wait()

    caller = threading.Thread(target=compiles)
    caller.start()
    begun.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if gc.isenabled() else 1)
    is_at_rest = not gc.isenabled()
    done.set()
    caller.join()
    assert os.waitpid(child, 0)[1] == 0
    assert is_at_rest
    assert gc.isenabled()


@pytest.mark.parametrize("ending", ["", "raise SystemExit(0)", "os._exit(0)"])
def test_the_process_ends(ending: str) -> None:
    """With threads parked, the interpreter ends at once and without a crash, a step still running or not."""
    program = f"""
import os, threading
import numpy as np, compiler
from tests.compiler.build import matrix_product
step = compiler.compile(matrix_product(256, 256, 256), compiler.Options(threads=3, cache="off"))
arrays = {{"A": np.ones((256, 256), "f4"), "B": np.ones((256, 256), "f4")}}
step(arrays)
def go():
    while True:
        step(arrays)
threading.Thread(target=go, daemon=True).start()
{ending}
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("target", NAMES)
def test_every_target_can_wait(target: str) -> None:
    """The barrier and the loop are machine code of every processor."""
    assert "drive" in assembly(native_text(named(target)), named(target))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("length", [64, 8 << 20])
def test_a_forked_child_has_memory_of_its_own(length: int) -> None:
    """What a child writes, into small or large arrays, its parent does not see."""
    memory = aligned(length)
    child = os.fork()
    if child == 0:
        memory[:] = 1
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert not memory.any()
