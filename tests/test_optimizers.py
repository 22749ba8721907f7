"""Optimizers by path, what weight decay spares, and clipping: against optax by hand, and Keras."""

import fnmatch
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import optax.contrib
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, PathError, ResumeError
from jgraph.train.learning_rate import inexact

L = jg.layers
LOSS = "sparse_categorical_crossentropy"
TOLERANCE = 1e-6  # float32, a few steps


def data(rows: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, 4)).astype("float32"), random.integers(0, 3, rows)


def net() -> jg.Model:
    x, i = jg.Input((4,), name="x"), jg.Input((4,))
    body = jg.Model(i, L.Dense(5, activation="tanh", name="inner")(L.Dense(4, name="stem")(i)), name="body")
    return jg.Model(x, {"y": L.Dense(3, activation="softmax", name="y")(body(x))})


def trainer(optimizer: Any, model: jg.Model | None = None, **options: Any) -> jg.Trainer:
    return jg.Trainer(net() if model is None else model, optimizer, loss=LOSS, **options)


def steps(ours: jg.Trainer, number: int = 4) -> jg.TrainState:
    train_state = ours.init(jax.random.key(0))
    for seed in range(number):
        train_state, _ = ours.step(train_state, data(seed=seed))
    return train_state


def by_hand(update: Any, number: int = 4) -> Any:
    """The params after some steps, where `update(grads, memory, params)` gives updates and the next memory."""
    params, memory = trainer(optax.sgd(0.1)).init(jax.random.key(0)).params, None

    def loss_of(params: Any, batch: Any) -> Any:
        x = batch[0]
        for name in ("stem", "inner"):
            x = x @ params["body"][name]["kernel"] + params["body"][name]["bias"]
            x = jnp.tanh(x) if name == "inner" else x
        logits = x @ params["y"]["kernel"] + params["y"]["bias"]
        return jnp.mean(optax.losses.softmax_cross_entropy_with_integer_labels(logits, batch[1]))

    for seed in range(number):
        updates, memory = update(jax.grad(loss_of)(params, data(seed=seed)), memory, params)
        params = optax.apply_updates(params, updates)
    return params


def close(a: Any, b: Any, tolerance: float = TOLERANCE) -> None:
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance), a, b)


def same(a: Any, b: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


# By path


def test_each_optimizer_sees_its_own_params_alone() -> None:
    """Clipped by the norm of its own part, with memories of its own, as if the other part did not exist."""
    first = optax.chain(optax.clip_by_global_norm(0.05), optax.sgd(0.5, momentum=0.9))
    second = optax.adamw(1e-2, weight_decay=0.1)

    def update(grads: Any, memory: Any, params: Any) -> Any:
        a, b = memory or (first.init({"body": params["body"]}), second.init({"y": params["y"]}))
        body: Any
        head: Any
        body, a = first.update({"body": grads["body"]}, a, {"body": params["body"]})
        head, b = second.update({"y": grads["y"]}, b, {"y": params["y"]})
        return {**body, **head}, (a, b)

    ours = steps(trainer(jg.optimizers.by_path({"body": first, "*": second})))
    close(ours.params, by_hand(update), 1e-5)  # adam divides by roots of small squares


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*"], ["*", "*", "*", "*", "*", "*"]),
        (["body", "y"], ["body", "body", "body", "body", "y", "y"]),
        (["body/*", "*"], ["body/*", "body/*", "body/*", "body/*", "*", "*"]),
        (["*/bias", "*"], ["*/bias", "*", "*/bias", "*", "*/bias", "*"]),
        (["body/s?em", "*/kernel", "*"], None),
        (["*/kernel", "*/bias"], ["*/bias", "*/kernel"] * 3),
        (["body/[is]*/kernel", "y/kernel", "*"], ["*", "body/[is]*/kernel"] * 2 + ["*", "y/kernel"]),
    ],
)
def test_patterns(patterns: list[str], expected: list[str] | None) -> None:
    """In the order inner/bias, inner/kernel, stem/bias, stem/kernel, y/bias, y/kernel."""
    optimizer = jg.optimizers.by_path({pattern: optax.sgd(0.1, momentum=0.9) for pattern in patterns})
    if expected is None:
        with pytest.raises(ArgumentError, match="'body/stem/kernel': expected one optimizer"):
            trainer(optimizer)
        return
    states = trainer(optimizer).init(jax.random.key(0)).opt_state.inner_states
    names = ["body/inner/bias", "body/inner/kernel", "body/stem/bias", "body/stem/kernel", "y/bias", "y/kernel"]
    for pattern in patterns:
        found = {jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(states[pattern])[0]}
        own = [name for name, meant in zip(names, expected, strict=True) if meant == pattern]
        assert len(found) == len(own)
        for name in own:
            assert any(key.endswith("".join(f"['{part}']" for part in name.split("/"))) for key in found)


