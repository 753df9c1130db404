"""The whole compiler as one straight function: a system goes in, something that can be called comes out.

Each stage takes a valid program and leaves one, and each can be printed: ``executable.explain("order")``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import count
from typing import Any

from .code.emit import Module, emit
from .explain import Explanation
from .language.dtypes import dtype_of
from .language.steps import Recurrence, Strand, Together, step_lines
from .language.system import System
from .language.validate import validate
from .machine import jit
from .machine.arrays import Array
from .machine.cache import module_key, opened, program_key
from .machine.profile import TimedProgram, timed
from .machine.program import Program, decode, encode, limits
from .machine.run import Executable
from .options import Options, Settings
from .rewriting.again import again
from .rewriting.chosen import chosen
from .rewriting.digits import digits
from .rewriting.exchange import exchange
from .rewriting.halo import halo
from .rewriting.hoist import hoist
from .rewriting.inverse import inverse
from .rewriting.kept import kept
from .rewriting.narrow import narrow
from .rewriting.order import order
from .rewriting.outside import outside
from .rewriting.partial import partial
from .rewriting.phases import phases
from .rewriting.split import split
from .rewriting.stabilize import stabilize
from .rewriting.turn import turn
from .rewriting.winograd import winograd
from .scheduling.alike import Alike, Lowered
from .scheduling.distribute import distribute, distributed_lines, is_for_team
from .scheduling.fuse import Fusion, fuse, fusion_lines
from .scheduling.groups import groups
from .scheduling.idle import idle
from .scheduling.inside import inside
from .scheduling.joined import joined, of_one_block
from .scheduling.layout import layout
from .scheduling.loops import Kernel
from .scheduling.lower import Storage, lower
from .scheduling.plan import Plan, copies, in_place, plan, with_own_values
from .scheduling.reach import reach
from .scheduling.schedule import schedule
from .scheduling.strands import strands
from .scheduling.together import together
from .uncollected import uncollected

__all__ = ["compile_system", "stages"]


@uncollected()
def compile_system(
    system: System,
    options: Options | None = None,
    arrays: Mapping[str, Array] | None = None,
) -> Executable:
    """A system as an `Executable`: from the cache, or through all stages.

    ``arrays`` are the memory of some inputs and parameters, see `Executable.bind`.
    The stages are run again for whoever asks what they did: what they leave is many times as large as the program.
    """
    settings = (options or Options()).settle()
    validate(system)
    cache, versions = opened(settings.cache), jit.versions()
    key = program_key(system, settings, versions)
    numbers = {t.name: f"#{k}" for k, t in enumerate(system.tensors)}  # what is kept has no names
    asked = settings.debug or settings.dump  # then there is something to be shown
    stored = cache.get(key) if cache and not asked else None
    if stored is not None:
        program = decode(stored).renamed({number: name for name, number in numbers.items()})
    else:
        program = _through_stages(system, settings)
        if cache:
            cache.put(key, encode(program.renamed(numbers)))

    @functools.cache
    def explained() -> Explanation:
        return stages(system, settings)

    def explain(stage: str | None = None) -> str:
        return explained()(stage)

    return Executable(
        program,
        explain,
        settings.threads,
        lambda: explained().timed(),
        is_watched=settings.debug > 0,
        ftz=settings.ftz,
        arrays=arrays,
    )


def _through_stages(system: System, settings: Settings) -> Program:
    """The program, and reports of what is asked for."""
    explanation = stages(system, settings)
    program = explanation.program()
    explanation.report(settings)
    return program


def stages(system: System, settings: Settings) -> Explanation:
    """All stages in order, and what they did; code is written for who asks for the program."""
    explanation = Explanation()
    seen, texts, notes = explanation.seen, explanation.texts, explanation.notes
    target = settings.target
    texts["system"] = lambda: str(system)

    # First of all, while the formulas still look as they were written: forms that hold in floating point.
    facts = seen(stabilize)(with_own_values(system), notes)

    # Cut before parts are compared and shared: what is cut off may have been all that differed.
    facts = seen(split)(facts, notes)

    # Then sharing, for stable forms have parts in common (a maximum, a sum) that the formulas did not show.
    facts = seen(hoist)(facts, notes)

    # Now that nothing is computed twice: what need not be stored at all.
    facts = seen(kept)(facts, notes)

    # Groups are indices of their own before remainders are looked for: their quotients are no phases.
    facts = seen(digits)(facts, notes)

    # What asks for remainders then reads at the place where it writes, which is what later stages look for.
    facts = seen(phases)(facts, notes)

    # Now that each equation asks for one place: what is asked of the element there, by its maximum.
    facts = seen(chosen)(facts, notes)

    # Before the order fixes what is inside a loop: all that need not be.
    facts = seen(outside)(facts)

    # While sums stand as they were derived: those that others have are read from there.
    facts = seen(exchange)(facts, notes)

    # When nothing more is shared: what is large is not kept for those who ask for it late.
    facts = seen(again)(facts, notes)

    # Divisors stand as they will be computed, the sums among them still whole, so that what they are can be seen.
    facts = seen(inverse)(facts, notes)

    # Windows are found while they are whole, before sums are cut and operands turned.
    facts = seen(winograd)(facts, settings.windows, notes)

    # Sums are cut where they will stand, before operands are turned and padded for the loops that they get.
    facts = seen(partial)(facts, notes)

    # Where an operand lies the wrong way, in a loop or not, is known when all contractions stand where they will be.
    facts = seen(turn)(facts, notes)

    # Who reads what, and how, is settled, but for copies of what is read beyond its edge.
    facts = seen(narrow)(facts, notes)

    # The last stage that may add equations: copies for what is read beyond its edge.
    facts, borders = seen(halo, lambda found: [str(found[0])])(facts)

    # Only now an order: the stages before may add, merge and drop equations freely, as those stand in none.
    ordered = seen(order, step_lines)(facts)

    # A loop that will be short of nothing takes back what was done before it; then it is known who is beside whom.
    steps = seen(inside, step_lines)(ordered, facts, notes)

    # Kernels are found among equations, where "the same place" is a matter of comparing subscripts.
    fused = seen(fuse, fusion_lines)(steps, facts)

    # What passes from one kernel to the next is known when there are no more to be found.
    near = seen(together, fusion_lines)(fused, facts, borders, notes)

    # What is needed by others too stays in memory, but those that come next still find it near.
    grouped, own_blocks = seen(groups, lambda found: fusion_lines(found[0]))(
        near, facts, borders, notes
    )

    # Of rows that lie within blocks nobody misses what conditions leave nothing of.
    reached = seen(reach, fusion_lines)(grouped, own_blocks.keys(), notes)

    # Blocks have conditions of their own: where these hold nowhere, and all is zero, there is nothing to be done.
    busy = seen(idle, fusion_lines)(reached, own_blocks.keys(), notes)

    # Which rows are independent of one another is a question to whole kernels, not to each equation.
    cut_apart = seen(strands, fusion_lines)(busy, facts, notes)

    # How tensors lie in memory decides the addresses, so it is settled before there are any.
    lies = of_one_block(near, layout(steps, facts))
    shaped = (replace(t, shape=own_blocks.get(t.name, t.shape)) for t in facts.tensors)
    storages = {t.name: Storage(t, borders[t.name], lies[t.name]) for t in shaped}
    lowered = _lowered(cut_apart, storages)
    texts["lower"] = lambda: _text(lowered)

    # Tiles are chosen for each kernel on its own, once for those that are alike.
    own = Alike(lambda kernel, own: schedule(kernel, target, own), facts.new_values)
    scheduled = joined(_each(lowered, own), storages)

    # Whether a state may be overwritten depends on how kernels run through it; what may not is copied at the end.
    over = in_place(scheduled, storages, facts)
    late = _lowered([Fusion(e.indices, (e,)) for e in copies(facts, over)], storages, "copy")
    parts = (*scheduled, *_each(late, lambda kernel: schedule(kernel, target)))
    texts["schedule"] = lambda: _text(parts)
    placed = seen(plan)(parts, storages, facts, over, own_blocks)

    # Whether threads hinder one another is a question of memory, so it is asked when all have their places.
    divided = seen(distribute, distributed_lines)(parts, placed)

    # Text, not an object model: it is three times faster to write, and it is what one reads when one asks.
    def emitted() -> Iterable[Module]:
        return emit(divided, placed, {t.name: t.dtype for t in facts.tensors}, target)

    modules = functools.cache(lambda: tuple(emitted()))
    texts["emit"] = lambda: "\n".join(module.text for module in modules())
    texts["assembly"] = lambda: "\n".join(
        jit.assembly(m.text, target, m.is_plain) for m in modules()
    )

    @functools.cache
    def program() -> Program:
        return Program(
            slots=placed.slots,
            arena=placed.arena,
            own=placed.own,
            zeros=placed.zeros,
            states=tuple(state for state, _ in system.updates),
            limits=limits(system),
            objects=_objects(emitted(), settings),
            for_team=is_for_team(divided),
        )

    explanation.program = program
    explanation.timed = lambda: _timed(program(), divided, placed, storages, settings)
    return explanation


def _timed(
    program: Program,
    parts: Sequence[Any],
    placed: Plan,
    storages: Mapping[str, Storage],
    settings: Settings,
) -> TimedProgram:
    """The program once more, taking the time of its kernels."""
    marked, kernels = timed(parts)
    dtypes = {name: storage.tensor.dtype for name, storage in storages.items()}
    objects = _objects(emit(marked, placed, dtypes, settings.target), settings)
    sizes = {
        n: (math.prod(s.tensor.shape), dtype_of(s.tensor.dtype).bytes) for n, s in storages.items()
    }
    return TimedProgram.of(replace(program, objects=objects), kernels, sizes)


def _objects(emitted: Iterable[Module], settings: Settings) -> tuple[bytes, ...]:
    """The object code of modules, which is kept by the text that it was made from."""
    cache, versions = opened(settings.cache), jit.versions()
    keys: dict[str, None] = {}  # in order
    found: dict[str, bytes] = {}
    begun: dict[str, Future[bytes]] = {}
    with jit.compiling(settings.target, settings.threads) as begin:
        for module in emitted:
            key = module_key(module.text, settings.target, versions)
            keys[key] = None
            data = cache.get(key) if cache else None
            if data is None:
                begun[key] = begin(*module)
            else:
                found[key] = data
    for key, each in begun.items():
        found[key] = each.result()
        if cache:
            cache.put(key, found[key])
    return tuple([found[key] for key in keys])


def _lowered(
    parts: Sequence[Any],
    storages: Mapping[str, Storage],
    name: str = "kernel",
) -> tuple[Any, ...]:
    """Kernels in the place of equations; what has no element vanishes."""
    facts = {n: (s.tensor.shape, s.tensor.dtype, s.borders, s.layout) for n, s in storages.items()}
    once = Lowered(facts, lambda part, name, outer: lower(part, name, storages, dict(outer)))
    return tuple(_within(parts, name, (), once, storages, None))


def _within(
    parts: Sequence[Any],
    name: str,
    outer: Sequence[tuple[Any, int]],
    once: Lowered,
    storages: Mapping[str, Storage],
    numbers: Iterator[int] | None,
) -> Iterator[Any]:
    """``outer`` are the indices around the parts; with ``numbers`` these are one kernel in the end."""
    for k, part in enumerate(parts):
        label = f"{name}_{k}"
        if isinstance(part, Fusion):
            if 0 in part.equations[0].extents.values():
                continue
            if numbers is None:
                yield once(part, label, outer)
            else:
                yield lower(part, label, storages, dict(outer), numbers)
            continue
        around = outer
        if isinstance(part, Recurrence):
            around = (*outer, (part.index, part.size))
        elif isinstance(part, Strand):
            around = (*outer, (part.index, part.stop))
        elif isinstance(part, Together):  # one kernel, whose registers have numbers
            around = (*outer, *part.extents)
        own = (numbers or count(1)) if isinstance(part, Together) else None
        steps = tuple(_within(part.steps, label, around, once, storages, own))
        yield replace(part, steps=steps)


def _each(parts: Sequence[Any], change: Callable[[Kernel], Kernel]) -> tuple[Any, ...]:
    return tuple(
        change(part) if isinstance(part, Kernel) else replace(part, steps=_each(part.steps, change))
        for part in parts
    )


def _text(parts: Sequence[Any]) -> str:
    lines = []
    for part in parts:
        if isinstance(part, Kernel):
            lines.append(str(part))
        else:
            around = next(step_lines([replace(part, steps=())]))
            inner = _text(part.steps).replace("\n", "\n    ")
            lines.append(f"{around}\n    {inner}")
    return "\n".join(lines)
