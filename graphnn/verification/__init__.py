"""Verification of derived gradients: symbolic where it can be proved, numeric in high precision everywhere."""

from .check import check_gradients
from .report import GradientError, GradientReport, Verdict

__all__ = ["GradientError", "GradientReport", "Verdict", "check_gradients"]