NAMES = st.sampled_from(["a", "b", "ab"])
TREES = st.recursive(
    st.just(0), lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3), max_leaves=8
).filter(lambda tree: isinstance(tree, dict))
PATTERNS = st.lists(st.text("ab*?/", min_size=1, max_size=4), min_size=1, max_size=3, unique=True)


@hypothesis.given(TREES, PATTERNS)
@hypothesis.settings(max_examples=150, deadline=None)
def test_patterns_mean_what_fnmatch_says_of_a_path_or_of_what_it_is_in(tree: Any, patterns: list[str]) -> None:
    params = jax.tree.map(lambda _: jnp.zeros(1), tree)
    paths = ["/".join(k.key for k in path) for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]]

    def meant(path: str) -> list[str]:
        prefixes = [path[:end] for end in range(1, len(path) + 1) if end == len(path) or path[end] == "/"]
        return [p for p in patterns if p != "*" and any(fnmatch.fnmatchcase(part, p) for part in prefixes)]

    optimizer = jg.optimizers.by_path({pattern: optax.scale(1.0 + n) for n, pattern in enumerate(patterns)})
    whole = all(len(meant(path)) == 1 or (not meant(path) and "*" in patterns) for path in paths)
    used = all(p == "*" or any(p in meant(path) for path in paths) for p in patterns)
    if not (whole and used):
        with pytest.raises((ArgumentError, PathError), match="by_path"):
            optimizer.init(params)
        return
    updates, _ = optimizer.update(jax.tree.map(jnp.ones_like, params), optimizer.init(params), params)
    factors = [1.0 + patterns.index((*meant(path), "*")[0]) for path in paths]
    assert [float(leaf[0]) for leaf in jax.tree.leaves(updates)] == factors


def test_frozen_params_have_no_memory_and_no_optimizer() -> None:
    optimizer = jg.optimizers.by_path({"body/inner": optax.adam(1e-2), "*": optax.sgd(0.1, momentum=0.9)})
    ours = trainer(optimizer, net().freeze("body/stem"))
    train_state = ours.init(jax.random.key(0))
    sizes = sum(leaf.size for leaf in jax.tree.leaves(train_state.opt_state))
    assert sizes == 2 * (4 * 5 + 5) + 1 + (5 * 3 + 3)  # two moments and a count; one momentum
    after = steps(ours)
    same(after.params["body"]["stem"], train_state.params["body"]["stem"])
    with pytest.raises(PathError, match=r"the pattern 'body/stem'.*trained.*Known: 'body/inner/bias'"):
        trainer(jg.optimizers.by_path({"body/stem": optax.sgd(0.1), "*": optax.sgd(0.1)}), net().freeze("body/stem"))


def test_wrong_optimizers_by_path() -> None:
    sgd: Any = optax.sgd(0.1)
    wrong: list[Any] = [{}, [sgd], {"*": 0.1}, {"*": optax.sgd}, {3: sgd}, {"": sgd}, sgd]
    for given in wrong:
        with pytest.raises(ArgumentError, match=r"by_path: expected a dict of optax optimizers by pattern.*Write jg"):
            jg.optimizers.by_path(given)
    with pytest.raises(PathError, match=r"the pattern 'bodi': .*Did you mean 'body'\? Known: 'body/inner/bias'"):
        trainer(jg.optimizers.by_path({"bodi": sgd, "*": sgd}))
    with pytest.raises(ArgumentError, match=r"by_path: .*got none for 'y/bias', 'y/kernel'.*Add '\*'.*freeze"):
        trainer(jg.optimizers.by_path({"body": sgd}))
    with pytest.raises(ArgumentError, match=r"by_path, 'body/inner/bias': .*patterns 'body', '\*/bias'. Narrow"):
        trainer(jg.optimizers.by_path({"body": sgd, "*/bias": sgd, "*": sgd}))


