"""States of iterators as JSON and back: value for value, and nothing that would have to be pickled."""

import collections
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jgraph.errors import SaveError
from jgraph.storage.plain_state import from_plain, to_plain

KEYS = st.one_of(st.text(max_size=3), st.integers(), st.booleans(), st.none(), st.just("is"), st.binary(max_size=3))
SIMPLE = st.one_of(KEYS, st.floats(allow_nan=False), st.integers(-(2**130), 2**130))
STATES = st.recursive(
    SIMPLE,
    lambda below: st.one_of(
        st.lists(below, max_size=3), st.lists(below, max_size=3).map(tuple), st.dictionaries(KEYS, below, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(STATES)
def test_every_state_comes_back(state: Any) -> None:
    back = from_plain(json.loads(json.dumps(to_plain(state, "data"))))
    assert back == state
    assert repr(back) == repr(state)


@pytest.mark.parametrize("dtype", ["uint32", "float32", "bool", "complex64", ">i2"])
def test_arrays_and_numbers_of_numpy_keep_dtype_and_shape(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    for state in (array, array.T, array[:0], array[1, 1]):
        back = from_plain(json.loads(json.dumps(to_plain(state, "data"))))
        assert type(back) is type(state)
        assert back.dtype == state.dtype
        np.testing.assert_array_equal(back, state)


def test_a_generator_of_numpy_goes_on() -> None:
    for kind in (np.random.PCG64, np.random.MT19937, np.random.SFC64):
        random, again = np.random.Generator(kind(1)), np.random.Generator(kind(2))
        random.random(3)
        again.bit_generator.state = from_plain(json.loads(json.dumps(to_plain(random.bit_generator.state, "data"))))
        assert again.random() == random.random()


def test_nan_comes_back() -> None:
    assert math.isnan(from_plain(json.loads(json.dumps(to_plain(math.nan, "data")))))


@pytest.mark.parametrize("value", [object(), int, collections.OrderedDict(), {1}, np.array([None]), lambda: 0])
def test_what_would_be_pickled_is_refused_by_its_place(value: Any) -> None:
    with pytest.raises(SaveError, match=r"data, 'inner', \[1\]: expected a state of numbers.*nothing is pickled"):
        to_plain({"inner": (0, value)}, "data")
