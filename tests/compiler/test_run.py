"""Executables check everything before they write anything, and then cost one call."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

from compiler.errors import ArrayError
from compiler.language.expression import Binder, Element, Index, expr
from compiler.language.system import Equation, System, Tensor
from compiler.machine import jit
from compiler.machine.arrays import address, aligned
from compiler.machine.program import Limit, Program, limits
from compiler.machine.run import Executable
from compiler.pipeline import compile_system
from compiler.target import NAMES, host

from .build import element, equation, tensor

# y[i] = x[i] + w[i]; then w takes the value of y. t is only there to be checked.
STEP = """
define void @step(ptr %context, ptr %team, i64 %thread, i64 %threads) {
  %at_w = getelementptr i8, ptr %context, i64 8
  %at_y = getelementptr i8, ptr %context, i64 16
  %x = load ptr, ptr %context, align 8
  %w = load ptr, ptr %at_w, align 8
  %y = load ptr, ptr %at_y, align 8
  %a = load <4 x float>, ptr %x, align 4
  %b = load <4 x float>, ptr %w, align 4
  %c = fadd <4 x float> %a, %b
  store <4 x float> %c, ptr %y, align 4
  store <4 x float> %c, ptr %w, align 4
  ret void
}
"""
SLOTS = (
    Tensor("x", (4,), "float32", "input"),
    Tensor("w", (4,), "float32", "parameter"),
    Tensor("y", (4,), "float32", "output"),
    Tensor("t", (2, 2), "int32", "input"),
)
OBJECTS = jit.compile_modules([STEP], host())
PROGRAM = Program(SLOTS, 256, (), ("w",), (Limit("t", 5, "E"),), OBJECTS)


@pytest.fixture
def executable() -> Executable:
    return Executable(PROGRAM, lambda stage=None: f"stage {stage}")


def arrays(**other: Any) -> dict[str, Any]:
    usual = {"x": np.arange(4.0, dtype=np.float32), "w": np.ones(4, np.float32)}
    return usual | {"t": np.zeros((2, 2), np.int32)} | other


def test_arrays_in_fresh_arrays_out(executable: Executable) -> None:
    """Outputs and states come back, each call in arrays of its own; what was given stays as it was."""
    given = arrays()
    first = executable(given)
    second = executable(given)
    assert list(first) == ["y", "w"]
    for result in (first, second):
        assert result["y"].tolist() == result["w"].tolist() == [1, 2, 3, 4]
    assert first["y"] is not second["y"]
    assert given["w"].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("size", [40_000, 600_000])
def test_large_outputs_are_given_away(size: int) -> None:
    """Nobody's results are written to again, looked at whole or in part; memory that nobody holds serves again."""
    double = equation(element("y", "i"), element("x", "i") * 2, i=size)
    system = System((tensor("x", size), tensor("y", size, role="output")), (double,))
    executable = compile_system(system)

    def doubled(value: float) -> Any:
        return executable({"x": np.full(size, value, np.float32)})["y"]

    whole, part, place = doubled(1.0), doubled(2.0)[7:9], doubled(3.0).ctypes.data
    assert doubled(4.0).ctypes.data == place
    latest = doubled(6.0)
    for _ in range(3):  # the one that is held, and the next one: two places serve in turn
        latest, before = doubled(7.0), latest.ctypes.data
        assert doubled(8.0).ctypes.data == before
    again = doubled(5.0)
    assert set(executable({"x": again})["y"]) == {20.0}
    assert set(whole) == {2.0}
    assert set(part) == {4.0}
    assert set(again) == {10.0}


def test_addresses_are_those_that_numpy_tells() -> None:
    """Of whole arrays, views, empty ones, subclasses and memory of others."""
    whole = np.arange(12.0).reshape(3, 4)
    views = whole[1:, ::2], whole.T, whole[:0], whole.view(np.recarray), np.array(3, np.int32)
    for array in (whole, *views, np.frombuffer(b"12345678", np.float32), aligned(100)[7:]):
        assert address(array) == array.ctypes.data


