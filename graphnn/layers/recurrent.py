"""Recurrent layers: a cell along sequences, see `cells` for the formulas."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, TypedDict, Unpack

from .. import activations, regularizers
from ..activations import Activation
from ..errors import GraphnnError, ShapeError
from ..graph.node import Node, Parameter
from ..graph.operation import Operation, op
from ..initializers import Initializer
from .base import Layer, fixed_size, flat, positive
from .cells import Words, gru, gru_reset_before, last_step, lstm, simple_rnn
from .options import refuse_options
from .written import written

__all__ = ["GRU", "LSTM", "SimpleRNN"]


class _Options(TypedDict, total=False):
    """What every recurrent layer can be told by name."""

    return_sequences: bool
    return_state: bool
    go_backwards: bool
    kernel_regularizer: str | Operation | None
    recurrent_regularizer: str | Operation | None
    bias_regularizer: str | Operation | None
    name: str | None
    trainable: bool


class _Recurrent(Layer):
    """A cell along sequences (batch, time, features); what all kinds of cells have in common."""

    gates: ClassVar[int]  # blocks of ``units`` columns that stand side by side in the weights
    states: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(
        self,
        units: int,
        activation: str | Activation | None,
        use_bias: bool,
        kernel_initializer: str | Initializer,
        recurrent_initializer: str | Initializer,
        bias_initializer: str | Initializer,
        options: _Options,
    ) -> None:
        super().__init__(name=options.get("name"), trainable=options.get("trainable", True))
        refuse_options(self.kind, options, _Options.__annotations__)
        self.units = positive(units, f"{self.name}: units")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.recurrent_initializer = recurrent_initializer
        self.return_sequences = options.get("return_sequences", False)
        self.return_state = options.get("return_state", False)
        self.go_backwards = options.get("go_backwards", False)
        self.regularizers = {
            name: regularizers.get(options.get(f"{name}_regularizer"))  # type: ignore[arg-type]
            for name in ("kernel", "recurrent", "bias")
        }
        self.kernel: Parameter | None = None
        self.recurrent_kernel: Parameter | None = None
        self.bias: Parameter | None = None

    @abstractmethod
    def text(self, words: Words) -> str:
        """The formula of this layer's variant of the cell."""

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def __call__(
        self,
        *inputs: Node | Sequence[Node],
        initial_state: Node | Sequence[Node] = (),
        mask: Node | None = None,
        training: bool | None = None,
    ) -> Any:
        """The output; with ``return_state`` a list, the states after the last step behind it.

        ``initial_state`` is one node (batch, units) for each state, by default zeros. ``mask`` (batch, time), bool or
        0/1 integers, is true at the steps that count: at others, padding for example, all states stay as they are.
        """
        given = flat((*inputs, initial_state, () if mask is None else mask))
        return self.use(given, training, masked=mask is not None)

    def build(self, *inputs: Node) -> None:
        x = inputs[0]
        if x.ndim != 3:
            raise ShapeError(
                f"{self.name}: expected sequences (batch, time, features), {x.name} is {x.type}"
            )
        wide, features = self.gates * self.units, fixed_size(x, -1, self)
        extra = self.regularizers
        self.kernel = self.add_parameter(
            "kernel", (features, wide), self.kernel_initializer, regularizer=extra["kernel"]
        )
        self.recurrent_kernel = self.add_parameter(
            "recurrent_kernel",
            (self.units, wide),
            self.recurrent_initializer,
            regularizer=extra["recurrent"],
        )
        if self.use_bias:
            self.bias = self.add_parameter(
                "bias", self.bias_shape, self.bias_initializer, regularizer=extra["bias"]
            )

    def call(self, *inputs: Node, masked: bool = False) -> Node:
        x, *start = inputs
        mask = self._checked_mask(start.pop()) if masked else None
        if start and len(start) != len(self.states):
            raise GraphnnError(
                f"{self.name}: the initial state is {' and '.join(self.states)}, got {len(start)}"
            )
        text = self.text(Words(self.use_bias, bool(start), self.go_backwards, masked))
        operation = op(text, type(self).__name__.lower(), ("h",))
        parts = {"x": x, "K": self.kernel, "U": self.recurrent_kernel, "b": self.bias}
        parts |= {f"{state}0": node for state, node in zip(self.states, start, strict=False)}
        parts["mask"] = mask
        operands = {k: parts[k] for k in operation.formula.operands}
        application = operation.apply(operation.bind((), operands), name=self.name)
        sequences = [application.result(state) for state in self.states]
        if not self.return_state:
            return sequences[0] if self.return_sequences else self.apply(last_step, sequences[0])
        ends = [self.apply(last_step, sequence) for sequence in sequences]
        for state, end in zip(self.states, ends, strict=True):
            end.name = f"{self.name}.last_{state}"
        first = sequences[0] if self.return_sequences else ends[0]
        return [first, *ends]  # type: ignore[return-value]

    def _checked_mask(self, mask: Node) -> Node:
        if mask.ndim != 2 or mask.dtype.startswith("float"):
            raise GraphnnError(
                f"{self.name}: mask must be bool or integer and have 2 axes, (batch, time);"
                f" {mask.name} is {mask.type}"
            )
        return mask


