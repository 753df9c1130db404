"""Layers: what makes parameters and applies formulas to nodes; Keras's names, defaults and weight layouts."""

from .base import Layer
from .convolution import Conv2D
from .core import Activation, Add, Concatenate, Dense, Flatten, Reshape
from .pooling import MaxPool2D
from .recurrent import GRU, LSTM, SimpleRNN

MaxPooling2D = MaxPool2D

__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "Add",
    "Concatenate",
    "Conv2D",
    "Dense",
    "Flatten",
    "Layer",
    "MaxPool2D",
    "MaxPooling2D",
    "Reshape",
    "SimpleRNN",
]
