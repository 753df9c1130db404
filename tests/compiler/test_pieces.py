"""Pieces: each is done once, by whoever is free, and by whom changes no bit."""

from __future__ import annotations

import ctypes
import threading

import numpy as np
import pytest

import compiler
from compiler import Options
from compiler.code import emit
from compiler.language.system import System
from compiler.machine import drive
from compiler.machine.native import address

from .build import element, equation, reduction, tensor

_NUMBER = ctypes.c_int64
_TAKE = ctypes.CFUNCTYPE(_NUMBER, ctypes.c_void_p, *4 * (_NUMBER,))
_MET = 72  # where a team has how often all have met


class _Team:
    """Memory as a team has it, and what its threads are given of one work after the other."""

    def __init__(self, threads: int) -> None:
        self.memory = np.zeros(256 + 64 * threads, np.uint8)
        self.threads = threads
        self.take = _TAKE(address("take"))

    def meet(self, times: int = 1) -> None:
        self.memory[_MET : _MET + 8].view(np.int64)[0] += times

    def taken(self, thread: int, work: int, pieces: int) -> list[int]:
        found = []
        while (
            piece := self.take(self.memory.ctypes.data, thread, self.threads, work, pieces)
        ) >= 0:
            found.append(piece)
        return found


@pytest.mark.parametrize(("threads", "pieces"), [(2, 8), (3, 31), (5, 5), (4, 255)])
def test_each_piece_is_taken_once(threads: int, pieces: int) -> None:
    """However many threads ask at once, one work after the other, with meetings in between and without."""
    team, works = _Team(threads), 40
    found: list[list[int]] = [[] for _ in range(works)]
    meeting = threading.Barrier(threads, action=team.meet)

    def thread(number: int) -> None:
        for k in range(works):
            found[k] += team.taken(number, k % 4, pieces)
            if k % 4 == 3:
                meeting.wait(60)

    others = [threading.Thread(target=thread, args=(number,)) for number in range(threads)]
    for other in others:
        other.start()
    for other in others:
        other.join(60)
    assert [sorted(each) for each in found] == [list(range(pieces))] * works


def test_own_pieces_come_first_then_those_of_the_next() -> None:
    """A thread begins where it began in the last step; alone it does everything."""
    team = _Team(3)
    for _ in range(2):
        team.meet()
        assert team.taken(1, 0, 9) == [3, 4, 5, 6, 7, 8, 0, 1, 2]
        assert team.taken(0, 0, 9) == []


def test_work_that_is_over_is_not_done_again() -> None:
    """A thread that comes late to a work finds nothing of it left, whatever the others have begun since."""
    team = _Team(2)
    team.meet(1 << 40)
    assert team.taken(0, 0, 4) == [0, 1, 2, 3]
    assert team.take(team.memory.ctypes.data, 0, 2, 1, 4) == 0
    assert team.taken(1, 0, 4) == []
    assert team.taken(1, 1, 4) == [2, 3, 1]


@pytest.mark.parametrize("works", [1, 2, 256])
def test_works_without_a_meeting(works: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All meet where the numbers of works run out; more threads than processors change no bit."""
    monkeypatch.setattr(emit, "MOST_WORKS", works)
    monkeypatch.setattr(drive.Choice, "is_alone", lambda choice, now, steps: False)
    system = _products(5)
    random = np.random.default_rng(3)
    arrays = {n: random.normal(size=(128, 128)).astype("f4") for n in ("A", *"BCDEF")}
    alone, *shared = (
        compiler.compile(system, Options(cache="off", threads=threads)) for threads in (1, 3, 2)
    )
    expected = {name: array.tobytes() for name, array in alone(arrays).items()}
    for executable in 5 * shared:
        assert {n: array.tobytes() for n, array in executable(arrays).items()} == expected


def _products(count: int) -> System:
    """Products of one matrix with others: no thread needs what another one has computed."""
    names = [("BCDEF"[k], f"y{k}") for k in range(count)]
    return System(
        (
            tensor("A", 128, 128),
            *(tensor(factor, 128, 128) for factor, _ in names),
            *(tensor(result, 128, 128, role="output") for _, result in names),
        ),
        tuple(
            equation(
                element(result, "i", "j"),
                reduction("sum", element("A", "i", "k") * element(factor, "k", "j"), k=128),
                i=128,
                j=128,
            )
            for factor, result in names
        ),
    )
