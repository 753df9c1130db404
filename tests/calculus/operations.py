"""Operations to derive, as texts with small shapes: what the catalogue has, and what it has not."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["OPERATIONS", "Case"]

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Case:
    """A formula, the shapes of its operands, and which of them hold whole numbers below a bound or positive numbers."""

    text: str
    shapes: dict[str, Shape]
    attributes: dict[str, int | float] = field(default_factory=dict)
    whole: dict[str, int] = field(default_factory=dict)
    positive: tuple[str, ...] = ()
    outputs: tuple[str, ...] | None = None


_ROW = {"x": (2, 5)}
_IMAGE = {"x": (1, 5, 6, 2)}
_FILTER = {**_IMAGE, "K": (3, 2, 2, 2)}
_CELL = {"x": (2, 3, 2), "W": (2, 4, 2), "U": (2, 4, 2), "b": (4, 2)}
_CONV = "y[n, h, w, o] = sum[i, j, c](x[n, s*h + i, s*w + j, c] * K[i, j, c, o]) + b[o]"
_SOFTMAX = "p[..., i] = exp(x[..., i]) / sum[j](exp(x[..., j]))\n"
_LAYERNORM = """mu[...] = mean[j](x[..., j])
v[...] = mean[j]((x[..., j] - mu[...])**2)
y[..., i] = gamma[i]*(x[..., i] - mu[...])/sqrt(v[...] + eps) + beta[i]"""
_BATCHNORM = """mu[c] = mean[...](x[..., c])
v[c] = mean[...]((x[..., c] - mu[c])**2)
y[..., c] = gamma[c]*(x[..., c] - mu[c])/sqrt(v[c] + eps) + beta[c]
rm.new[c] = r*rm[c] + (1 - r)*mu[c]"""
_ATTENTION = """q[n, h, t, d] = sum[e](x[n, t, e]*Wq[e, h, d]) + bq[h, d]
k[n, h, t, d] = sum[e](x[n, t, e]*Wk[e, h, d]) + bk[h, d]
v[n, h, t, d] = sum[e](x[n, t, e]*Wv[e, h, d]) + bv[h, d]
s[n, h, t, u] = sum[d](q[n, h, t, d]*k[n, h, u, d]) / sqrt(dim(Wq, 2))
a[n, h, t, u] = exp(s[n, h, t, u]) / sum[l](exp(s[n, h, t, l]))
o[n, h, t, d] = sum[u](a[n, h, t, u]*v[n, h, u, d])
y[n, t, f] = sum[h, d](o[n, h, t, d]*Wo[h, d, f]) + bo[f]"""
_HEADS = dict.fromkeys(("Wq", "Wk", "Wv"), (2, 2, 2)) | dict.fromkeys(("bq", "bk", "bv"), (2, 2))
_CAUSAL = """s[n, t, u] = sum[d](q[n, t, d]*k[n, u, d]) / sqrt(dim(q, 2))
a[n, t, u] = where(u <= t, exp(s[n, t, u]), 0) / sum[l](where(l <= t, exp(s[n, t, l]), 0))
y[n, t, d] = sum[u](a[n, t, u]*v[n, u, d])"""
_MASKED = """s[n, t, u] = where(u <= t, sum[d](q[n, t, d]*k[n, u, d]) / sqrt(dim(q, 2)), -1000000000)
a[n, t, u] = exp(s[n, t, u]) / sum[l](exp(s[n, t, l]))
y[n, t, d] = sum[u](a[n, t, u]*v[n, u, d])"""
_LSTM = """z[n, t, g:4, u] = sum[e](x[n, t, e]*W[e, g, u]) + sum[k](h[n, t-1, k]*U[k, g, u]) + b[g, u]
c[n, t, u] = sigmoid(z[n, t, 1, u])*c[n, t-1, u] + sigmoid(z[n, t, 0, u])*tanh(z[n, t, 2, u])
h[n, t, u] = sigmoid(z[n, t, 3, u])*tanh(c[n, t, u])"""
_LSTM_STATE = """z[n, t:dim(x, 1), g, u] = sum[e](x[n, t, e]*W[e, g, u]) + sum[k](h[n, t, k]*U[k, g, u]) + b[g, u]
c[n, 0, u] = c0[n, u]
c[n, t+1, u] = sigmoid(z[n, t, 1, u])*c[n, t, u] + sigmoid(z[n, t, 0, u])*tanh(z[n, t, 2, u])
h[n, 0, u] = h0[n, u]
h[n, t+1, u] = sigmoid(z[n, t, 3, u])*tanh(c[n, t+1, u])"""
_GRU = """a[n, t, g:3, u] = sum[e](x[n, t, e]*W[e, g, u]) + b[g, u]
r[n, t, u] = sigmoid(a[n, t, 0, u] + sum[k](h[n, t-1, k]*U[k, 0, u]))
z[n, t, u] = sigmoid(a[n, t, 1, u] + sum[k](h[n, t-1, k]*U[k, 1, u]))
m[n, t, u] = tanh(a[n, t, 2, u] + r[n, t, u]*sum[k](h[n, t-1, k]*U[k, 2, u]))
h[n, t, u] = z[n, t, u]*h[n, t-1, u] + (1 - z[n, t, u])*m[n, t, u]"""
_RNN = "h[n, t, u] = tanh(sum[e](x[n, t, e]*W[e, u]) + sum[k](h[n, t-1, k]*U[k, u]) + b[u])"
_TRANSPOSED = """y[n, h:2*dim(x, 1)+1, w:2*dim(x, 2)+1, o] = sum[i, j, c](where(
(h - i) % 2 == 0 and (w - j) % 2 == 0, x[n, (h - i)//2, (w - j)//2, c] * K[i, j, c, o], 0))"""

OPERATIONS: dict[str, Case] = {
    "relu": Case("y[...] = max(0, x[...])", _ROW),
    "sigmoid": Case("y[...] = 1 / (1 + exp(-x[...]))", _ROW),
    "tanh": Case("y[...] = (exp(x[...]) - exp(-x[...])) / (exp(x[...]) + exp(-x[...]))", _ROW),
    "leaky relu": Case("y[...] = max(0.01*x[...], x[...])", _ROW),
    "exp": Case("y[...] = exp(x[...])", _ROW),
    "root": Case("y[...] = sqrt(x[...]**2 + 1)", _ROW),
    "softplus": Case("y[...] = log(1 + exp(x[...]))", _ROW),
    "silu": Case("y[...] = x[...] / (1 + exp(-x[...]))", _ROW),
    "gelu": Case("y[...] = 0.5*x[...]*(1 + erf(x[...]/sqrt(2)))", _ROW),
    "elu": Case("y[...] = where(x[...] > 0, x[...], exp(x[...]) - 1)", _ROW),
    "abs": Case("y[...] = abs(x[...])", _ROW),
    "power": Case(
        "y[...] = x[...]**3 + z[...]**w", {**_ROW, "z": (2, 5), "w": ()}, positive=("z",)
    ),
    "softmax": Case("y[..., i] = exp(x[..., i]) / sum[j](exp(x[..., j]))", _ROW),
    "shifted softmax": Case(
        "m[...] = max[j](x[..., j])\n"
        "y[..., i] = exp(x[..., i] - m[...]) / sum[j](exp(x[..., j] - m[...]))",
        _ROW,
    ),
    "log softmax": Case("y[..., i] = x[..., i] - log(sum[j](exp(x[..., j])))", _ROW),
    "dense": Case("y[..., o] = sum[i](x[..., i]*W[i, o]) + b[o]", {**_ROW, "W": (5, 3), "b": (3,)}),
    "matrix product": Case("y[n, o] = sum[i](x[n, i]*W[i, o])", {**_ROW, "W": (5, 3)}),
    "dense tanh": Case("y[..., o] = tanh(sum[i](x[..., i]*W[i, o]))", {**_ROW, "W": (5, 3)}),
    "conv": Case(_CONV, {**_FILTER, "b": (2,)}, {"s": 1}),
    "conv stride 2": Case(_CONV, {**_FILTER, "b": (2,)}, {"s": 2}),
    "conv same": Case(
        "y[n, h:dim(x, 1), w:dim(x, 2), o] = sum[i, j, c](x[n, h + i - 1, w + j - 1, c]*K[i, j, c, o])",
        _FILTER,
    ),
    "depthwise": Case(
        "y[n, h, w, c] = sum[i, j](x[n, h + i, w + j, c] * K[i, j, c])", {**_IMAGE, "K": (3, 2, 2)}
    ),
    "conv transposed": Case(_TRANSPOSED.replace("\n", " "), {"x": (1, 2, 3, 2), "K": (3, 3, 2, 2)}),
    "max pool": Case("y[n, h, w, c] = firstmax[i:2, j:2](x[n, 2*h + i, 2*w + j, c])", _IMAGE),
    "max pool overlapping": Case("y[n, h, w, c] = max[i:3, j:3](x[n, h + i, w + j, c])", _IMAGE),
    "average pool": Case("y[n, h, w, c] = mean[i:2, j:2](x[n, 2*h + i, 2*w + j, c])", _IMAGE),
    "global max": Case("y[n, c] = max[h, w](x[n, h, w, c])", _IMAGE),
    "global min": Case("y[n, c] = firstmin[h, w](x[n, h, w, c])", _IMAGE),
    "embedding": Case("y[..., e] = E[t[...], e]", {"t": (2, 4), "E": (10, 3)}, whole={"t": 10}),
    "layer norm": Case(_LAYERNORM, {**_ROW, "gamma": (5,), "beta": (5,)}, {"eps": 0.01}),
    "batch norm": Case(
        _BATCHNORM, {**_ROW, "gamma": (5,), "beta": (5,), "rm": (5,)}, {"eps": 0.01, "r": 0.9}
    ),
    "dropout": Case("y[...] = x[...]*mask[...]/keep", {**_ROW, "mask": (2, 5)}, {"keep": 0.8}),
    "split": Case("y[n, a:2, b:6] = x[n, [a, b]]", {"x": (2, 12)}),
    "fuse": Case("y[n, [a, b]] = x[n, a, b]", {"x": (2, 3, 4)}),
    "concat": Case(
        "y[..., k:dim(a, -1)+dim(b, -1)] = where(k < dim(a, -1), a[..., k], b[..., k - dim(a, -1)])",
        {"a": (2, 2), "b": (2, 3)},
    ),
    "concat in two lines": Case(
        "y[..., i] = a[..., i]\ny[..., dim(a, -1) + j] = b[..., j]", {"a": (2, 2), "b": (2, 3)}
    ),
    "pad": Case("y[n, h:dim(x, 1)+2, w:dim(x, 2)+2, c] = x[n, h - 1, w - 1, c]", _IMAGE),
    "transpose": Case("y[n, j, i] = x[n, i, j]", {"x": (2, 3, 4)}),
    "slice": Case("y[n, i:3] = x[n, i + 1]", _ROW),
    "reverse": Case("y[n, i:dim(x, 1)] = x[n, dim(x, 1) - 1 - i]", _ROW),
    "upsample": Case("y[n, h:2*dim(x, 1), w:2*dim(x, 2), c] = x[n, h//2, w//2, c]", _IMAGE),
    "cycle": Case("y[n, i:7] = x[n, i % 3]", _ROW),
    "diagonal": Case("y[i] = x[i, i]", {"x": (4, 4)}),
    "product": Case("y[n] = prod[i](x[n, i])", _ROW),
    "squared error": Case("L = mean[...]((p[...] - t[...])**2)", {"p": (2, 3), "t": (2, 3)}),
    "binary cross-entropy": Case(
        "L = -mean[...](t[...]*log(p[...]) + (1 - t[...])*log(1 - p[...]))",
        {"p": (3,), "t": (3,)},
        positive=("p",),
    ),
    "sigmoid + cross-entropy": Case(
        "p[...] = 1/(1 + exp(-x[...]))\n"
        "L = -mean[...](t[...]*log(p[...]) + (1 - t[...])*log(1 - p[...]))",
        {"x": (3,), "t": (3,)},
    ),
    "cross-entropy": Case(
        "L = -mean[...](sum[i](t[..., i]*log(p[..., i])))",
        {"p": (2, 3), "t": (2, 3)},
        positive=("p",),
    ),
    "sparse cross-entropy": Case(
        "L = -mean[...](log(p[..., t[...]]))",
        {"p": (2, 3), "t": (2,)},
        whole={"t": 3},
        positive=("p",),
    ),
    "softmax + cross-entropy": Case(
        _SOFTMAX + "L = -mean[...](sum[i](t[..., i]*log(p[..., i])))", {"x": (2, 3), "t": (2, 3)}
    ),
    "softmax + sparse cross-entropy": Case(
        _SOFTMAX + "L = -mean[...](log(p[..., t[...]]))", {"x": (2, 3), "t": (2,)}, whole={"t": 3}
    ),
    "attention": Case(_ATTENTION, {"x": (1, 3, 2), **_HEADS, "Wo": (2, 2, 2), "bo": (2,)}),
    "causal attention": Case(_CAUSAL, dict.fromkeys("qkv", (1, 3, 2))),
    "masked attention": Case(_MASKED, dict.fromkeys("qkv", (1, 3, 2))),
    "simple rnn": Case(_RNN, {"x": (2, 3, 2), "W": (2, 2), "U": (2, 2), "b": (2,)}),
    "lstm": Case(_LSTM, _CELL),
    "lstm with state": Case(_LSTM_STATE, {**_CELL, "h0": (2, 2), "c0": (2, 2)}),
    "gru": Case(_GRU, {"x": (2, 3, 2), "W": (2, 3, 2), "U": (2, 3, 2), "b": (3, 2)}),
    "running sum": Case("y[n, t] = y[n, t-1] + x[n, t]", _ROW),
    "scatter": Case(
        "y[i:4] = b[i]\ny[t[n]] += x[n]**2", {"t": (5,), "x": (5,), "b": (4,)}, whole={"t": 4}
    ),
}
