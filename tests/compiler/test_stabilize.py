"""Stage "stabilize": every rule is an identity, finite and accurate on extreme inputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings

from compiler.language.expression import (
    Binder,
    Call,
    Constant,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Symbol,
    expr,
    rebuild,
    substitute,
)
from compiler.language.match import Definitions, inner_sizes
from compiler.language.notes import Note
from compiler.language.system import Equation, System, Tensor
from compiler.language.validate import validate
from compiler.reference.interpret import evaluate
from compiler.rewriting.identities import FUNCTIONS, RULES, Rule
from compiler.rewriting.stabilize import stabilize

from ..systems import Case, cases

N, D = 3, 5
n, i, j, k, m = (Index(name) for name in "nijkm")
ROWS = (Binder(n, expr(N)),)
GRID = (*ROWS, Binder(i, expr(D)))
COLUMNS = {index: (Binder(index, expr(D)),) for index in (i, j, k, m)}


def f(function: str, *arguments: object) -> Call:
    """A call of expressions or numbers."""
    return Call(function, tuple(map(expr, arguments)))


def at(tensor: str, *subscripts: object) -> Element:
    """An element."""
    return Element(tensor, tuple(map(expr, subscripts)))


def total(body: Expr, index: Index, kind: str = "sum") -> Reduce:
    """A reduction over an index of size D."""
    return Reduce(kind, body, COLUMNS[index])


def define(target: str, value: Expr, binders: tuple[Binder, ...] = GRID) -> Equation:
    """``target[...] = value`` over all the binders."""
    return Equation(target, tuple(b.index for b in binders), binders, value)


def system(*equations: Equation, outputs: str) -> System:
    """A system of equations over the inputs x, t (float), c (classes) and g (a number)."""
    inputs = (
        Tensor("x", (N, D), "float32", "input"),
        Tensor("t", (N, D), "float32", "input"),
        Tensor("c", (N,), "int64", "input"),
        Tensor("g", (), "float32", "input"),
    )
    defined = {q.target: tuple(q.extents[b.index] for b in q.indices) for q in equations}
    tensors = [
        Tensor(name, shape, "float32", "output" if name in outputs.split() else "local")
        for name, shape in defined.items()
    ]
    return validate(System((*inputs, *tensors), equations))


def arrays(scale: float, seed: int = 0) -> dict[str, Any]:
    """Logits of this size, one-hot targets, classes."""
    generator = np.random.default_rng(seed)
    classes = generator.integers(0, D, N)
    return {
        "x": (scale * generator.uniform(-1, 1, (N, D))).astype(np.float32),
        "t": np.eye(D, dtype=np.float32)[classes],
        "c": classes,
        "g": np.float32(1),
    }


# --- formulas -------------------------------------------------------------------------------------

E = define("e", f("exp", at("x", n, i)))
S = define("s", total(at("e", n, j), j), ROWS)
RATIO = f("exp", at("x", n, i)) / total(f("exp", at("x", n, j)), j)
P = define("p", RATIO)
LOGISTIC = define("p", 1 / (1 + f("exp", -at("x", n, i))))
CLASS_LOSS = define("l", -Reduce("mean", f("log", at("p", n, at("c", n))), ROWS), ())
DENSE_LOSS = define("l", -Reduce("sum", at("t", n, i) * f("log", at("p", n, i)), GRID) / N, ())
BACK = define("dx", (at("dp", n, i) - total(at("dp", n, k) * at("p", n, k), k)) * at("p", n, i))
DENSE_BACK = define("dp", -(at("g") * at("t", n, i)) / (N * at("p", n, i)))
CLASS_BACK = define(
    "dp", f("where", f("==", at("c", n), i), -at("g") / (N * at("p", n, at("c", n))), 0)
)
OWN_CLASS_BACK = define("dp", f("where", f("==", at("c", n), i), -at("g") / (N * at("p", n, i)), 0))
TWO_SIDED = define(
    "l",
    -(at("t", n, i) * f("log", at("p", n, i)) + (1 - at("t", n, i)) * f("log", 1 - at("p", n, i))),
)
TWO_SIDED_BACK = define(
    "dp", -at("t", n, i) / at("p", n, i) + (1 - at("t", n, i)) / (1 - at("p", n, i))
)
PLAIN = {
    "tanh": define(
        "y",
        (f("exp", at("x", n, i)) - f("exp", -at("x", n, i)))
        / (f("exp", at("x", n, i)) + f("exp", -at("x", n, i))),
    ),
    "sigmoid": define("y", 1 / (1 + f("exp", -at("x", n, i)))),
    "sigmoid of exp(a)": define("y", f("exp", at("x", n, i)) / (f("exp", at("x", n, i)) + 1)),
    "sigmoid of -a": define("y", 1 / (1 + f("exp", at("x", n, i)))),
    "tanh of a/2": define("y", (f("exp", at("x", n, i)) - 1) / (f("exp", at("x", n, i)) + 1)),
    "tanh of a/2 by exp(-a)": define(
        "y", (1 - f("exp", -at("x", n, i))) / (f("exp", -at("x", n, i)) + 1)
    ),
    "tanh of a/2 by a quotient": define("y", 1 - 2 / (f("exp", at("x", n, i)) + 1)),
    "tanh of a/2 by sigmoid": define("y", 2 * f("sigmoid", at("x", n, i)) - 1),
    "log(sigmoid)": define("y", f("log", f("sigmoid", at("x", n, i)))),
    "log(1 - sigmoid)": define("y", f("log", 1 - f("sigmoid", at("x", n, i)))),
    "log(1 + exp)": define("y", f("log", 1 + f("exp", at("x", n, i)))),
    "log1p(exp)": define("y", f("log1p", f("exp", at("x", n, i)))),
    "log1p": define("y", f("log", f("abs", at("x", n, i)) + 1)),
    "log1p of -a": define("y", f("log", 1 - f("min", at("x", n, i), 0))),
    "expm1": define("y", f("exp", f("min", at("x", n, i), 1)) - 1),
    "sigmoid with a factor": define("y", at("x", n, i) / (1 + f("exp", -at("x", n, i)))),
    "sigmoid of -a with a factor": define("y", at("x", n, i) / (1 + f("exp", at("x", n, i)))),
    "tanh with a factor": define(
        "y",
        at("x", n, i)
        * (f("exp", at("x", n, i)) - f("exp", -at("x", n, i)))
        / (f("exp", at("x", n, i)) + f("exp", -at("x", n, i))),
    ),
    "difference of exponentials": define(
        "y", f("exp", f("tanh", at("x", n, i))) - f("exp", -f("tanh", at("x", n, i)))
    ),
    "1 + tanh": define("y", 1 + f("tanh", at("x", n, i))),
    "1 - tanh": define("y", 1 - f("tanh", at("x", n, i))),
    "1 + erf": define("y", 1 + f("erf", at("x", n, i))),
    "1 - erf": define("y", 1 - f("erf", at("x", n, i))),
    "1 - sigmoid": define("y", 1 - f("sigmoid", at("x", n, i))),
    "1 - tanh**2": define("y", 1 - f("tanh", at("x", n, i)) ** 2),
    "1 - tanh*tanh": define("y", 1 - f("tanh", at("x", n, i)) * f("tanh", at("x", n, i))),
}
MASKED = define(
    "p",
    f("where", f("<=", i, n), f("exp", at("x", n, i)), 0)
    / total(f("where", f("<=", k, n), f("exp", at("x", n, k)), 0), k),
)
WEIGHTED = define(
    "y", total(f("exp", at("x", n, j)) * at("t", n, j), j) / total(f("exp", at("x", n, k)), k), ROWS
)
LOG_SUM = define("l", f("log", total(f("exp", at("x", n, j)), j)), ROWS)
COMPOSED = {
    "a quotient in one equation": system(P, outputs="p"),
    "a quotient over three equations": system(
        E, S, define("p", at("e", n, i) / at("s", n)), outputs="p"
    ),
    "a quotient by a power": system(
        define("y", f("exp", at("x", n, i)) * at("t", n, i) / (1 + f("exp", at("x", n, i))) ** 2),
        outputs="y",
    ),
    "a quotient of a difference": system(
        define(
            "y",
            at("t", n, i)
            * (f("exp", at("x", n, i)) - f("exp", -at("x", n, i)))
            / (f("exp", -at("x", n, i)) + f("exp", at("x", n, i))),
        ),
        outputs="y",
    ),
    "an exponential times a quotient elsewhere": system(
        define("d", at("t", n, i) / total(f("exp", at("x", n, j)), j)),
        define("y", total(at("d", n, k) * at("t", n, k), k) * f("exp", at("x", n, i))),
        outputs="y",
    ),
    "an exponential of a logarithm": system(
        LOG_SUM, define("y", f("exp", at("x", n, i) - at("l", n))), outputs="y"
    ),
    "a quotient by a product of exponentials": system(
        define("e", f("exp", -at("x", n, i)) * total(f("exp", at("x", n, j)), j)),
        define("y", 1 / at("e", n, i)),
        outputs="y",
    ),
    "a difference from a logarithm": system(
        LOG_SUM, define("y", at("x", n, i) - at("l", n)), outputs="y"
    ),
    "a difference that is a variance": system(
        define("m", total(at("x", n, j), j, "mean"), ROWS),
        define("y", total(at("x", n, i) ** 2, i, "mean") - at("m", n) ** 2, ROWS),
        outputs="y",
    ),
    "a logarithm of odds": system(
        LOGISTIC, define("y", f("log", at("p", n, i) / (1 - at("p", n, i)))), outputs="y"
    ),
    "a difference by a share": system(
        define("y", 1 + at("x", n, i) - at("x", n, i) * f("sigmoid", at("x", n, i))), outputs="y"
    ),
    "a difference of an exponential by a share": system(
        define(
            "y", f("exp", at("x", n, i)) - f("exp", at("x", n, i)) * f("sigmoid", at("x", n, i))
        ),
        outputs="y",
    ),
    "a difference of halves": system(
        define("y", f("erf", at("x", n, i)) * at("t", n, i) / 2 - 3 + at("t", n, i) / 2),
        outputs="y",
    ),
    "a number and a share": system(
        define("y", f("tanh", at("x", n, i)) - at("t", n, i) - 1), outputs="y"
    ),
    "a quotient of a sum of exponentials": system(
        define(
            "y",
            (f("exp", at("x", n, i)) + f("exp", -at("x", n, i)))
            * at("t", n, i)
            / (1 + f("exp", f("abs", at("x", n, i)))),
        ),
        outputs="y",
    ),
    "a masked quotient": system(MASKED, outputs="p"),
    "an average weighted by exponentials": system(WEIGHTED, outputs="y"),
    "a logarithm of a sum": system(
        define("y", f("log", total(f("exp", at("x", n, j)), j)), ROWS), outputs="y"
    ),
    "the logarithm of another equation": system(P, DENSE_LOSS, outputs="l"),
    "the logarithm at a class": system(P, CLASS_LOSS, outputs="l p"),
    "the logarithm over four equations": system(
        E, S, define("p", at("e", n, i) / at("s", n)), CLASS_LOSS, outputs="l"
    ),
    "a division cancelled": system(P, DENSE_BACK, BACK, outputs="dx"),
    "a division cancelled at a class": system(P, CLASS_BACK, BACK, outputs="dx"),
    "a division cancelled at a class read by its index": system(
        P, OWN_CLASS_BACK, BACK, outputs="dx"
    ),
    "two logarithms": system(LOGISTIC, TWO_SIDED, outputs="l"),
    "two divisions cancelled": system(
        LOGISTIC,
        TWO_SIDED_BACK,
        define("dx", (1 - at("p", n, i)) * at("dp", n, i) * at("p", n, i)),
        outputs="dx",
    ),
}

# --- identities -----------------------------------------------------------------------------------


def symbolic(e: Expr, names: dict[Expr, Any], sizes: Mapping[Index, int]) -> Any:
    """A sympy expression of an expression whose indices are numbers; sums are written out."""
    match e:
        case Number(value):
            return sympy.Rational(value.numerator, value.denominator)
        case Constant(name):
            return {"pi": sympy.pi, "inf": sympy.oo}[name]
        case Element() | Symbol():
            return names.setdefault(e, sympy.Symbol(f"v{len(names)}", real=True))
        case Reduce("sum" | "mean" | "max", body, binders):
            if e.kind == "max":  # the identity holds for any number in its place
                return names.setdefault(e, sympy.Symbol("shift", real=True))
            ranges = [range(int(b.size.value)) for b in binders if isinstance(b.size, Number)]
            terms = [
                symbolic(_at(body, dict(zip(e.indices, point, strict=True))), names, sizes)
                for point in itertools.product(*ranges)
            ]
            return sum(terms) / (len(terms) if e.kind == "mean" else 1)
        case Call(function, arguments):
            return _call(function, [symbolic(a, names, sizes) for a in arguments])
    raise TypeError(e)


def _at(e: Expr, point: Mapping[Index, int]) -> Expr:
    return substitute(e, {index: expr(value) for index, value in point.items()})


def _call(function: str, a: list[Any]) -> Any:
    table = {
        "+": lambda: a[0] + a[1],
        "-": lambda: a[0] - a[1],
        "*": lambda: a[0] * a[1],
        "/": lambda: a[0] / a[1],
        "**": lambda: a[0] ** a[1],
        "neg": lambda: -a[0],
        "expm1": lambda: sympy.exp(a[0]) - 1,
        "log1p": lambda: sympy.log(1 + a[0]),
        "sigmoid": lambda: 1 / (1 + sympy.exp(-a[0])),
        "erfc": lambda: 1 - sympy.erf(a[0]),
        "max": lambda: sympy.Max(*a),
        "min": lambda: sympy.Min(*a),
        "abs": lambda: sympy.Abs(a[0]),
        "==": lambda: sympy.Eq(a[0], a[1]),
        "<=": lambda: sympy.Le(a[0], a[1]),
        "<": lambda: True,  # |shift| < inf
        "and": lambda: sympy.And(*a),
        "where": lambda: a[1] if a[0] == True else a[2] if a[0] == False else None,  # noqa: E712
    }
    return table[function]() if function in table else getattr(sympy, function)(a[0])


def zero(difference: Any) -> bool:
    """Is it zero for all real values? Both signs of a symbol are looked at where |a| appears."""
    signs = [sympy.Symbol("u", positive=True), -sympy.Symbol("u", positive=True), sympy.Integer(0)]
    variables = sorted(difference.free_symbols, key=str)
    if not difference.has(sympy.Abs, sympy.Max, sympy.Min):
        return bool(
            sympy.simplify(sympy.expand_log(difference.rewrite(sympy.exp), force=True)) == 0
        )
    (variable,) = variables
    return all(
        sympy.simplify(
            sympy.logcombine(difference.subs(variable, s).rewrite(sympy.exp), force=True)
        )
        == 0
        for s in signs
    )


@pytest.mark.parametrize("rule", [*FUNCTIONS, *RULES], ids=lambda rule: rule.name)
def test_rules_are_identities(rule: Rule) -> None:
    """Before and after are the same function of a real number, by sympy."""
    names: dict[Expr, Any] = {}
    before, after = (symbolic(side, names, {}) for side in (rule.before, rule.after))
    assert zero(before - after)


@pytest.mark.parametrize("name", ["a quotient in one equation", "a masked quotient"])
def test_shift_is_an_identity(name: str) -> None:
    """A quotient of exponentials does not change with the shift, whatever the shift is, by sympy."""
    same_in_real_numbers(COMPOSED[name], "p", (2, 1))


def test_logarithm_is_an_identity() -> None:
    """The logarithm of a quotient, taken through its equation, is the same for any shift."""
    y = define("y", f("log", at("p", n, i)))
    same_in_real_numbers(system(P, y, outputs="y"), "y", (1, 2))


def test_logarithm_of_odds_is_an_identity() -> None:
    """The logarithm of a quotient of sigmoids is the difference of both logarithms, by sympy."""
    before = COMPOSED["a logarithm of odds"]
    names: dict[Expr, Any] = {}
    value = unfolded(at("y", 1, 1), Definitions(stabilize(before)), {})
    x = names.setdefault(at("x", 1, 1), sympy.Symbol("x", real=True))
    assert zero(symbolic(value, names, {}) - x)


@pytest.mark.parametrize("back", [DENSE_BACK, CLASS_BACK], ids=["dense", "class"])
def test_cancelling_is_an_identity(back: Equation) -> None:
    """(A/p)*p is A where p is positive, by sympy."""
    if back is CLASS_BACK:
        back = define("dp", substitute(back.value, {at("c", n): expr(1)}))
    same_in_real_numbers(system(P, back, BACK, outputs="dx"), "dx", (1, 1))


PRODUCTS = [
    name
    for name in COMPOSED
    if name.startswith(("a quotient", "a difference", "an exponential", "an average"))
]


@pytest.mark.parametrize("name", PRODUCTS)
def test_another_order_is_an_identity(name: str) -> None:
    """Products with their exponents added up, differences taken in another order are the same, by sympy."""
    before = COMPOSED[name]
    (output,) = before.names("output")
    point = (1, 1)[: len(before.by_name[output].shape)]
    same_in_real_numbers(before, output, point)


def unfolded(e: Expr, definitions: Definitions, sizes: Mapping[Index, Expr]) -> Expr:
    """With all definitions put in."""
    value = definitions.open(e, sizes) if isinstance(e, Element) else None
    if value is not None:
        return unfolded(value, definitions, sizes)
    if isinstance(e, Reduce):
        sizes = inner_sizes(sizes, e.binders)
    return rebuild(e, lambda child: unfolded(child, definitions, sizes))


def same_in_real_numbers(before: System, target: str, point: tuple[int, ...]) -> None:
    """One element, all definitions put in, is symbolically the same after the stage."""
    sides = []
    names: dict[Expr, Any] = {}
    for side in (before, stabilize(before)):
        definitions = Definitions(side)
        value = unfolded(at(target, *point), definitions, {})
        sides.append(symbolic(value, names, {}))
    assert sides[0] != sides[1]
    difference = (sides[0] - sides[1]).rewrite(sympy.exp)
    difference = sympy.powsimp(sympy.expand(sympy.expand_log(difference, force=True)))
    assert all(sympy.simplify(case) == 0 for case in by_signs(difference))


def by_signs(e: Any) -> Iterator[Any]:
    """For either sign of what an absolute value or a maximum is taken of."""
    signed = sorted(set().union(*(m.free_symbols for m in e.atoms(sympy.Abs, sympy.Max))), key=str)
    sizes = [sympy.Symbol(v.name, positive=True) for v in signed]
    for signs in itertools.product((1, -1), repeat=len(signed)):
        yield e.subs({v: sign * size for v, sign, size in zip(signed, signs, sizes, strict=True)})


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-4, 1.0, 60.0, 1e4])
@pytest.mark.parametrize("name", [r.name for r in (*FUNCTIONS, *RULES)])
def test_values_of_rules(name: str, scale: float) -> None:
    """Each rule fires on its formula and is accurate for small and huge arguments."""
    before = system(PLAIN[name], outputs="y")
    notes: list[Note] = []
    stabilize(before, notes)
    assert [note.message for note in notes] == [name]
    values = arrays(scale)
    exact = evaluate(before, values, 50)["y"]
    found = evaluate(stabilize(before), values)["y"]
    visible = np.vectorize(lambda v: 1e-36 < abs(v) < 1e38)(exact).astype(bool)
    expected = np.where(visible, exact, 0).astype(np.float64)
    np.testing.assert_allclose(
        np.where(visible, found, 0), expected, rtol=2e-5 if scale > 1 else 3e-6
    )


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("name", list(COMPOSED))
def test_values_over_several_equations(name: str, scale: float) -> None:
    """Up to 1e4 everything is finite and accurate, however it is spread over equations."""
    before = COMPOSED[name]
    values = arrays(scale)
    notes: list[Note] = []
    after = validate(stabilize(before, notes))
    assert notes
    digits = 50 if scale < 100 else 4400  # 1 - p has to be seen where p is 1 - exp(-1e4)
    exact, found = evaluate(before, values, digits), evaluate(after, values)
    for output, value in found.items():
        expected = exact[output].astype(np.float64)
        assert np.isfinite(value).all(), after
        tolerance = 2e-6 * max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(value, expected, rtol=5e-6, atol=tolerance, err_msg=str(after))


def test_complements_decline_when_no_digits_are_lost() -> None:
    """The sum of a number and a share between 0 and 1 of it, and what is no share of a number in the sum."""
    x, t = at("x", n, i), at("t", n, i)
    for value in (t + t * f("sigmoid", x), t - x * f("sigmoid", x), 3 + 2 * f("erf", x)):
        before = system(define("y", value), outputs="y")
        assert stabilize(before).equations == before.equations


def test_complements_leave_terms_that_are_equal() -> None:
    """Of several terms that are one and the same expression one is taken with its share, the others stay."""
    x, tanh = at("x", n, i), f("tanh", at("x", n, i))
    for value in (1 + tanh + 1, 1 - tanh - tanh, x + x * f("erf", x) + x, tanh - 1 - 1):
        before = system(define("y", value), outputs="y")
        after = stabilize(before)
        assert after.equations != before.equations
        expected, found = (evaluate(each, arrays(1))["y"] for each in (before, after))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_zero_times_log_of_zero() -> None:
    """t*log(p) is 0 where both are 0; a NaN still shows, and so does -inf where t is not 0."""
    before = system(define("y", at("t", n, i) * f("log", at("x", n, i))), outputs="y")
    x = np.array([[0, 0, np.nan, 1, 4]] * N, np.float32)
    t = np.array([[0, 1, 0, np.nan, 0]] * N, np.float32)
    y = evaluate(stabilize(before), {**arrays(1), "x": x, "t": t})["y"]
    np.testing.assert_array_equal(y[0], [0, -np.inf, np.nan, np.nan, 0])


def test_what_is_divided_by_its_norm() -> None:
    """x/sqrt(sum(x**2)) is 0 where all of x is; where something is added to the squares nothing changes."""
    norm = define("s", f("sqrt", total(at("x", n, j) ** 2, j)), ROWS)
    share = define("y", at("g") * at("x", n, i) / at("s", n))
    before = system(norm, share, outputs="y")
    x = np.array([[0] * D, [0, 0, 3, 4, 0], [1, 1, np.nan, 1, 1]], np.float32)
    y = evaluate(stabilize(before), {**arrays(1), "x": x})["y"]
    np.testing.assert_allclose(y, [[0] * D, [0, 0, 0.6, 0.8, 0], [np.nan] * D], rtol=1e-6)
    more = define("s", f("sqrt", total(at("x", n, j) ** 2, j) + at("g")), ROWS)
    other = system(more, share, outputs="y")
    assert stabilize(other) == other


def test_variance_of_large_numbers() -> None:
    """mean(u**2) - mean(u)**2 keeps the digits of a variance of 1 at a mean of 10000."""
    before = COMPOSED["a difference that is a variance"]
    x = (1e4 + np.random.default_rng(0).normal(0, 1, (N, D))).astype(np.float32)
    y = evaluate(stabilize(before), {**arrays(1), "x": x})["y"]
    np.testing.assert_allclose(y, x.astype(np.float64).var(1), rtol=1e-3)


def test_what_where_hides_stays_hidden() -> None:
    """However exponents are added up: what is not chosen is 0, be it infinite or no number; the other factor shows."""
    x, t, g = at("x", n, i), at("t", n, i), at("g")
    hidden = f("where", f("==", t, 1), f("exp", x), 0)
    products = hidden * f("exp", g), hidden / f("exp", g), hidden * (f("exp", -t) / f("exp", g))
    summed = total(substitute(hidden * f("exp", t), {i: j}), j) * f("exp", g)
    twice = hidden * f("where", f("<", x, 3), f("exp", t), 0)
    nothing = total(
        f("where", f("<", at("t", n, j), 2), 0, f("exp", at("x", n, j))) * f("exp", at("t", n, j)),
        j,
    )
    values = arrays(1)
    values["x"] = np.where(
        values["t"] == 1, values["x"], np.float32([200, -np.inf, np.inf, np.nan, 1])
    )
    for value in (*products, summed, twice, nothing**2, nothing * f("exp", g)):
        before = system(define("y", value), outputs="y")
        after = stabilize(before)
        assert after != before
        for number in (0.5, np.nan):
            expected, found = (
                evaluate(each, {**values, "g": np.float32(number)})["y"] for each in (before, after)
            )
            np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_infinite_arguments_of_log_sum_exp() -> None:
    """log(sum(exp(x))) of -inf only is -inf, with one inf it is inf, with a NaN it is NaN."""
    before = COMPOSED["a logarithm of a sum"]
    x = np.full((N, D), -np.inf, np.float32)
    x[1, 2], x[2, 0] = np.inf, np.nan
    y = evaluate(stabilize(before), {**arrays(1), "x": x})["y"]
    np.testing.assert_array_equal(y, [-np.inf, np.inf, np.nan])


# --- refusals -------------------------------------------------------------------------------------


def test_stabilize_declines_when_shifted_already() -> None:
    """What subtracts a maximum already stays as it is, also if that is another equation."""
    top = define("top", total(at("x", n, m), m, "max"), ROWS)
    shifted = define(
        "p",
        f("exp", at("x", n, i) - at("top", n)) / total(f("exp", at("x", n, j) - at("top", n)), j),
    )
    before = system(top, shifted, outputs="p")
    assert stabilize(before) == before


def test_stabilize_declines_when_a_read_may_be_out_of_range() -> None:
    """log(p[n, i + 1]) is log(0) at the end of the row, so the equation of p is not read."""
    y = define("y", f("log", at("p", n, i + 1)))
    before = system(P, y, outputs="y")
    assert stabilize(before).equations[1] == y
    values = arrays(1)
    assert (evaluate(stabilize(before), values)["y"][:, -1] == -np.inf).all()


def test_stabilize_declines_to_cancel_what_may_be_zero() -> None:
    """(t/x)*x is NaN where x is 0, and stays so."""
    before = system(define("y", at("t", n, i) / at("x", n, i) * at("x", n, i)), outputs="y")
    assert stabilize(before) == before


@settings(max_examples=60, deadline=None)
@given(cases())
def test_values_are_kept(case: Case) -> None:
    """In float64 any system has the same values after the stage, and is valid."""
    before = evaluate(case.system, case.arrays, "float64")
    after = evaluate(validate(stabilize(case.system)), case.arrays, "float64")
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-9, atol=1e-9)
