"""Equations to equations: forms that hold in floating point, sharing, recurrences, cuts, and an order."""
