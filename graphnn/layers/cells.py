"""Cells: the formulas of recurrent layers, each in the variants that its layer can ask for.

    h[n, t, u] = tanh(sum[e](x[n, t, e]*K[e, u]) + b[u] + sum[k](h[n, t - 1, k]*U[k, u]))

A sequence is one system of equations, however long it is. What is read before its first step is zero, as every read
out of range is; an initial state is added there. A step that is masked leaves the states as they are. The gates of a
cell stand side by side in one axis ``j`` of its weights, gate after gate.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import activations
from ..catalogue import define
from .written import Written, written

__all__ = ["Words", "gru", "gru_reset_before", "last_step", "lstm", "simple_rnn"]

last_step = define(
    "last_step",
    "y[n, u] = h[n, dim(h, 1) - 1, u]",
    samples=[{"h": (2, 3, 2)}],
    group="layer",
)


class Words:
    """The parts that the formulas of all cells share, as one variant of a cell has them."""

    def __init__(
        self, bias: bool = True, start: bool = False, backwards: bool = False, masked: bool = False
    ) -> None:
        self.bias, self.start, self.masked = bias, start, masked
        self.time = "t:dim(x, 1)" if backwards else "t"
        self.step = "dim(x, 1) - 1 - t" if backwards else "t"

    def inputs(self, bias: str = "b[j]") -> str:
        """The input's part of what reaches the gates."""
        product = f"sum[e](x[n, {self.step}, e]*K[e, j])"
        return f"{product} + {bias}" if self.bias else product

    def product(self) -> str:
        """The part of the state of the step before."""
        product = "sum[k](h[n, t - 1, k]*U[k, j])"
        first = "where(t == 0, sum[k](h0[n, k]*U[k, j]), 0)"
        return f"{product} + {first}" if self.start else product

    def before(self, state: str) -> str:
        """A state at the step before."""
        old = f"{state}[n, t - 1, u]"
        return f"({old} + where(t == 0, {state}0[n, u], 0))" if self.start else old

    def new(self, state: str, value: str) -> str:
        """A state after the step: at steps that are masked what it was before."""
        kept = f"where(mask[n, {self.step}] != 0, {value}, {self.before(state)})"
        return f"{state}[n, t, u] = {kept if self.masked else value}"


def simple_rnn(words: Words, activation: Written) -> str:
    """A state that feeds back into itself."""
    return f"""\
z[n, {words.time}, j] = {words.inputs()} + {words.product()}
{words.new("h", activation("z[n, t, u]"))}"""


def lstm(words: Words, activation: Written, gate: Written) -> str:
    """A state that gates keep, change and show."""
    return f"""\
z[n, {words.time}, j] = {words.inputs()} + {words.product()}
i[n, t, u:dim(U, 0)] = {gate("z[n, t, u]")}
f[n, t, u:dim(U, 0)] = {gate("z[n, t, dim(U, 0) + u]")}
a[n, t, u:dim(U, 0)] = {activation("z[n, t, 2*dim(U, 0) + u]")}
o[n, t, u:dim(U, 0)] = {gate("z[n, t, 3*dim(U, 0) + u]")}
{words.new("c", f"f[n, t, u]*{words.before('c')} + i[n, t, u]*a[n, t, u]")}
m[n, t, u] = {activation("c[n, t, u]")}
{words.new("h", "o[n, t, u]*m[n, t, u]")}"""


def gru(words: Words, activation: Written, gate: Written) -> str:
    """One gate keeps the state, one lets what comes of it into the candidate."""
    bias = " + b[1, j]" if words.bias else ""
    return f"""\
p[n, {words.time}, j] = {words.inputs("b[0, j]")}
q[n:dim(x, 0), t:dim(x, 1), j] = {words.product()}{bias}
z[n, t, u:dim(U, 0)] = {gate("p[n, t, u] + q[n, t, u]")}
r[n, t, u:dim(U, 0)] = {gate("p[n, t, dim(U, 0) + u] + q[n, t, dim(U, 0) + u]")}
a[n, t, u:dim(U, 0)] = {activation("p[n, t, 2*dim(U, 0) + u] + r[n, t, u]*q[n, t, 2*dim(U, 0) + u]")}
{words.new("h", f"z[n, t, u]*{words.before('h')} + (1 - z[n, t, u])*a[n, t, u]")}"""


def gru_reset_before(words: Words, activation: Written, gate: Written) -> str:
    """As `gru`, but the state itself goes through the second gate, before the product."""
    return f"""\
p[n, {words.time}, j] = {words.inputs()}
q[n:dim(x, 0), t:dim(x, 1), j:2*dim(U, 0)] = {words.product()}
z[n, t, u:dim(U, 0)] = {gate("p[n, t, u] + q[n, t, u]")}
r[n, t, u:dim(U, 0)] = {gate("p[n, t, dim(U, 0) + u] + q[n, t, dim(U, 0) + u]")}
s[n, t, u] = r[n, t, u]*{words.before("h")}
a[n, t, u:dim(U, 0)] = {activation("p[n, t, 2*dim(U, 0) + u] + sum[k](s[n, t, k]*U[k, 2*dim(U, 0) + u])")}
{words.new("h", f"z[n, t, u]*{words.before('h')} + (1 - z[n, t, u])*a[n, t, u]")}"""


def _record(
    name: str, cell: Callable[..., str], gates: int, bias: tuple[int, ...], states: str, source: str
) -> None:
    """The cell as Keras has it by default, and with an initial state, in the catalogue."""
    usual = [written(activations.get(f)) for f in ("tanh", "sigmoid")[: 1 + (gates > 1)]]
    shapes = {"x": (2, 3, 2), "K": (2, 2 * gates), "U": (2, 2 * gates), "b": bias}
    for start in (False, True):
        own = {f"{state}0": (2, 2) for state in states} if start else {}
        define(
            f"{name}_from_state" if start else name,
            cell(Words(start=start), *usual),
            samples=[{**shapes, **own}],
            outputs=("h",),
            group="layer",
            source=source,
        )


_HOCHREITER = (
    "Hochreiter, Schmidhuber: Long Short-Term Memory, 1997;"
    " Gers, Schmidhuber, Cummins: Learning to Forget, 2000"
)
_CHO = (
    "Cho et al.: Learning Phrase Representations using RNN Encoder-Decoder"
    " for Statistical Machine Translation, 2014"
)
_record("simple_rnn", simple_rnn, 1, (2,), "h", "Elman: Finding Structure in Time, 1990")
_record("lstm", lstm, 4, (8,), "hc", _HOCHREITER)
_record("gru", gru, 3, (2, 6), "h", _CHO)
_record("gru_reset_before", gru_reset_before, 3, (6,), "h", _CHO)
