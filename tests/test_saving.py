"""Models and weights on disk: the same bits in a fresh process without the code that drew them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, KeyMismatchError, LoadError, SaveError, ShapeError
from jgraph.storage.checkpoint import read_arrays, read_record, write
from jgraph.storage.steps import newest_whole, save_step

L = jg.layers
ROOT = Path(__file__).parents[1]

FRESH = """
import sys
import jax
import numpy as np
import jgraph as jg
path = sys.argv[1]
with np.load(f"{path}/inputs.npz") as inputs:
    inputs = dict(inputs)
for name in sys.argv[2:]:
    model, params, state = jg.load(f"{path}/{name}")
    chosen = {key: inputs[key] for key in model.inputs}
    np.savez(f"{path}/{name}.npz", *(np.asarray(o) for o in jax.jit(model.apply)(params, state, chosen)[0].values()))
    jg.save(f"{path}/{name} again", model, params, state)
assert not [m for m in sys.modules if m.startswith("tests")]
"""


class Scale(jg.Layer):
    """A layer of one's own."""

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        return {"gain": jax.random.normal(key, (x.shape[-1],))}, {}

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> tuple[Any, Any]:
        return x * params["gain"], state


def halve(x: Any) -> Any:
    return x / 2


def many_branches() -> jg.Model:
    """Shared, nested, masked, sliced, with constants, state and several outputs."""
    text, image = jg.Input((None,), dtype="int32", name="text"), jg.Input((6, 6, 2), name="image")
    inner = jg.Input((None, 3))
    reader = jg.Model(inner, L.LSTM(4)(inner), name="reader")
    embedding = L.Embedding(9, 3, mask_zero=True)
    words = L.add([reader(embedding(text)), reader(embedding(text)) * 0.5])
    pixels = L.Flatten()(L.MaxPooling2D()(L.BatchNormalization()(L.Conv2D(4, 3, activation="relu")(image))))
    both = L.Dropout(0.5)(L.concatenate([words, pixels[:, ::2], jg.op(jnp.clip)(words, -0.1, max=np.float32(0.1))]))
    outputs = {"class": L.Dense(3, activation="softmax")(both), "norm": jg.op(jnp.max)(both, axis=-1)}
    return jg.Model({"text": text, "image": image}, outputs)


def without_arrays() -> jg.Model:
    image = jg.Input((6, 6, 2), name="image")
    return jg.Model({"image": image}, {"mean": L.GlobalAveragePooling2D()(image) - 1.0})


def inputs() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {"text": random.integers(0, 9, (2, 5)), "image": random.normal(size=(2, 6, 6, 2)).astype("float32")}


def small() -> jg.Model:
    x = jg.Input((4,), name="x")
    return jg.Model(x, L.Dense(3, name="dense")(L.BatchNormalization(name="norm")(x)))


def bits(tree: Any) -> Any:
    return jax.tree.map(lambda x: (str(x.dtype), x.shape, np.asarray(x).tobytes()), tree)


def test_a_fresh_process_computes_the_same_bits(tmp_path: Path) -> None:
    fed: dict[str, Any] = inputs()
    np.savez(tmp_path / "inputs.npz", **fed)
    expected = {}
    for name, model in (("branches", many_branches()), ("no arrays", without_arrays())):
        params, state = model.init(jax.random.key(3))
        jg.save(tmp_path / name, model, params, state)
        chosen = {key: fed[key] for key in model.inputs}
        expected[name] = bits(list(jax.jit(model.apply)(params, state, chosen)[0].values()))
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path), *expected],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "5"},
    )
    assert done.returncode == 0, done.stderr
    for name in expected:
        with np.load(tmp_path / f"{name}.npz") as arrays:
            assert bits(list(arrays.values())) == expected[name]
        first, again = (
            json.loads((tmp_path / n / "jgraph.json").read_text())["content"] for n in (name, f"{name} again")
        )
        assert first["record"] == again["record"]
        assert first["leaves"] == again["leaves"]


