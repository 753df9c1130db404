"""Loop: steps one after the other inside one native call, each on rows of its own.

    drive(loop, team, thread, threads)      what all threads of a team call; for one thread: (loop, null, 0, 1)

    for number in range(first, stop):
        move      input or output of the step: rows of an array, in place if they are neighbours, else gathered
        check     subscripts among the inputs: with one that points outside the step is not begun
        step
        enough?   after so many nanoseconds no further step is begun

So a step costs nothing but itself, and whoever interrupts finds a whole number of them done. Every thread gathers its
share of the rows. `Loop`, `Move` and `Bound` are the memory that both sides know, here and as LLVM types.

While a loop that asks for it runs, subnormal numbers count as zero on its threads: they would take the processor a
hundred times as long as others. Its control word is saved before and restored after.
"""

from __future__ import annotations

import ctypes

from ..target import Target

__all__ = ["Bound", "Loop", "Move", "loop_text"]

_POINTER, _NUMBER = ctypes.c_void_p, ctypes.c_int64


class Loop(ctypes.Structure):
    """Which steps to do, on what; ``next`` and ``refused`` are the answer."""

    _fields_ = (
        ("step", _POINTER),  # function(context, team, thread, threads)
        ("context", _POINTER),  # its table of addresses
        ("first", _NUMBER),
        ("stop", _NUMBER),
        ("next", _NUMBER),  # the first step that was not done
        ("nanoseconds", _NUMBER),
        ("refused", _NUMBER),  # 0, or k + 1 if step `next` would go beyond bound k
        ("going", _NUMBER),  # is there a further step?
        ("flushing", _NUMBER),  # do subnormal numbers count as zero?
        ("moves", _NUMBER),
        ("move", _POINTER),
        ("bounds", _NUMBER),
        ("bound", _POINTER),
    )


class Move(ctypes.Structure):
    """Where a step finds an input, or leaves an output: ``bytes`` further on in each step.

    With an ``order`` those are ``rows`` rows of ``length`` bytes, copied to where ``entry`` points.
    """

    _fields_ = (
        ("entry", _POINTER),  # of the table of addresses
        ("base", _POINTER),
        ("bytes", _NUMBER),
        ("order", _POINTER),  # numbers of rows, 64 bits each; or null
        ("rows", _NUMBER),
        ("length", _NUMBER),
    )


class Bound(ctypes.Structure):
    """The ``count`` whole numbers of ``bytes`` bytes at ``entry`` lie between 0 and ``size - 1``."""

    _fields_ = (
        ("entry", _POINTER),
        ("count", _NUMBER),
        ("bytes", _NUMBER),
        ("size", _NUMBER),
    )


def _type(structure: type[ctypes.Structure]) -> str:
    types = {_POINTER: "ptr", _NUMBER: "i64"}
    own = ", ".join(types[field[1]] for field in structure._fields_)
    return f"%{structure.__name__} = type {{ {own} }}"


def _at(structure: type[ctypes.Structure], pointer: str, field: str) -> str:
    """The address of a field."""
    place = [name for name, *_ in structure._fields_].index(field)
    return f"getelementptr %{structure.__name__}, ptr {pointer}, i64 0, i32 {place}"


def _read(structure: type[ctypes.Structure], pointer: str, *fields: str) -> str:
    """Loads of some fields into registers of their names."""
    types = {name: "ptr" if kind is _POINTER else "i64" for name, kind in structure._fields_}  # type: ignore[misc]
    return "\n".join(
        f"  %{field}.at = {_at(structure, pointer, field)}\n"
        f"  %{field} = load {types[field]}, ptr %{field}.at, align 8"
        for field in fields
    )


def _word(target: Target) -> tuple[str, str, str]:
    """Declarations; read the control word into ``%word``; write ``%word``, on machines where there is one."""
    if target.triple.startswith("x86_64"):
        place = "%place = alloca i32, align 4\n"
        return (
            "declare void @llvm.x86.sse.stmxcsr(ptr)\ndeclare void @llvm.x86.sse.ldmxcsr(ptr)",
            f"{place}call void @llvm.x86.sse.stmxcsr(ptr %place)\n"
            "%old = load i32, ptr %place, align 4\n%word = zext i32 %old to i64",
            f"{place}%new = trunc i64 %word to i32\nstore i32 %new, ptr %place, align 4\n"
            "call void @llvm.x86.sse.ldmxcsr(ptr %place)",
        )
    return (
        "declare i64 @llvm.aarch64.get.fpcr()\ndeclare void @llvm.aarch64.set.fpcr(i64)",
        "%word = call i64 @llvm.aarch64.get.fpcr()",
        "call void @llvm.aarch64.set.fpcr(i64 %word)",
    )


