"""Emit: kernels as LLVM assembly, and the function that calls them in order.

    define hidden void @kernel_2(ptr %a0, ptr %a1, i64 %t0)    one per kernel; equal kernels are written once;
                                                                 panels come after the tensors
    define void @step(ptr %context, ...)                         addresses from the table, recurrences, calls

What `step` gets besides the context says which thread it is called by, of how many; see `program`.

Kernels are functions of their own, called and never inlined: a call costs a nanosecond, a copy costs compile time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..language.steps import Guard, Recurrence, Strands, Window
from ..scheduling.alike import anonymous
from ..scheduling.distribute import Alone, Timed, Wait, is_for_team, pieces
from ..scheduling.loops import Kernel
from ..scheduling.plan import OWN, Plan, panel_places
from ..target import Target
from .assembler import Assembler, module
from .barrier import clock
from .kernels import kernel_function, shared_turns
from .past import past
from .pieces import MOST_WORKS

__all__ = ["SYMBOL", "Module", "emit"]

SYMBOL = "step"
_PARAMETERS = "ptr %context, ptr %team, i64 %thread, i64 %threads"
_WAIT = """
define internal void @wait(ptr %team, i64 %threads) nounwind noinline {
  %alone = icmp eq i64 %threads, 1
  br i1 %alone, label %done, label %meet
meet:
  %barrier = load ptr, ptr %team, align 8
  call void %barrier(ptr %team, i64 %threads)
  br label %done
done:
  ret void
}
"""
_TAKE = """
define internal i64 @take(i64 %before, ptr %team, i64 %thread, i64 %threads, i64 %work, i64 %pieces) nounwind {
  %alone = icmp eq i64 %threads, 1
  br i1 %alone, label %all, label %some
all:
  %later = icmp sge i64 %before, 0
  %whole = sext i1 %later to i64
  ret i64 %whole
some:
  %take.at = getelementptr i8, ptr %team, i64 16
  %take = load ptr, ptr %take.at, align 8
  %piece = call i64 %take(ptr %team, i64 %thread, i64 %threads, i64 %work, i64 %pieces)
  ret i64 %piece
}
"""
_MODULE = 100_000  # characters of a module; by size, not by threads, so that the objects do not depend on those


class Module(NamedTuple):
    """The text of one; of what is plain nothing is worth optimizing, as it only calls others."""

    text: str
    is_plain: bool = False


def emit(
    parts: Sequence[Any], plan: Plan, dtypes: Mapping[str, str], target: Target
) -> Iterator[Module]:
    """Modules with the kernels, each as soon as it is written, and last the one with the function `SYMBOL`.

    They can be compiled side by side, and while others are written.
    """
    writer = _Writer(plan, dtypes, target)
    yield from writer.kernels(parts)
    writer.team = is_for_team(parts)
    writer.steps(parts, {})
    writer.step.line("ret void")
    step = writer.step.function(f"void @{SYMBOL}({_PARAMETERS})")
    if writer.team:
        step += _WAIT + _TAKE
    if writer.is_timed:
        step += clock(target)
    yield Module(module([writer.step], [step]), is_plain=True)


class _Writer:
    """The module in the making."""

    def __init__(self, plan: Plan, dtypes: Mapping[str, str], target: Target) -> None:
        self.plan, self.dtypes, self.target = plan, dtypes, target
        self.step = Assembler(target)
        self.team = self.is_timed = False
        self.works = 0  # that threads share since they met last
        self.assemblers: list[Assembler] = []
        self.functions: list[str] = []
        self.names: dict[str, str] = {}  # the text of a kernel -> the function that has it
        # A kernel without names and the types of its tensors -> the same, how it is declared, and its pieces.
        self.known: dict[object, tuple[str, str, int]] = {}
        self.asked: dict[int, tuple[str, str, int]] = {}  # the same, of kernels that were asked for
        self.addresses: dict[tuple[int, int], str] = {}
        for place in dict.fromkeys(plan.places.values()):
            self.addresses[place] = self.address(*place)
        if plan.own:
            self.address(OWN, 0)  # here, from where all that calls kernels can see it

    def address(self, slot: int, offset: int) -> str:
        """Memory of the ``slot``-th entry of the context, ``offset`` bytes on."""
        base = self.addresses.get((slot, 0))
        if base is None and slot == OWN:
            before = self.step.op(f"mul i64 %thread, {self.plan.own}")
            first = self.address(len(self.plan.slots), self.plan.arena)
            base = self.addresses[slot, 0] = self.step.offset(first, before)
        if base is None:
            entry = self.step.offset("%context", 8 * slot)
            base = self.step.op(f"load ptr, ptr {entry}, align 8")
            self.addresses[slot, 0] = base
        return self.step.offset(base, offset) if offset else base

    def kernels(self, parts: Sequence[Any]) -> Iterator[Module]:
        """The functions that are called, in this order, in modules that are long enough."""
        begun = 0
        for kernel in _called(parts):
            self.function(kernel)
            if sum(map(len, self.functions[begun:])) > _MODULE:
                yield self.module(begun)
                begun = len(self.functions)
        if begun < len(self.functions) or begun == 0:
            yield self.module(begun)

    def module(self, begun: int) -> Module:
        """Of the functions from one on."""
        return Module(module(self.assemblers[begun:], self.functions[begun:]))

    def steps(self, parts: Sequence[Any], places: Mapping[str, str]) -> None:
        """Code for parts in order; ``places`` are the values of the carried indices."""
        for part in parts:
            match part:
                case Kernel():
                    self.call(part, places)
                case Recurrence():
                    self.recurrence(part, places)
                case Window():
                    self.window(part, places)
                case Strands():
                    self.strands(part, places)
                case Guard():
                    self.guard(part, places)
                case Alone(inner):
                    self.alone(lambda inner=inner: self.steps(inner, places))  # type: ignore[misc]
                case Wait():
                    self.wait()
                case Timed(number, inner):
                    self.timed(number, inner, places)

    def call(self, kernel: Kernel, places: Mapping[str, str]) -> None:
        arguments = [f"ptr {self.addresses[self.plan.places[t]]}" for t in kernel.tensors]
        panels = panel_places(kernel)[: len(kernel.panels)]
        arguments += [f"ptr {self.address(OWN, offset)}" for offset in panels]
        arguments += [f"i64 {places[index]}" for index, _ in kernel.outer]
        name, declaration, count = self.function(kernel)
        self.step.declare(declaration)

        def once(*piece: str) -> None:
            own = ", ".join([*arguments, *(f"i64 {number}" for number in piece)])
            self.step.line(f"call void @{name}({own})")

        if kernel.shares:
            self.in_pieces(count, once)
        else:
            once()

    def wait(self) -> None:
        self.step.line("call void @wait(ptr %team, i64 %threads)")
        self.works = 0

    def in_pieces(self, most: int, write: Callable[[str, str], None]) -> None:
        """What is written does one piece of all; for each piece that this thread takes.

        Threads have equally many of their own, ``most`` together; one thread alone takes all at once.
        """
        a = self.step
        if self.works == MOST_WORKS:
            self.wait()
        alone = a.op("icmp eq i64 %threads, 1")
        each = a.intrinsic("umax", "i64", a.op(f"udiv i64 {most}, %threads"), "1")
        count = a.op(f"select i1 {alone}, i64 1, i64 {a.op(f'mul i64 {each}, %threads')}")
        before, head = a.here, a.label("take")
        some, after = a.label("piece"), a.label("taken")
        a.jump(head)
        a.block(head)
        last = a.phi("i64", ("-1", before))
        where = f"ptr %team, i64 %thread, i64 %threads, i64 {self.works}, i64 {count}"
        piece = a.op(f"call i64 @take(i64 {last}, {where})")
        a.branch(a.op(f"icmp slt i64 {piece}, 0"), after, some)
        a.block(some)
        write(piece, count)
        a.arrive(last, piece, a.here)
        a.jump(head)
        a.block(after)
        self.works += 1

    def function(self, kernel: Kernel) -> tuple[str, str, int]:
        """The name of the function for a kernel, written now if none was for one that is alike.

        And how it is declared, and its pieces.
        """
        if id(kernel) not in self.asked:
            self.asked[id(kernel)] = self.found(kernel)
        return self.asked[id(kernel)]

    def found(self, kernel: Kernel) -> tuple[str, str, int]:
        common, names = anonymous(kernel)
        dtypes = {new: self.dtypes[old] for old, new in names.items() if old in self.dtypes}
        late = frozenset(names[tensor] for tensor in past(kernel, self.plan, self.target))
        key = common, tuple(dtypes.items()), late
        if key not in self.known:
            name = self.written(common.nameless, dtypes, late)
            types = ["ptr"] * len(kernel.tensors + kernel.panels) + ["i64"] * len(kernel.outer)
            types += ["i64", "i64"] if kernel.shares else []
            declaration = f"declare hidden void @{name}({', '.join(types)})"
            self.known[key] = name, declaration, pieces(kernel)
        return self.known[key]

    def written(self, kernel: Kernel, dtypes: Mapping[str, str], late: frozenset[str]) -> str:
        """The name of a new function, or of one with the same text."""
        name = f"kernel_{len(self.functions)}"
        text, assembler = kernel_function(kernel, dtypes, self.target, "kernel", late)
        if text not in self.names:
            self.names[text] = name
            self.assemblers.append(assembler)
            self.functions.append(text.replace("@kernel(", f"@{name}(", 1))
        return self.names[text]

    def recurrence(self, part: Recurrence, places: Mapping[str, str]) -> None:
        a = self.step
        if part.size == 0:
            return
        first, last, by = (part.size - 1, 0, -1) if part.backward else (0, part.size - 1, 1)
        before, head, after = a.here, a.label("turn"), a.label("over")
        a.jump(head)
        a.block(head)
        index = a.phi("i64", (str(first), before))
        self.steps(part.steps, {**places, part.index.name: index})
        following = a.op(f"add i64 {index}, {by}")
        a.arrive(index, following, a.here)
        a.branch(a.op(f"icmp eq i64 {index}, {last}"), after, head)
        a.block(after)

    def window(self, part: Window, places: Mapping[str, str]) -> None:
        a = self.step
        inside, after = a.label("inside"), a.label("outside")
        moved = a.op(f"sub i64 {places[part.index.name]}, {part.start}")
        a.branch(a.op(f"icmp ult i64 {moved}, {part.stop - part.start}"), inside, after)
        a.block(inside)
        works = self.works
        self.steps(part.steps, places)
        self.works = max(works, self.works)
        a.jump(after)
        a.block(after)

    def guard(self, part: Guard, places: Mapping[str, str]) -> None:
        a, form = self.step, str(part.constant)
        for index, factor in part.terms:
            form = a.op(f"add i64 {form}, {a.op(f'mul i64 {places[index.name]}, {factor}')}")
        inside, after = a.label("busy"), a.label("idle")
        a.branch(a.op(f"icmp sge i64 {form}, 0"), inside, after)
        a.block(inside)
        self.steps(part.steps, places)
        a.jump(after)
        a.block(after)

    def strands(self, part: Strands, places: Mapping[str, str]) -> None:
        """All strands, or of those that the threads share, the ones that this thread takes."""
        if part.shared:
            own = partial(shared_turns, self.step, part.turns)
            self.in_pieces(pieces(part), lambda *piece: self.some(part, own(*piece), places))
        else:
            self.some(part, ("0", str(part.turns)), places)

    def some(self, part: Strands, own: tuple[str, str], places: Mapping[str, str]) -> None:
        """The strands from one on, up to another; of what is nested, those inside are counted."""
        a, (start, stop) = self.step, own
        if part.nested:
            start = a.op(f"sdiv i64 {start}, {part.inner}")
            stop = a.op(f"sdiv i64 {a.op(f'add i64 {stop}, {part.inner - 1}')}, {part.inner}")
        for strand in part.steps:
            first = a.intrinsic("smax", "i64", start, str(strand.start))
            last = a.intrinsic("smin", "i64", stop, str(strand.stop))
            before, head = a.here, a.label("strand")
            some, after = a.label("some"), a.label("after")
            a.jump(head)
            a.block(head)
            index = a.phi("i64", (first, before))
            a.branch(a.op(f"icmp slt i64 {index}, {last}"), some, after)
            a.block(some)
            inside = {**places, strand.index.name: index}
            if part.nested:
                before_it = a.op(f"mul i64 {index}, {part.inner}")
                rest = [a.op(f"sub i64 {end}, {before_it}") for end in own]
                self.some(strand.steps[0], (rest[0], rest[1]), inside)
            else:
                self.steps(strand.steps, inside)
            a.arrive(index, a.op(f"add i64 {index}, 1"), a.here)
            a.jump(head)
            a.block(after)

    def alone(self, write: Callable[[], None]) -> None:
        """What is written in between is done by the first thread."""
        a = self.step
        mine, after = a.label("alone"), a.label("all")
        a.branch(a.op("icmp eq i64 %thread, 0"), mine, after)
        a.block(mine)
        write()
        a.jump(after)
        a.block(after)

    def timed(self, number: int, parts: Sequence[Any], places: Mapping[str, str]) -> None:
        """Nanoseconds of some steps and how often they were done, added up in the table after the arena."""
        a, self.is_timed = self.step, True
        before = a.op("call i64 @clock()")
        self.steps(parts, places)

        def add() -> None:
            entry = a.offset("%context", 8 * (len(self.plan.slots) + 1))
            times = a.offset(a.op(f"load ptr, ptr {entry}, align 8"), 16 * number)
            counts = a.offset(times, 8)
            passed = a.op(f"sub i64 {a.op('call i64 @clock()')}, {before}")
            for place, more in ((times, passed), (counts, "1")):
                total = a.op(f"add i64 {a.op(f'load i64, ptr {place}, align 8')}, {more}")
                a.line(f"store i64 {total}, ptr {place}, align 8")

        if self.team:
            self.alone(add)
        else:
            add()


def _called(parts: Sequence[Any]) -> Iterator[Kernel]:
    """The kernels of a program, but for those of no turns."""
    for part in parts:
        if isinstance(part, Kernel):
            yield part
        elif not isinstance(part, Wait) and not (isinstance(part, Recurrence) and part.size == 0):
            yield from _called(part.steps)
