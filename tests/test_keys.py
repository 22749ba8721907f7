"""Keys folded from words: the same for the same words, others for others, and nothing but a key is taken for one."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError
from jgraph.keys import fold

KEY = jax.random.key(0)


def data(*words: Any) -> tuple[int, ...]:
    return tuple(np.asarray(jax.random.key_data(fold(KEY, *words))).tolist())


def test_the_same_words_give_the_same_key_in_any_process() -> None:
    assert data("tower/dense", 1) == data("tower/dense", 1)
    assert data("dense") == (1889101673, 4266479186)  # written down once: a change would change all start values


def test_other_words_give_other_keys() -> None:
    words = [("a",), ("b",), ("a", 0), ("a", 1), ("a", "b"), ("ab",), ("a/b",), ("", "a"), ()]
    for one, other in itertools.combinations(words, 2):
        assert data(*one) != data(*other)
    assert len({data(f"dense_{i}") for i in range(200)}) == 200


def test_old_keys_and_tracers_are_keys_too() -> None:
    old = fold(jax.random.PRNGKey(0), "dense")
    np.testing.assert_array_equal(old, np.asarray(data("dense"), np.uint32))
    traced = jax.jit(lambda key: jax.random.key_data(fold(key, "dense")))(KEY)
    np.testing.assert_array_equal(traced, old)


@pytest.mark.parametrize("wrong", [0, None, "key", 1.5, jnp.ones(2), jnp.zeros((), jnp.uint32)], ids=str)
def test_what_is_no_key_is_refused(wrong: Any) -> None:
    x = jg.Input((2,))
    dense, drop = jg.Model(x, jg.layers.Dense(2)(x)), jg.Model(x, jg.layers.Dropout(0.5)(x))
    with pytest.raises(ArgumentError, match=r"Write jax\.random\.key\(0\)"):
        dense.init(wrong)
    if wrong is not None:
        with pytest.raises(ArgumentError, match=r"Write jax\.random\.key\(0\)"):
            drop.apply({}, {}, np.ones((2, 2)), train=True, key=wrong)


def test_many_keys_are_not_one() -> None:
    with pytest.raises(ArgumentError, match="a single key"):
        fold(jax.random.split(KEY, 3), "dense")