def test_a_known_rate_reaches_every_optimizer() -> None:
    def made(learning_rate: Any) -> Any:
        return jg.optimizers.by_path({"body": optax.sgd(0.1 * learning_rate), "*": optax.adam(learning_rate)})

    schedule = optax.linear_schedule(0.1, 0.02, 4)
    known = trainer(made, learning_rate=schedule)
    fixed = trainer(jg.optimizers.by_path({"body": optax.sgd(lambda n: 0.1 * schedule(n)), "*": optax.adam(schedule)}))
    close(steps(known).params, steps(fixed).params, 1e-5)
    halved = [jg.callbacks.LearningRateScheduler(lambda epoch: 0.1 / 2**epoch)]
    run = trainer(made, learning_rate=0.1).fit(data(), epochs=3, callbacks=halved, progress=False)
    np.testing.assert_allclose(run.history["learning_rate"], [0.1, 0.05, 0.025], rtol=1e-6)


def test_scaling_is_refused_where_one_of_them_is_not_exact() -> None:
    exact = {"body": optax.sgd(0.1, momentum=0.9), "*": optax.adamw(1e-2, mask=jg.optimizers.decay_mask)}
    odd = {**exact, "body": optax.rmsprop(0.1, momentum=0.9)}
    assert inexact(jg.optimizers.by_path(exact)) is None
    assert inexact(jg.optimizers.by_path(odd)) == "trace behind the learning rate"
    callbacks = [jg.callbacks.ReduceLROnPlateau(monitor="loss")]
    trainer(jg.optimizers.by_path(exact)).fit(data(), epochs=1, callbacks=callbacks, progress=False)
    with pytest.raises(ArgumentError, match="trace behind the learning rate"):
        trainer(jg.optimizers.by_path(odd)).fit(data(), epochs=1, callbacks=callbacks, progress=False)


def test_a_scaled_rate_is_the_rate_itself() -> None:
    def made(rate: float) -> jg.Trainer:
        adamw = optax.adamw(2 * rate, mask=jg.optimizers.decay_mask)
        return trainer(jg.optimizers.by_path({"body": optax.sgd(rate, momentum=0.9), "*": adamw}))

    whole, half = made(0.1), made(0.05)
    start = whole.init(jax.random.key(0))
    scaled, _ = whole.step(start.replace(lr_scale=jnp.float32(0.5)), data())
    close(scaled.params, half.step(half.init(jax.random.key(0)), data())[0].params)


def test_a_run_with_optimizers_by_path_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def made(**others: Any) -> jg.Trainer:
        given = {"body/*": optax.sgd(0.1, momentum=0.9), "*": optax.adam(1e-2), **others}
        return trainer(jg.optimizers.by_path(given))

    options: dict[str, Any] = {"batch_size": 4, "progress": False}
    whole = made().fit(data(), epochs=3, **options)
    saving = [jg.callbacks.Checkpoint(tmp_path)]
    made().fit(data(), epochs=1, callbacks=saving, **options)
    resumed = made().fit(data(), epochs=3, callbacks=saving, resume=tmp_path, **options)
    same(resumed.train_state.params, whole.train_state.params)
    same(resumed.train_state.opt_state, whole.train_state.opt_state)
    with pytest.raises(ResumeError, match=r"opt_state/inner_states/y/.*kernel: float32\[5, 3\]"):
        made(y=optax.adam(1e-2)).fit(data(), epochs=3, callbacks=saving, resume=tmp_path, **options)


