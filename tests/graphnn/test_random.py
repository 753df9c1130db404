"""Random numbers: a published generator, a function of seed, stream and position only."""

import random

import numpy as np
import pytest

import graphnn as gn
from graphnn import initializers
from graphnn.random import next_stream, normal, permutation, truncated_normal, uniform


def test_an_element_does_not_depend_on_the_others():
    """Element k of a stream is the same number in an array of any size or shape."""
    large = uniform((1 << 17,), 0, 1, (3, 5))
    assert np.array_equal(uniform((40,), 0, 1, (3, 5)), large[:40])
    assert np.array_equal(
        truncated_normal((5, 8), 0, 1, (3, 5)).ravel(), truncated_normal((40,), 0, 1, (3, 5))
    )
    assert np.array_equal(uniform((1 << 17,), 0, 1, (3, 5)), large)


def test_streams_and_seeds_differ():
    """Another seed, another stream: other numbers."""
    drawn = [uniform((8,), 0, 1, stream) for stream in ((0, 0), (0, 1), (1, 0), (2**40, 0))]
    assert len({tuple(numbers) for numbers in drawn}) == 4


def test_distributions_have_their_moments():
    """Means and deviations are those asked for, and the cut-off holds."""
    count = 40_000
    numbers = uniform((count,), -1, 3, (1, 0))
    assert numbers.min() >= -1
    assert numbers.max() < 3
    assert numbers.mean() == pytest.approx(1, abs=0.03)
    assert normal((count,), 2, 0.5, (1, 1)).std() == pytest.approx(0.5, rel=0.02)
    cut = truncated_normal((count,), 0, 1, (1, 2))
    assert np.abs(cut).max() <= 2
    assert cut.std() == pytest.approx(0.8796, rel=0.02)


def test_permutation_holds_each_number_once():
    """A permutation, another one for each stream."""
    first, second = permutation(1000, (0, 0)), permutation(1000, (0, 1))
    assert sorted(first) == list(range(1000))
    assert (first != second).any()
    assert (first != np.arange(1000)).any()


def test_set_seed_starts_streams_anew():
    """The same draws follow the same seed; an initializer with its own seed is not moved by it."""
    gn.set_seed(5)
    first, again = next_stream(), next_stream()
    gn.set_seed(5)
    assert (next_stream(), next_stream()) == (first, again)
    own = initializers.RandomUniform(seed=3)
    assert np.array_equal(own((4,)), own((4,)))


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "0"])
def test_a_seed_is_a_whole_number(seed):
    """What is no seed is refused, and the old one stays."""
    with pytest.raises(gn.GraphnnError, match="whole number"):
        gn.set_seed(seed)


def test_other_generators_are_not_touched():
    """NumPy's and Python's generators are neither used nor moved."""
    np.random.seed(0)
    random.seed(0)
    before = np.random.get_state()[1].copy(), random.getstate()
    initializers.GlorotNormal()((30, 30))
    assert np.array_equal(np.random.get_state()[1], before[0])
    assert random.getstate() == before[1]


@pytest.mark.parametrize(
    ("name", "shape", "limit"),
    [
        ("glorot_uniform", (30, 50), (6 / 80) ** 0.5),
        ("glorot_uniform", (3, 3, 8, 16), (6 / (9 * 24)) ** 0.5),
        ("he_uniform", (30, 50), (6 / 30) ** 0.5),
        ("lecun_uniform", (3, 5, 8, 16), (3 / (15 * 8)) ** 0.5),
        ("random_uniform", (40, 40), 0.05),
    ],
)
def test_uniform_initializers_fill_their_range(name, shape, limit):
    """Glorot, He and LeCun: the bounds come from the window and the channels."""
    values = initializers.get(name)(shape, "float64")
    assert limit * 0.98 < np.abs(values).max() <= limit


@pytest.mark.parametrize(
    ("name", "deviation"),
    [("glorot_normal", (2 / 300) ** 0.5), ("he_normal", (2 / 100) ** 0.5), ("lecun_normal", 0.1)],
)
def test_normal_initializers_have_their_deviation(name, deviation):
    """The deviation is right after the cut-off, which lies at two of the uncut."""
    values = initializers.get(name)((100, 200), "float64")
    assert values.std() == pytest.approx(deviation, rel=0.02)
    assert np.abs(values).max() <= 2 * deviation / 0.8796 + 1e-6


def test_unknown_initializers_are_refused():
    """A wrong name lists the right ones."""
    with pytest.raises(gn.GraphnnError, match="known are .*glorot_normal"):
        initializers.get("gloria")
    with pytest.raises(gn.GraphnnError, match="fan_in"):
        initializers.VarianceScaling(mode="fan")
    with pytest.raises(gn.ShapeError, match="initializer gave shape"):
        gn.layers.Dense(3, kernel_initializer=lambda shape, dtype: np.zeros(2))(gn.Input((None, 4)))
