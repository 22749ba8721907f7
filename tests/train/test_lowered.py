"""A step compiled ahead of time: the same bits as `trainer.step`, XLA's own figures, and errors that name the input."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, DataError, DTypeError, KeyMismatchError, ShapeError

ROWS = 16


def model() -> jg.Model:
    text, size = jg.Input((10,), dtype="int32", name="text"), jg.Input((4,), name="size")
    read = jg.layers.LSTM(8)(jg.layers.Embedding(20, 6, mask_zero=True)(text))
    both = jg.layers.Dropout(0.2)(jg.layers.BatchNormalization()(jg.layers.concatenate([read, size])))
    answer = jg.layers.Dense(5, activation="softmax", name="answer")(both)
    return jg.Model({"text": text, "size": size}, {"answer": answer, "price": jg.layers.Dense(1, name="price")(both)})


def trainer_of(optimizer: Any = optax.adam, **options: Any) -> jg.Trainer:
    losses = {"answer": "sparse_categorical_crossentropy", "price": "mse"}
    options = {"loss": losses, "metrics": {"answer": "accuracy"}, "learning_rate": 1e-2, **options}
    return jg.Trainer(model(), optimizer, **options)


def batch(rows: int = ROWS) -> tuple[dict, dict]:
    random = np.random.default_rng(0)
    inputs = {"text": random.integers(0, 20, (rows, 10)), "size": random.normal(size=(rows, 4))}
    return inputs, {"answer": random.integers(0, 5, rows), "price": random.normal(size=(rows, 1)).astype("float32")}


TRAINER = trainer_of()
LOWERED = TRAINER.lower(batch_size=ROWS)


def specs_of(data: Any) -> Any:
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), data)


def bits(tree: Any) -> list[bytes]:
    leaves = jax.tree.leaves(tree)
    keys = [jnp.issubdtype(x.dtype, jax.dtypes.prng_key) for x in leaves]
    return [np.asarray(jax.random.key_data(x) if k else x).tobytes() for x, k in zip(leaves, keys, strict=True)]


def test_the_step_is_that_of_the_trainer_to_the_same_bits() -> None:
    mine = theirs = TRAINER.init(jax.random.key(0))
    for _ in range(3):
        (mine, logs), (theirs, same) = LOWERED.step(mine, batch()), TRAINER.step(theirs, batch())
        assert bits((mine, logs)) == bits((theirs, same))
        assert list(logs) == list(same)


@pytest.mark.parametrize("rate", [1e-2, None], ids=["rate known", "rate inside"])
def test_specs_arrays_and_a_number_of_rows_say_the_same(rate: Any) -> None:
    trainer = dense(optax.adamw if rate else optax.adamw(1e-2), learning_rate=rate)
    random = np.random.default_rng(0)
    data = random.normal(size=(8, 512)), random.normal(size=(8, 256))  # float64, which JAX takes as float32
    forms = [trainer.lower(data), trainer.lower(specs_of(data)), trainer.lower(batch_size=8)]
    assert forms[0].batch == forms[1].batch == forms[2].batch
    train_state = trainer.init(jax.random.key(0))
    expected = bits(trainer.step(train_state, data))
    assert all(bits(lowered.step(train_state, data)) == expected for lowered in forms)


def test_it_donates_nothing_and_never_compiles() -> None:
    train_state = TRAINER.init(jax.random.key(0))
    LOWERED.step(train_state, batch())
    with jax.log_compiles(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax.stages.Lowered, "compile", lambda *_, **__: pytest.fail("compiled"))
        assert bits(LOWERED.step(train_state, batch())) == bits(LOWERED.step(train_state, batch()))


def test_weights_are_a_part_of_the_batch() -> None:
    trainer, rows = dense(), (np.ones((8, 512), "float32"), np.ones((8, 256), "float32"))
    weights = np.linspace(0, 1, 8, dtype="float32")
    lowered, train_state = trainer.lower((*rows, weights)), trainer.init(jax.random.key(0))
    assert bits(lowered.step(train_state, (*rows, weights))) == bits(trainer.step(train_state, (*rows, weights)))
    with pytest.raises(KeyMismatchError, match=r"weights of 'dense': expected float32\[8\], got none"):
        lowered.step(train_state, rows)
    with pytest.raises(KeyMismatchError, match=r"weights of 'dense': expected none, got float32\[8\]"):
        trainer.lower(rows).step(train_state, (*rows, weights))


# What it costs


def dense(optimizer: Any = None, **options: Any) -> jg.Trainer:
    layers = [jg.Input((512,)), jg.layers.Dense(256, name="dense")]
    return jg.Trainer(jg.Sequential(layers), optimizer or optax.sgd(0.1), loss="mse", **options)


def test_the_figures_are_those_of_the_step() -> None:
    lowered = dense().lower(batch_size=128)
    product = 2 * 128 * 512 * 256  # forward, and once backward for the kernel: the input has no gradient
    assert 2 * product <= lowered.flops <= 2.1 * product
    params, inputs, targets = 4 * 513 * 256, 4 * 128 * 512, 4 * 128 * 256
    assert lowered.bytes > 4 * (512 * 256 + 128 * 512 + 128 * 256)
    assert inputs + targets + params <= lowered.arguments <= inputs + targets + params + 1000
    assert params <= lowered.outputs <= params + 1000
    assert lowered.temporaries >= 0
    assert lowered.peak_memory == lowered.arguments + lowered.outputs + lowered.temporaries
    assert lowered.loops == 0
    assert "HloModule" in lowered.text


def test_the_figures_are_xlas_own_and_nothing_runs() -> None:
    trainer = dense()
    inputs, targets = jax.ShapeDtypeStruct((64, 512), "float32"), jax.ShapeDtypeStruct((64, 256), "float32")
    lowered = trainer.lower((inputs, targets))
    state, drawn = trainer.init(jax.random.key(0)), ((inputs,), (targets,), (None,))
    compiled: Any = jax.jit(trainer.step_function.logged).lower(state, drawn).compile()
    assert lowered.flops == compiled.cost_analysis()["flops"]
    assert lowered.bytes == compiled.cost_analysis()["bytes accessed"]
    assert lowered.temporaries == compiled.memory_analysis().temp_size_in_bytes


def test_with_donate_the_next_train_state_takes_the_place_of_the_last() -> None:
    kept, donated = (dense().lower(batch_size=128, donate=donate) for donate in (False, True))
    assert kept.outputs > 4 * 513 * 256
    assert donated.outputs < 1000
    assert donated.arguments == kept.arguments
    assert donated.peak_memory < kept.peak_memory
    trainer = dense()
    train_state = trainer.init(jax.random.key(0))
    batch = np.ones((128, 512), "float32"), np.ones((128, 256), "float32")
    want, _ = trainer.step(train_state, batch)
    got, _ = trainer.lower(batch, donate=True).step(train_state, batch)
    jax.tree.map(np.testing.assert_array_equal, got.params, want.params)
    assert train_state.params["dense"]["kernel"].is_deleted()


def test_it_prints_its_costs_and_what_it_is_for() -> None:
    text = str(LOWERED)
    for part in ("peak memory", "operations", "kflop", "input 'text'", "int32[16, 10]", "target 'answer'", "int32[16]"):
        assert part in text
    assert LOWERED.loops >= 2, "the LSTM's loops, there and back"
    assert f"{LOWERED.loops} loops, whose bodies are counted once" in text
    assert repr(LOWERED).startswith("Lowered(batch of 16, ")


# Wrong uses


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        (lambda x, y: ({**x, "text": x["text"][:, :9]}, y), ShapeError, r"Lowered.step, input 'text'"),
        (lambda x, y: ({**x, "text": x["text"].astype("int16")}, y), DTypeError, r"'text': .*int32\[16, 10\].*int16"),
        (lambda x, y: ({**x, "text": x["text"].astype("float32")}, y), DTypeError, r"input 'text'"),
        (lambda x, y: ({**x, "size": x["size"].astype("int32")}, y), DTypeError, r"'size': .*float32\[16, 4\].*int32"),
        (lambda x, y: (x, {**y, "price": y["price"][:, 0]}), ShapeError, r"'price': expected float32\[16, 1\], got"),
        (lambda x, y: (x, {**y, "answer": y["answer"].astype("int8")}), DTypeError, r"target 'answer': .*got int8\[16"),
        (lambda x, y: (x, {"answer": y["answer"]}), KeyMismatchError, r"none for 'price'"),
        (lambda x, y: ({"text": x["text"]}, y), KeyMismatchError, r"missing 'size'"),
        (lambda x, y: {"x": x, "y": y}, DataError, r"a tuple \(inputs, targets\)"),
    ],
)
def test_another_batch_names_the_input(change: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        LOWERED.step(TRAINER.init(jax.random.key(0)), change(*batch()))


@pytest.mark.parametrize("rows", [15, 17, 1])
def test_another_number_of_rows_names_the_first_input(rows: int) -> None:
    with pytest.raises(
        ShapeError, match=rf"input 'size': expected float32\[16, 4\], got float32\[{rows}, 4\]. Lower a"
    ):
        LOWERED.step(TRAINER.init(jax.random.key(0)), batch(rows))


def test_a_train_state_of_another_trainer_is_refused() -> None:
    state = TRAINER.init(jax.random.key(0))
    with pytest.raises(KeyMismatchError, match=r"Lowered.step, train_state.opt_state"):
        LOWERED.step(trainer_of(optax.sgd).init(jax.random.key(0)), batch())
    with pytest.raises(ArgumentError, match=r"expected a TrainState"):
        LOWERED.step(jg.Run(state), batch())  # pyright: ignore[reportArgumentType]
    with pytest.raises(DTypeError, match=r"leaf 'step': expected int32\[\], got float32\[\]"):
        LOWERED.step(state.replace(step=jnp.zeros(())), batch())


def test_what_does_not_follow_from_the_drawing_has_to_be_given() -> None:
    x = jg.Input((None, 3), name="x")
    free = jg.Model(x, jg.layers.GlobalAveragePooling1D()(x))
    with pytest.raises(ShapeError, match=r"lower, input 'x': expected a shape without free axes.*ShapeDtypeStruct"):
        jg.Trainer(free, optax.sgd(0.1), loss="mse").lower(batch_size=8)
    specs = jax.ShapeDtypeStruct((8, 5, 3), "float32"), jax.ShapeDtypeStruct((8, 3), "float32")
    assert jg.Trainer(free, optax.sgd(0.1), loss="mse").lower(specs).batch[0][0].shape == (8, 5, 3)

    def distance(targets: Any, outputs: Any) -> Any:
        return jnp.abs(targets - outputs[:, 0])

    own = jg.Trainer(jg.Sequential([jg.Input((3,)), jg.layers.Dense(2)]), optax.sgd(0.1), loss=distance)
    with pytest.raises(DataError, match=r"got distance, which takes targets of any shape. Give lower a batch"):
        own.lower(batch_size=8)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "got neither"),
        ({"batch": batch(), "batch_size": 3}, "got both"),
        ({"batch_size": 0}, "batch_size: expected an integer of at least 1"),
        ({"batch": batch()[0]}, "a tuple"),
    ],
)
def test_it_takes_one_of_batch_and_batch_size(given: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        TRAINER.lower(**given)


def test_outputs_without_a_loss_have_no_targets() -> None:
    x = jg.Input((3,), name="x")
    heads = {"answer": jg.layers.Dense(5, activation="softmax")(x), "price": jg.layers.Dense(1)(x)}
    trainer = jg.Trainer(jg.Model(x, heads), optax.sgd(0.1), loss={"answer": "categorical_crossentropy", "price": None})
    lowered = trainer.lower(batch_size=4)
    assert lowered.batch[1] == (jax.ShapeDtypeStruct((4, 5), "float32"), None)
