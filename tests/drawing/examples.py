"""Pictures written by hand: a small image network, its gradients, a dense layer's gradient and update."""

from __future__ import annotations

from graphnn.drawing import Arrow, Box, Picture

__all__ = ["dense_gradient", "forward", "gradient", "training"]

_LOSS = r"\frac{\partial\mathcal{L}}{\partial %s}"


def _d(name: str) -> str:
    return _LOSS % name


_FORWARD_BOXES = (
    Box("x", "x", "f32[n:32, h:28, w:28, c:1]", kind="input"),
    Box("K", "conv2d.kernel", "f32[3, 3, 1, 8]", kind="parameter", cluster=("conv2d",)),
    Box("bK", "conv2d.bias", "f32[8]", kind="parameter", cluster=("conv2d",)),
    Box(
        "conv",
        "conv2d",
        "f32[32, 26, 26, 8]",
        (r"y_{n,h,w,o} = \sum_{i,j,c} x_{n,\,h + i,\,w + j,\,c}\,K_{i,j,c,o} + b_{o}",),
        cluster=("conv2d",),
        tooltip="y[n, h, w, o] = sum[i, j, c](x[n, h + i, w + j, c]*K[i, j, c, o]) + b[o]",
    ),
    Box(
        "relu",
        "relu",
        "f32[32, 26, 26, 8]",
        (r"y_{n,h,w,o} = \max(0, x_{n,h,w,o})",),
        cluster=("conv2d",),
    ),
    Box(
        "pool",
        "max_pool2d",
        "f32[32, 13, 13, 8]",
        (r"y_{n,h,w,c} = \max_{i<2,\,j<2}\;x_{n,\,2h + i,\,2w + j,\,c}",),
        cluster=("max_pool2d",),
    ),
    Box(
        "flat",
        "flatten",
        "f32[32, 1352]",
        (r"y_{n,\,(h,w,c)} = x_{n,h,w,c}",),
        cluster=("flatten",),
    ),
    Box("W", "dense.kernel", "f32[1352, 10]", kind="parameter", cluster=("dense",)),
    Box("bW", "dense.bias", "f32[10]", kind="parameter", cluster=("dense",)),
    Box(
        "dense",
        "dense",
        "f32[32, 10]",
        (r"y_{n,o} = \sum_{i} x_{n,i}\,W_{i,o} + b_{o}",),
        cluster=("dense",),
    ),
    Box(
        "soft",
        "softmax",
        "f32[32, 10]",
        (r"y_{n,i} = \frac{e^{x_{n,i}}}{\sum_{j} e^{x_{n,j}}}",),
        cluster=("dense",),
    ),
    Box("t", "target", "f32[n:32, k:10]", kind="input"),
    Box(
        "loss",
        "categorical_crossentropy",
        "f32[]",
        (r"\mathcal{L} = -\frac{\sum_{n,k} t_{n,k}\,\log p_{n,k}}{32}",),
        kind="loss",
    ),
)
_FORWARD_ARROWS = (
    Arrow("x", "conv", "n:32, h:28, w:28, c:1"),
    Arrow("K", "conv", "i:3, j:3, c:1, o:8"),
    Arrow("bK", "conv", "o:8"),
    Arrow("conv", "relu", "n:32, h:26, w:26, o:8"),
    Arrow("relu", "pool", "n:32, h:26, w:26, c:8"),
    Arrow("pool", "flat", "n:32, h:13, w:13, c:8"),
    Arrow("flat", "dense", "n:32, i:1352"),
    Arrow("W", "dense", "i:1352, o:10"),
    Arrow("bW", "dense", "o:10"),
    Arrow("dense", "soft", "n:32, i:10"),
    Arrow("soft", "loss", "n:32, k:10"),
    Arrow("t", "loss", "n:32, k:10"),
)
_GRADIENT_BOXES = (
    Box(
        "d_soft",
        "gradient of softmax, loss",
        "f32[32, 10]",
        (_d("x_{n,i}") + r" = \frac{p_{n,i} - t_{n,i}}{32}",),
        "gradient",
        ("dense",),
    ),
    Box(
        "d_W",
        "gradient of dense.kernel",
        "f32[1352, 10]",
        (_d("W_{i,o}") + r" = \sum_{n} g^{(y)}_{n,o}\,x_{n,i}",),
        "gradient",
        ("dense",),
    ),
    Box(
        "d_bW",
        "gradient of dense.bias",
        "f32[10]",
        (_d("b_{o}") + r" = \sum_{n} g^{(y)}_{n,o}",),
        "gradient",
        ("dense",),
    ),
    Box(
        "d_dense",
        "gradient of dense",
        "f32[32, 1352]",
        (_d("x_{n,i}") + r" = \sum_{o} g^{(y)}_{n,o}\,W_{i,o}",),
        "gradient",
        ("dense",),
    ),
    Box(
        "d_flat",
        "gradient of flatten",
        "f32[32, 13, 13, 8]",
        (_d("x_{n,h,w,c}") + r" = g^{(y)}_{n,\,(h,w,c)}",),
        "gradient",
        ("flatten",),
    ),
    Box(
        "d_pool",
        "gradient of max_pool2d",
        "f32[32, 26, 26, 8]",
        (
            _d("x_{n,a,b,c}")
            + r" = \begin{cases} g^{(y)}_{n,\,\lfloor a/2 \rfloor,\,\lfloor b/2 \rfloor,\,c}"
            r" & \text{if } 2\,(a \;\mathrm{mod}\; 2) + (b \;\mathrm{mod}\; 2)"
            r" = m_{n,\,\lfloor a/2 \rfloor,\,\lfloor b/2 \rfloor,\,c} \\ 0 & \text{otherwise} \end{cases}",
        ),
        "gradient",
        ("max_pool2d",),
    ),
    Box(
        "d_relu",
        "gradient of relu",
        "f32[32, 26, 26, 8]",
        (
            _d("x_{n,h,w,o}")
            + r" = \begin{cases} g^{(y)}_{n,h,w,o} & \text{if } x_{n,h,w,o} > 0 \\ 0 & \text{otherwise} \end{cases}",
        ),
        "gradient",
        ("conv2d",),
    ),
    Box(
        "d_K",
        "gradient of conv2d.kernel",
        "f32[3, 3, 1, 8]",
        (_d("K_{i,j,c,o}") + r" = \sum_{n,h,w} g^{(y)}_{n,h,w,o}\,x_{n,\,h + i,\,w + j,\,c}",),
        "gradient",
        ("conv2d",),
    ),
    Box(
        "d_bK",
        "gradient of conv2d.bias",
        "f32[8]",
        (_d("b_{o}") + r" = \sum_{n,h,w} g^{(y)}_{n,h,w,o}",),
        "gradient",
        ("conv2d",),
    ),
)
_GRADIENT_ARROWS = (
    Arrow("loss", "d_soft", "1", "gradient"),
    Arrow("d_soft", "d_dense", "n:32, o:10", "gradient"),
    Arrow("d_soft", "d_W", "n:32, o:10", "gradient"),
    Arrow("d_soft", "d_bW", "n:32, o:10", "gradient"),
    Arrow("d_dense", "d_flat", "n:32, i:1352", "gradient"),
    Arrow("d_flat", "d_pool", "n:32, h:13, w:13, c:8", "gradient"),
    Arrow("d_pool", "d_relu", "n:32, h:26, w:26, o:8", "gradient"),
    Arrow("d_relu", "d_K", "n:32, h:26, w:26, o:8", "gradient"),
    Arrow("d_relu", "d_bK", "n:32, h:26, w:26, o:8", "gradient"),
    Arrow("soft", "d_soft"),
    Arrow("t", "d_soft"),
    Arrow("flat", "d_W"),
    Arrow("W", "d_dense"),
    Arrow("pool", "d_pool"),
    Arrow("conv", "d_relu"),
    Arrow("x", "d_K"),
)
_PAIRS = (
    ("soft", "d_soft"),
    ("dense", "d_dense"),
    ("flat", "d_flat"),
    ("pool", "d_pool"),
    ("relu", "d_relu"),
    ("K", "d_K"),
    ("W", "d_W"),
)