def test_a_step_runs_on_bound_memory(executable: Executable) -> None:
    """Nothing is copied: the step reads and writes the very arrays; states move on."""
    x, w, y = np.ones(4, np.float32), np.zeros(4, np.float32), np.empty(4, np.float32)
    for name, array in (("x", x), ("w", w), ("y", y)):
        executable.bind(name, array)
        assert executable.buffer(name) is array
    executable.step()
    executable.step()
    assert w.tolist() == y.tolist() == [2, 2, 2, 2]


def test_own_buffers_are_aligned(executable: Executable) -> None:
    """Own memory lies on 64 bytes and starts as zeros, small or in pages of its own."""
    for length in (1, 64, 1000, 3 << 20):
        memory = aligned(length)
        assert memory.ctypes.data % 64 == 0
        assert len(memory) >= length
        assert not memory.any()
    for slot in SLOTS:
        assert executable.buffer(slot.name).ctypes.data % 64 == 0


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (np.zeros(5, np.float32), r"x: expected x: f32\[4\] input, got f32\[5\]"),
        (np.zeros((4, 1), np.float32), r"f32\[4, 1\]"),
        (1.0, r"f64\[\]"),
    ],
)
def test_wrong_shapes_are_refused(executable: Executable, value: Any, cause: str) -> None:
    """The error names the tensor, what was expected and what came."""
    with pytest.raises(ArrayError, match=cause):
        executable(arrays(x=value))


def test_unknown_and_missing_names_are_refused(executable: Executable) -> None:
    """Every input and parameter must be given, nothing else, an output neither."""
    with pytest.raises(ArrayError, match="w: expected an array"):
        executable({"x": np.zeros(4), "t": np.zeros((2, 2), int)})
    for name in ("z", "y"):
        with pytest.raises(ArrayError, match=f"{name}: expected one of x, w, t"):
            executable(arrays(**{name: np.zeros(4)}))
    with pytest.raises(ArrayError, match="z: expected one of"):
        executable.buffer("z")


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.uint8, bool, ">f4"])
def test_real_numbers_become_floats(executable: Executable, dtype: Any) -> None:
    """Any real dtype serves for a float input, contiguous or not, also a list."""
    x = np.array([[1, 0], [1, 0], [1, 0], [1, 0]], dtype)[:, 0]
    assert executable(arrays(x=x))["y"].tolist() == [2, 2, 2, 2]
    assert executable(arrays(x=[1, 1, 1, 1]))["y"].tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize("dtype", [np.complex64, str, object])
def test_what_is_no_real_number_is_refused(executable: Executable, dtype: Any) -> None:
    """Complex numbers, texts and objects."""
    with pytest.raises(TypeError, match="x: expected"):
        executable(arrays(x=np.ones(4).astype(dtype)))


def test_integers_are_not_made_of_floats(executable: Executable) -> None:
    """Whole numbers of another dtype serve, if they fit; floats never."""
    executable(arrays(t=np.ones((2, 2), np.uint64)))
    with pytest.raises(TypeError, match="t: expected"):
        executable(arrays(t=np.ones((2, 2))))
    with pytest.raises(ArrayError, match="do not fit int32"):
        executable(arrays(t=np.full((2, 2), 1 << 40)))


@pytest.mark.parametrize("value", [-1, 5, 2**31 - 1, -(2**31)])
def test_a_subscript_outside_is_refused_before_anything_is_written(
    executable: Executable, value: int
) -> None:
    """The error names position, value and range; buffers and states are untouched."""
    executable(arrays())
    before = executable.buffer("w").copy()
    t = np.array([[0, 4], [value, 0]], np.int32)
    with pytest.raises(IndexError, match=rf"t\[1, 0\] is {value}, .* of E, where 0 to 4"):
        executable(arrays(t=t))
    executable.bind("t", t)
    with pytest.raises(IndexError, match="where 0 to 4"):
        executable.step()
    assert executable.buffer("w").tolist() == before.tolist()


