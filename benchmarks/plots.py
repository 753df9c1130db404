"""The plot of a group: bars of the ratios, or curves of the times over a size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
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
    best = ratios(found)
    figure.set_size_inches(1.5 + 0.45 * len(best) + 0.65 * max(0, 10 - len(best)), 4)
    axes = figure.subplots()
    bars = axes.bar(list(best), list(best.values()), color="#4c72b0", width=0.6)
    axes.bar_label(bars, fmt="%.1f", fontsize=7)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_ylabel("best peer / graphnn")
    if len(best) > 10:
        axes.tick_params("x", rotation=90, labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _curves(figure, found: Sequence[Measurement]):
    """A panel for each curve: its cases end in the number over which it is drawn."""
    rows = rows_of(found)
    curves = [(key, list(names)) for key, names in groupby(rows, lambda n: n.rpartition("-")[0])]
    columns = min(len(curves), 4)
    lines = -(-len(curves) // columns)
    figure.set_size_inches(3.4 * columns, 2.8 * lines)
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for axes, (curve, names) in zip(panels, curves, strict=False):
        for framework in rows[names[0]]:
            points = [
                (int(name.rpartition("-")[2]), rows[name][framework].milliseconds)
                for name in names
                if not rows[name][framework].problem
            ]
            width = 2 if framework == OURS else 1
            axes.plot(*zip(*points, strict=True), marker=".", linewidth=width, label=framework)
        axes.set(xscale="log", yscale="log", title=curve.replace("-", " over "))
        axes.set_xticks([x for x, _ in points], [str(x) for x, _ in points], minor=False)
        axes.minorticks_off()
    for axes in list(panels)[: len(curves)]:
        axes.set_ylabel("ms")
    figure.axes[0].legend(fontsize=7)
    return figure
