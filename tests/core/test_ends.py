"""How outputs end: cross-entropies see through softmax and sigmoid, take linear ends as logits, and refuse the rest."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.core.ends import end_of
from jgraph.core.layer import Layer
from jgraph.core.run import run
from jgraph.errors import LossError

LINKS = {"softmax": jax.nn.softmax, "sigmoid": jax.nn.sigmoid}
LOSSES = {
    "softmax": ("sparse_categorical_crossentropy", optax.losses.softmax_cross_entropy_with_integer_labels),
    "sigmoid": ("binary_crossentropy", lambda y, t: optax.losses.sigmoid_binary_cross_entropy(y, t).mean(-1)),
}


def head(link: str, units: int = 3) -> Layer:
    return jg.layers.Dense(units, activation=link, name="head")


def nested(link: str) -> Callable[[Any], Any]:
    inner = jg.Input((4,))
    return jg.Model(inner, head(link)(inner), name="inner")


def twice_nested(link: str) -> Callable[[Any], Any]:
    inner = jg.Input((4,))
    return jg.Model(inner, nested(link)(jg.layers.Dense(4)(inner)), name="outer")


SEEN_THROUGH: dict[str, Callable[[Any, str], Any]] = {
    "name": lambda x, link: head(link)(x),
    "function": lambda x, link: jg.layers.Dense(3, activation=LINKS[link])(x),
    "activation": lambda x, link: jg.layers.Activation(link)(jg.layers.Dense(3)(x)),
    "op": lambda x, link: jg.op(LINKS[link])(jg.layers.Dense(3)(x)),
    "op of a sum": lambda x, link: jg.op(LINKS[link])(jg.layers.Dense(3)(x) + 1.0),
    "activation after relu": lambda x, link: jg.layers.Activation(link)(jg.layers.Dense(3, "relu")(x)),
    "activation of a sum of softmaxes": lambda x, link: jg.layers.Activation(link)(
        jg.layers.add([jg.layers.Dense(3, "softmax")(x), jg.layers.Dense(3, "softmax")(x)])
    ),
    "nested": lambda x, link: nested(link)(x),
    "twice nested": lambda x, link: twice_nested(link)(x),
    "sequential": lambda x, link: jg.Sequential([jg.layers.Dense(5, "relu"), head(link)])(x),
}

LINEAR: dict[str, Callable[[Any], Any]] = {
    "dense": lambda x: jg.layers.Dense(3)(x),
    "batch normalisation": lambda x: jg.layers.BatchNormalization()(jg.layers.Dense(3)(x)),
    "add": lambda x: jg.layers.add([jg.layers.Dense(3)(x), jg.layers.Dense(3)(x)]),
    "reshape": lambda x: jg.layers.Reshape((3,))(jg.layers.Dense(3)(x)),
    "slice": lambda x: jg.layers.Dense(5)(x)[:, 1:4],
    "scaling": lambda x: jg.layers.Dense(3)(x) * 0.5 - 1.0,
    "negative": lambda x: -jg.layers.Dense(3)(x),
    "product": lambda x: jg.layers.Dense(4)(x) @ np.ones((4, 3), "float32"),
    "the input": lambda x: x[:, :3],
    "said to be": lambda x: jg.layers.Activation("linear")(jg.layers.Dense(3, "relu")(x)),
    "dropout": lambda x: jg.layers.Dropout(0.5)(jg.layers.Dense(3)(x)),
    "nested": lambda x: nested("linear")(x),
    "pooling": lambda x: jg.layers.GlobalAveragePooling1D()(jg.layers.Reshape((2, 3))(jg.layers.Dense(6)(x))),
    "concatenation": lambda x: jg.layers.concatenate([jg.layers.Dense(1)(x), jg.layers.Dense(2)(x)]),
}


def x_input() -> Any:
    return jg.Input((4,), name="x")


def batch(link: str) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(6, 4)).astype("float32")
    return inputs, random.integers(0, 3, 6) if link == "softmax" else random.integers(0, 2, (6, 3))


def trainer_of(x: Any, output: Any, link: str, metrics: Any = None) -> jg.Trainer:
    return jg.Trainer(jg.Model(x, {"y": output}), optax.sgd(0.1), loss=LOSSES[link][0], metrics=metrics)


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("end", SEEN_THROUGH)
def test_probabilities_are_seen_through(end: str, link: str) -> None:
    x = x_input()
    trainer = trainer_of(x, SEEN_THROUGH[end](x, link), link, metrics="accuracy")
    assert "logits, before " + link in str(trainer)
    (inputs, targets), train_state = batch(link), trainer.init(jax.random.key(1))
    values = _values(trainer, train_state, inputs)
    target = trainer.objective.targets[0]
    assert target.logits is not None
    logits = values[target.logits.node][target.logits.index]
    expected = float(np.mean(LOSSES[link][1](logits, targets)))
    assert trainer.evaluate(train_state, (inputs, targets))["loss"] == pytest.approx(expected, rel=1e-6)
    drawn = trainer.model.apply(train_state.params, train_state.model_state, inputs)[0]["y"]
    np.testing.assert_array_equal(values[target.output.node][target.output.index], drawn)
    np.testing.assert_array_equal(LINKS[link](logits), drawn)
    np.testing.assert_allclose(trainer.predict(train_state, inputs)["y"], drawn, rtol=1e-6)


@pytest.mark.parametrize("layer", [jg.layers.Conv2D, jg.layers.SeparableConv2D])
def test_probabilities_of_every_pixel_are_seen_through(layer: Any) -> None:
    x = jg.Input((3, 3, 2), name="x")
    trainer = trainer_of(x, layer(4, 2, activation="softmax", name="y")(x), "softmax", metrics="accuracy")
    assert "logits, before softmax" in str(trainer)
    random, train_state = np.random.default_rng(0), trainer.init(jax.random.key(0))
    inputs, labels = random.normal(size=(5, 3, 3, 2)).astype("float32"), random.integers(0, 4, (5, 2, 2))
    logs, shares = trainer.evaluate(train_state, (inputs, labels)), trainer.predict(train_state, inputs)["y"]
    expected = -np.mean(np.log(np.take_along_axis(shares, labels[..., None], -1)))
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    assert logs["accuracy"] == pytest.approx(np.mean(shares.argmax(-1) == labels))


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("end", LINEAR)
def test_linear_ends_are_logits(end: str, link: str) -> None:
    x = x_input()
    trainer = trainer_of(x, LINEAR[end](x), link)
    assert "logits (the output)" in str(trainer)
    (inputs, targets), train_state = batch(link), trainer.init(jax.random.key(1))
    drawn = trainer.model.apply(train_state.params, train_state.model_state, inputs)[0]["y"]
    expected = float(np.mean(LOSSES[link][1](drawn, targets)))
    assert trainer.evaluate(train_state, (inputs, targets))["loss"] == pytest.approx(expected, rel=1e-6)


class Unknown(jg.Layer):
    """A layer that does not say how it ends."""

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> tuple[Any, Any]:
        return jnp.square(x), state


class Rectified(jg.layers.Dense):
    """A child that applies otherwise than the parent, which says that it gives logits."""

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> tuple[Any, Any]:
        return jax.nn.relu(x @ params["kernel"]), state


class Penalized(jg.layers.Dense):
    """A layer whose penalty looks at what comes after its activation."""

    def penalty(self, params: Any, inputs: Any, outputs: Any) -> Any:
        return jnp.sum(outputs**2)


def softmaxes(x: Any) -> list[Any]:
    return [jg.layers.Dense(3, "softmax", name="a")(x), jg.layers.Dense(3, "softmax", name="b")(x)]


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "relu": (lambda x: jg.layers.Dense(3, "relu", name="last")(x), "last"),
    "tanh activation": (lambda x: jg.layers.Activation("tanh", name="last")(jg.layers.Dense(3)(x)), "last"),
    "lstm": (lambda x: jg.layers.LSTM(3, name="last")(jg.layers.Reshape((2, 2))(x)), "last"),
    "unknown layer": (lambda x: Unknown(name="last")(jg.layers.Dense(3)(x)), "last"),
    "child of a known layer": (lambda x: Rectified(3, name="last")(x), "last"),
    "penalised softmax": (lambda x: Penalized(3, "softmax", name="last")(x), "last"),
    "unknown function": (lambda x: jg.op(jnp.square, name="last")(jg.layers.Dense(3)(x)), "last"),
    "softmax over the batch": (lambda x: jg.op(jax.nn.softmax, name="last")(jg.layers.Dense(3)(x), axis=0), "last"),
    "softmax over steps": (lambda x: jg.layers.Softmax(1, name="last")(jg.layers.Reshape((2, 2))(x)), "last"),
    "softmax under a mask": (
        lambda x: jg.layers.Softmax(name="last")(jg.layers.Dense(3)(x), mask=x[:, :3] > 0.0),
        "last",
    ),
    "sum of softmaxes": (lambda x: jg.layers.add(softmaxes(x)), "[ab]"),
    "mean of softmaxes": (lambda x: (softmaxes(x)[0] + softmaxes(x)[1]) / 2.0, "[ab]"),
    "slice of a softmax": (lambda x: softmaxes(x)[0][:, :2], "a"),
    "reshaped relu": (lambda x: jg.layers.Reshape((3,))(jg.layers.Dense(3, "relu", name="last")(x)), "last"),
}


@pytest.mark.parametrize("end", REFUSED)
def test_other_ends_are_refused_with_the_cure(end: str) -> None:
    draw, path = REFUSED[end]
    x = x_input()
    with pytest.raises(LossError, match=rf"output 'y'.*at '{path}'.*activation='softmax'.*Activation\('linear'\)"):
        trainer_of(x, draw(x), "softmax")


@pytest.mark.parametrize(("end", "loss"), [("sigmoid", "softmax"), ("softmax", "sigmoid")])
def test_the_other_links_end_is_refused(end: str, loss: str) -> None:
    x = x_input()
    with pytest.raises(LossError, match=f"expected an end in {loss}, or logits.*got an end in {end} at 'head'"):
        trainer_of(x, head(end)(x), loss)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_other_losses_take_any_end_as_it_is(loss: str) -> None:
    x = x_input()
    model = jg.Model(x, head("softmax")(x))
    trainer = jg.Trainer(model, optax.sgd(0.1), loss=loss)
    train_state, inputs = trainer.init(jax.random.key(0)), batch("softmax")[0]
    zeros = np.zeros((6, 3))
    outputs = trainer.predict(train_state, inputs)
    formula = {"mse": lambda e: e**2, "mae": abs, "huber": lambda e: e**2 / 2}[loss]
    assert trainer.evaluate(train_state, (inputs, zeros))["loss"] == pytest.approx(formula(outputs).mean(), rel=1e-5)


def test_an_explicit_axis_of_minus_one_is_seen_through() -> None:
    x = x_input()
    trainer = trainer_of(x, jg.op(jax.nn.softmax)(jg.layers.Dense(3)(x), axis=-1), "softmax")
    assert "logits, before softmax" in str(trainer)


def test_each_call_of_a_shared_model_is_opened() -> None:
    left, right = jg.Input((4,), name="left"), jg.Input((4,), name="right")
    tower = nested("softmax")
    outputs = {"a": tower(left), "b": tower(right), "sum": tower(left) + tower(right)}
    model = jg.Model({"left": left, "right": right}, outputs)
    name = "sparse_categorical_crossentropy"
    trainer = jg.Trainer(model, optax.sgd(0.1), loss={"a": name, "b": name, "sum": "mse"})
    train_state, random = trainer.init(jax.random.key(2)), np.random.default_rng(0)
    inputs = {name: random.normal(size=(5, 4)).astype("float32") for name in ("left", "right")}
    targets = {"a": random.integers(0, 3, 5), "b": random.integers(0, 3, 5), "sum": random.normal(size=(5, 3))}
    logs = trainer.evaluate(train_state, (inputs, targets))
    params = train_state.params["inner"]["head"]
    logits = {side: inputs[side] @ params["kernel"] + params["bias"] for side in inputs}
    cross_entropy = optax.losses.softmax_cross_entropy_with_integer_labels
    assert logs["a/loss"] == pytest.approx(float(cross_entropy(logits["left"], targets["a"]).mean()), rel=1e-5)
    assert logs["b/loss"] == pytest.approx(float(cross_entropy(logits["right"], targets["b"]).mean()), rel=1e-5)
    both = jax.nn.softmax(logits["left"]) + jax.nn.softmax(logits["right"])
    assert logs["sum/loss"] == pytest.approx(float(np.mean((both - targets["sum"]) ** 2)), rel=1e-5)


def test_one_output_under_two_names_is_opened_twice() -> None:
    x = x_input()
    y = head("softmax")(x)
    losses = {"labels": "sparse_categorical_crossentropy", "shares": "categorical_crossentropy", "same": "mse"}
    trainer = jg.Trainer(jg.Model(x, dict.fromkeys(losses, y)), optax.sgd(0.1), loss=losses)
    inputs, labels = batch("softmax")
    shares = np.eye(3)[labels]
    train_state = trainer.init(jax.random.key(0))
    logs = trainer.evaluate(train_state, (inputs, {"labels": labels, "shares": shares, "same": shares}))
    assert logs["labels/loss"] == pytest.approx(logs["shares/loss"], rel=1e-6)
    predicted = trainer.predict(train_state, inputs)["same"]
    assert logs["same/loss"] == pytest.approx(np.mean((predicted - shares) ** 2), rel=1e-5)


class Masking(jg.layers.Dense):
    """A layer that computes a mask of its own, and ends in an activation."""

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        return inputs[0][..., 0] > 0


@pytest.mark.parametrize("how", ["passed on", "computed at the end"])
def test_masks_go_along_when_the_end_is_opened(how: str) -> None:
    tokens = jg.Input((5,), dtype="int32", name="tokens")
    x = jg.layers.Embedding(7, 4, mask_zero=True)(tokens)
    y = (Masking if how == "computed at the end" else jg.layers.Dense)(3, activation="softmax", name="y")(x)
    model = jg.Model(tokens, {"y": y, "again": y})
    names = {"y": "sparse_categorical_crossentropy", "again": "mse"}
    trainer = jg.Trainer(model, optax.sgd(0.1), loss=names, metrics={"y": "accuracy"})
    random = np.random.default_rng(0)
    inputs, labels = random.integers(0, 7, (6, 5)), random.integers(0, 3, (6, 5))
    train_state = trainer.init(jax.random.key(0))
    embedded = np.asarray(train_state.params["embedding"]["embeddings"])[inputs]
    logits = embedded @ train_state.params["y"]["kernel"]
    real = embedded[..., 0] > 0 if how == "computed at the end" else inputs != 0
    logs = trainer.evaluate(train_state, (inputs, {"y": labels, "again": np.zeros((6, 5, 3))}), batch_size=4)
    values = optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)
    assert logs["y/loss"] == pytest.approx(np.average(values, weights=real), rel=1e-5)
    assert logs["y/accuracy"] == pytest.approx(np.average(logits.argmax(-1) == labels, weights=real), rel=1e-5)
    squares = np.mean(np.square(jax.nn.softmax(logits)), -1)
    assert logs["again/loss"] == pytest.approx(np.average(squares, weights=real), rel=1e-5)
    assert str(trainer).count("masked") == 2


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_a_softmax_layer_is_seen_through_as_the_activation_is(masked: bool, timed: bool) -> None:
    """Also where a mask of steps goes through it, which takes the masked ones out of the loss."""
    random = np.random.default_rng(0)
    tokens, labels = random.integers(0, 7, (6, 5)), random.integers(0, 3, (6, 5))
    logs, shares = [], []
    for end in (jg.layers.Softmax(), jg.layers.Activation("softmax")):
        x = jg.Input((5,), dtype="int32", name="tokens")
        embedded = jg.layers.Embedding(7, 4, mask_zero=masked)(x)
        y = (jg.layers.TimeDistributed(end) if timed else end)(jg.layers.Dense(3, name="dense")(embedded))
        model = jg.Model(x, {"y": y})
        trainer = jg.Trainer(model, optax.sgd(0.5), loss="sparse_categorical_crossentropy", metrics="accuracy")
        assert "logits, before softmax" in str(trainer)
        train_state = trainer.init(jax.random.key(0))
        drawn = model.apply(train_state.params, train_state.model_state, tokens)[0]["y"]
        np.testing.assert_allclose(trainer.predict(train_state, tokens)["y"], drawn, rtol=1e-6)
        train_state, step = trainer.step(train_state, (tokens, labels))
        logs.append((step, trainer.evaluate(train_state, (tokens, labels))))
        shares.append(drawn)
    np.testing.assert_array_equal(*shares)
    assert jax.tree.map(float, logs[0]) == jax.tree.map(float, logs[1])


def test_the_search_follows_long_chains_without_recursion() -> None:
    x = y = x_input()
    for _ in range(1200):
        y = y + y
    model = jg.Model(x, y)
    assert end_of(model.nodes, model.graph.outputs).kind == "linear"


def _values(trainer: jg.Trainer, train_state: jg.TrainState, inputs: Any) -> Any:
    """All values of the opened graph, computed without compiling it as one program."""
    objective = trainer.objective
    fed = {objective.inputs[0]: jnp.asarray(inputs)}
    return run(objective.graph.nodes, fed, train_state.params, train_state.model_state, False, None)[0]


def test_an_identity_is_seen_through_wherever_it_stands() -> None:
    x = jg.Input((3,), name="x")
    plain = jg.Model(x, jg.layers.Dense(2, activation="softmax", name="y")(x))
    inner = jg.Input((2,))
    nested = jg.Model(inner, jg.layers.Identity()(inner))
    for model in (plain.insert_after("y", jg.layers.Identity()), plain.insert_after("y", nested)):
        end = end_of(model.nodes, jax.tree.leaves(model.graph.outputs)[0])
        assert (end.kind, end.node.path) == ("softmax", "y")


def test_what_is_done_at_every_step_is_seen_through() -> None:
    x = jg.Input((4, 3), name="x")
    model = jg.Model(x, jg.layers.TimeDistributed(jg.layers.Dense(2, activation="softmax"), name="y")(x))
    trainer = jg.Trainer(model, optax.sgd(0.1), loss="sparse_categorical_crossentropy")
    assert "softmax" in str(trainer)
    params, state = model.init(jax.random.key(0))
    rows, labels = np.random.default_rng(0).normal(size=(5, 4, 3)).astype("float32"), np.arange(20).reshape(5, 4) % 2
    found = model.apply(params, state, rows)[0]
    expected = -np.log(np.take_along_axis(np.asarray(found), labels[..., None], axis=-1)).mean()
    logs = trainer.evaluate(trainer.init(jax.random.key(0), params, state), (rows, labels))
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)