class SimpleRNN(_Recurrent):
    """A state that feeds back into itself.

        z[n, t, j] = sum[e](x[n, t, e]*K[e, j]) + b[j] + sum[k](h[n, t - 1, k]*U[k, j])
        h[n, t, u] = tanh(z[n, t, u])

    Shapes: x (batch, time, features) -> the last h (batch, ``units``), with ``return_sequences`` all of
    them (batch, time, units). Weights: kernel K (features, units), recurrent kernel U (units, units),
    bias b (units,). ``go_backwards`` reads the sequence from its end.

    Source: Elman: Finding Structure in Time, 1990.

    >>> from graphnn.graph.node import Input
    >>> SimpleRNN(8)(Input((None, 20, 5))).shape
    (None, 8)
    """

    gates = 1

    def __init__(
        self,
        units: int,
        activation: str | Activation | None = "tanh",
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        recurrent_initializer: str | Initializer = "orthogonal",
        bias_initializer: str | Initializer = "zeros",
        **options: Unpack[_Options],
    ) -> None:
        initializers = kernel_initializer, recurrent_initializer, bias_initializer
        super().__init__(units, activation, use_bias, *initializers, options)

    def text(self, words: Words) -> str:
        return simple_rnn(words, written(self.activation))


class LSTM(_Recurrent):
    """Long short-term memory: a state ``c`` that gates keep, change and show.

        z[n, t, j] = sum[e](x[n, t, e]*K[e, j]) + b[j] + sum[k](h[n, t - 1, k]*U[k, j])
        i[n, t, u:units] = sigmoid(z[n, t, u])
        f[n, t, u:units] = sigmoid(z[n, t, units + u])
        a[n, t, u:units] = tanh(z[n, t, 2*units + u])
        o[n, t, u:units] = sigmoid(z[n, t, 3*units + u])
        c[n, t, u] = f[n, t, u]*c[n, t - 1, u] + i[n, t, u]*a[n, t, u]
        m[n, t, u] = tanh(c[n, t, u])
        h[n, t, u] = o[n, t, u]*m[n, t, u]

    Shapes: x (batch, time, features) -> the last h (batch, ``units``), with ``return_sequences`` all of
    them (batch, time, units). Weights: kernel K (features, 4*units), recurrent kernel U (units,
    4*units), bias b (4*units,), the gates in the order i, f, a, o. ``unit_forget_bias`` starts with 1
    as the bias of f. ``return_state`` gives [output, h, c]; ``go_backwards`` reads from the end.

    Sources: Hochreiter, Schmidhuber: Long Short-Term Memory, 1997; Gers, Schmidhuber, Cummins: Learning
    to Forget, 2000.

    >>> from graphnn.graph.node import Input
    >>> LSTM(8, return_sequences=True)(Input((None, 20, 5))).shape
    (None, 20, 8)
    """

    gates = 4
    states = ("h", "c")

    def __init__(
        self,
        units: int,
        activation: str | Activation | None = "tanh",
        recurrent_activation: str | Activation | None = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        recurrent_initializer: str | Initializer = "orthogonal",
        bias_initializer: str | Initializer = "zeros",
        unit_forget_bias: bool = True,
        **options: Unpack[_Options],
    ) -> None:
        initializers = kernel_initializer, recurrent_initializer, bias_initializer
        super().__init__(units, activation, use_bias, *initializers, options)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    def build(self, *inputs: Node) -> None:
        super().build(*inputs)
        if self.bias is not None and self.unit_forget_bias:
            self.bias.value[self.units : 2 * self.units] = 1

    def text(self, words: Words) -> str:
        return lstm(words, written(self.activation), written(self.recurrent_activation))


class GRU(_Recurrent):
    """Gated recurrent unit: ``z`` keeps the state, ``r`` lets it into the candidate ``a``.

        p[n, t, j] = sum[e](x[n, t, e]*K[e, j]) + b[0, j]
        q[n, t:dim(x, 1), j] = sum[k](h[n, t - 1, k]*U[k, j]) + b[1, j]
        z[n, t, u:units] = sigmoid(p[n, t, u] + q[n, t, u])
        r[n, t, u:units] = sigmoid(p[n, t, units + u] + q[n, t, units + u])
        a[n, t, u:units] = tanh(p[n, t, 2*units + u] + r[n, t, u]*q[n, t, 2*units + u])
        h[n, t, u] = z[n, t, u]*h[n, t - 1, u] + (1 - z[n, t, u])*a[n, t, u]

    Shapes: x (batch, time, features) -> the last h (batch, ``units``), with ``return_sequences`` all of
    them (batch, time, units). Weights: kernel K (features, 3*units), recurrent kernel U (units,
    3*units), bias b (2, 3*units), in the order z, r, a. ``reset_after=False`` is the paper's cell, where
    r multiplies the state before U does: a = tanh(p + sum[k](r[n, t, k]*h[n, t - 1, k]*U[k, 2*units + u])),
    with one bias (3*units,).

    Source: Cho et al.: Learning Phrase Representations using RNN Encoder-Decoder, 2014.

    >>> from graphnn.graph.node import Input
    >>> GRU(8)(Input((None, 20, 5))).shape
    (None, 8)
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: str | Activation | None = "tanh",
        recurrent_activation: str | Activation | None = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        recurrent_initializer: str | Initializer = "orthogonal",
        bias_initializer: str | Initializer = "zeros",
        *,
        reset_after: bool = True,
        **options: Unpack[_Options],
    ) -> None:
        initializers = kernel_initializer, recurrent_initializer, bias_initializer
        super().__init__(units, activation, use_bias, *initializers, options)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def text(self, words: Words) -> str:
        cell = gru if self.reset_after else gru_reset_before
        return cell(words, written(self.activation), written(self.recurrent_activation))
