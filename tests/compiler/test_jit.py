"""Text becomes code, code stays as long as it is used, faults become exceptions."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
import threading
import weakref

import pytest

from compiler.errors import CompilerError
from compiler.machine import jit
from compiler.target import host

from .machine import loop

ANSWER = "define i64 @answer() {\n  ret i64 42\n}\n"


def call(library: jit.Library, symbol: str) -> int:
    return ctypes.CFUNCTYPE(ctypes.c_int64)(library.addresses[symbol])()


def test_text_runs() -> None:
    """A function written as text can be called."""
    library = jit.load(jit.compile_modules([ANSWER], host()), ["answer"])
    assert call(library, "answer") == 42


def test_modules_call_each_other() -> None:
    """Objects of several modules are linked into one library."""
    twice = """
declare i64 @answer()
define i64 @twice() {
  %x = call i64 @answer()
  %y = add i64 %x, %x
  ret i64 %y
}
"""
    library = jit.load(jit.compile_modules([ANSWER, twice], host(), threads=2), ["twice"])
    assert call(library, "twice") == 84


def test_symbols_of_libraries_do_not_meet() -> None:
    """Two libraries may define the same name."""
    other = ANSWER.replace("42", "43")
    first = jit.load(jit.compile_modules([ANSWER], host()), ["answer"])
    second = jit.load(jit.compile_modules([other], host()), ["answer"])
    assert (call(first, "answer"), call(second, "answer")) == (42, 43)


def test_threads_do_not_change_the_bytes() -> None:
    """Compiled on one thread, on several, or again: equal objects."""
    texts = [loop(name, "float", 8, 1, host()) for name in ("exp", "log", "sin", "tanh", "erf")]
    alone = jit.compile_modules(texts, host())
    assert jit.compile_modules(texts, host(), threads=3) == alone
    assert jit.compile_modules(texts[::-1], host(), threads=2) == alone[::-1]
    plain = jit.compile_modules(texts, host(), plain=texts[1:2])
    assert jit.compile_modules(texts, host(), threads=3, plain=texts[1:2]) == plain
    assert [k for k in range(len(texts)) if plain[k] != alone[k]] == [1]


def test_without_an_own_handle_modules_are_compiled_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where llvmlite lacks a function that the threads need, the result is the same."""
    monkeypatch.setattr(jit, "_unlocked", lambda: None)
    assert jit.compile_modules([ANSWER] * 2, host(), threads=2) == 2 * jit.compile_modules(
        [ANSWER], host()
    )


def test_an_own_handle_exists() -> None:
    """The llvmlite in use has all functions that compiling on threads needs."""
    assert jit._unlocked() is not None


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "text", ["define nonsense", "define i64 @f() {\n  %a = add i64 %b, 1\n  %b = add i64 1, 1\n}"]
)
def test_wrong_text_is_refused(text: str, threads: int) -> None:
    """Neither a syntax error nor a value used before it exists ends the process."""
    with pytest.raises(CompilerError, match="no valid LLVM"):
        jit.compile_modules([text, ANSWER], host(), threads)


def test_a_missing_symbol_is_refused() -> None:
    """Code that calls what nobody defines is not loaded."""
    text = "declare i64 @graphnn.nowhere()\n" + ANSWER.replace(
        "ret i64 42", "%x = call i64 @graphnn.nowhere()\n  ret i64 %x"
    )
    with pytest.raises(CompilerError, match="linked"):
        jit.load(jit.compile_modules([text], host()), ["answer"])


def test_dropped_code_is_freed() -> None:
    """Nothing but its users keeps a library alive, and two hundred of them come and go."""
    objects = jit.compile_modules([ANSWER], host())
    library = jit.load(objects, ["answer"])
    reference = weakref.ref(library)
    del library
    gc.collect()
    assert reference() is None
    for _ in range(200):
        assert call(jit.load(objects, ["answer"]), "answer") == 42


def test_several_threads_may_compile_and_load() -> None:
    """Four threads, each with its own function."""
    results: dict[int, int] = {}

    def work(number: int) -> None:
        text = ANSWER.replace("42", str(number))
        results[number] = call(jit.load(jit.compile_modules([text], host()), ["answer"]), "answer")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: number for number in range(4)}


def test_importing_does_not_load_llvm() -> None:
    """``import compiler.machine.jit`` leaves llvmlite alone."""
    code = (
        "import sys, compiler.machine.jit, compiler.machine.run; print('llvmlite' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"
