"""Barrier: how threads wait for one another; machine code without a lock, for the threads of one team.

    barrier(team, threads)     called by every thread: returns when all have come
    run(team, job)             the first thread: wakes the others, does its part, waits until all are done
    work(team, thread)         any other: does its part of one job after the other, until it is told to go

Who waits looks at a number that will change: first in a tight loop, since mostly it changes at once; then, giving way
to whoever else wants the processor; at last asleep in the kernel, where there is a call for that, which the one who
changes the number must then make too. Numbers lie on cache lines of their own:

    team + 0     address of `barrier`, nanoseconds of the tight loop, address of `take` (see `pieces`)
    team + 64    how often all have met; 72: the same in 64 bits; 128: how many have come; 192: sleepers
    team + 256 + 64*thread    the thread's mailbox: how many jobs it was given, sleepers, the job (null: go), pieces
    job          address of function(context, team, thread, threads), context, threads, nanoseconds of the tight loop

Only the mailboxes of the threads that take part are written, and a thread has read its job before `run` returns.
"""

from __future__ import annotations

from ..target import Target
from .pieces import PIECES

__all__ = ["PATIENCE", "barrier_text", "clock"]

PATIENCE = 200_000  # nanoseconds before a waiting thread sleeps
_GLANCES = 32  # at the number, between two at the clock
_FUTEX = {"x86_64": 202, "aarch64": 98}  # the number of Linux's call
_WAIT, _WAKE, _ALL = 128, 129, 2**31 - 1


def clock(target: Target) -> str:
    """The function ``@clock``: nanoseconds that only grow."""
    monotonic = 6 if "apple" in target.triple else 1
    return f"""
declare i32 @clock_gettime(i32, ptr)
define internal i64 @clock() nounwind noinline {{
  %now = alloca [2 x i64], align 16
  %ignored = call i32 @clock_gettime(i32 {monotonic}, ptr %now)
  %part = getelementptr i8, ptr %now, i64 8
  %seconds = load i64, ptr %now, align 8
  %nanoseconds = load i64, ptr %part, align 8
  %whole = mul i64 %seconds, 1000000000
  %sum = add i64 %whole, %nanoseconds
  ret i64 %sum
}}
"""


def _pause(target: Target) -> tuple[str, str]:
    """The hint that this is a waiting loop: declaration and call."""
    if target.triple.startswith("x86_64"):
        return "declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"
    return "declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"


def _sleep(target: Target) -> tuple[str, str, str]:
    """Declaration; sleep unless ``%word`` has left ``%seen``; wake all who sleep there."""
    number = _FUTEX.get(target.triple.split("-")[0])
    if "linux" not in target.triple or number is None:
        return "", "%slept = call i32 @sched_yield()", ""
    call = f"call i64 (i64, ...) @syscall(i64 {number}, ptr %word"
    return (
        "declare i64 @syscall(i64, ...)",
        f"%slept = {call}, i32 {_WAIT}, i32 %seen, ptr null, ptr null, i32 0)",
        f"%woken = {call}, i32 {_WAKE}, i32 {_ALL}, ptr null, ptr null, i32 0)",
    )


