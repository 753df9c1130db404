"""The calculus: formulas of gradients from formulas, by sympy and by the laws of index notation.

Importing it imports no sympy; that waits until something is derived which is not in the shipped `ready.txt`.
"""

from .formulas import Derived, gradient_formula
from .naming import gradient_name, seed_name

__all__ = ["Derived", "gradient_formula", "gradient_name", "seed_name"]
