"""Gradients by text: looked up in the shipped file, then in the user's cache, derived only if neither has them.

    y[..., o] = sum[i](x[..., i]*W[i, o]) + b[o]
    given g_y:
        d_x[..., i] = sum[o](W[i, o]*g_y[..., o])
        d_W[i, o] = sum[...](g_y[..., o]*x[..., i])
        d_b[o] = sum[...](g_y[..., o])

A gradient depends on nothing but its formula and the code that derives it, so a text is all there is to keep. The
shipped file, `ready.txt`, holds the catalogue's; with it no sympy is imported for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from compiler.language.expression import ELLIPSIS, Reduce, walk
from compiler.machine.cache import generator_version, opened
from compiler.options import cache_directory

from ..notation import Resolved, resolved_text
from .naming import TwoBundlesError

__all__ = ["READY", "gradient_text", "ready_blocks"]

READY = Path(__file__).with_name("ready.txt")
_INDENT = "    "


def gradient_text(resolved: Resolved) -> str:
    """The formula of the gradients of a formula, as text."""
    question = _question(resolved)
    found = _ready().get(question)
    if found is not None:
        return found
    kept = opened(cache_directory())
    key = hashlib.sha256(f"{_version()}\n{question}".encode()).hexdigest()
    payload = kept.get(key) if kept else None
    if payload is not None:
        return payload.decode()
    text = _derived(resolved)
    if kept:
        kept.put(key, text.encode())
    return text


def ready_blocks(formulas: Iterable[Resolved]) -> str:
    """The contents of the shipped file for these formulas, derived anew."""
    blocks = {_question(r): _derived(r) for r in formulas}
    return "\n\n".join(
        "\n".join([question, *(_INDENT + line for line in answer.splitlines())])
        for question, answer in blocks.items()
    )


def _question(resolved: Resolved) -> str:
    seeds = ", ".join(f"g_{name}" for name in resolved.outputs)
    return f"{resolved_text(resolved)}\ngiven {seeds}:"


def _derived(resolved: Resolved) -> str:
    from .derive import derive  # lazy: most gradients are ready

    result = derive(resolved)
    binders = (
        b
        for e in result.equations
        for n in walk(e.value)
        if isinstance(n, Reduce)
        for b in n.binders
    )
    if any(getattr(n, "axis", None) == ELLIPSIS and i.name != ELLIPSIS for i, n in binders):
        raise TwoBundlesError("the axes of '...' stand here in two roles")
    return resolved_text(result)


@cache
def _ready() -> dict[str, str]:
    found = {}
    for block in READY.read_text(encoding="utf-8").strip("\n").split("\n\n"):
        question, colon, answer = block.partition(":\n" + _INDENT)
        found[question + colon[:1]] = answer.replace("\n" + _INDENT, "\n")
    return found


@cache
def _version() -> str:
    """A digest of the code that derives: other code might derive another form."""
    digest = hashlib.sha256(generator_version().encode())
    package = Path(__file__).parent
    for path in sorted((*package.glob("*.py"), *(package.parent / "notation").glob("*.py"))):
        digest.update(f"{path.name}:".encode() + path.read_bytes())
    return digest.hexdigest()
