"""What was measured, as Markdown tables, as JSON and as a plot.

The figure to look at is the ratio: milliseconds of the fastest peer over those of graphnn.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from math import isclose
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

from .harness import FRAMEWORKS, Measurement, Settings

__all__ = ["ratios", "save", "tables"]

OURS = "graphnn"


def ratios(found: Sequence[Measurement]) -> dict[str, float]:
    """Time of the best peer over ours, for each workload that we and some peer have run."""
    result = {}
    for workload, row in _rows(found).items():
        times = {name: m.milliseconds for name, m in row.items() if m.milliseconds is not None}
        peers = [time for name, time in times.items() if name != OURS]
        if OURS in times and peers:
            result[workload] = min(peers) / times[OURS]
    return result


def tables(found: Sequence[Measurement]) -> str:
    """Markdown: times with the ratio, starts, memory; then what is missing or not to be trusted."""
    best = ratios(found)
    mean = [f"Geometric mean of the ratios: {geometric_mean(best.values()):.2f}."] if best else []
    last = {workload: f"{ratio:.2f}" for workload, ratio in best.items()}
    parts = [
        "Milliseconds per training step (median of the turns):",
        _table(found, lambda m: f"{m.milliseconds:.3g}", "best peer / graphnn", last),
        *mean,
        "Seconds from a fresh process to the end of its first step, cache empty / filled:",
        _table(found, _starts),
        "Most memory the process has held, in MB:",
        _table(found, lambda m: f"{m.megabytes:.0f}"),
        *_remarks(found),
    ]
    return "\n\n".join(parts)


def save(folder: Path, found: Sequence[Measurement], settings: Settings) -> None:
    """Write results.md, results.json and results.png (if there is a ratio and matplotlib)."""
    folder.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {
        "machine": _machine(),
        "settings": asdict(settings),
        "ratios": ratios(found),
        "measurements": [asdict(m) | {"milliseconds": m.milliseconds} for m in found],
    }
    (folder / "results.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    lines = [f"{key}: {value}" for key, value in document["machine"].items()]
    text = "\n\n".join([tables(found), "\n".join(f"* {line}" for line in lines)])
    (folder / "results.md").write_text(text + "\n", encoding="utf-8")
    if ratios(found):
        _plot(folder / "results.png", ratios(found))


def _rows(found: Sequence[Measurement]) -> dict[str, dict[str, Measurement]]:
    rows: dict[str, dict[str, Measurement]] = {}
    for measurement in found:
        rows.setdefault(measurement.workload, {})[measurement.framework] = measurement
    return rows


def _table(
    found: Sequence[Measurement],
    cell: Callable[[Measurement], str],
    title: str = "",
    last: Mapping[str, str] | None = None,
) -> str:
    """One row a workload, one column a framework, and a last column where one is given."""
    names = list(dict.fromkeys(m.framework for m in found))
    head = ["workload", *names] + ([title] if title else [])
    body = [
        [workload, *("-" if row[name].problem else cell(row[name]) for name in names)]
        + ([(last or {}).get(workload, "-")] if title else [])
        for workload, row in _rows(found).items()
    ]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(
        "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |"
        for row in (head, rule, *body)
    )


def _starts(m: Measurement) -> str:
    return " / ".join(f"{median(t):.2f}" if t else "-" for t in (m.cold_starts, m.warm_starts))


def _remarks(found: Sequence[Measurement]) -> Iterator[str]:
    """Why a figure is missing, is not steady, or compares what did not train alike."""
    for workload, row in _rows(found).items():
        trained = {name: m.losses for name, m in row.items() if not m.problem}
        for name, m in row.items():
            if m.problem:
                yield f"{workload} in {name}: no figures, {m.problem}."
            elif max(m.turns) > 1.5 * min(m.turns):
                span = f"{min(m.turns):.3g} to {max(m.turns):.3g} ms"
                yield f"{workload} in {name}: turns from {span}, the machine was not quiet."
        for (first, expected), (name, losses) in pairwise(trained.items()):
            pairs = zip(expected, losses, strict=True)
            if not all(isclose(a, b, rel_tol=1e-3) for a, b in pairs):
                yield f"{workload}: {name} does not train like {first}, the ratio means nothing."


def _machine() -> dict[str, str]:
    processors = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    packages = dict.fromkeys(framework.package for framework in FRAMEWORKS.values())
    return {
        "processor": f"{_processor()}, {len(processors)} usable",
        "load": f"{os.getloadavg()[0]:.1f} in the last minute, the measuring included",
        "system": platform.platform(),
        "python": platform.python_version(),
    } | {package: _version(package) for package in packages}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _plot(path: Path, best: Mapping[str, float]) -> None:
    try:
        from matplotlib.figure import Figure  # the tables do without it
    except ModuleNotFoundError:
        return
    figure = Figure(figsize=(1.5 + 1.1 * len(best), 3.5), layout="constrained")
    axes = figure.subplots()
    bars = axes.bar(list(best), list(best.values()), color="#4c72b0", width=0.6)
    axes.bar_label(bars, fmt="%.2f")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_ylabel("best peer / graphnn")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