def test_a_trained_model_goes_on_training_after_loading(tmp_path: Path) -> None:
    model = small()
    trainer = jg.Trainer(model, optax.sgd(0.1), loss="mse")
    data = np.ones((8, 4)), np.zeros((8, 3))
    train_state = trainer.fit(data, epochs=2, progress=False).train_state
    jg.save(tmp_path / "m", model, train_state.params, train_state.model_state)
    loaded, params, state = jg.load(tmp_path / "m")
    assert bits((params, state)) == bits((train_state.params, train_state.model_state))
    again = jg.Trainer(loaded, optax.sgd(0.1), loss="mse")
    start = again.init(jax.random.key(0), params=params, state=state)
    assert again.evaluate(start, data) == trainer.evaluate(train_state, data)
    assert np.isfinite(again.fit(data, epochs=1, train_state=start, progress=False).history["loss"]).all()


def test_bfloat16_and_other_dtypes_come_back(tmp_path: Path) -> None:
    model = small()
    params, state = model.init(jax.random.key(0))
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), params)
    state = {"norm": {**state["norm"], "moving_mean": state["norm"]["moving_mean"].astype(jnp.float16)}}
    jg.save(tmp_path / "m", model, params, state)
    _, *loaded = jg.load(tmp_path / "m")
    assert bits(loaded) == bits([params, state])


def test_things_of_ones_own_are_given_when_loading(tmp_path: Path) -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, jg.as_layer(nn.Dense(3))(Scale()(jg.op(halve)(x))))
    trees = model.init(jax.random.key(0))
    jg.save(tmp_path / "m", model, *trees)
    loaded, params, state = jg.load(tmp_path / "m", allow=[Scale, halve, nn.Dense])
    assert bits((params, state)) == bits(trees)
    ones = np.ones((2, 4), "float32")
    assert bits(loaded.apply(params, state, ones)) == bits(model.apply(*trees, ones))
    for allow, missing in (((), "halve"), ((halve,), "Scale"), ((halve, Scale), "Dense")):
        with pytest.raises(LoadError, match=rf"'{missing}' among what is allowed.*allow=\[{missing}\]"):
            jg.load(tmp_path / "m", allow=allow)


def test_what_cannot_be_named_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, jg.op(lambda y: y * 2)(x))
    with pytest.raises(SaveError, match="Write it with def"):
        jg.save(tmp_path / "m", model, *model.init(jax.random.key(0)))
    assert list(tmp_path.iterdir()) == []


def test_trees_of_another_model_are_refused(tmp_path: Path) -> None:
    model = small()
    params, state = model.init(jax.random.key(0))
    wrong = {"dense": {**params["dense"], "kernel": jnp.zeros((4, 5))}, "norm": params["norm"]}
    with pytest.raises(ShapeError, match=r"save, params, leaf 'dense/kernel': expected shape \(4, 3\), got \(4, 5\)"):
        jg.save(tmp_path / "m", model, wrong, state)
    with pytest.raises(KeyMismatchError, match=r"save, params.*'norm/beta'"):
        jg.save(tmp_path / "m", model, {"dense": params["dense"]}, state)
    with pytest.raises(KeyMismatchError, match=r"save, state.*'norm/moving_mean'"):
        jg.save(tmp_path / "m", model, params, {})
    assert list(tmp_path.iterdir()) == []


def test_wrong_shapes_are_named_leaf_by_leaf(tmp_path: Path) -> None:
    """The record of one model beside the arrays of another, both whole in themselves."""
    x = jg.Input((4,), name="x")
    for units in (3, 5):
        model = jg.Model(x, L.Dense(units, name="dense")(x))
        jg.save(tmp_path / str(units), model, *model.init(jax.random.key(0)))
    specs = {"params": model.params_spec, "state": {}}
    with pytest.raises(LoadError) as caught:
        read_arrays(tmp_path / "3", specs, read_record(tmp_path / "3")["leaves"])
    assert caught.value.expected == "params/dense/bias: [5]; params/dense/kernel: [4, 5]"
    assert caught.value.got == "params/dense/bias: [3]; params/dense/kernel: [4, 3]"


