"""Where what is not finite began: planted in every pass, by hand and in `fit`, and named rightly."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.callbacks import TerminateOnNaN
from jgraph.errors import ArgumentError
from jgraph.train.locate import Finding

ROWS = 12
START = jg.layers.Dense(3, kernel_initializer=jg.initializers.Identity(), name="start")


def data(bad: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of which the last one is another; with 4 in a batch, unshuffled, it comes in the third step."""
    x = np.random.default_rng(0).uniform(0.5, 1.0, (ROWS, 3)).astype("float32")
    x[-1] = bad
    return x, x.sum(1, keepdims=True)


def trainer_of(model: jg.Model, loss: Any = "mse", optimizer: Any = None, **options: Any) -> jg.Trainer:
    return jg.Trainer(model, optimizer or optax.sgd(0.0), loss=loss, **options)


def through(function: Any) -> jg.Model:
    """A model in whose nested part a function is applied, between two layers that are harmless."""
    inner = jg.Input((3,), name="inner")
    tower = jg.Model(inner, jg.op(function)(jg.op(jnp.negative)(inner)), name="tower")
    x = jg.Input((3,), name="x")
    return jg.Model(x, jg.layers.Dense(1, name="end")(tower(START(x))))


def fit(trainer: jg.Trainer, rows: Any, **options: Any) -> jg.Run:
    given: dict[str, Any] = {"epochs": 2, "batch_size": 4, "shuffle": False, "progress": False, **options}
    return trainer.fit(rows, callbacks=[TerminateOnNaN(locate=True)], **given)


def log_of_minus(x: Any) -> Any:
    return jnp.log(-x)


def root(x: Any) -> Any:
    """Its value at -2 is finite; its slope is not, and 0 times that is NaN."""
    return jnp.sqrt(jnp.square(x + 2))


def log_loss(targets: Any, outputs: Any) -> Any:
    return -jnp.log(jnp.abs(targets - 6.0)).sum(-1) + 0 * outputs.sum(-1)


def steep_loss(targets: Any, outputs: Any) -> Any:
    return jnp.sqrt(jnp.abs(outputs - outputs) * targets).sum(-1)