def forward() -> Picture:
    """Convolution, pooling, dense, softmax, cross-entropy."""
    return Picture(_FORWARD_BOXES, _FORWARD_ARROWS, "digits: forward")


def gradient() -> Picture:
    """The same with its gradients beside it."""
    return Picture(
        _FORWARD_BOXES + _GRADIENT_BOXES,
        _FORWARD_ARROWS + _GRADIENT_ARROWS,
        "digits: forward and gradient",
        _PAIRS,
    )


def dense_gradient() -> Picture:
    """One dense layer and its three gradients."""
    forward_boxes = (
        Box("x", "x", "f32[32, 784]", kind="input"),
        Box("W", "W", "f32[784, 128]", kind="parameter"),
        Box("b", "b", "f32[128]", kind="parameter"),
        Box("y", "dense", "f32[32, 128]", (r"y_{n,o} = \sum_{i} x_{n,i}\,W_{i,o} + b_{o}",)),
        Box("L", "loss", "", (r"\mathcal{L}(y)",), "loss"),
    )
    gradient_boxes = (
        Box(
            "d_y",
            "from the loss",
            "f32[32, 128]",
            (r"g^{(y)}_{n,o} = " + _d("y_{n,o}"),),
            "gradient",
        ),
        Box(
            "d_W",
            "gradient of W",
            "f32[784, 128]",
            (_d("W_{i,o}") + r" = \sum_{n} x_{n,i}\,g^{(y)}_{n,o}",),
            "gradient",
        ),
        Box(
            "d_b",
            "gradient of b",
            "f32[128]",
            (_d("b_{o}") + r" = \sum_{n} g^{(y)}_{n,o}",),
            "gradient",
        ),
        Box(
            "d_x",
            "gradient of x",
            "f32[32, 784]",
            (_d("x_{n,i}") + r" = \sum_{o} W_{i,o}\,g^{(y)}_{n,o}",),
            "gradient",
        ),
    )
    arrows = (
        Arrow("x", "y", "n:32, i:784"),
        Arrow("W", "y", "i:784, o:128"),
        Arrow("b", "y", "o:128"),
        Arrow("y", "L", "n:32, o:128"),
        Arrow("L", "d_y", "", "gradient"),
        Arrow("d_y", "d_W", "n:32, o:128", "gradient"),
        Arrow("d_y", "d_b", "n:32, o:128", "gradient"),
        Arrow("d_y", "d_x", "n:32, o:128", "gradient"),
        Arrow("x", "d_W"),
        Arrow("W", "d_x"),
    )
    return Picture(
        forward_boxes + gradient_boxes,
        arrows,
        "A dense layer and its gradients",
        (("L", "d_y"), ("b", "d_b")),
    )


