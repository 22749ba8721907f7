"""Bad calls of the trainer, each refused before the first compile by an error that names the place and the cure."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import (
    ArgumentError,
    DataError,
    DTypeError,
    JGraphError,
    KeyMismatchError,
    LossError,
    ShapeError,
)

ROWS = 6
CROSS_ENTROPY = "sparse_categorical_crossentropy"


def model() -> jg.Model:
    """Two inputs, one of them indices below 10, and two outputs."""
    x, token = jg.Input((4,), name="x"), jg.Input((), dtype="int32", name="token")
    hidden = jg.layers.concatenate([x, jg.layers.Embedding(10, 2, name="embedding")(token)])
    classes = jg.layers.Dense(3, activation="softmax", name="cls")(hidden)
    return jg.Model({"x": x, "token": token}, {"cls": classes, "reg": jg.layers.Dense(1, name="reg")(hidden)})


def trainer(**options: Any) -> jg.Trainer:
    options = {"optimizer": optax.sgd(0.1), "loss": {"cls": CROSS_ENTROPY, "reg": "mse"}, **options}
    return jg.Trainer(model(), **options)


def untyped(value: Any) -> Any:
    """What a type checker would have refused."""
    return value


def inputs(**changes: Any) -> dict[str, Any]:
    given = {"x": np.ones((ROWS, 4), "float32"), "token": np.arange(ROWS), **changes}
    return {name: value for name, value in given.items() if value is not ...}


def targets(**changes: Any) -> dict[str, Any]:
    given = {"cls": np.zeros(ROWS, int), "reg": np.zeros(ROWS), **changes}
    return {name: value for name, value in given.items() if value is not ...}


def fit(data: Any = None, **options: Any) -> Any:
    data = (inputs(), targets()) if data is None else data
    return trainer().fit(data, **{"epochs": 1, "progress": False, **options})


def fit_inputs(**changes: Any) -> Any:
    return fit((inputs(**changes), targets()))


def fit_targets(**changes: Any) -> Any:
    return fit((inputs(), targets(**changes)))


def fit_weights(weights: Any) -> Any:
    return fit((inputs(), targets(), weights))


def with_bad(array: np.ndarray, value: Any) -> np.ndarray:
    array = array.copy()
    array[2] = value
    return array


def single(loss: Any, units: int = 1, activation: str | None = None, **options: Any) -> jg.Trainer:
    x = jg.Input((4,), name="x")
    return jg.Trainer(
        jg.Model(x, jg.layers.Dense(units, activation, name="y")(x)), optax.sgd(0.1), loss=loss, **options
    )


def fit_single(loss: Any, y: Any, units: int = 1, activation: str | None = None) -> Any:
    return single(loss, units, activation).fit((np.ones((ROWS, 4)), y), epochs=1, progress=False)


def mean_over_the_batch(y: Any, outputs: Any) -> Any:
    return jnp.mean((y - outputs) ** 2)


def broadcasting(y: Any, outputs: Any) -> Any:
    return (y - outputs) ** 2


def masked(loss: Any, weights: Any = None) -> Any:
    tokens = jg.Input((5,), dtype="int32", name="tokens")
    y = jg.layers.Dense(2, name="y")(jg.layers.Embedding(9, 3, mask_zero=True)(tokens))
    data = np.ones((ROWS, 5), int), np.zeros((ROWS, 5, 2))
    data = data if weights is None else (*data, weights)
    return jg.Trainer(jg.Model(tokens, y), optax.sgd(0.1), loss=loss).fit(data, epochs=1, progress=False)


def foreign_state() -> jg.TrainState:
    return single("mse").init(jax.random.key(0))


def other_optimizer() -> jg.TrainState:
    return trainer(optimizer=optax.adam(0.1)).init(jax.random.key(0))


def without_batch_axis() -> Any:
    x = jg.Input((4,), name="x")
    return jg.Trainer(jg.Model(x, jg.op(jnp.mean)(x)), optax.sgd(0.1), loss="mse")


def of_integers() -> Any:
    x = jg.Input((4,), name="x")
    return jg.Trainer(jg.Model(x, jg.op(jnp.argmax, name="best")(x, axis=-1)), optax.sgd(0.1), loss="mse")


def fit_nested() -> Any:
    start, tokens = jg.Input((2,), dtype="int32"), jg.Input((2,), dtype="int32", name="tokens")
    inner = jg.Model(start, jg.layers.Embedding(5, 2)(start), name="inner")
    trainer = jg.Trainer(jg.Model(tokens, jg.layers.Flatten()(inner(tokens))), optax.sgd(0.1), loss="mse")
    return trainer.fit((np.full((ROWS, 2), 5), np.zeros((ROWS, 4))), epochs=1, progress=False)


Bad = tuple[Callable[[], Any], type[JGraphError], str]

MAKING: dict[str, Bad] = {
    "model is a layer": (
        lambda: jg.Trainer(untyped(jg.layers.Dense(1)), optax.sgd(0.1), "mse"),
        ArgumentError,
        "a jg.Model",
    ),
    "optimizer is a string": (
        lambda: trainer(optimizer="adam"),
        ArgumentError,
        r"optimizer.*'adam'.*optax\.adam\(1e-3\)",
    ),
    "optimizer is a factory": (lambda: trainer(optimizer=optax.adam), ArgumentError, r"optimizer.*optax\.adam\(1e-3\)"),
    "optimizer is a number": (lambda: trainer(optimizer=0.1), ArgumentError, "an optax optimizer"),
    "rate beside an optimizer": (lambda: trainer(learning_rate=0.1), ArgumentError, "a factory, beside learning_rate"),
    "rate of a factory without": (
        lambda: trainer(optimizer=optax.identity, learning_rate=0.1),
        ArgumentError,
        "a factory that takes learning_rate",
    ),
    "rate is negative": (
        lambda: trainer(optimizer=optax.sgd, learning_rate=-0.1),
        ArgumentError,
        "learning_rate.*-0.1",
    ),
    "rate is nan": (lambda: trainer(optimizer=optax.sgd, learning_rate=np.nan), ArgumentError, "learning_rate.*finite"),
    "rate is a string": (lambda: trainer(optimizer=optax.sgd, learning_rate="0.1"), ArgumentError, "learning_rate"),
    "loss key typo": (lambda: trainer(loss={"clss": "mse", "reg": "mse"}), KeyMismatchError, "Did you mean 'cls'"),
    "loss missing": (lambda: trainer(loss={"cls": CROSS_ENTROPY}), KeyMismatchError, "none for 'reg'.*Give None"),
    "loss of several untold": (lambda: trainer(loss="mse"), KeyMismatchError, "a dict by output name, 'cls', 'reg'"),
    "loss list for a dict": (lambda: trainer(loss=["mse", "mse"]), KeyMismatchError, "a dict by output name"),
    "loss name typo": (lambda: trainer(loss={"cls": None, "reg": "msee"}), ArgumentError, "loss of 'reg'.*mean 'mse'"),
    "loss is a class": (lambda: trainer(loss={"cls": None, "reg": jg.losses.Loss}), ArgumentError, "loss of 'reg'"),
    "loss is a number": (lambda: single(3), ArgumentError, "the name of a loss, a function"),
    "loss is none": (lambda: single(None), ArgumentError, "at least one loss"),
    "loss_weights key typo": (
        lambda: trainer(loss_weights={"cls": 1, "regg": 0}),
        KeyMismatchError,
        "Did you mean 'reg'",
    ),
    "weight is nan": (lambda: trainer(loss_weights={"cls": np.nan}), ArgumentError, "loss_weights of 'cls'.*finite"),
    "weight is a string": (lambda: trainer(loss_weights={"cls": "1"}), ArgumentError, "loss_weights of 'cls'"),
    "weight without a loss": (
        lambda: trainer(loss={"cls": None, "reg": "mse"}, loss_weights={"cls": 1.0}),
        ArgumentError,
        "for an output without one",
    ),
    "weights are a number": (lambda: trainer(loss_weights=2.0), KeyMismatchError, "loss_weights: expected a dict"),
    "metrics key typo": (lambda: trainer(metrics={"csl": "accuracy"}), KeyMismatchError, "metrics.*Did you mean 'cls'"),
    "metric name typo": (lambda: trainer(metrics={"cls": "acuracy"}), ArgumentError, "Did you mean 'accuracy'"),
    "metric twice": (lambda: trainer(metrics={"cls": ["accuracy", "accuracy"]}), ArgumentError, "different names"),
    "metric called loss": (
        lambda: single("mse", metrics=jg.metrics.Mean(abs, name="loss")),
        ArgumentError,
        "none of them",
    ),
    "accuracy of numbers": (
        lambda: trainer(metrics={"reg": "accuracy"}),
        LossError,
        "accuracy beside mean_squared_error",
    ),
    "metric of other targets": (
        lambda: trainer(metrics={"cls": "categorical_accuracy"}),
        LossError,
        "a metric of the targets of sparse_categorical_crossentropy",
    ),
    "metrics of several untold": (lambda: trainer(metrics=["accuracy"]), KeyMismatchError, "a dict by output name"),
    "softmax of one class": (lambda: single(CROSS_ENTROPY, 1, "softmax"), LossError, "two classes.*use sigmoid"),
    "cross-entropy on relu": (lambda: single(CROSS_ENTROPY, 3, "relu"), LossError, "an end in softmax, or logits"),
    "output without batch axis": (without_batch_axis, LossError, "one row per row of the inputs"),
    "output of integers": (of_integers, LossError, "floating-point numbers.*int32"),
}

ARGUMENTS: dict[str, Bad] = {
    "batch_size 0": (lambda: fit(batch_size=0), ArgumentError, r"batch_size.*got 0\. Write batch_size=32"),
    "batch_size -4": (lambda: fit(batch_size=-4), ArgumentError, "batch_size.*-4"),
    "batch_size 2.0": (lambda: fit(batch_size=2.0), ArgumentError, "batch_size.*2.0"),
    "batch_size True": (lambda: fit(batch_size=True), ArgumentError, "batch_size.*True"),
    "epochs -1": (lambda: fit(epochs=-1), ArgumentError, "epochs: expected an integer of at least 0, got -1"),
    "epochs None": (lambda: fit(epochs=None), ArgumentError, "epochs.*None"),
    "seed -1": (lambda: fit(seed=-1), ArgumentError, "seed.*-1"),
    "seed too large": (lambda: fit(seed=2**32), ArgumentError, "seed: expected an integer from 0 to 4294967295"),
    "steps_per_epoch 0": (lambda: fit(steps_per_epoch=0), ArgumentError, "steps_per_epoch"),
    "steps_per_epoch too many": (
        lambda: fit(steps_per_epoch=9),
        ArgumentError,
        "at most the 1 batches that 6 rows give",
    ),
    "shuffle a word": (lambda: fit(shuffle="batch"), ArgumentError, "shuffle.*True or False.*'batch'"),
    "progress a number": (lambda: fit(progress=2), ArgumentError, "progress"),
    "validation_split 1.5": (lambda: fit(validation_split=1.5), ArgumentError, "validation_split.*1.5"),
    "validation_split -0.1": (lambda: fit(validation_split=-0.1), ArgumentError, "validation_split.*-0.1"),
    "validation_split 1.0": (lambda: fit(validation_split=1.0), ArgumentError, "validation_split"),
    "validation_split of too few": (lambda: fit(validation_split=0.999), ArgumentError, "leaves some on both sides"),
    "validation_split a word": (lambda: fit(validation_split="0.1"), ArgumentError, "validation_split"),
    "split and data": (
        lambda: fit(validation_split=0.5, validation_data=(inputs(), targets())),
        ArgumentError,
        "validation_split.*both.*Give validation_data alone",
    ),
    "split of batches": (
        lambda: fit([(inputs(), targets())], validation_split=0.5),
        ArgumentError,
        "validation_split.*an iterable",
    ),
    "train_state of another model": (
        lambda: fit(train_state=foreign_state()),
        KeyMismatchError,
        "train_state.params.*'cls/kernel'.*of this model and optimizer",
    ),
    "train_state of another optimizer": (
        lambda: fit(train_state=other_optimizer()),
        KeyMismatchError,
        "train_state.opt_state",
    ),
    "train_state is params": (
        lambda: fit(train_state=trainer().init(jax.random.key(0)).params),
        ArgumentError,
        r"a TrainState, got dict.*trainer\.init",
    ),
    "train_state is a run": (lambda: fit(train_state=fit()), ArgumentError, r"got a Run. Give run.train_state"),
    "run is a train_state": (
        lambda: fit(run=trainer().init(jax.random.key(0))),
        ArgumentError,
        "fit, run: expected a Run alone.*got TrainState",
    ),
    "run and train_state": (
        lambda: fit(run=fit(), train_state=trainer().init(jax.random.key(0))),
        ArgumentError,
        "fit, run.*beside train_state",
    ),
    "fewer epochs than done": (lambda: fit(run=fit(epochs=2), epochs=1), ArgumentError, "at least the 2 epochs"),
    "evaluate of a run": (
        lambda: trainer().evaluate(untyped(fit()), (inputs(), targets())),
        ArgumentError,
        "evaluate, train_state.*Give run.train_state",
    ),
    "a step of a run": (
        lambda: trainer().step(untyped(fit()), (inputs(), targets())),
        ArgumentError,
        "step, train_state.*Give run.train_state",
    ),
    "evaluate in batches of 0": (
        lambda: trainer().evaluate(trainer().init(jax.random.key(0)), (inputs(), targets()), batch_size=0),
        ArgumentError,
        "batch_size",
    ),
}

DATA: dict[str, Bad] = {
    "inputs alone": (lambda: fit(np.ones((6, 4))), DataError, r"a tuple \(inputs, targets\).*Write fit\(\("),
    "inputs as a dict alone": (lambda: fit(inputs()), DataError, r"iterable of such tuples, got dict"),
    "a list for a tuple": (lambda: fit([inputs(), targets()]), DataError, "fit, batch 0: expected a tuple"),
    "a tuple of one": (lambda: fit((inputs(),)), DataError, "a tuple of 1"),
    "a number": (lambda: fit(3), DataError, "got int"),
    "no rows": (
        lambda: fit(
            (inputs(x=np.ones((0, 4)), token=np.zeros(0, int)), targets(cls=np.zeros(0, int), reg=np.zeros(0)))
        ),
        DataError,
        "at least 1, everywhere, got input 'token': 0, input 'x': 0, target 'cls': 0",
    ),
    "no batches": (lambda: fit([]), DataError, "at least 1 batches an epoch, got 0"),
    "input missing": (lambda: fit_inputs(token=...), KeyMismatchError, "inputs.*missing 'token'"),
    "input typo": (lambda: fit_inputs(token=..., tokn=np.arange(6)), KeyMismatchError, "Did you mean 'token'"),
    "input too many": (lambda: fit_inputs(y=np.ones(6)), KeyMismatchError, "extra 'y'"),
    "inputs in a list": (lambda: fit(([np.ones((6, 4)), np.arange(6)], targets())), KeyMismatchError, "a dict with"),
    "inputs of other rows": (lambda: fit_inputs(x=np.ones((5, 4))), ShapeError, "input 'x', axis 0: expected size 6"),
    "targets of other rows": (lambda: fit_targets(cls=np.zeros(5, int)), DataError, "input 'x': 6.*target 'cls': 5"),
    "width differs": (lambda: fit_inputs(x=np.ones((6, 5))), ShapeError, "input 'x', axis 1: expected size 4"),
    "rank differs": (lambda: fit_inputs(x=np.ones((6, 4, 1))), ShapeError, "input 'x'.*rank 2.*rank 3"),
    "floats for indices": (lambda: fit_inputs(token=np.ones(6)), DTypeError, "input 'token'.*int32.*float64"),
    "words for numbers": (lambda: fit_inputs(x=np.full((6, 4), "a")), DTypeError, "input 'x'.*Convert it to numbers"),
    "index out of range": (
        lambda: fit_inputs(token=with_bad(np.arange(6), 10)),
        DataError,
        "input 'token': expected indices of 'embedding' from 0 to 9, got others, the first in row 2",
    ),
    "index negative": (lambda: fit_inputs(token=with_bad(np.arange(6), -1)), DataError, "indices of 'embedding'"),
    "index too large for int32": (
        lambda: fit_inputs(token=with_bad(np.arange(6), 2**40 + 3)),
        DTypeError,
        "int32 can hold",
    ),
    "nan in inputs": (
        lambda: fit_inputs(x=with_bad(np.ones((6, 4)), np.nan)),
        DataError,
        "input 'x': expected finite numbers.*first in row 2.*Clean the data",
    ),
    "infinity in inputs": (lambda: fit_inputs(x=with_bad(np.ones((6, 4)), np.inf)), DataError, "input 'x'.*finite"),
    "too large for float32": (lambda: fit_inputs(x=with_bad(np.ones((6, 4)), 1e300)), DataError, "float32 can hold"),
    "target missing": (lambda: fit_targets(reg=...), KeyMismatchError, "none for 'reg'.*Give its targets"),
    "target typo": (lambda: fit_targets(cls=..., clss=np.zeros(6, int)), KeyMismatchError, "mean 'cls'"),
    "targets None": (lambda: fit((inputs(), None)), KeyMismatchError, "targets: expected a dict for the outputs"),
    "target None": (lambda: fit_targets(reg=None), DataError, "target 'reg': expected an array of real numbers"),
    "targets of several in one array": (
        lambda: fit((inputs(), np.zeros(6))),
        KeyMismatchError,
        "a dict for the outputs",
    ),
    "target of ragged lists": (lambda: fit_targets(reg=[[1], [2, 3]]), DataError, "target 'reg': expected an array"),
    "target of complex numbers": (lambda: fit_targets(reg=np.zeros(6, complex)), DataError, "real numbers.*complex128"),
    "labels too large": (
        lambda: fit_targets(cls=with_bad(np.zeros(6, int), 3)),
        DataError,
        "target 'cls': expected labels of sparse_categorical_crossentropy from 0 to 2, got others, the first in row 2",
    ),
    "labels negative": (
        lambda: fit_targets(cls=with_bad(np.zeros(6, int), -1)),
        DataError,
        "target 'cls': expected labels",
    ),
    "labels as floats": (
        lambda: fit_targets(cls=np.zeros(6)),
        DataError,
        r"integer labels.*float64.*astype\('int32'\)",
    ),
    "labels one-hot": (lambda: fit_targets(cls=np.zeros((6, 3), int)), DataError, "use categorical_crossentropy"),
    "nan in targets": (lambda: fit_targets(reg=with_bad(np.zeros(6), np.nan)), DataError, "target 'reg'.*row 2"),
    "three targets for one": (
        lambda: fit_targets(reg=np.zeros((6, 3))),
        DataError,
        r"target 'reg': expected targets \[rows, 1\] or \[rows\] for mean_squared_error.*float64\[6, 3\]",
    ),
    "one target for three": (
        lambda: fit_single("mse", np.zeros((6, 1)), 3),
        DataError,
        r"expected targets \[rows, 3\]",
    ),
    "flat targets for three": (lambda: fit_single("mse", np.zeros(6), 3), DataError, r"expected targets \[rows, 3\]"),
    "transposed targets": (lambda: fit_single("mse", np.zeros((3, 6)), 3), DataError, r"expected targets \[rows, 3\]"),
    "signs for a binary cross-entropy": (
        lambda: fit_single("binary_crossentropy", with_bad(np.ones(6), -1)),
        DataError,
        "probabilities for binary_crossentropy from 0 to 1",
    ),
    "counts for a cross-entropy": (
        lambda: fit_single("categorical_crossentropy", np.full((6, 3), 2), 3),
        DataError,
        "probabilities for categorical_crossentropy",
    ),
    "integers too large": (
        lambda: fit_single("mse", with_bad(np.zeros(6, int), 2**40 + 3)),
        DataError,
        "int32 can hold",
    ),
    "weights of other rows": (lambda: fit_weights({"cls": np.ones(5)}), DataError, "weights of 'cls': 5"),
    "weights for every class": (lambda: fit_weights({"cls": np.ones((6, 3))}), DataError, r"an array \[rows\]"),
    "one weight": (lambda: fit_weights(2.0), DataError, "weights of 'cls': expected one weight a row"),
    "weights negative": (
        lambda: fit_weights(with_bad(np.ones(6), -1.0)),
        DataError,
        "weights of 'cls'.*a negative one",
    ),
    "weights nan": (lambda: fit_weights(with_bad(np.ones(6), np.nan)), DataError, "weights of 'cls': expected finite"),
    "weights zero": (lambda: fit_weights(np.zeros(6)), DataError, "some that are positive, got zeros alone"),
    "weights key typo": (lambda: fit_weights({"rge": np.ones(6)}), KeyMismatchError, "weights.*Did you mean 'reg'"),
    "weights as words": (lambda: fit_weights({"cls": np.full(6, "a")}), DataError, "weights of 'cls'.*real numbers"),
    "weights of other steps": (lambda: masked("mse", np.ones((ROWS, 4))), DataError, r"one a step.*\[rows, time\]"),
    "weights without a loss": (
        lambda: trainer(loss={"cls": None, "reg": "mse"}).fit((inputs(), targets(), {"cls": np.ones(6)}), epochs=1),
        DataError,
        "weights of 'cls': expected none, as it has no loss",
    ),
    "validation data of other width": (
        lambda: fit(validation_data=(inputs(x=np.ones((6, 5))), targets())),
        ShapeError,
        "fit, validation_data, input 'x', axis 1",
    ),
    "validation labels too large": (
        lambda: fit(validation_data=(inputs(), targets(cls=np.full(6, 3)))),
        DataError,
        "fit, validation_data, target 'cls': expected labels",
    ),
    "a bad label in the second batch": (
        lambda: fit([(inputs(), targets()), (inputs(), targets(cls=np.full(6, 3)))]),
        DataError,
        "fit, batch 1, target 'cls': expected labels",
    ),
    "an iterator for two epochs": (
        lambda: fit(iter([(inputs(), targets())]), epochs=2),
        ArgumentError,
        "an iterator.*which the first epoch uses up",
    ),
    "a loss over the batch": (
        lambda: fit_single(mean_over_the_batch, np.zeros((6, 1))),
        LossError,
        "'mean_over_the_batch', the loss of output 'y'.*Do not average over the batch",
    ),
    "a loss that broadcasts": (
        lambda: fit_single(broadcasting, np.zeros(6)),
        LossError,
        r"'broadcasting'.*got float32\[\d+, \d+\].*reshape targets that would broadcast",
    ),
    "a loss without gradients": (
        lambda: fit_single(lambda y, outputs: jnp.argmax(outputs, -1), np.zeros((6, 1))),
        LossError,
        "the loss of output 'y': expected floating-point values.*Use it as a metric",
    ),
    "an index out of range for a nested model": (
        fit_nested,
        DataError,
        "input 'tokens': expected indices of 'inner/embedding' from 0 to 4",
    ),
    "a loss over masked steps": (
        lambda: masked(lambda y, outputs: jnp.mean((y - outputs) ** 2, (1, 2))),
        LossError,
        "a value for each entry of the weights.*Average over the last axis only",
    ),
    "batch of other rows": (
        lambda: trainer().step(trainer().init(jax.random.key(0)), (inputs(), targets(reg=np.zeros(1)))),
        DataError,
        "step: expected the same number of rows.*target 'reg': 1",
    ),
    "batch with one weight": (
        lambda: trainer().step(trainer().init(jax.random.key(0)), (inputs(), targets(), np.ones(1))),
        DataError,
        "weights of 'cls': 1",
    ),
}

CALLS = {**MAKING, **ARGUMENTS, **DATA}
RUNS_FIRST = {
    "evaluate of a run",
    "a step of a run",
    "train_state is a run",
    "run and train_state",
    "fewer epochs than done",
}
RUNS_FIRST |= {"a bad label in the second batch"}


@pytest.mark.parametrize("name", CALLS)
def test_bad_calls_are_refused_with_place_and_cure(name: str, caplog: pytest.LogCaptureFixture) -> None:
    call, kind, message = CALLS[name]
    with jax.log_compiles(), pytest.raises(kind, match=message) as caught:
        call()
    error = caught.value
    assert isinstance(error, JGraphError)
    assert isinstance(error, (ValueError, TypeError, KeyError))
    assert error.where
    assert error.cure.endswith((".", "?"))
    if name not in RUNS_FIRST:
        programs = "|".join(["many", "at", "summed", "measured", "measured_at", "measured_many", "logged"])
        assert not re.search(rf"Compiling jit\(({programs})\)", caplog.text)


def test_no_name_hides_another() -> None:
    assert len(CALLS) == len(MAKING) + len(ARGUMENTS) + len(DATA)


@pytest.mark.parametrize(("first", "second"), [("a", "val_a"), ("loss", "val_loss")])
def test_outputs_whose_logs_would_have_one_name_are_refused(first: str, second: str) -> None:
    x = jg.Input((4,), name="x")
    drawn = jg.Model(x, {first: jg.layers.Dense(1)(x), second: jg.layers.Dense(1)(x)})
    with pytest.raises(jg.errors.NameClashError, match=f"'{second}/loss' twice"):
        jg.Trainer(drawn, optax.sgd(0.1), loss={first: "mse", second: "mse"})


def test_a_refused_step_is_not_counted_where_an_error_comes_before_anyone_looked(tmp_path: Path) -> None:
    """Steps are dispatched ahead: when the data fail, the guard may have refused one of those under way."""
    x, y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")

    def batches() -> Any:
        for number in range(6):
            yield (x * np.float32(3e38) if number == 3 else x, y)
        raise OSError("the disk is gone")

    trainer = jg.Trainer(jg.Sequential([jg.Input((2,)), jg.layers.Dense(1)]), optax.sgd(0.1), loss="mse")
    saving = jg.callbacks.Checkpoint(tmp_path, on_error=True)
    with pytest.raises(OSError, match="the disk is gone") as caught:
        trainer.fit(batches(), epochs=1, callbacks=[saving], progress=False)
    run = caught.value.__dict__["run"]
    assert (run.position.step, int(run.train_state.step)) == (3, 3)
    assert "not finite at step 4" in run.stopped
    assert (tmp_path / "3").is_dir()
