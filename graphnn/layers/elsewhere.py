"""Layers of Keras that are no classes here, for they hold nothing that a formula or a slice does not say.

    layers.UpSampling2D     AttributeError: ... write gn.op("y[n, h:2*dim(x, 1), ...] = x[n, h//2, w//2, c]")(x)

What is said is what a user may write, with ``x``, ``a`` and ``b`` as the inputs; the tests run all of it.
"""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

__all__ = ["INSTEAD", "advice"]

_WINDOW = 'gn.op("y[n, t, c] = {kind}[i:2](x[n, 2*t + i, c])")(x)'

INSTEAD = {
    "AveragePooling1D": _WINDOW.format(kind="mean"),
    "Average": "(a + b)/2",
    "Bidirectional": "gn.concat([layers.LSTM(8)(x), layers.LSTM(8, go_backwards=True)(x)])",
    "Conv1D": 'gn.op("y[n, t, o] = sum[i, c](x[n, t + i, c]*K[i, c, o]) + b[o]")(x, K, b)',
    "Conv2DTranspose": 'gn.op("y[n:dim(x, 0), h:2*dim(x, 1), w:2*dim(x, 2), o:dim(K, 2)] = 0\\n'
    'y[n, 2*h + i, 2*w + j, o] += sum[c](x[n, h, w, c]*K[i, j, o, c])")(x, K)',
    "Cropping2D": "x[:, 1:-1, 1:-1]",
    "DepthwiseConv2D": "layers.Conv2D(channels, 3, groups=channels)(x)",
    "Dot": "gn.sum(a*b, axis=-1, keepdims=True)",
    "ELU": "gn.elu(x)",
    "GlobalAveragePooling1D": "gn.mean(x, axis=1)",
    "GlobalMaxPooling1D": "gn.max(x, axis=1)",
    "GlobalMaxPooling2D": "gn.max(x, axis=(1, 2))",
    "InputLayer": "gn.Input((None, 4))",
    "Lambda": 'gn.op("y[...] = x[...]*sigmoid(x[...])")(x)',
    "LeakyReLU": "gn.leaky_relu(x, 0.2)",
    "Masking": 'gn.op("m[n, t] = max[i](abs(x[n, t, i])) > 0")(x)',
    "MaxPooling1D": _WINDOW.format(kind="firstmax"),
    "Maximum": "gn.maximum(a, b)",
    "Minimum": "gn.minimum(a, b)",
    "Multiply": "a*b",
    "Permute": "gn.transpose(x, (0, 2, 1))",
    "ReLU": "gn.relu(x)",
    "RepeatVector": 'gn.op("y[n, t:8, i] = x[n, i]")(x)',
    "Rescaling": "x/255",
    "Softmax": "gn.softmax(x)",
    "Subtract": "a - b",
    "TimeDistributed": "layers.Dense(8)(x)",
    "UpSampling1D": 'gn.op("y[n, t:2*dim(x, 1), c] = x[n, t//2, c]")(x)',
    "UpSampling2D": 'gn.op("y[n, h:2*dim(x, 1), w:2*dim(x, 2), c] = x[n, h//2, w//2, c]")(x)',
    "ZeroPadding1D": 'gn.op("y[n, t:dim(x, 1) + 2, c] = x[n, t - 1, c]")(x)',
    "ZeroPadding2D": 'gn.op("y[n, h:dim(x, 1) + 2, w:dim(x, 2) + 2, c] = x[n, h - 1, w - 1, c]")(x)',
}


def advice(name: str, known: Collection[str]) -> str:
    """What to write where a layer of that name is looked for.

    >>> advice("Multiply", [])
    'graphnn.layers has no Multiply; write for example a*b'
    """
    full = name.replace("Pool1D", "Pooling1D").replace("Pool2D", "Pooling2D")
    if full in INSTEAD:
        return f"graphnn.layers has no {name}; write for example {INSTEAD[full]}"
    near = get_close_matches(name, known, n=1)
    guess = f", perhaps {near[0]} is meant" if near else ""
    return f"graphnn.layers has no {name}{guess}; any formula can be one: gn.op(...), gn.Layer"