def test_a_record_of_something_else_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "m", {"a": jnp.zeros(2)}, {"words": "no model"})
    with pytest.raises(LoadError, match="a saved model"):
        jg.load(tmp_path / "m")


def test_saving_again_replaces(tmp_path: Path) -> None:
    model = small()
    for seed in range(2):
        trees = model.init(jax.random.key(seed))
        jg.save(tmp_path / "m", model, *trees)
        assert bits(list(jg.load(tmp_path / "m")[1:])) == bits(list(trees))
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_paths_may_be_strings_relative_and_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = small()
    trees = model.init(jax.random.key(0))
    jg.save("deep/er/m.jgraph", model, *trees)
    assert bits(list(jg.load("deep/er/m.jgraph")[1:])) == bits(list(trees))
    with pytest.raises(LoadError, match=r"deep/m.jgraph: expected a directory with the file jgraph.json"):
        jg.load("deep/m.jgraph")


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, dict[int, Any]]:
    """A directory of steps as a run writes them, the second the best, and the params and state of each."""
    model, trees = small(), {}
    for step, score in ((10, 3.0), (20, 1.0), (30, 2.0)):
        params, state = jax.tree.map(np.asarray, model.init(jax.random.key(step)))
        tree = {"train_state": {"params": params, "model_state": state, "opt_state": {"0": params}}, "memories": {}}
        record = {"model": model.to_json(), "score": {"monitor": "val_loss", "mode": "min", "value": score}}
        save_step(tmp_path / "run", step, tree, record)
        trees[step] = (params, state)
    return tmp_path / "run", trees


@pytest.mark.parametrize(("step", "number"), [("best", 20), ("latest", 30), (10, 10), (np.int64(20), 20)])
def test_a_step_of_a_run_is_loaded(run: Any, step: Any, number: int) -> None:
    path, trees = run
    model, params, state = jg.load(path, step=step)
    assert bits((params, state)) == bits(trees[number])
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves((params, state)))
    ones = np.ones((2, 4), "float32")
    assert bits(model.apply(params, state, ones)) == bits(small().apply(trees[number][0], trees[number][1], ones))


def test_a_model_without_arrays_is_loaded_from_a_step(tmp_path: Path) -> None:
    model = without_arrays()
    save_step(tmp_path, 1, {"train_state": {"step": np.asarray(1)}}, {"model": model.to_json()})
    loaded, params, state = jg.load(tmp_path, step="latest")
    assert (params, state, loaded.to_json()) == ({}, {}, model.to_json())


def test_things_of_ones_own_are_given_when_loading_a_step(tmp_path: Path) -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, Scale()(x))
    params, _ = model.init(jax.random.key(0))
    tree = {"train_state": {"params": jax.tree.map(np.asarray, params)}}
    save_step(tmp_path, 1, tree, {"model": model.to_json()})
    with pytest.raises(LoadError, match=r"allow=\[Scale\]"):
        jg.load(tmp_path, step=1)
    assert bits(jg.load(tmp_path, step=1, allow=[Scale])[1]) == bits(params)


def test_a_step_has_to_be_named_and_there(run: Any, tmp_path: Path) -> None:
    path, _ = run
    message = r"""run: .*the steps '10', '20', '30'\. Give step="best", step="latest" or one of the numbers"""
    with pytest.raises(LoadError, match=message):
        jg.load(path)
    with pytest.raises(LoadError, match=r"run: expected the step 15, got the steps 10, 20, 30"):
        jg.load(path, step=15)
    for step in ("best", "latest", 3):
        with pytest.raises(LoadError, match=r"nowhere: .*got no steps"):
            jg.load(tmp_path / "nowhere", step=step)
    model = small()
    jg.save(tmp_path / "m", model, *model.init(jax.random.key(0)))
    with pytest.raises(LoadError, match=r"m: .*got a model that jg.save wrote\. Leave out step="):
        jg.load(tmp_path / "m", step="best")


