"""Scalar functions as native loops, for tests: the same function for any type, width and machine."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from compiler.code import vectormath
from compiler.code.assembler import Assembler, module, vector
from compiler.machine import jit
from compiler.target import NAMES, Target, host

DTYPES = {"float": np.float32, "double": np.float64, "i64": np.int64}
NATIVE = {
    "host": host(),
    "x86-64-v3": NAMES["x86-64-v3"],
    "x86-64": NAMES["x86-64"],
}
RUNNABLE = [
    name
    for name, target in NATIVE.items()
    if target.triple.split("-")[0] == host().triple.split("-")[0]
    and all(host().has(feature[1:]) for feature in target.features.split(",") if feature[:1] == "+")
]


def loop(name: str, type_: str, width: int, operands: int, target: Target) -> str:
    """``void loop(ptr x, ptr y, ptr result, i64 count)``; count is a multiple of the width."""
    a, size = Assembler(target), np.dtype(DTYPES[type_]).itemsize
    of_vector = vector(type_, width)
    start, end = a.label("loop"), a.label("end")
    a.jump(start)
    a.block(start)
    place = a.phi("i64", ("0", "entry"))
    offset = a.op(f"mul i64 {place}, {size}")
    values = [
        a.op(f"load {of_vector}, ptr {a.offset(pointer, offset)}, align {size}")
        for pointer in ("%x", "%y")[:operands]
    ]
    result = vectormath.call(a, name, of_vector, values)
    a.line(f"store {of_vector} {result}, ptr {a.offset('%result', offset)}, align {size}")
    following = a.op(f"add i64 {place}, {width}")
    a.arrive(place, following, a.here)
    a.branch(a.op(f"icmp ult i64 {following}, %count"), start, end)
    a.block(end)
    a.line("ret void")
    return module([a], [a.function("void @loop(ptr %x, ptr %y, ptr %result, i64 %count)")])


@cache
def native(
    name: str, type_: str = "float", machine: str = "host", width: int = 0, operands: int = 1
) -> Callable[..., np.ndarray[Any, Any]]:
    """A function of vectormath on whole arrays, in full vectors of the machine or of ``width``."""
    target, dtype = NATIVE[machine], np.dtype(DTYPES[type_])
    width = width or target.lanes(dtype.itemsize)
    text = loop(name, type_, width, operands, target)
    library = jit.load(jit.compile_modules([text], target), ["loop"])
    pointers = (ctypes.c_void_p,) * 3
    code = jit.function(library, "loop", *pointers, ctypes.c_int64)

    def run(*arrays: Any, keep: object = library) -> np.ndarray[Any, Any]:
        shape = np.shape(arrays[0])
        padded = [np.ravel(np.asarray(a, dtype)) for a in arrays]
        rest = -len(padded[0]) % width
        padded = [np.concatenate([a, np.ones(rest, dtype)]) for a in padded]
        result = np.empty_like(padded[0])
        addresses = [a.ctypes.data for a in (padded[0], padded[-1], result)]
        code(*addresses, len(result))
        return result[: len(result) - rest].reshape(shape)

    return run