def training() -> Picture:
    """A weight, its gradient, and the update of gradient descent with momentum."""
    boxes = (
        Box("x", "x", "f32[32, 4]", kind="input"),
        Box("W", "W", "f32[4, 3]", kind="parameter"),
        Box("y", "linear", "f32[32, 3]", (r"y_{n,o} = \sum_{i} x_{n,i}\,W_{i,o}",)),
        Box(
            "L",
            "mean_squared_error",
            "f32[]",
            (r"\mathcal{L} = \underset{n,o}{\mathrm{mean}}((y_{n,o} - t_{n,o})^{2})",),
            "loss",
        ),
        Box("t", "t", "f32[32, 3]", kind="input"),
        Box(
            "d_y",
            "gradient of the loss",
            "",
            (_d("y_{n,o}") + r" = \frac{2\,(y_{n,o} - t_{n,o})}{96}",),
            "gradient",
        ),
        Box(
            "d_W",
            "gradient of W",
            "",
            (_d("W_{i,o}") + r" = \sum_{n} g^{(y)}_{n,o}\,x_{n,i}",),
            "gradient",
        ),
        Box("v", "velocity of W", "f32[4, 3]", kind="state"),
        Box(
            "W2",
            "update of W",
            "",
            (
                r"v^{\mathrm{new}}_{i,o} = 0.9v_{i,o} - 0.01g_{i,o}",
                r"W^{\mathrm{new}}_{i,o} = W_{i,o} + v^{\mathrm{new}}_{i,o}",
            ),
            "update",
        ),
    )
    arrows = (
        Arrow("x", "y", "n:32, i:4"),
        Arrow("W", "y", "i:4, o:3"),
        Arrow("y", "L", "n:32, o:3"),
        Arrow("t", "L", "n:32, o:3"),
        Arrow("L", "d_y", "", "gradient"),
        Arrow("y", "d_y"),
        Arrow("t", "d_y"),
        Arrow("d_y", "d_W", "n:32, o:3", "gradient"),
        Arrow("x", "d_W"),
        Arrow("d_W", "W2", "i:4, o:3", "gradient"),
        Arrow("v", "W2", "i:4, o:3", "update"),
    )
    return Picture(
        boxes, arrows, "One step of training", (("L", "d_y"), ("W", "d_W"), ("d_W", "W2"))
    )
