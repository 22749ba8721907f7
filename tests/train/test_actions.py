"""What an action is made of: numbers of every kind, bounds of the rate, and all that is refused when it is made."""

import math
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, CallbackError
from jgraph.train.actions import REACHED, number_of

K = jg.callbacks
HALF = [np.float16(0.5), np.float32(0.5), np.float64(0.5), np.array(0.5), jnp.float32(0.5), jnp.bfloat16(0.5)]
ONE = [1, np.int64(1), np.uint8(1), np.array(1), jnp.int32(1)]
BOUNDS: list[dict[str, Any]] = [{"least": 0.01}, {"most": 1.0}]
NO_NUMBERS = [
    True,
    np.bool_(True),
    jnp.array(True),
    "1",
    None,
    1j,
    np.complex64(1),
    np.ones(1),
    jnp.ones((1, 1)),
    [1.0],
]


@pytest.mark.parametrize("value", [*HALF, *ONE])
def test_numbers_of_numpy_and_jax_are_numbers(value: Any) -> None:
    expected = 0.5 if any(value is half for half in HALF) else 1.0
    found = [
        K.ScaleLearningRate(value).factor,
        K.ScaleLearningRate(2.0, least=value).least,
        K.ScaleLearningRate(2.0, most=value).most,
        K.SetLearningRate(value).rate,
        K.Save("runs", monitor="loss", score=value, mode="min").score,
    ]
    assert [(type(one), one) for one in found] == [(float, expected)] * 5


@pytest.mark.parametrize("value", [*NO_NUMBERS, math.nan, np.float32("nan"), jnp.float32("nan")])
def test_what_is_no_number_is_refused_with_what_was_got(value: Any) -> None:
    assert math.isnan(number_of(value))
    for make, where in [
        (lambda: K.ScaleLearningRate(value), "ScaleLearningRate, factor"),
        (lambda: K.SetLearningRate(value), "SetLearningRate, rate"),
    ]:
        with pytest.raises(ArgumentError) as caught:
            make()
        assert (caught.value.where, caught.value.got) == (where, repr(value))


def test_an_integer_beyond_the_floats_is_infinite() -> None:
    assert (number_of(10**400), number_of(-(10**400))) == (math.inf, -math.inf)


@pytest.mark.parametrize("value", [math.inf, np.float32("inf"), 10**400, -0.5, np.float32(-0.5)])
def test_a_rate_is_finite_and_not_negative(value: Any) -> None:
    with pytest.raises(ArgumentError, match="ScaleLearningRate, factor: expected a finite number above 0"):
        K.ScaleLearningRate(value)
    with pytest.raises(ArgumentError, match="SetLearningRate, rate: expected a finite number of at least 0"):
        K.SetLearningRate(value)


@pytest.mark.parametrize(
    ("bounds", "where"),
    [
        ({"least": -1.0}, "least: expected a finite number of at least 0"),
        ({"least": True}, "least: expected a finite number"),
        ({"most": 0}, "most: expected a finite number above 0"),
        ({"most": math.inf}, "most: .* Leave it out for no bound"),
        ({"least": 0.2, "most": 0.1}, "least: expected at most `most`, which is 0.1, got 0.2"),
    ],
)
def test_bounds_are_checked(bounds: dict[str, Any], where: str) -> None:
    with pytest.raises(ArgumentError, match=f"ScaleLearningRate, {where}"):
        K.ScaleLearningRate(0.5, **bounds)


@pytest.mark.parametrize(
    ("factor", "bounds", "rate", "after"),
    [
        (0.5, {}, 1.0, 0.5),
        (0.5, {"least": 0.25}, 1.0, 0.5),
        (0.5, {"least": 0.5}, 1.0, 0.5),
        (0.5, {"least": 0.75}, 1.0, 0.75),
        (0.5, {"least": 1.0}, 1.0, 1.0),
        (0.5, {"least": 2.0}, 1.0, 1.0),
        (0.5, {"most": 0.25}, 1.0, 0.25),
        (0.5, {"least": 0.0}, 1.0, 0.5),
        (2.0, {"most": 4.0}, 1.0, 2.0),
        (2.0, {"most": 1.5}, 1.0, 1.5),
        (2.0, {"most": 1.0}, 1.0, 1.0),
        (2.0, {"most": 0.5}, 1.0, 1.0),
        (2.0, {"least": 4.0}, 1.0, 4.0),
        (1.0, {"least": 4.0}, 1.0, 1.0),
        (2.0, {"least": 0.5, "most": 1.5}, 1.0, 1.5),
        (2.0, {"least": 0.5}, 0.0, 0.0),
    ],
)
def test_the_rate_stays_within_its_bounds(factor: float, bounds: Any, rate: float, after: float) -> None:
    assert rate * K.ScaleLearningRate(factor, **bounds).factor_at(rate) == after