def breaks_at(step: int) -> Any:
    """An optimizer whose own numbers break, though the gradients are fine."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        del params
        bad = jnp.where(state == step, jnp.nan, 0.0)
        return jax.tree.map(lambda u: u * 1e-6 + (bad if u.ndim == 2 else 0), updates), state + 1

    return optax.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), update)


X = jg.Input((3,), name="x")
PLAIN = jg.Model(X, jg.layers.Dense(1, name="end")(X))

PLANTED: dict[str, tuple[jg.Trainer, float, str, str, str]] = {
    "forward": (
        trainer_of(through(log_of_minus)),
        -1.0,
        "forward",
        "tower/log_of_minus",
        "forward pass of 'tower/log_of_minus'",
    ),
    "loss": (trainer_of(PLAIN, log_loss), 2.0, "loss", "end", "in the loss of 'end'"),
    "backward": (trainer_of(through(root)), 2.0, "backward", "tower/root", "backward pass of 'tower/root'"),
    "backward of the loss": (
        trainer_of(PLAIN, steep_loss),
        1.0,
        "backward",
        "end",
        "backward pass of 'end' (the loss)",
    ),
    "update": (trainer_of(PLAIN, optimizer=breaks_at(2)), 1.0, "update", "end/kernel", "update of 'end/kernel'"),
}


@pytest.mark.parametrize("what", PLANTED)
@pytest.mark.parametrize("batches", [False, True], ids=["rows", "batches"])
def test_what_is_planted_is_named_in_fit(what: str, batches: bool) -> None:
    trainer, bad, where, _, words = PLANTED[what]
    x, y = data(bad)
    rows = [(x[i : i + 4], y[i : i + 4]) for i in range(0, ROWS, 4)] if batches else (x, y)
    run = fit(trainer, rows)
    step = 1 if what == "backward of the loss" else 3
    assert run.stopped is not None
    assert f"not finite at step {step} (epoch 1, batch {step})" in run.stopped
    assert words in run.stopped
    assert int(run.train_state.step) == step - 1
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run.train_state.params))
    assert f" {where}" in run.stopped


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_named_by_hand(what: str) -> None:
    trainer, bad, where, path, words = PLANTED[what]
    x, y = data(bad)
    train_state = trainer.init(jax.random.key(0))
    if what == "update":
        train_state = train_state.replace(opt_state=train_state.opt_state + 2)
    before = jax.tree.map(np.array, train_state.params)
    finding = jg.debug.locate_nan(trainer, train_state, (x[-4:], y[-4:]))
    assert (finding.where, finding.path, finding.step) == (where, path, 1)
    assert words in str(finding)
    jax.tree.map(np.testing.assert_array_equal, before, train_state.params)


def rows_of(values: Any, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(values, "float32"), np.ones((len(values), count), "float32")


def found(trainer: jg.Trainer, batch: Any, train_state: Any = None) -> Finding:
    return jg.debug.locate_nan(trainer, train_state or trainer.init(jax.random.key(0)), batch)


@pytest.mark.parametrize("on_device", [True, False])
def test_a_last_batch_that_is_not_full_is_replayed_as_it_was(on_device: bool) -> None:
    """Ten rows in batches of 4, whose last two mix, as batch normalisation makes them; the second of them is bad."""
    x = jg.Input((3,), name="x")
    normed = jg.layers.BatchNormalization(name="normed")(jg.op(jnp.log)(x))
    values, targets = data()
    values, targets = values[2:], targets[2:]
    values[-1] = -1.0
    run = fit(trainer_of(jg.Model(x, jg.layers.Dense(1)(normed))), (values, targets), data_on_device=on_device)
    assert run.stopped is not None
    assert "not finite at step 3" in run.stopped
    assert "It began in the forward pass of 'log' (Op(" in run.stopped
    assert "its input 'x' had values from -1 to 0." in run.stopped


def test_a_step_in_parts_is_replayed_as_a_whole() -> None:
    run = fit(trainer_of(through(log_of_minus), accumulate=2), data(-1.0))
    assert run.stopped is not None
    assert "forward pass of 'tower/log_of_minus'" in run.stopped


def test_infinities_on_purpose_are_not_followed() -> None:
    """A node gives them, and what follows takes them away; the bad one stands behind."""
    x = jg.Input((2,), name="x")
    masked = jg.op(lambda x: jnp.where(x > 0, x, -jnp.inf))(x)
    weights = jg.layers.Activation("softmax", name="weights")(masked)
    model = jg.Model(x, jg.op(jnp.log)(jg.op(jnp.floor)(weights)))
    assert found(trainer_of(model), rows_of([[1.0, -1.0], [1.0, 2.0]], 2)).path == "log"
    fine = trainer_of(jg.Model(x, weights), loss="mse")
    assert found(fine, rows_of([[1.0, -1.0]], 2)).where == "nowhere"


def test_what_comes_with_the_batch_and_what_was_there_before() -> None:
    trainer = trainer_of(PLAIN)
    finding = found(trainer, rows_of([[1.0, np.nan, 2.0]]))
    assert (finding.where, finding.path) == ("data", "x")
    assert str(finding) == "It came with the batch, in the input 'x'"
    train_state = trainer.init(jax.random.key(0))
    broken = train_state.replace(params={"end": {**train_state.params["end"], "bias": jnp.full(1, jnp.inf)}})
    finding = found(trainer, rows_of([[1.0, 1.0, 2.0]]), broken)
    assert (finding.where, finding.path) == ("params", "end/bias")
    assert str(finding) == "It began before step 1: 'end/bias' was not finite then"


def test_a_shared_layer_is_named_with_what_it_read_there() -> None:
    """The second call overflows, and only there: 1e30 * 1e30."""
    square = jg.op(jnp.square)
    x = jg.Input((1,), name="x")
    first = jg.layers.Rescaling(1e15, name="wide")(x)
    model = jg.Model(x, jg.layers.Dense(1)(square(square(first))))
    finding = found(trainer_of(model), rows_of([[1.0], [2.0]]))
    assert (finding.where, finding.path) == ("forward", "square_1" if "square_1" in model.graph.places else "square")
    assert finding.ranges[0][1:] == pytest.approx((1e30, 4e30))


def test_a_block_that_is_computed_again_is_looked_into() -> None:
    inner = jg.Input((3,), name="inner")
    tower = jg.Model(inner, jg.op(root)(jg.op(jnp.negative)(inner)), name="tower")
    x = jg.Input((3,), name="x")
    model = jg.Model(x, jg.layers.Dense(1)(tower(START(x)))).with_policy(jg.Policy({"tower": {"remat": True}}))
    assert found(trainer_of(model), rows_of([[2.0, 1.0, 1.0]])).path == "tower/root"


def test_the_randomness_of_the_step_is_that_of_the_replay() -> None:
    """What dropout leaves of the input decides; most steps are fine, and the one that is refused is found."""
    x = jg.Input((1,), name="x")
    dropped = jg.layers.Dropout(0.02, name="dropped")(x)
    model = jg.Model(x, jg.layers.Dense(1)(jg.op(jnp.log)(dropped)))
    run = fit(trainer_of(model), rows_of(np.ones((ROWS, 1))), epochs=50)
    assert run.stopped is not None
    assert "It began in the forward pass of 'log'" in run.stopped
    assert "'dropped' had values from 0 to 1.02" in run.stopped
    assert int(run.train_state.step) > 0


@pytest.mark.parametrize("epochs", [3])
def test_a_run_that_is_fine_has_the_same_numbers(epochs: int) -> None:
    trainer, rows = trainer_of(PLAIN, optimizer=optax.adam(0.01)), data()
    located = fit(trainer, rows, epochs=epochs)
    plain = trainer.fit(rows, epochs=epochs, batch_size=4, shuffle=False, progress=False)
    assert located.history == plain.history
    jax.tree.map(np.testing.assert_array_equal, located.train_state.params, plain.train_state.params)


def test_a_train_state_of_another_trainer_is_refused() -> None:
    with pytest.raises(ArgumentError, match="locate_nan, train_state: expected a TrainState"):
        jg.debug.locate_nan(trainer_of(PLAIN), None, rows_of([[1.0, 1.0, 1.0]]))  # pyright: ignore[reportArgumentType]


def test_a_model_without_params_and_the_strongest_of_several_guards() -> None:
    x = jg.Input((3,), name="x")
    trainer = trainer_of(jg.Model(x, jg.op(jnp.sum)(x, axis=1, keepdims=True)))
    assert fit(trainer, data()).stopped is None
    broken = optax.stateless(lambda updates, params: jax.tree.map(lambda update: update + jnp.nan, updates))
    trainer = trainer_of(jg.Model(x, jg.layers.Dense(1)(x)), optimizer=broken)
    both = [TerminateOnNaN(name="first"), TerminateOnNaN(locate=True)]
    run = trainer.fit(data(), epochs=1, batch_size=4, callbacks=both, progress=False)
    assert run.stopped is not None
    assert "update" in run.stopped


def test_a_replay_that_fails_hides_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("jgraph.train.session.locate", full)
    run = fit(trainer_of(through(log_of_minus)), data(-1.0))
    assert run.stopped is not None
    assert "not finite at step 3" in run.stopped
    assert "Its replay failed: MemoryError: no room" in run.stopped


def test_fit_many_does_not_replay() -> None:
    trainer = trainer_of(through(log_of_minus))
    with pytest.raises(ArgumentError, match="fit_many, callback 'terminate_on_nan'"):
        trainer.fit_many(data(), epochs=1, batch_size=4, seeds=2, callbacks=[TerminateOnNaN(locate=True)])
