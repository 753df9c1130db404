"""Pieces: what threads share goes in pieces, so that a thread that is held up keeps nobody waiting for long.

    take(team, thread, threads, number, pieces)     the next piece for a thread; -1 where none is left

Each thread has a run of neighbouring pieces of its own, the same in every step, since what it touched last is still
near. Who is done with his own takes the next one of a neighbour's: a processor may do half of what another one does,
because somebody else is using it too. Which thread does a piece changes no bit of it.

How many pieces of a run are taken stands in one word for each thread, with the work that they belong to: how often all
threads have met, and a number for each work until they meet again. All threads do all work in the same order, and
leave none before every piece is taken; so a word that belongs to older work says that nothing is taken yet, one that
belongs to later work that everything was.

    team + 72                   how often all have met, in 64 bits
    team + 272 + 64*thread      48 bits of that, the number (8 bits), how many are taken (8 bits)
"""

from __future__ import annotations

__all__ = ["MOST_WORKS", "PIECES"]

MOST_WORKS = 1 << 8  # between two meetings

PIECES = """
define i64 @take(ptr %team, i64 %thread, i64 %threads, i64 %number, i64 %pieces) nounwind {
entry:
  %met.at = getelementptr i8, ptr %team, i64 72
  %met = load i64, ptr %met.at, align 8
  %higher = shl i64 %met, 8
  %work = or i64 %higher, %number
  br label %ask
ask:
  %asked = phi i64 [ 0, %entry ], [ %more, %next ]
  %over = add i64 %thread, %asked
  %beyond = icmp uge i64 %over, %threads
  %wrapped = sub i64 %over, %threads
  %owner = select i1 %beyond, i64 %wrapped, i64 %over
  %following = add i64 %owner, 1
  %low = mul i64 %pieces, %owner
  %high = mul i64 %pieces, %following
  %first = udiv i64 %low, %threads
  %last = udiv i64 %high, %threads
  %count = sub i64 %last, %first
  %offset = mul i64 %owner, 64
  %own = getelementptr i8, ptr %team, i64 %offset
  %word.at = getelementptr i8, ptr %own, i64 272
  %word = load atomic i64, ptr %word.at monotonic, align 8
  br label %look
look:
  %old = phi i64 [ %word, %ask ], [ %found, %try ]
  %of = lshr i64 %old, 8
  %low.byte = and i64 %old, 255
  %is.later = icmp ugt i64 %of, %work
  %is.older = icmp ult i64 %of, %work
  %taken = select i1 %is.older, i64 0, i64 %low.byte
  %none = icmp uge i64 %taken, %count
  %nothing = or i1 %is.later, %none
  br i1 %nothing, label %next, label %try
try:
  %one.more = add i64 %taken, 1
  %place = shl i64 %work, 8
  %new = or i64 %place, %one.more
  %exchange = cmpxchg ptr %word.at, i64 %old, i64 %new monotonic monotonic
  %found = extractvalue { i64, i1 } %exchange, 0
  %done = extractvalue { i64, i1 } %exchange, 1
  br i1 %done, label %got, label %look
got:
  %piece = add i64 %first, %taken
  ret i64 %piece
next:
  %more = add i64 %asked, 1
  %all = icmp eq i64 %more, %threads
  br i1 %all, label %gone, label %ask
gone:
  ret i64 -1
}
"""