def test_bound_arrays_must_fit_exactly(executable: Executable) -> None:
    """Memory that is used in place cannot be converted: shape, dtype, order, writing."""
    for array in (np.zeros(4), np.zeros(8, np.float32)[::2], np.zeros(5, np.float32)):
        with pytest.raises(ArrayError, match="x: expected"):
            executable.bind("x", array)
    with pytest.raises(TypeError, match="NumPy array"):
        executable.bind("x", [1, 2, 3, 4])  # type: ignore[arg-type]
    frozen = np.zeros(4, np.float32)
    frozen.flags.writeable = False
    executable.bind("x", frozen)
    for name in ("w", "y"):
        with pytest.raises(ArrayError, match="read-only"):
            executable.bind(name, frozen)


def test_written_memory_is_not_shared(executable: Executable) -> None:
    """A step must not write into what it reads elsewhere; two inputs may share."""
    memory = np.zeros(6, np.float32)
    executable.bind("x", memory[:4])
    for name in ("w", "y"):
        with pytest.raises(ArrayError, match=f"{name}: the array shares its memory with that of x"):
            executable.bind(name, memory[2:])
    executable.bind("y", np.zeros(4, np.float32))
    with pytest.raises(ArrayError, match="with that of y"):
        executable.bind("x", executable.buffer("y"))


def test_memory_that_is_given_first_is_used_in_place_and_checked_the_same_way() -> None:
    """A step reads and writes it; what is written shares it with nothing, what is read may."""

    def executable(**given: np.ndarray) -> Executable:
        return Executable(PROGRAM, str, arrays=given)

    memory, w, y = np.arange(6, dtype=np.float32), np.ones(4, np.float32), np.zeros(4, np.float32)
    own = executable(x=memory[:4], w=w)
    own.step()
    assert own.buffer("x") is not w and own.buffer("w") is w
    assert w.tolist() == own.buffer("y").tolist() == [1, 2, 3, 4]
    for wrong in ({"w": memory[2:]}, {"y": memory[:4]}, {"w": y, "y": y}):
        with pytest.raises(ArrayError, match="shares its memory with that of"):
            executable(x=memory[:4], **wrong)
    with pytest.raises(ArrayError, match="x: expected"):
        executable(x=memory)
    with pytest.raises(ArrayError, match="expected one of"):
        executable(z=memory)


def test_threads_may_share_an_executable(executable: Executable) -> None:
    """Eight threads, each with its own numbers, never see another's."""
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(200):
            result = executable(arrays(x=np.full(4, number)))
            if result["y"].tolist() != [number + 1] * 4:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_code_lives_as_long_as_its_executable() -> None:
    """The library goes with the executable, not before: a bound method keeps both."""
    executable = Executable(PROGRAM, lambda stage=None: "")
    executable(arrays())
    library = weakref.ref(executable._library)
    step = executable.step
    del executable
    gc.collect()
    step()
    assert library() is not None
    del step
    gc.collect()
    assert library() is None


def test_code_for_another_machine_can_be_explained() -> None:
    """It is loaded only when it is to run."""
    foreign = jit.compile_modules([STEP], NAMES["aarch64"])
    program = Program(SLOTS, 0, (), (), (), foreign)
    assert Executable(program, lambda stage=None: f"{stage}").explain("emit") == "emit"


def test_limits_are_the_axes_that_inputs_point_into() -> None:
    """``E[t[n], e]`` limits t by the first axis of E, once; computed subscripts and locals do not."""
    n, e = Index("n"), Index("e")
    tensors = (
        Tensor("t", (3,), "int64", "input"),
        Tensor("s", (3,), "int64", "local"),
        Tensor("E", (7, 2), "float32", "parameter"),
        Tensor("F", (9,), "float32", "output"),
        Tensor("y", (3, 2), "float32", "output"),
    )
    rows = (Binder(n, expr(3)), Binder(e, expr(2)))
    t = Element("t", (n,))
    equations = (
        Equation("s", (n,), rows[:1], t + 1),
        Equation("y", (n, e), rows, Element("E", (t, e)) + Element("E", (t, e))),
        Equation("y", (n, e), rows, Element("E", (t + 1, e)), accumulate=True),
        Equation("y", (n, e), rows, Element("E", (Element("s", (n,)), e)), accumulate=True),
        Equation("F", (t,), rows[:1], Element("E", (n, n)), accumulate=True),
    )
    assert limits(System(tensors, equations)) == (Limit("t", 7, "E"), Limit("t", 9, "F"))
