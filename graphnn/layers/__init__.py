"""Layers: what makes parameters and applies formulas to nodes; Keras's names, defaults and weight layouts."""

from typing import NoReturn

from .attention import MultiHeadAttention
from .base import Layer
from .convolution import Conv2D
from .core import Activation, Add, Concatenate, Dense, Flatten, Reshape
from .dropout import Dropout
from .elsewhere import advice
from .embedding import Embedding
from .normalization import BatchNormalization, LayerNormalization
from .pooling import AveragePool2D, GlobalAveragePool2D, MaxPool2D
from .recurrent import GRU, LSTM, SimpleRNN

AveragePooling2D = AveragePool2D
BatchNorm = BatchNormalization
GlobalAveragePooling2D = GlobalAveragePool2D
LayerNorm = LayerNormalization
MaxPooling2D = MaxPool2D

__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "Add",
    "AveragePool2D",
    "AveragePooling2D",
    "BatchNorm",
    "BatchNormalization",
    "Concatenate",
    "Conv2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePool2D",
    "GlobalAveragePooling2D",
    "Layer",
    "LayerNorm",
    "LayerNormalization",
    "MaxPool2D",
    "MaxPooling2D",
    "MultiHeadAttention",
    "Reshape",
    "SimpleRNN",
]


def __getattr__(name: str) -> NoReturn:
    """Of Keras's layers that are none here the message says what to write."""
    raise AttributeError(advice(name, __all__))
