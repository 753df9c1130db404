"""What each stage left behind, as text for whoever asks: ``explain``, GRAPHNN_DEBUG, GRAPHNN_DUMP.

GRAPHNN_DEBUG=1   after the first step: every kernel's time, GFLOP/s and GB/s (``executable.profile()``)
GRAPHNN_DEBUG=2   what each stage did, and why it declined
GRAPHNN_DEBUG=3   the loops, first and last
GRAPHNN_DEBUG=4   the program after each stage, "unchanged" where it is
GRAPHNN_DEBUG=5   also the LLVM assembly
GRAPHNN_DEBUG=6   also the machine's assembly
GRAPHNN_DUMP=out  every stage in a file of its own: out/00_system.txt, out/01_stabilize.txt, ...
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from typing import ParamSpec, TypeVar

from .errors import CompilerError
from .language.notes import Note
from .machine.profile import TimedProgram
from .machine.program import Program
from .options import Settings

__all__ = ["Explanation"]

P = ParamSpec("P")
T = TypeVar("T")
NOTES, LOOPS, STAGES, LLVM, MACHINE = 2, 3, 4, 5, 6
_LEAST = {"emit": LLVM, "assembly": MACHINE}  # of stages that are not shown from STAGES on


@dataclass
class Explanation:
    """The text of each stage, the stages' notes, and the program; texts and code are made for who asks for them."""

    texts: dict[str, Callable[[], str]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    program: Callable[[], Program] = field(init=False)
    timed: Callable[[], TimedProgram] = field(init=False)  # taking the time of its kernels

    def __call__(self, stage: str | None = None) -> str:
        """The text of one stage with its notes, or of all under headings, "unchanged" where they are."""
        if stage is None:
            parts = [(name, *self._remarks(name), text) for name, text in self._changes(self.texts)]
            return "\n".join("\n".join([f"=== {name} ===", *rest, ""]) for name, *rest in parts)
        if stage not in self.texts:
            raise CompilerError(f"unknown stage {stage!r}: expected one of {', '.join(self.texts)}")
        return "\n".join([*self._remarks(stage), self.texts[stage]()])

    def seen(
        self, stage: Callable[P, T], lines: Callable[[T], Iterable[str]] | None = None
    ) -> Callable[P, T]:
        """The stage, but what it leaves is shown under its name, as these lines or as it prints."""

        @wraps(stage)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            left = stage(*args, **kwargs)
            self.texts[stage.__name__] = lambda: "\n".join(lines(left)) if lines else str(left)
            return left

        return run

    def report(self, settings: Settings) -> None:
        """Print what the debug level asks for, and write the files of a dump."""
        for part in self._asked(settings.debug):
            sys.stderr.write(part + "\n")
        if settings.dump is not None:
            settings.dump.mkdir(parents=True, exist_ok=True)
            for number, name in enumerate(self.texts):
                path = settings.dump / f"{number:02}_{name}.txt"
                path.write_text(self(name) + "\n", encoding="utf-8")

    def _asked(self, level: int) -> list[str]:
        parts = []
        if level >= NOTES:
            parts += [str(each) for each in self.notes]
        if level == LOOPS:
            parts += [f"=== {name} ===\n{self(name)}" for name in ("lower", "schedule")]
        if level >= STAGES:
            shown = [name for name in self.texts if level >= _LEAST.get(name, STAGES)]
            parts += [f"=== {name} ===\n{text}" for name, text in self._changes(shown)]
        return parts

    def _remarks(self, stage: str) -> list[str]:
        return [f"# {n.equation}: {n.message}" for n in self.notes if n.stage == stage]

    def _changes(self, stages: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Each stage with its text, "unchanged" where that is the text of the stage before."""
        before = ""
        for stage in stages:
            text = self.texts[stage]()
            yield stage, "unchanged" if text == before else text
            before = text
