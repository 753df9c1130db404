"""The plot of a group: bars of the ratios, or curves of the times over a size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import floor, log2
from pathlib import Path

from .cases import Group
from .harness import Measurement
from .report import OURS, ratios, rows_of

__all__ = ["plot"]


def plot(folder: Path, group: Group, found: Sequence[Measurement]) -> None:
    """Write the group's .png, if matplotlib is there and there is something to compare."""
    try:
        from matplotlib.figure import Figure  # the tables do without it
    except ModuleNotFoundError:
        return
    if not ratios(found):
        return
    draw = _curves if group.curves else _bars
    draw(Figure(layout="constrained"), found).savefig(folder / f"{group.name}.png", dpi=150)


def _bars(figure, found: Sequence[Measurement]):
    """Bars up from 1 where graphnn is faster, down where it is slower."""
    best = ratios(found)
    many = len(best) > 10
    figure.set_size_inches(1.5 + (0.3 if many else 0.9) * len(best), 4)
    axes = figure.subplots()
    bars = axes.bar(list(best), [ratio - 1 for ratio in best.values()], bottom=1, color="#4c72b0")
    axes.bar_label(bars, [f"{ratio:.1f}" for ratio in best.values()], fontsize=7)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set(yscale="log", ylabel="best peer / graphnn", xlim=(-0.6, len(best) - 0.4))
    _powers_of_two(axes, list(best.values()))
    if many:
        axes.tick_params("x", rotation=90, labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _curves(figure, found: Sequence[Measurement]):
    """A panel for each curve: its cases end in the number over which it is drawn."""
    rows = rows_of(found)
    curves = [(key, list(names)) for key, names in groupby(rows, lambda n: n.rpartition("-")[0])]
    columns = min(len(curves), 5)
    lines = -(-len(curves) // columns)
    figure.set_size_inches(3 * columns, 2.6 * lines)
    for place, (curve, names) in enumerate(curves, 1):
        axes = figure.add_subplot(lines, columns, place)
        sizes = {name: int(name.rpartition("-")[2]) for name in names}
        times = []
        for framework in rows[names[0]]:
            done = [name for name in names if not rows[name][framework].problem]
            height = [rows[name][framework].milliseconds for name in done]
            width = 2 if framework == OURS else 1
            where = [sizes[name] for name in done]
            axes.plot(where, height, marker=".", linewidth=width, label=framework)
            times += height
        axes.set(xscale="log", yscale="log", title=curve.replace("-", " over "), ylabel="ms")
        axes.set_xticks(list(sizes.values()), [str(size) for size in sizes.values()])
        axes.set_xticks([], minor=True)
        _powers_of_two(axes, times)
    figure.axes[0].legend(fontsize=7)
    return figure


def _powers_of_two(axes, values: Sequence[float]) -> None:
    """Ticks that all can be read, in numbers as they are spoken: at most ten."""
    first, last = (floor(log2(value)) for value in (min(values), max(values)))
    ticks = [2.0**k for k in range(first, last + 2, 1 + (last - first) // 10)]
    axes.set_yticks(ticks, [f"{tick:.3g}" for tick in ticks])
    axes.set_yticks([], minor=True)