def _control(target: Target) -> str:
    """``@control`` reads the processor's control word, ``@flush`` sets it to one that flushes, ``@set`` to any."""
    declarations, read, write = _word(target)
    flags = 0x8040 if target.triple.startswith("x86_64") else 1 << 24
    return f"""
{declarations}
define i64 @control() nounwind noinline {{
{read}
  ret i64 %word
}}
define internal void @set(i64 %word) nounwind noinline {{
{write}
  ret void
}}
define internal void @flush(i64 %before) nounwind noinline {{
  %after = or i64 %before, {flags}
  call void @set(i64 %after)
  ret void
}}
"""


def _outside(bits: int) -> str:
    """``@outside_64`` and so on: is one of so many numbers not below ``size``, or negative?"""
    wide = "%wide = add i64 %narrow, 0" if bits == 64 else f"%wide = sext i{bits} %narrow to i64"
    return f"""
define internal i1 @outside_{bits}(ptr %numbers, i64 %count, i64 %size) nounwind noinline {{
entry:
  br label %head
head:
  %k = phi i64 [ 0, %entry ], [ %next, %body ]
  %some = phi i1 [ false, %entry ], [ %either, %body ]
  %more = icmp slt i64 %k, %count
  br i1 %more, label %body, label %done
body:
  %at = getelementptr i{bits}, ptr %numbers, i64 %k
  %narrow = load i{bits}, ptr %at, align {bits // 8}
  {wide}
  %beyond = icmp uge i64 %wide, %size
  %either = or i1 %some, %beyond
  %next = add i64 %k, 1
  br label %head
done:
  ret i1 %some
}}
"""


def loop_text(target: Target) -> str:
    """The function ``@drive``; it stands beside `barrier`'s text."""
    widths = "".join(_outside(bits) for bits in (8, 32, 64))
    types = "\n".join(map(_type, (Loop, Move, Bound)))
    return f"{types}\n{_control(target)}{widths}{_CHECK}{_GATHER}{_PLACE}{_DRIVE}"


_CHECK = f"""
define internal i64 @check(ptr %loop) nounwind noinline {{
start:
{_read(Loop, "%loop", "bounds", "bound")}
  br label %head
head:
  %k = phi i64 [ 0, %start ], [ %next, %fits ]
  %more = icmp slt i64 %k, %bounds
  br i1 %more, label %look, label %fit
look:
  %next = add i64 %k, 1
  %own = getelementptr %Bound, ptr %bound, i64 %k
{_read(Bound, "%own", "entry", "count", "bytes", "size")}
  %numbers = load ptr, ptr %entry, align 8
  switch i64 %bytes, label %long [ i64 1, label %byte
                                   i64 4, label %short ]
byte:
  %in.8 = call i1 @outside_8(ptr %numbers, i64 %count, i64 %size)
  br label %told
short:
  %in.32 = call i1 @outside_32(ptr %numbers, i64 %count, i64 %size)
  br label %told
long:
  %in.64 = call i1 @outside_64(ptr %numbers, i64 %count, i64 %size)
  br label %told
told:
  %outside = phi i1 [ %in.8, %byte ], [ %in.32, %short ], [ %in.64, %long ]
  br i1 %outside, label %refuse, label %fits
fits:
  br label %head
refuse:
  ret i64 %next
fit:
  ret i64 0
}}
"""

_GATHER = f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define internal void @gather(ptr %move, i64 %number, i64 %thread, i64 %threads) nounwind noinline {{
start:
{_read(Move, "%move", "entry", "base", "order", "rows", "length")}
  %target = load ptr, ptr %entry, align 8
  %before = mul i64 %number, %rows
  %from = getelementptr i64, ptr %order, i64 %before
  %following = add i64 %thread, 1
  %begin = mul i64 %rows, %thread
  %finish = mul i64 %rows, %following
  %low = sdiv i64 %begin, %threads
  %high = sdiv i64 %finish, %threads
  br label %head
head:
  %row = phi i64 [ %low, %start ], [ %next, %body ]
  %more = icmp slt i64 %row, %high
  br i1 %more, label %body, label %done
body:
  %next = add i64 %row, 1
  %chosen.at = getelementptr i64, ptr %from, i64 %row
  %chosen = load i64, ptr %chosen.at, align 8
  %source.by = mul i64 %chosen, %length
  %target.by = mul i64 %row, %length
  %source = getelementptr i8, ptr %base, i64 %source.by
  %place = getelementptr i8, ptr %target, i64 %target.by
  call void @llvm.memcpy.p0.p0.i64(ptr %place, ptr %source, i64 %length, i1 false)
  br label %head
done:
  ret void
}}
"""

_PLACE = f"""
define internal void @place(ptr %loop, i64 %number, i64 %thread, i64 %threads) nounwind noinline {{
start:
{_read(Loop, "%loop", "moves", "move")}
  %first = icmp eq i64 %thread, 0
  br label %head
head:
  %k = phi i64 [ 0, %start ], [ %next, %turn ]
  %more = icmp slt i64 %k, %moves
  br i1 %more, label %body, label %done
body:
  %next = add i64 %k, 1
  %own = getelementptr %Move, ptr %move, i64 %k
{_read(Move, "%own", "entry", "base", "bytes", "order")}
  %neighbours = icmp eq ptr %order, null
  br i1 %neighbours, label %slide, label %gather
gather:
  call void @gather(ptr %own, i64 %number, i64 %thread, i64 %threads)
  br label %turn
slide:
  br i1 %first, label %point, label %turn
point:
  %by = mul i64 %number, %bytes
  %rows = getelementptr i8, ptr %base, i64 %by
  store ptr %rows, ptr %entry, align 8
  br label %turn
turn:
  br label %head
done:
  ret void
}}
"""

_DRIVE = f"""
define internal void @meet(ptr %team, i64 %threads) nounwind {{
  %alone = icmp eq i64 %threads, 1
  br i1 %alone, label %done, label %all
all:
  call void @barrier(ptr %team, i64 %threads)
  br label %done
done:
  ret void
}}

