"""Options that a layer does not have: refused by name, with what serves the same end here."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable

__all__ = ["check_options", "refuse_options"]

_DTYPE = "leave it out: the dtype follows from the inputs, gn.Input(..., dtype='float64')"
_INPUT = "begin with gn.Input((None, ...)), or let the first data say it"
_CONSTRAINT = "change weights after a batch in a callback, with set_weights"
_STATE = "return_state=True gives the states, initial_state= takes them"
_DROPOUT = "put a Dropout layer before or behind it"
_INSTEAD = {
    "activity_regularizer": "train with a loss that reads the output as well, gn.Model(x, [y, penalty])",
    "autocast": _DTYPE,
    "batch_input_shape": _INPUT,
    "batch_size": _INPUT,
    "beta_constraint": _CONSTRAINT,
    "bias_constraint": _CONSTRAINT,
    "data_format": "images are (batch, height, width, channels), 'channels_last' is left out;"
    " of 'channels_first' gn.transpose(x, (0, 2, 3, 1)) makes such",
    "dropout": _DROPOUT,
    "dtype": _DTYPE,
    "embeddings_constraint": _CONSTRAINT,
    "gamma_constraint": _CONSTRAINT,
    "input_dim": _INPUT,
    "input_length": _INPUT,
    "input_shape": _INPUT,
    "kernel_constraint": _CONSTRAINT,
    "mask_zero": "gn.not_equal(tokens, 0) is a mask: give it as mask= to recurrent layers and"
    " as value_mask= to attention, and with y as sample_weight of the steps",
    "recurrent_constraint": _CONSTRAINT,
    "recurrent_dropout": _DROPOUT,
    "stateful": _STATE,
    "synchronized": "there is one process: leave it out",
    "unroll": "nothing is ever unrolled: leave it out",
    "use_cudnn": "leave it out",
    "zero_output_for_mask": "multiply the output by the mask",
}


def check_options(kind: type, given: Iterable[str]) -> None:
    """Raise TypeError for an option that the class does not take."""
    known = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]
    if not any(p.kind is p.VAR_KEYWORD for p in known):
        names = [p.name for p in known if p.kind is not p.VAR_POSITIONAL]
        refuse_options(kind.__name__, given, names[1:])


def refuse_options(kind: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise TypeError for one that is not known.

    >>> refuse_options("LSTM", ["unroll"], ["units"])
    Traceback (most recent call last):
        ...
    TypeError: LSTM has no option unroll: nothing is ever unrolled: leave it out; it takes units
    """
    for name in given:
        if name not in known:
            advice = f": {_INSTEAD[name]}" if name in _INSTEAD else ""
            raise TypeError(f"{kind} has no option {name}{advice}; it takes {', '.join(known)}")
