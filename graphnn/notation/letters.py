r"""Letters: how names look in LaTeX, those of tensors, of indices and of numbers.

d_W[i, o]                  \frac{\partial\mathcal{L}}{\partial W_{i,o}}      what is being derived
g_y[n, o], e_z[n, o]       g^{(y)}_{n,o}      what arrives from y; what z's operands share of it
i2, i3                     i', i''
"""

from __future__ import annotations

import re

from compiler.language.expression import ELLIPSIS

__all__ = ["element_latex", "index_latex", "name_latex", "symbol_latex"]

_GREEK = re.compile(
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|rho|sigma|tau|phi|chi|psi|omega"
    "|Gamma|Delta|Theta|Lambda|Xi|Sigma|Phi|Psi|Omega"
)


def name_latex(name: str) -> str:
    r"""A name: one letter in italics, Greek letters as such, all else upright.

    >>> print(name_latex("x"), name_latex("beta"), name_latex("keep_rate"), name_latex("m.new"))
    x \beta \mathrm{keep\_rate} m^{\mathrm{new}}
    """
    if name.endswith(".new"):
        return f"{name_latex(name.removesuffix('.new'))}^{{\\mathrm{{new}}}}"
    if _GREEK.fullmatch(name):
        return f"\\{name}"
    return name if len(name) == 1 else f"\\mathrm{{{_escape(name)}}}"


def _escape(name: str) -> str:
    return re.sub(r"([_#$%&{}])", r"\\\1", name)


def index_latex(name: str) -> str:
    if name == ELLIPSIS:
        return r"\ldots"
    prime = re.fullmatch(r"(.)([23])", name)
    if prime:  # the names that fresh indices get
        return prime[1] + "'" * (int(prime[2]) - 1)
    return name_latex(name)


def symbol_latex(name: str) -> str:
    """An attribute: it has no indices, so that a number after a Greek letter may stand below it."""
    numbered = re.fullmatch(r"([A-Za-z]+)_?(\d+)", name)
    if numbered and _GREEK.fullmatch(numbered[1]):
        return f"\\{numbered[1]}_{{{numbered[2]}}}"
    return name_latex(name)


def element_latex(tensor: str, subscripts: str = "") -> str:
    """A tensor's element; gradients and what arrives from an output are told apart by their form."""
    below = f"_{{{subscripts}}}" if subscripts else ""
    if tensor.startswith("d_") and len(tensor) > 2:
        inner = element_latex(tensor[2:], subscripts)
        return rf"\frac{{\partial\mathcal{{L}}}}{{\partial {inner}}}"
    named = re.fullmatch("(g|e|at)_(.+)", tensor)
    if named:
        return f"{name_latex(named[1])}^{{({element_latex(named[2])})}}{below}"
    return (name_latex(tensor) + below) if subscripts else symbol_latex(tensor)
