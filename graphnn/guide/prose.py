"""The text of entries as HTML: paragraphs, lists, `code`, *stress*, [a link](layers.html)."""

from __future__ import annotations

import re
from html import escape

__all__ = ["html", "plain"]

_MARK = re.compile(
    r"`(?P<code>[^`]+)`|\*(?P<stress>[^*\s][^*]*)\*|\[(?P<words>[^\]]+)\]\((?P<to>\S+?)\)"
)


def html(text: str) -> str:
    """Blocks are separated by blank lines; one that begins with ``* `` is a list.

    >>> html("A *tensor* is `f32[2]`.")
    '<p>A <em>tensor</em> is <code>f32[2]</code>.</p>'
    """
    return "\n".join(map(_block, re.split(r"\n\s*\n", text.strip()))) if text.strip() else ""


def plain(text: str) -> str:
    """The first sentence, without marks.

    >>> plain("A *tensor* is an array. It has a shape.")
    'A tensor is an array.'
    """
    bare = _MARK.sub(lambda m: m["code"] or m["stress"] or m["words"], " ".join(text.split()))
    return re.split(r"(?<=\.)\s", bare, maxsplit=1)[0]


def _block(block: str) -> str:
    if not block.startswith("* "):
        return f"<p>{_inline(block)}</p>"
    items = "".join(f"<li>{_inline(item)}</li>" for item in re.split(r"(?:^|\n)\* ", block)[1:])
    return f"<ul>{items}</ul>"


def _inline(text: str) -> str:
    return _MARK.sub(_marked, escape(" ".join(text.split()), quote=False))


def _marked(match: re.Match[str]) -> str:
    if match["code"]:
        return f"<code>{match['code']}</code>"
    if match["stress"]:
        return f"<em>{match['stress']}</em>"
    return f'<a href="{match["to"]}">{match["words"]}</a>'
