"""What was measured, as Markdown tables and as JSON.

The figure to look at is the ratio: milliseconds of the fastest peer over those of graphnn. Beside
it stands the share of the roofline that graphnn reaches: the time that the operations of the
defining formulas take at the processors' peak, or the bytes at memory's rate if that is longer,
over its time. Another algorithm, or a cache, may take it above 100 %.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from itertools import chain, pairwise
from math import isclose
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

from .cases import CASES, Group
from .harness import FRAMEWORKS, Measurement, Settings
from .probe import Limits

__all__ = ["OURS", "ratios", "rows_of", "save", "tables"]

OURS = "graphnn"
Rows = dict[str, dict[str, Measurement]]


def rows_of(found: Sequence[Measurement]) -> Rows:
    """The measurements of each case by framework."""
    rows: Rows = {}
    for measurement in found:
        rows.setdefault(measurement.case, {})[measurement.framework] = measurement
    return rows


def ratios(found: Sequence[Measurement]) -> dict[str, float]:
    """Time of the best peer over ours, for each case that we and some peer have done."""
    result = {}
    for case, row in rows_of(found).items():
        times = {name: m.milliseconds for name, m in row.items() if m.milliseconds is not None}
        peers = [time for name, time in times.items() if name != OURS]
        if OURS in times and peers:
            result[case] = min(peers) / times[OURS]
    return result


def tables(group: Group, found: Sequence[Measurement], limits: Limits) -> str:
    """Markdown: times, ratios, shares of the roofline; starts and memory where they were asked for;
    then what is missing or not to be trusted.
    """
    best = ratios(found)
    mean = f"Geometric mean of the ratios: {geometric_mean(best.values()):.2f}, " if best else ""
    columns = {
        "best peer / graphnn": {case: f"{ratio:.2f}" for case, ratio in best.items()},
        **_rooflines(found, limits),
    }
    parts = [
        f"{group.title}, milliseconds (median of the turns):",
        _table(found, lambda m: f"{m.milliseconds:.3g}", columns),
        f"{mean}lowest {min(best.values()):.2f}." if best else "",
        f"The roofline: {limits.giga_operations:.0f} GFLOP/s, {limits.giga_bytes:.0f} GB/s.",
    ]
    if group.starts and any(m.cold_starts for m in found):
        parts += [
            "Seconds from a fresh process to the end of its first step, cache empty / filled:",
            _table(
                found, lambda m: f"{median(m.cold_starts):.2f} / {median(m.warm_starts):.2f}", {}
            ),
        ]
    if group.fresh:
        parts += [
            "Most memory the process has held, in MB:",
            _table(found, lambda m: f"{m.megabytes:.0f}", {}),
        ]
    return "\n\n".join([part for part in parts if part] + list(_remarks(found)))


def save(
    folder: Path,
    group: Group,
    found: Sequence[Measurement],
    limits: Limits,
    settings: Settings,
) -> None:
    """Write the group's tables and figures as .md and .json."""
    folder.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {
        "machine": _machine(),
        "limits": asdict(limits),
        "settings": asdict(settings),
        "ratios": ratios(found),
        "measurements": [asdict(m) | {"milliseconds": m.milliseconds} for m in found],
    }
    text = json.dumps(document, indent=1) + "\n"
    (folder / f"{group.name}.json").write_text(text, encoding="utf-8")
    lines = "\n".join(f"* {key}: {value}" for key, value in document["machine"].items())
    text = f"{tables(group, found, limits)}\n\n{lines}\n"
    (folder / f"{group.name}.md").write_text(text, encoding="utf-8")


def _rooflines(found: Sequence[Measurement], limits: Limits) -> dict[str, dict[str, str]]:
    """The least time of each case, our operations a second, the share of the roofline."""
    least, rate, share = {}, {}, {}
    for name, row in rows_of(found).items():
        case = CASES[name]
        if case.threads:  # the limits are those of the usual number
            continue
        work = case.workload.operations(case.task)
        milliseconds = limits.milliseconds(work, case.workload.traffic(case.task))
        least[name] = f"{milliseconds:.3g}"
        ours = row[OURS].milliseconds if OURS in row else None
        if ours is not None:
            rate[name] = f"{work / ours / 1e6:.0f}"
            share[name] = f"{milliseconds / ours:.0%}"
    return {"roofline": least, "GFLOP/s": rate, "share": share}


def _table(
    found: Sequence[Measurement],
    cell: Callable[[Measurement], str],
    columns: Mapping[str, Mapping[str, str]],
) -> str:
    """One row a case, one column a framework, and further columns by their titles."""
    names = list(dict.fromkeys(m.framework for m in found))
    head = ["", *names, *columns]
    body = [
        [
            case,
            *("-" if row[name].problem else cell(row[name]) for name in names),
            *(column.get(case, "-") for column in columns.values()),
        ]
        for case, row in rows_of(found).items()
    ]
    widths = [max(3, *map(len, column)) for column in zip(head, *body, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(
        "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |"
        for row in (head, rule, *body)
    )


def _remarks(found: Sequence[Measurement]) -> Iterator[str]:
    """Why a figure is missing, is not steady, or compares what did not do the same."""
    for case, row in rows_of(found).items():
        for name, m in row.items():
            if m.problem:
                yield f"{case} in {name}: no figures, {m.problem}."
            elif max(m.turns) > 1.5 * min(m.turns):
                span = f"{min(m.turns):.3g} to {max(m.turns):.3g} ms"
                yield f"{case} in {name}: turns from {span}, the machine was not quiet."
        done = {name: list(chain(*m.results)) for name, m in row.items() if not m.problem}
        for (first, expected), (name, results) in pairwise(done.items()):
            pairs = zip(expected, results, strict=True)
            if not all(isclose(a, b, rel_tol=1e-3) for a, b in pairs):
                yield f"{case}: {name} does not compute what {first} does, the ratio means nothing."


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
