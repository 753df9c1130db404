"""The names that derivations give to their steps, and what each of them means."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LAWS", "Law"]


@dataclass(frozen=True, slots=True)
class Law:
    """``statement`` is in the notation of formulas, where there is one to make."""

    name: str
    meaning: str
    statement: str = ""


LAWS: tuple[Law, ...] = (
    Law(
        "differentiate",
        "The scalar expression, differentiated at one place where an operand is read.",
    ),
    Law(
        "definition",
        "A line of several is put in the place of its name, so that it can be differentiated.",
    ),
    Law(
        "through the output",
        "What the forward pass has computed already is read instead of being computed again.",
        "exp(-x)/(1 + exp(-x))**2 = y*(1 - y)",
    ),
    Law(
        "chain rule",
        "What arrives, times the derivative, summed over all places that read the element asked for.",
        "d_x[a] = sum[i]([e(i) == a]*g_y[i]*f(i))",
    ),
    Law(
        "delta",
        "A condition that determines an index removes its sum.",
        "sum[i]([i == e]*f(i)) = f(e)",
    ),
    Law(
        "bounds",
        "A condition that the ranges of the indices imply is dropped; one that they exclude makes zero.",
        "[0 <= i] = 1",
    ),
    Law(
        "stride",
        "The same for an index with a factor: only every m-th place is met.",
        "sum[i]([m*i + r == e]*f(i)) = [(e - r) % m == 0]*f((e - r)//m)",
    ),
    Law(
        "digits",
        "Two indices that number places together are the quotient and the remainder of the number.",
        "sum[h, i]([m*h + i == e]*f(h, i)) = f(e//m, e % m)",
    ),
    Law(
        "quotient",
        "A quotient is known: what is left are the places within the block.",
        "sum[i]([i//m == e]*f(i)) = sum[r:m](f(m*e + r))",
    ),
    Law(
        "remainder",
        "A remainder is known: what is left are the blocks.",
        "sum[i]([i % m == e]*f(i)) = sum[q](f(m*q + e))",
    ),
    Law(
        "constant sum",
        "A sum that the formula itself makes constant is put in.",
        "sum[i](y[i]) = 1",
    ),
    Law("assertion", "What the formula asserts is used."),
    Law(
        "occurrences add",
        "An operand that is read at several places gets the sum of what each of them passes on.",
    ),
    Law("name what is shared", "What several gradients need is computed once, under a name."),
    Law(
        "scatter",
        "Where data decide the place, as in an embedding, the gradient is added into it.",
        "d_E[t[n], e] += g_y[n, e]",
    ),
    Law("substitute", "A short helper is put back where it is used."),
    Law(
        "zero read",
        "A read out of range is zero anyway, so the condition that forbids it is not needed.",
    ),
    Law("cheapest form", "Of the equal forms found, the one with the least work."),
)