@pytest.mark.parametrize("step", ["lates", "", "10", 1.0, True, -1, [10]])
def test_a_step_is_a_number_or_a_word(run: Any, step: Any) -> None:
    with pytest.raises(ArgumentError, match='load, step: expected "best", "latest" or the number of a step') as caught:
        jg.load(run[0], step=step)
    assert ("Did you mean 'latest'" in str(caught.value)) == (step == "lates")


def test_a_damaged_step_is_named_and_passed_over_where_it_may_be(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    path, trees = run
    for step in (20, 30):
        (path / str(step) / "arrays" / "manifest.ocdbt").unlink()
    with pytest.raises(LoadError, match=r"run/20: .* in the leaf 'train_state/params/dense/bias'"):
        jg.load(path, step=20)
    for step in ("latest", "best"):
        assert bits(jg.load(path, step=step)[1:]) == bits(trees[10])
    assert caplog.messages[0].startswith(f"step 30 in {path} is damaged (")


def test_a_step_of_other_arrays_than_the_model_has_is_refused(run: Any, tmp_path: Path) -> None:
    params, state = run[1][10]
    wide = {**params, "dense": {**params["dense"], "kernel": params["dense"]["kernel"].astype("f8")}}
    other = {**params, "dense": {"kernel": np.zeros((4, 5), "f4")}}
    for step, tree, message in (
        (1, wide, r"leaf 'params/dense/kernel': expected a dtype of at most 32 bits, got float64.*jax_enable_x64"),
        (2, other, r"expected params/dense/kernel: \[4, 3\]; params/dense/bias: \[3\], got .*\[4, 5\]"),
    ):
        record = {"model": small().to_json()}
        save_step(tmp_path / "other", step, {"train_state": {"params": tree, "model_state": state}}, record)
        with pytest.raises(LoadError, match=message):
            jg.load(tmp_path / "other", step=step)
    save_step(tmp_path / "other", 3, {}, {})
    with pytest.raises(LoadError, match="a saved model"):
        jg.load(tmp_path / "other", step=3)


def wide(units: int = 3, extra: bool = False) -> jg.Model:
    """As `small`, with a layer more or another width."""
    x = jg.Input((4,), name="x")
    h = L.BatchNormalization(name="norm")(x)
    return jg.Model(x, L.Dense(units, name="dense")(L.Dense(4, name="extra")(h) if extra else h))


def saved(path: Path, model: jg.Model, **options: Any) -> tuple[Any, Any]:
    """Start values of a model, written as `save` does or, with a step, as a checkpoint is."""
    params, state = model.init(jax.random.key(3))
    if "step" in options:
        tree = {"train_state": {"params": params, "model_state": state}}
        record = {"model": model.to_json(), "graph": model.fingerprint}
        save_step(path, options["step"], jax.tree.map(np.asarray, tree), record)
    else:
        jg.save(path, model, params, state)
    return params, state


FILES = pytest.mark.parametrize("step", [{}, {"step": 7}], ids=["saved", "step"])


def test_a_saved_model_and_a_checkpoint_say_their_fingerprint(tmp_path: Path) -> None:
    saved(tmp_path / "m", small())
    assert read_record(tmp_path / "m")["record"]["fingerprint"] == small().fingerprint
    trainer = jg.Trainer(small(), optax.sgd(0.1), loss="mse")
    keep = jg.callbacks.Checkpoint(tmp_path / "run")
    trainer.fit((np.ones((4, 4)), np.ones((4, 3))), epochs=1, progress=False, callbacks=[keep])
    found = newest_whole(tmp_path / "run", ())
    assert found is not None
    assert found[2]["graph"] == small().fingerprint


@FILES
def test_values_are_loaded_into_the_same_graph(tmp_path: Path, step: Any) -> None:
    trees = saved(tmp_path / "m", small(), **step)
    model = small()
    loaded, *found = jg.load(tmp_path / "m", into=model, **step)
    assert loaded is model
    assert bits(found) == bits(list(trees))


@FILES
def test_another_graph_is_refused_leaf_by_leaf_with_both_sides(tmp_path: Path, step: Any) -> None:
    saved(tmp_path / "m", small(), **step)
    with pytest.raises(LoadError) as caught:
        jg.load(tmp_path / "m", into=wide(5, extra=True), **step)
    said, got = caught.value.expected, caught.value.got
    assert "params/dense/kernel: float32[4, 5]" in said
    assert "params/dense/kernel: float32[4, 3]" in got
    assert "params/extra/kernel: float32[4, 4]" in said
    assert "params/norm" not in said + got
    x = jg.Input((4,), name="x")
    bare = jg.Model(x, L.Dense(3, name="dense")(x))
    with pytest.raises(LoadError, match=r"params/norm/beta: float32\[4\]"):
        jg.load(tmp_path / "m", into=bare, **step)
    half = small().with_policy(jg.Policy({"dense": {"param_dtype": "bfloat16"}}))
    with pytest.raises(LoadError, match=r"params/dense/kernel: bfloat16\[4, 3\].*params/dense/kernel: float32\[4, 3\]"):
        jg.load(tmp_path / "m", into=half, **step)


@FILES
def test_another_graph_on_the_same_leaves_is_refused_node_by_node(tmp_path: Path, step: Any) -> None:
    saved(tmp_path / "m", small(), **step)
    for other, message in (
        (small().insert_after("norm", L.Activation("relu")), r"same graph: .*got .*activation: no node"),
        (small().freeze("dense"), "trainable"),
        (small().replace("norm", L.BatchNormalization(momentum=0.5)), r"norm: .*0\.5.*got norm: .*0\.99"),
    ):
        with pytest.raises(LoadError, match=message):
            jg.load(tmp_path / "m", into=other, **step)


@FILES
def test_partial_takes_what_fits_and_says_the_rest(tmp_path: Path, step: Any, caplog: pytest.LogCaptureFixture) -> None:
    params, state = saved(tmp_path / "m", small(), **step)
    model = wide(5, extra=True)
    loaded, found, found_state = jg.load(tmp_path / "m", into=model, partial=True, **step)
    assert loaded is model
    assert bits(found) == bits({"norm": params["norm"]})
    assert bits(found_state) == bits(state)
    said = "\n".join(caplog.messages)
    assert "'params/extra/bias', 'params/extra/kernel' are new here" in said
    assert "'params/dense/bias', 'params/dense/kernel' have another shape or dtype here" in said
    caplog.clear()
    start = model.init(jax.random.key(9))
    _, whole, whole_state = jg.load(tmp_path / "m", into=model, partial=True, start=start, **step)
    assert bits(whole) == bits({**start[0], "norm": params["norm"]})
    assert bits(whole_state) == bits(state)
    x = jg.Input((4,), name="x")
    jg.load(tmp_path / "m", into=jg.Model(x, L.Dense(3, name="dense")(x)), partial=True, **step)
    assert "'params/norm/beta', 'params/norm/gamma'" in caplog.messages[-1]
    assert "are not needed here" in caplog.messages[-1]


def test_partial_and_start_are_given_with_what_they_are_for(tmp_path: Path) -> None:
    model, other = small(), wide(5)
    trees = saved(tmp_path / "m", model)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"partial": True}, "partial without into"),
        ({"into": model, "start": trees}, "start without partial"),
        ({"into": "model"}, r"load, into: expected a jg\.Model, got 'model'"),
    ]
    for options, message in wrong:
        with pytest.raises(ArgumentError, match=message):
            jg.load(tmp_path / "m", **options)
    starts: list[Any] = [trees, 3, trees[0]]
    for start in starts:
        with pytest.raises((KeyMismatchError, ShapeError), match="load, start"):
            jg.load(tmp_path / "m", into=other, partial=True, start=start)
    x = jg.Input((2,), name="x")
    with pytest.raises(LoadError, match="It is the file of another model"):
        jg.load(tmp_path / "m", into=jg.Model(x, L.Dense(7, name="mine")(x)), partial=True)