def test_a_rate_at_its_bound_but_for_float32_stays_as_it_is() -> None:
    for rate in (0.04 * (1 - REACHED / 2), float(np.float32(0.04)), 0.04 * (1 + REACHED / 2)):
        assert K.ScaleLearningRate(0.5, least=0.04).factor_at(rate) == 1.0
        assert K.ScaleLearningRate(2.0, most=0.04).factor_at(rate) == 1.0


def fit(*actions: Any, optimizer: Any = optax.sgd, **options: Any) -> tuple[float, jg.Run]:
    """The scale of the learning rate, and the run, after actions at the end of the only epoch."""
    x = jg.Input((3,), name="x")
    own = jg.Trainer(jg.Model(x, jg.layers.Dense(1)(x)), optimizer, loss="mse", **options)
    rows = np.ones((4, 3), np.float32), np.ones(4, np.float32)
    run = own.fit(rows, epochs=1, progress=False, callbacks=[K.on_epoch_end(lambda event: list(actions))])
    assert run.train_state is not None
    return float(run.train_state.lr_scale), run


def test_bounds_hold_for_the_rate_of_the_moment() -> None:
    halve = K.ScaleLearningRate(0.5, least=0.04)
    scale, _ = fit(halve, halve, learning_rate=0.1)
    assert scale == pytest.approx(0.4, rel=1e-6)
    scale, _ = fit(K.SetLearningRate(0.04), halve, learning_rate=0.1)
    assert scale == float(np.float32(0.04 / float(np.float32(0.1)))), "nothing is changed at the bound"
    scale, _ = fit(K.SetLearningRate(1.0), halve, learning_rate=0.1)
    assert scale == pytest.approx(5.0, rel=1e-6)
    scale, _ = fit(K.SetLearningRate(0.01), halve, learning_rate=0.1)
    assert scale == pytest.approx(0.1, rel=1e-6), "it is not raised to the bound"


def test_bounds_hold_for_the_rate_of_a_schedule() -> None:
    schedule: Any = optax.linear_schedule(0.1, 0.0, 10)  # 0.09 at the next step
    scale, _ = fit(K.ScaleLearningRate(0.5, least=0.06), learning_rate=schedule)
    assert scale == pytest.approx(0.06 / 0.09, rel=1e-6)


def test_bounds_need_a_rate_that_is_known() -> None:
    for bounds in BOUNDS:
        with pytest.raises(CallbackError, match=r"learning rate, as `least` and `most` .* learning_rate=1e-3"):
            fit(K.ScaleLearningRate(0.5, **bounds), optimizer=optax.sgd(0.1))
    assert fit(K.ScaleLearningRate(0.5), optimizer=optax.sgd(0.1))[0] == 0.5


def test_the_word_of_the_loop_for_signals_is_no_reason() -> None:
    with pytest.raises(ArgumentError, match=r"Stop, reason: .* Say it in other words"):
        K.Stop("interrupted")
    assert K.Stop("interrupted by hand").reason == "interrupted by hand"


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"directory": ""}, "directory"),
        ({"directory": b"runs"}, "directory"),
        ({"max_to_keep": True}, "max_to_keep"),
        ({"protect": [1]}, "protect"),
        ({"protect": (1.0,)}, "protect"),
        ({"protect": (True,)}, "protect"),
        ({"protect": (-1,)}, "protect"),
        ({"protect": 3}, "protect"),
        ({"score": "a"}, "score"),
        ({"monitor": "loss", "score": math.nan, "mode": "min"}, "score: expected a number"),
        ({"monitor": "loss", "score": np.float32("nan"), "mode": "min"}, "score: expected a number"),
        ({"monitor": "loss", "score": True, "mode": "min"}, "score: expected a number"),
        ({"mode": "up"}, "mode: expected one of None, 'min', 'max'"),
        ({"monitor": "loss", "score": 0.5, "mode": "auto"}, "mode"),
        ({"monitor": "", "score": 0.5, "mode": "min"}, "monitor"),
        ({"monitor": 3, "score": 0.5, "mode": "min"}, "monitor"),
        ({"score": 0.5}, "score: expected monitor, score and mode together, got no monitor and no mode"),
        ({"score": 0.5, "mode": "min"}, "score: .* got no monitor"),
        ({"score": 0.5, "monitor": "loss"}, "score: .* got no mode"),
        ({"mode": "min"}, "score: .* got no monitor and no score"),
    ],
)
def test_a_save_is_checked_when_it_is_made(arguments: dict[str, Any], where: str) -> None:
    with pytest.raises(ArgumentError, match=rf"^Save, {where}"):
        K.Save(**{"directory": "runs", **arguments})


def test_a_save_takes_what_a_checkpoint_gives_it() -> None:
    save = K.Save(Path("runs"), np.int64(2), (10, np.int64(20)), "loss", math.inf, "max")  # pyright: ignore[reportArgumentType]
    assert (save.score, save.protect) == (math.inf, (10, 20))


def test_a_sink_is_hashable() -> None:
    with pytest.raises(ArgumentError, match=r"Write, sink: expected a sink that is hashable.* got list"):
        K.Write([1], 2)
    assert K.Write(("file", 1), [2]).record == [2]