def barrier_text(target: Target) -> str:
    """The functions `barrier`, `run` and `work`, and `take`."""
    pause_declaration, pause = _pause(target)
    sleep_declaration, sleep, wake = _sleep(target)
    return f"""
{pause_declaration}
{sleep_declaration}
declare i32 @sched_yield()
{clock(target)}
{PIECES}

define internal void @await(ptr %word, i32 %seen, ptr %sleepers, i64 %tight) nounwind noinline {{
entry:
  br label %round
round:
  %begun = phi i64 [ 0, %entry ], [ %since, %tightly ], [ %since, %yield ]
  br label %look
look:
  %turn = phi i32 [ 0, %round ], [ %next, %again ]
  %now = load atomic i32, ptr %word acquire, align 4
  %changed = icmp ne i32 %now, %seen
  br i1 %changed, label %done, label %again
again:
  {pause}
  %next = add i32 %turn, 1
  %few = icmp ult i32 %next, {_GLANCES}
  br i1 %few, label %look, label %measure
measure:
  %time = call i64 @clock()
  %first = icmp eq i64 %begun, 0
  %since = select i1 %first, i64 %time, i64 %begun
  %passed = sub i64 %time, %since
  %soon = icmp slt i64 %passed, %tight
  br i1 %soon, label %tightly, label %later
tightly:
  br label %round
later:
  %patient = icmp slt i64 %passed, {PATIENCE}
  br i1 %patient, label %yield, label %tired
yield:
  %yielded = call i32 @sched_yield()
  br label %round
tired:
  %more = atomicrmw add ptr %sleepers, i32 1 seq_cst
  br label %check
check:
  %still = load atomic i32, ptr %word seq_cst, align 4
  %left = icmp ne i32 %still, %seen
  br i1 %left, label %awake, label %sleep
sleep:
  {sleep}
  br label %check
awake:
  %less = atomicrmw sub ptr %sleepers, i32 1 seq_cst
  br label %done
done:
  ret void
}}

define internal void @change(ptr %word, ptr %sleepers) nounwind noinline {{
  %before = atomicrmw add ptr %word, i32 1 seq_cst
  %asleep = load atomic i32, ptr %sleepers seq_cst, align 4
  %some = icmp ne i32 %asleep, 0
  br i1 %some, label %wake, label %done
wake:
  {wake}
  br label %done
done:
  ret void
}}

define void @barrier(ptr %team, i64 %threads) nounwind {{
  %tight.at = getelementptr i8, ptr %team, i64 8
  %met = getelementptr i8, ptr %team, i64 64
  %often.at = getelementptr i8, ptr %team, i64 72
  %come = getelementptr i8, ptr %team, i64 128
  %sleepers = getelementptr i8, ptr %team, i64 192
  %tight = load i64, ptr %tight.at, align 8
  %seen = load atomic i32, ptr %met acquire, align 4
  %before = atomicrmw add ptr %come, i32 1 acq_rel
  %count = add i32 %before, 1
  %all = trunc i64 %threads to i32
  %last = icmp eq i32 %count, %all
  br i1 %last, label %open, label %wait
open:
  store atomic i32 0, ptr %come monotonic, align 4
  %often = load i64, ptr %often.at, align 8
  %oftener = add i64 %often, 1
  store i64 %oftener, ptr %often.at, align 8
  call void @change(ptr %met, ptr %sleepers)
  ret void
wait:
  call void @await(ptr %met, i32 %seen, ptr %sleepers, i64 %tight)
  ret void
}}

define internal void @do(ptr %team, ptr %job, i64 %thread) nounwind {{
  %context.at = getelementptr i8, ptr %job, i64 8
  %threads.at = getelementptr i8, ptr %job, i64 16
  %function = load ptr, ptr %job, align 8
  %context = load ptr, ptr %context.at, align 8
  %threads = load i64, ptr %threads.at, align 8
  call void %function(ptr %context, ptr %team, i64 %thread, i64 %threads)
  call void @barrier(ptr %team, i64 %threads)
  ret void
}}

define void @run(ptr %team, ptr %job) nounwind {{
entry:
  %threads.at = getelementptr i8, ptr %job, i64 16
  %given.at = getelementptr i8, ptr %job, i64 24
  %tight.at = getelementptr i8, ptr %team, i64 8
  %threads = load i64, ptr %threads.at, align 8
  %given = load i64, ptr %given.at, align 8
  store i64 %given, ptr %tight.at, align 8
  br label %next
next:
  %thread = phi i64 [ 1, %entry ], [ %following, %call ]
  %more = icmp slt i64 %thread, %threads
  br i1 %more, label %call, label %own
call:
  call void @give(ptr %team, i64 %thread, ptr %job)
  %following = add i64 %thread, 1
  br label %next
own:
  call void @do(ptr %team, ptr %job, i64 0)
  ret void
}}

define void @give(ptr %team, i64 %thread, ptr %job) nounwind {{
  %offset = mul i64 %thread, 64
  %own = getelementptr i8, ptr %team, i64 %offset
  %box = getelementptr i8, ptr %own, i64 256
  %sleepers = getelementptr i8, ptr %own, i64 260
  %job.at = getelementptr i8, ptr %own, i64 264
  store ptr %job, ptr %job.at, align 8
  call void @change(ptr %box, ptr %sleepers)
  ret void
}}

define void @work(ptr %team, i64 %thread) nounwind {{
entry:
  %offset = mul i64 %thread, 64
  %own = getelementptr i8, ptr %team, i64 %offset
  %box = getelementptr i8, ptr %own, i64 256
  %sleepers = getelementptr i8, ptr %own, i64 260
  %job.at = getelementptr i8, ptr %own, i64 264
  %tight.at = getelementptr i8, ptr %team, i64 8
  br label %wait
wait:
  %done = phi i32 [ 0, %entry ], [ %given, %do ]
  %tight = load i64, ptr %tight.at, align 8
  call void @await(ptr %box, i32 %done, ptr %sleepers, i64 %tight)
  %given = add i32 %done, 1
  %job = load ptr, ptr %job.at, align 8
  %go = icmp eq ptr %job, null
  br i1 %go, label %end, label %do
do:
  call void @do(ptr %team, ptr %job, i64 %thread)
  br label %wait
end:
  ret void
}}
"""
