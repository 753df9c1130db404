"""Dtypes: one table says what is known of each."""

import numpy as np
import pytest

from compiler.language.dtypes import BYTES, DTYPES, dtype_of


@pytest.mark.parametrize("name", [*DTYPES, "int8"])
def test_length(name):
    """An element is as long in memory as NumPy has it, under the name of its type there too."""
    dtype = dtype_of(name)
    assert dtype.bytes == BYTES[dtype.memory] == np.dtype(name).itemsize


def test_short_names_differ():
    """No two dtypes are printed alike."""
    shorts = [dtype_of(name).short for name in (*DTYPES, "int8")]
    assert len(set(shorts)) == len(shorts)
