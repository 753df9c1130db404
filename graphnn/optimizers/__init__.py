"""Optimizers: formulas for the new value of a weight, with Keras's names and defaults."""

from . import schedules
from .base import Optimizer
from .methods import SGD, Adagrad, Adam, AdamW, RMSprop, get

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "get", "schedules"]