ASKING = {
    "lbfgs and sgd": lambda: jg.optimizers.by_path({"body": optax.lbfgs(), "*": optax.sgd(0.1)}),
    "sophia": lambda: optax.contrib.sophia(0.1),
    "sam": lambda: optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.01), sync_period=2),
    "sam, opaque": lambda: optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.01), sync_period=2, opaque_mode=True),
    "polyak and momo": lambda: jg.optimizers.by_path({"body": optax.polyak_sgd(0.1), "*": optax.contrib.momo(0.1)}),
}
SLOW = ("lbfgs and sgd", "sophia")  # to compile


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in ASKING])
def test_optimizers_that_ask_for_more(name: str) -> None:
    """Line searches compute the loss anew, sharpness-aware ones the gradient, Sophia products with the Hessian."""
    run = trainer(ASKING[name]()).fit(data(), epochs=12, progress=False)
    assert run.history["loss"][-1] < 0.99 * run.history["loss"][0]


def test_a_search_over_a_part_holds_the_others_still() -> None:
    """The only step that a search takes along a gradient of a part lowers the loss; by hand on that part alone."""
    search = optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(20))
    ours = trainer(jg.optimizers.by_path({"y": search, "*": optax.set_to_zero()}))
    frozen = trainer(search, net().freeze("body"))
    close(steps(ours, 2).params, steps(frozen, 2).params)


def test_an_optimizer_that_does_not_fit_is_named() -> None:
    def raises(*args: Any) -> Any:
        raise TypeError("no such thing.")

    broken: Any = raises

    own = optax.GradientTransformation(optax.sgd(0.1).init, broken)
    with pytest.raises(ArgumentError, match=r"Trainer, optimizer: .*got TypeError: no such thing. Try it by hand"):
        trainer(own).fit(data(), epochs=1, progress=False)
    with pytest.raises(ArgumentError, match=r"Trainer, optimizer: .*got TypeError: no such thing. Try it by hand"):
        trainer(optax.GradientTransformation(broken, optax.sgd(0.1).update))


# Weight decay


def test_what_weight_decay_is_for() -> None:
    x, ids, steps = jg.Input((8, 8, 3)), jg.Input((5,), dtype="int32"), jg.Input((5, 4))
    image = L.PReLU(name="prelu")(L.Conv2D(4, 3, name="conv")(x))
    image = L.BatchNormalization(name="batch")(L.LayerNormalization(axis=(1, 2, 3), name="layer")(image))
    words = L.Embedding(7, 4, name="words")(ids)
    words = L.MultiHeadAttention(2, 3, name="heads")(words, words)
    words = L.GRU(3, name="gru")(L.EinsumDense("abc,cd->abd", (5, 4), bias_axes="bd", name="einsum")(words))
    series = L.SeparableConv1D(2, 2, name="separable")(steps)
    model = jg.Model([x, ids, steps], [image, words, series])
    mask = jg.optimizers.decay_mask(model.params_spec)
    names = {"/".join(k.key for k in path): kept for path, kept in jax.tree_util.tree_flatten_with_path(mask)[0]}
    assert {name for name, kept in names.items() if kept} == {
        "conv/kernel",
        "words/embeddings",
        *(f"heads/{part}/kernel" for part in ("query", "key", "value", "attention_output")),
        *("gru/kernel", "gru/recurrent_kernel", "einsum/kernel"),
        *("separable/depthwise_kernel", "separable/pointwise_kernel"),
    }
    assert {"gru/bias", "einsum/bias", "heads/query/bias", "layer/gamma", "prelu/alpha"} <= set(names)


