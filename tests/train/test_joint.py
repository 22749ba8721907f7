"""Losses over several outputs and inner nodes: what they are given, how they count, and their gradients."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg

ROWS = 6
RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(ROWS, 4)).astype("f4")
TARGETS = {"a": RANDOM.integers(0, 3, ROWS), "b": RANDOM.normal(size=(ROWS, 3)).astype("f4")}


def drawn() -> jg.Model:
    """Two outputs behind one nested tower, which is called once, and a dense layer that is called twice."""
    x = jg.Input((4,), name="x")
    inner = jg.Input((4,), name="inner")
    last = jg.layers.Dense(3, name="last")(jg.layers.Dense(5, "tanh", name="conv2")(inner))
    tower = jg.Model(inner, last, name="tower")
    shared = jg.layers.Dense(3, name="shared")
    h = shared(shared(tower(x)))
    return jg.Model(x, {"a": jg.layers.Dense(3, "softmax", name="a")(h), "b": jg.layers.Dense(3, name="b")(h)})


def agree(targets: Any, outputs: Any) -> Any:
    return jnp.square(outputs[0] - outputs[1]).sum(-1)


def trainer_of(joint: Any, **options: Any) -> jg.Trainer:
    losses = {"a": "sparse_categorical_crossentropy", "b": "mse", "agreement": joint}
    return jg.Trainer(drawn(), optax.sgd(0.1), loss=losses, **options)


def test_values_and_logs() -> None:
    trainer = trainer_of(jg.Loss(agree, of=["a", "b"]), loss_weights={"agreement": 0.5, "b": 2.0})
    start = trainer.init(jax.random.key(0))
    logs = trainer.evaluate(start, (INPUTS, TARGETS), batch_size=4)
    outputs = trainer.predict(start, INPUTS)
    expected = np.square(outputs["a"] - outputs["b"]).sum(-1).mean()
    assert list(logs) == ["loss", "a/loss", "b/loss", "agreement/loss"]
    assert logs["agreement/loss"] == pytest.approx(expected, rel=1e-5)
    assert logs["loss"] == pytest.approx(logs["a/loss"] + 2 * logs["b/loss"] + 0.5 * expected, rel=1e-5)


def test_gradients_are_those_of_the_written_out_loss() -> None:
    def over(targets: Any, outputs: Any) -> Any:
        a, conv2, first, b = outputs
        return (a * b).sum(-1) + conv2.sum(-1) ** 2 + (first * jax.nn.one_hot(targets[0], 3)).sum(-1)

    trainer = trainer_of(jg.Loss(over, of=["a", "tower/conv2", ("shared", 0), "b"]), loss_weights={"agreement": 0.3})
    start = trainer.init(jax.random.key(0))
    after = trainer.step(start, (INPUTS, TARGETS))[0].params

    def by_hand(params: Any) -> Any:
        def dense(p: Any, x: Any) -> Any:
            return x @ p["kernel"] + p["bias"]

        conv2 = jnp.tanh(dense(params["tower"]["conv2"], INPUTS))
        first = dense(params["shared"], dense(params["tower"]["last"], conv2))
        h = dense(params["shared"], first)
        logits, b = dense(params["a"], h), dense(params["b"], h)
        cross = optax.losses.softmax_cross_entropy_with_integer_labels(logits, TARGETS["a"]).mean()
        values = over((TARGETS["a"], None, None, TARGETS["b"]), (jax.nn.softmax(logits), conv2, first, b))
        return cross + jnp.square(b - TARGETS["b"]).mean() + 0.3 * values.mean()

    slopes = jax.grad(by_hand)(start.params)
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, start.params, slopes)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-6), after, expected)


def test_it_alone_trains_and_takes_targets_where_they_are_given() -> None:
    seen = []

    def look(targets: Any, outputs: Any) -> Any:
        seen.append((tuple(t if t is None else t.shape for t in targets), tuple(o.shape for o in outputs)))
        return outputs[0].sum(-1)

    losses = {"a": None, "b": None, "together": jg.Loss(look, of=["a", "b", "tower"])}
    trainer = jg.Trainer(drawn(), optax.sgd(0.1), loss=losses)
    run = trainer.fit((INPUTS, {"b": TARGETS["b"]}), epochs=1, batch_size=ROWS, progress=False)
    assert list(run.history) == ["loss", "together/loss"]
    assert seen[-1] == ((None, (ROWS, 3), None), ((ROWS, 3), (ROWS, 3), (ROWS, 3)))
    trainer.fit((INPUTS, {}), epochs=1, batch_size=ROWS, progress=False)
    assert seen[-1][0] == (None, None, None)
    bad = {"b": np.where(np.arange(ROWS)[:, None] == 2, np.nan, TARGETS["b"])}
    with pytest.raises(jg.errors.DataError, match=r"target 'b'.*row 2"):
        trainer.fit((INPUTS, bad), epochs=1, progress=False)


@pytest.mark.parametrize("mixes", [True, False])
def test_rows_that_fill_up_count_for_nothing(mixes: bool) -> None:
    loss = jg.Loss(agree, of=["a", "b"], mixes_rows=mixes)
    trainer = trainer_of(loss)
    assert trainer.objective.mixes_rows is mixes
    start = trainer.init(jax.random.key(0))
    logs = [trainer.evaluate(start, (INPUTS, TARGETS), batch_size=size) for size in (4, 6)]
    assert logs[0] == pytest.approx(logs[1], rel=1e-5)


def test_weights_of_outputs_do_not_reach_it() -> None:
    trainer = trainer_of(jg.Loss(agree, of=["a", "b"]))
    start = trainer.init(jax.random.key(0))
    weights = np.arange(ROWS).astype("f4")
    logs = [trainer.evaluate(start, data) for data in ((INPUTS, TARGETS), (INPUTS, TARGETS, weights))]
    assert logs[0]["agreement/loss"] == logs[1]["agreement/loss"]
    assert logs[0]["b/loss"] != logs[1]["b/loss"]


def test_inner_nodes_of_a_block_that_is_computed_again() -> None:
    loss = jg.Loss(agree, of=["tower/last", "b"])
    plain, again = (
        jg.Trainer(model, optax.sgd(0.1), loss={"a": None, "b": "mse", "agreement": loss})
        for model in (drawn(), drawn().with_policy(jg.Policy({"tower": {"remat": True}})))
    )
    start = plain.init(jax.random.key(0))
    (one, logs), (two, other) = (t.step(start, (INPUTS, {"b": TARGETS["b"]})) for t in (plain, again))
    assert float(logs["loss"]) == pytest.approx(float(other["loss"]), rel=1e-6)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6), one.params, two.params)


def test_a_layer_inside_is_seen_after_its_activation() -> None:
    """Also where the trainer opens the layer for its logits."""
    whole = jg.Loss(lambda targets, outputs: outputs[0].sum(-1), of=[("a", 0)])
    losses = {"a": "sparse_categorical_crossentropy", "b": None, "sum": whole}
    trainer = jg.Trainer(drawn(), optax.sgd(0.1), loss=losses)
    logs = trainer.evaluate(trainer.init(jax.random.key(0)), (INPUTS, {"a": TARGETS["a"]}))
    assert logs["sum/loss"] == pytest.approx(1.0, rel=1e-6)


def test_triplets_of_outputs() -> None:
    x = jg.Input((3, 4), name="x")
    embed = jg.layers.Dense(2, name="embed")
    outputs = {name: embed(x[:, place]) for place, name in enumerate(("anchor", "positive", "negative"))}
    loss = jg.losses.TripletMarginLoss(of=list(outputs), margin=0.5)
    trainer = jg.Trainer(jg.Model(x, outputs), optax.sgd(0.1), loss={**dict.fromkeys(outputs), "triplet": loss})
    start = trainer.init(jax.random.key(0))
    inputs = RANDOM.normal(size=(5, 3, 4)).astype("f4")
    logs = trainer.evaluate(start, (inputs, {}))
    seen = trainer.predict(start, inputs)
    theirs = optax.losses.triplet_margin_loss(*(seen[name] for name in outputs), margin=0.5)
    assert logs["loss"] == pytest.approx(float(theirs.mean()), rel=1e-5)


def test_printing_and_monitoring() -> None:
    trainer = trainer_of(jg.Loss(agree, of=["a", ("shared", 1)], name="close"))
    table = str(trainer)
    assert re.search(r"agreement +close +1 +a, \('shared', 1\) +- +-", table)
    assert trainer.objective.directions()["val_agreement/loss"] == "min"
    run = trainer.fit(
        (INPUTS, TARGETS),
        epochs=2,
        validation_split=0.5,
        progress=False,
        callbacks=[jg.callbacks.EarlyStopping(monitor="val_agreement/loss")],
    )
    assert "val_agreement/loss" in run.history


def test_it_is_part_of_what_a_run_is(tmp_path: Any) -> None:
    def fit(joint: Any) -> jg.Run:
        saves = [jg.callbacks.Checkpoint(tmp_path)]
        trainer = trainer_of(joint)
        return trainer.fit((INPUTS, TARGETS), epochs=1, progress=False, callbacks=saves, resume=tmp_path)

    fit(jg.Loss(agree, of=["a", "b"]))
    with pytest.raises(jg.errors.ResumeError, match="training of 'agreement'"):
        fit(jg.Loss(agree, of=["a", "tower/last"]))


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "path": ({"together": jg.Loss(agree, of=["a", "tower/conv3"])}, jg.errors.PathError, "Did you mean 'tower/conv2'?"),
    "output": ({"together": jg.Loss(agree, of=["c", "b"])}, jg.errors.PathError, "of: expected names of outputs, or"),
    "several calls": ({"together": jg.Loss(agree, of=["a", "shared"])}, jg.errors.PathError, "call=0 on"),
    "no such call": ({"together": jg.Loss(agree, of=["a", ("shared", 2)])}, jg.errors.PathError, "got call=2"),
    "no output, no of": ({"together": jg.Loss(agree)}, jg.errors.KeyMismatchError, "keys among the outputs 'a', 'b'"),
    "of an output": (
        {"b": jg.Loss(agree, of=["a", "b"])},
        jg.errors.ArgumentError,
        "a name of its own beside",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_uses(case: str) -> None:
    losses, error, text = WRONG[case]
    with pytest.raises(error, match=re.escape(text)):
        jg.Trainer(drawn(), optax.sgd(0.1), loss={"a": None, "b": None, **losses})


def test_other_wrong_uses() -> None:
    with pytest.raises(jg.errors.ArgumentError, match=r"loss of 'a'.*one with `of`"):
        jg.Trainer(drawn(), optax.sgd(0.1), loss=jg.Loss(agree, of=["a", "b"]))
    with pytest.raises(jg.errors.KeyMismatchError, match=r"loss_weights.*Did you mean 'agreement'"):
        trainer_of(jg.Loss(agree, of=["a", "b"]), loss_weights={"agreemnt": 1.0})
    with pytest.raises(jg.errors.KeyMismatchError, match=r"metrics.*got 'agreement'"):
        trainer_of(jg.Loss(agree, of=["a", "b"]), metrics={"agreement": "mse"})
    mean = trainer_of(jg.Loss(lambda t, o: o[0].mean(), of=["a", "b"]))
    with pytest.raises(jg.errors.LossError, match=r"the loss 'agreement': expected one value per example, "):
        mean.evaluate(mean.init(jax.random.key(0)), (INPUTS, TARGETS))
    x = jg.Input((4,), name="x")
    total = jg.op(jnp.sum)(x)
    model = jg.Model(x, {"y": x, "total": total})
    with pytest.raises(jg.errors.LossError, match=r"of 'total': expected one row per row of the inputs"):
        jg.Trainer(model, optax.sgd(0.1), loss={"y": "mse", "total": None, "both": jg.Loss(agree, of=["y", "total"])})
    broken = trainer_of(jg.Loss(lambda t, o: o[2], of=["a", "b"]))
    with pytest.raises(IndexError) as error:
        broken.evaluate(broken.init(jax.random.key(0)), (INPUTS, TARGETS))
    assert error.value.__notes__[0] == "In the loss 'agreement' of 'a', 'b'."