define internal void @steps(ptr %loop, ptr %team, i64 %thread, i64 %threads) nounwind noinline {{
start:
{_read(Loop, "%loop", "step", "context", "first", "stop", "nanoseconds", "moves")}
  %next.at = {_at(Loop, "%loop", "next")}
  %refused.at = {_at(Loop, "%loop", "refused")}
  %going.at = {_at(Loop, "%loop", "going")}
  %leads = icmp eq i64 %thread, 0
  %moving = icmp ne i64 %moves, 0
  br i1 %leads, label %begin, label %ready
begin:
  store i64 %first, ptr %next.at, align 8
  store i64 0, ptr %refused.at, align 8
  store i64 1, ptr %going.at, align 8
  br label %ready
ready:
  %length = sub i64 %stop, %first
  %many = icmp sgt i64 %length, 1
  br i1 %many, label %measure, label %turn
measure:
  %measured = call i64 @clock()
  br label %turn
turn:
  %since = phi i64 [ 0, %ready ], [ %measured, %measure ], [ %since, %again ]
  %number = phi i64 [ %first, %ready ], [ %first, %measure ], [ %following, %again ]
  call void @place(ptr %loop, i64 %number, i64 %thread, i64 %threads)
  %begun = icmp ne i64 %number, %first
  %waits = or i1 %begun, %moving
  br i1 %waits, label %placed, label %check
placed:
  call void @meet(ptr %team, i64 %threads)
  %going = load i64, ptr %going.at, align 8
  %more = icmp ne i64 %going, 0
  br i1 %more, label %check, label %end
check:
  %refused = call i64 @check(ptr %loop)
  %fits = icmp eq i64 %refused, 0
  br i1 %fits, label %go, label %refuse
refuse:
  br i1 %leads, label %tell, label %end
tell:
  store i64 %refused, ptr %refused.at, align 8
  br label %end
go:
  call void %step(ptr %context, ptr %team, i64 %thread, i64 %threads)
  %following = add i64 %number, 1
  %last = icmp eq i64 %following, %stop
  br i1 %last, label %finish, label %together
finish:
  br i1 %leads, label %count, label %end
count:
  store i64 %following, ptr %next.at, align 8
  br label %end
together:
  call void @meet(ptr %team, i64 %threads)
  br i1 %leads, label %lead, label %again
lead:
  store i64 %following, ptr %next.at, align 8
  %now = call i64 @clock()
  %passed = sub i64 %now, %since
  %early = icmp slt i64 %passed, %nanoseconds
  %as = zext i1 %early to i64
  store i64 %as, ptr %going.at, align 8
  br label %again
again:
  br label %turn
end:
  ret void
}}

define void @drive(ptr %loop, ptr %team, i64 %thread, i64 %threads) nounwind {{
{_read(Loop, "%loop", "flushing")}
  %flushes = icmp ne i64 %flushing, 0
  br i1 %flushes, label %flushed, label %gradual
gradual:
  call void @steps(ptr %loop, ptr %team, i64 %thread, i64 %threads)
  ret void
flushed:
  %word = call i64 @control()
  call void @flush(i64 %word)
  call void @steps(ptr %loop, ptr %team, i64 %thread, i64 %threads)
  call void @set(i64 %word)
  ret void
}}

define void @alone(ptr %loop) nounwind {{
  call void @drive(ptr %loop, ptr null, i64 0, i64 1)
  ret void
}}
"""