def test_masked_decay_is_keras() -> None:
    """Five steps that decay what is not spared by 7 %; Adam blows up the roundings of small gradients to 1e-4."""
    keras.utils.set_random_seed(0)
    inputs, labels = data()
    head = keras.layers.Dense(3, name="y")
    theirs = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(5, name="h"), keras.layers.LayerNormalization(), head]
    )
    optimizer = keras.optimizers.AdamW(0.05, weight_decay=0.3)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    theirs.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = jg.Input((4,), name="x")
    norm = L.LayerNormalization(name="layer_normalization", epsilon=1e-3)
    model = jg.Model(x, L.Dense(3, name="y")(norm(L.Dense(5, name="h")(x))))
    start = {
        layer.name: {v.name: jnp.asarray(v.value) for v in layer.weights} for layer in theirs.layers if layer.weights
    }
    names = dict(zip(start, ("h", "layer_normalization", "y"), strict=True))
    start = {names[name]: weights for name, weights in start.items()}
    adamw = optax.adamw(0.05, eps=1e-7, weight_decay=0.3, mask=jg.optimizers.decay_mask)
    ours = trainer(adamw, model)
    train_state = ours.init(jax.random.key(0), params=start)
    for _ in range(5):
        train_state, _ = ours.step(train_state, (inputs, labels))
        theirs.train_on_batch(inputs, labels)
    for layer, name in zip([layer for layer in theirs.layers if layer.weights], names.values(), strict=True):
        for variable in layer.weights:
            np.testing.assert_allclose(
                train_state.params[name][variable.name], np.asarray(variable.value), rtol=1e-3, atol=1e-4
            )


# Clipping


CLIPS = {
    "clipvalue": (lambda: optax.clip(0.02), 0.02),
    "clipnorm": (lambda: jg.optimizers.clip_by_norm(0.1), 0.1),
    "global_clipnorm": (lambda: optax.clip_by_global_norm(0.1), 0.1),
}


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("known", [False, True], ids=["inside", "learning_rate="])
def test_clipping_is_keras(name: str, known: bool) -> None:
    keras.utils.set_random_seed(0)
    make, bound = CLIPS[name]
    options: dict[str, Any] = {name: bound}
    inputs, labels = data()
    theirs = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="y")])
    theirs.compile(
        keras.optimizers.SGD(0.5, momentum=0.9, **options),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    x = jg.Input((4,), name="x")
    start = {"y": {v.name: jnp.asarray(v.value) for v in theirs.layers[-1].weights}}
    if known:
        rated = {"learning_rate": 0.5}
        optimizer: Any = lambda learning_rate: optax.chain(make(), optax.sgd(learning_rate, momentum=0.9))  # noqa: E731
    else:
        rated, optimizer = {}, optax.chain(make(), optax.sgd(0.5, momentum=0.9))
    ours = trainer(optimizer, jg.Model(x, L.Dense(3, name="y")(x)), **rated)
    train_state = ours.init(jax.random.key(0), params=start)
    free = trainer(optax.sgd(0.5, momentum=0.9), ours.model)
    unclipped = free.step(train_state.replace(opt_state=free.init(jax.random.key(0)).opt_state), (inputs, labels))[0]
    for _ in range(3):
        train_state, _ = ours.step(train_state, (inputs, labels))
        theirs.train_on_batch(inputs, labels)
    for variable in theirs.layers[-1].weights:
        np.testing.assert_allclose(
            train_state.params["y"][variable.name], np.asarray(variable.value), rtol=1e-5, atol=1e-6
        )
    assert not np.allclose(unclipped.params["y"]["kernel"], train_state.params["y"]["kernel"], rtol=1e-3)
    assert known or inexact(ours.step_function.optimizer) is None


def test_norms_in_low_precision_are_taken_in_float32() -> None:
    clip = jg.optimizers.clip_by_norm(1.0)
    gradient = jnp.full(4096, 300.0, jnp.float16)  # whose squares are beyond float16
    clipped: Any = clip.update(gradient, clip.init(gradient))[0]
    assert clipped.dtype == jnp.float16
    np.testing.assert_allclose(clipped, 1 / 64, rtol=1e-3)
    zeros: Any = clip.update(jnp.zeros(3), clip.init(gradient))[0]
    np.testing.assert_array_equal(zeros, 0.0)


@pytest.mark.parametrize("norm", [0.0, -1.0, float("inf"), float("nan"), True, "1", None])
def test_a_norm_is_a_number_above_0(norm: Any) -> None:
    with pytest.raises(ArgumentError, match="clip_by_norm, max_norm: expected a finite number above 0"):
        jg.optimizers.clip_by_norm(norm)
