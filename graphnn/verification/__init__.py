"""Verification of derived gradients: symbolic where it can be proved, numeric in high precision everywhere."""

from .check import check_gradients
from .finite import NotFinite, find_nan
from .report import GradientError, GradientReport, Verdict

__all__ = ["GradientError", "GradientReport", "NotFinite", "Verdict", "check_gradients", "find_nan"]
