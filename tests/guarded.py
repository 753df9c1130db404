"""Steps in memory between pages that nobody may touch: code that leaves an array ends the process.

    fenced(array, at_end=True)                  a copy whose last byte lies before a forbidden page
    guarded_step(program, arrays, ...)          the results of one step on such memory
    python -m tests.guarded systems 0 40        random systems of these seeds; networks: small networks

What a step only reads may not be written either, and what it must write before it reads it (outputs, the arena) holds
NaN at first: results that are bit for bit those of usual memory come from nothing else than what was given.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Callable, Mapping
from random import Random
from unittest.mock import patch

import numpy as np

import graphnn as gn
from compiler.machine import drive
from compiler.machine.arrays import Array
from compiler.machine.program import Program
from compiler.machine.run import Executable
from compiler.options import Options
from compiler.pipeline import stages
from compiler.target import host, named
from graphnn import layers
from graphnn.graph.node import Node

from .systems import random_case

__all__ = ["fenced", "guarded_step"]

NOTHING, READ, WRITE = 0, 1, 2  # what may be done with a page, in the system's numbers
POISON = 0xFF  # every byte of it: NaN in a float
TARGETS = (None, "x86-64", "x86-64-v3")  # None: this machine


def fenced(array: Array, at_end: bool, writable: bool = True) -> Array:
    """A copy that touches a forbidden page: the one behind it, or the one before."""
    page = mmap.PAGESIZE
    length = -(-max(array.nbytes, 1) // page) * page
    pages = np.frombuffer(
        mmap.mmap(-1, length + 2 * page, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), np.uint8
    )
    start = page + (length - array.nbytes if at_end else 0)
    copy = pages[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    _allow(pages[:page], NOTHING)
    _allow(pages[page:-page], READ | WRITE if writable else READ)
    _allow(pages[-page:], NOTHING)
    copy.flags.writeable = writable
    return copy


def _allow(pages: Array, uses: int) -> None:
    system = ctypes.CDLL(None, use_errno=True)
    if system.mprotect(ctypes.c_void_p(pages.ctypes.data), ctypes.c_size_t(pages.nbytes), uses):
        raise OSError(ctypes.get_errno(), "mprotect")


def guarded_step(
    program: Program, arrays: Mapping[str, Array], threads: int, at_end: bool
) -> dict[str, Array]:
    """Outputs and states after one step in fenced and poisoned memory."""
    executable = Executable(program, str, threads)
    memory = executable._memory
    arena = np.full(memory.arena.nbytes, POISON, np.uint8)
    for offset, length in program.zeros:
        arena[offset : offset + length] = 0
    memory.arena = fenced(arena, at_end)
    memory.set_extra(0, memory.arena)
    written = [name for name in memory.tensors if memory.is_written(name)]
    for name in memory.tensors:
        array = np.array(arrays.get(name, executable.buffer(name)))
        if name not in arrays:
            array.reshape(-1).view(np.uint8)[...] = POISON
        executable.bind(name, fenced(array, at_end, name in written))
    executable.step()
    return {name: executable.buffer(name) for name in written}


def check(program: Program, arrays: Mapping[str, Array]) -> None:
    """Guarded steps give what others give, alone and in a team, at both ends of their pages."""
    plain = Executable(program, str)(arrays)
    for threads in (1, 3):
        for at_end in (True, False):
            for name, found in guarded_step(program, arrays, threads, at_end).items():
                np.testing.assert_array_equal(found, plain[name], name)


def random_system(random: Random) -> tuple[Program, dict[str, Array]]:
    """A random system, for this machine or for one with narrower vectors."""
    case = random_case(random, random.choice((50, 400, 4000)))
    target = random.choice(TARGETS) if host().triple.startswith("x86_64") else None
    options = Options(cache="off", target=named(target) if target else None)
    return stages(case.system, options.settle()).program(), case.arrays


def small_network(random: Random) -> tuple[Program, dict[str, Array]]:
    """The training step of a network of odd sizes."""
    network, sizes = random.choice(NETWORKS)
    shape = tuple(map(random.choice, sizes))
    x = gn.Input(shape, name="x")
    y = network(x, random)
    loss = gn.mean(gn.square(y))
    updates = gn.optimizers.Adam().apply_gradients(gn.compute_gradients(loss))
    values = np.random.default_rng(random.randrange(1 << 32)).standard_normal(shape, np.float32)
    executable = gn.function([x], [loss, y], updates).prepare([values]).executable
    given = [t.name for t in executable.program.slots if t.role in ("input", "parameter")]
    arrays = {name: executable.buffer(name).copy() for name in given}
    return executable.program, {**arrays, "x": values}


def images(y: Node, random: Random) -> Node:
    """Windows, pooling and normalization."""
    for _ in range(random.randint(1, 3)):
        window, strides = random.choice((1, 3, 5)), random.choice((1, 1, 2))
        filters, activation = random.choice((1, 5, 16, 32)), random.choice((None, "relu", "tanh"))
        y = layers.Conv2D(filters, window, strides, padding="same", activation=activation)(y)
        if random.random() < 0.5:
            y = layers.MaxPool2D(2, padding="same")(y)
        if random.random() < 0.5:
            y = layers.BatchNormalization()(y)
    return layers.Dense(random.choice((1, 3, 10)))(layers.Flatten()(y))


def sequences(y: Node, random: Random) -> Node:
    """Recurrences and attention."""
    for _ in range(random.randint(1, 2)):
        recurrent = random.choice((layers.LSTM, layers.GRU))
        y = recurrent(random.choice((4, 16, 19)), return_sequences=True)(y)
        heads = layers.MultiHeadAttention(random.choice((1, 2, 3)), random.choice((4, 8, 16)))
        y = layers.LayerNormalization()(heads(y, y, use_causal_mask=random.random() < 0.5) + y)
    return layers.Dense(random.choice((1, 3, 10)))(y)


def rows(y: Node, random: Random) -> Node:
    """Products."""
    for _ in range(random.randint(1, 3)):
        activation = random.choice((None, "relu", "sigmoid"))
        y = layers.Dense(random.choice((1, 10, 17, 64, 130)), activation=activation)(y)
    return y


NETWORKS: tuple[tuple[Callable[[Node, Random], Node], tuple[tuple[int, ...], ...]], ...] = (
    (images, ((1, 3, 8), (7, 14, 15, 28), (8, 13, 14), (1, 3, 16, 17))),
    (sequences, ((1, 2, 3, 16), (1, 2, 5, 17, 33), (3, 8, 24))),
    (rows, ((1, 7, 32, 100), (1, 13, 64, 300))),
)


def main(kind: str, start: str, stop: str) -> None:
    """The seed is printed first: that of the last line has ended the process."""
    case = {"systems": random_system, "networks": small_network}[kind]
    with patch.object(drive, "processors", lambda: 64):  # as many threads as are asked for
        for seed in range(int(start), int(stop)):
            sys.stdout.write(f"{seed}\n")
            sys.stdout.flush()
            check(*case(Random(seed)))


if __name__ == "__main__":
    main(*sys.argv[1:])
