"""Looking into steps: what is found is what the step has, and the step is the same with and without it."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, PathError
from jgraph.ops.distribution import Distribution
from jgraph.train.watch import Watch, look_into

ROWS, BATCH = 22, 8
EVERY = 3


class Keep(jg.callbacks.Callback):
    """Keeps all that it sees, outside of its memory, and the params after each step."""

    seen: Any
    watch: Watch = Watch(every_steps=EVERY, bins=16)

    def watches(self) -> Watch:
        return self.watch

    def on_step_end(self, memory: Any, event: jg.callbacks.Event) -> Any:
        params = jax.tree.map(np.array, event.train_state.params)
        self.seen.append((event.step, params, event.watched.get(self.watch)))
        return memory, []


def drawn() -> jg.Model:
    x = jg.Input((4,), name="x")
    shared = jg.layers.Dense(4, activation="tanh", name="shared")
    y = jg.layers.Dropout(0.5)(shared(shared(x)))
    return jg.Model(x, jg.layers.Dense(3, activation="softmax", name="answer")(y))


@pytest.fixture(scope="module")
def trainer() -> jg.Trainer:
    return jg.Trainer(drawn(), optax.adam(1e-2), loss="sparse_categorical_crossentropy")


def rows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(ROWS, 4)).astype(np.float32), random.integers(0, 3, ROWS)


def batches() -> list[Any]:
    x, y = rows()
    return [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, ROWS, BATCH)]


def fitted(trainer: jg.Trainer, data: Any, *callbacks: jg.callbacks.Callback) -> jg.Run:
    options: Any = {"batch_size": BATCH} if isinstance(data, tuple) else {}
    return trainer.fit(data, epochs=2, callbacks=callbacks, progress=False, **options)


@pytest.mark.parametrize("data", [rows(), batches()], ids=["on the device", "from the host"])
def test_a_run_that_is_watched_has_the_same_bits(data: Any, trainer: jg.Trainer) -> None:
    seen: list[Any] = []
    watched, plain = fitted(trainer, data, Keep(seen)), fitted(trainer, data)
    jax.tree.map(np.testing.assert_array_equal, watched.train_state.params, plain.train_state.params)
    jax.tree.map(np.testing.assert_array_equal, watched.train_state.opt_state, plain.train_state.opt_state)
    assert watched.history == plain.history
    assert [step for step, _, found in seen if found is not None] == [3, 6]


def test_what_is_found_is_what_the_step_has(trainer: jg.Trainer) -> None:
    seen: list[Any] = []
    fitted(trainer, rows(), Keep(seen))
    for step, params, found in seen:
        if found is None:
            continue
        before = seen[step - 2][1]
        for path in ("shared/kernel", "answer/bias"):
            layer, name = path.split("/")
            same(found[f"params/{path}"], before[layer][name])
            same(found[f"updates/{path}"], params[layer][name] - before[layer][name])
            assert found[f"gradients/{path}"].number == params[layer][name].size
        size = ROWS - 2 * BATCH if step in (3, 6) else BATCH
        assert found["activations/shared"].number == found["activations/shared/1"].number == 4 * size
        assert found["activations/answer"].total == pytest.approx(size, rel=1e-5)
        assert found["activations/answer"].nan == 0
        zeros = found["activations/dropout"].counts
        assert sum(zeros) == 4 * size
    assert {tag.split("/")[0] for tag in seen[2][2]} == {"params", "gradients", "updates", "activations"}


def looked(own: jg.Trainer, watch: Watch, *given: Any) -> dict[str, Distribution]:
    return jax.jit(lambda *given: look_into(own.step_function, watch, *given))(*given).read()


def same(found: Distribution, array: np.ndarray) -> None:
    np.testing.assert_allclose((found.least, found.most), (array.min(), array.max()), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.squares, np.square(array).sum(), rtol=1e-3, atol=1e-9)
    assert found.number == array.size


def test_gradients_are_those_of_the_loss(trainer: jg.Trainer) -> None:
    train_state = trainer.init(jax.random.key(0))
    x, y = (jnp.asarray(a[:BATCH]) for a in rows())
    batch = ((x,), (y,), (None,))
    step = trainer.step_function
    found = jax.jit(lambda: step.look(train_state, batch, None).grads)()
    seen = looked(trainer, Watch(of=("gradients",)), train_state, step.init(), batch)
    for path in ("shared/kernel", "answer/kernel"):
        layer, name = path.split("/")
        same(seen[f"gradients/{path}"], np.asarray(found[layer][name]))


def test_the_program_of_the_steps_is_the_same_with_and_without(trainer: jg.Trainer) -> None:
    own = trainer
    train_state = own.init(jax.random.key(0))
    x, y = (jnp.asarray(a[:BATCH]) for a in rows())
    given = train_state, own.step_function.init(), ((x,), (y,), (None,))
    before = str(jax.make_jaxpr(own.step_function.summed)(*given))
    own.fit(rows(), epochs=1, batch_size=BATCH, callbacks=[Keep([])], progress=False)
    assert str(jax.make_jaxpr(own.step_function.summed)(*given)) == before
    assert "scatter" in str(jax.make_jaxpr(lambda *g: look_into(own.step_function, Watch(), *g).counts)(*given))


def test_patterns_choose_nodes_and_a_nested_model_stands_for_what_is_in_it() -> None:
    inner = jg.Input((4,))
    tower = jg.Model(inner, jg.layers.Dense(4, name="hidden")(inner), name="tower")
    x = jg.Input((4,), name="x")
    own = jg.Trainer(jg.Model(x, jg.layers.Dense(1, name="last")(tower(x))), optax.sgd(0.1), loss="mse")
    given = (
        own.init(jax.random.key(0)),
        own.step_function.init(),
        ((np.ones((2, 4), "f"),), (np.ones((2, 1), "f"),), (None,)),
    )
    watch = Watch(of=("activations", "params"), nodes=("tower",))
    tags = ["activations/tower/hidden", "params/tower/hidden/bias", "params/tower/hidden/kernel"]
    assert sorted(looked(own, watch, *given)) == tags
    assert looked(own, Watch(nodes=("none",)), *given) == {}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"every_steps": 0}, r"Watch, every_steps: expected an integer from 1"),
        ({"bins": 5000}, r"Watch, bins: expected an integer from 1 to 1024"),
        ({"of": ("gradient",)}, r"Watch, of: .* Did you mean 'gradients'"),
        ({"of": ()}, r"Watch, of: expected a tuple of texts"),
        ({"nodes": "encoder"}, r"Watch, nodes: expected a tuple of texts"),
    ],
)
def test_fields_that_have_no_meaning(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        Watch(**fields)


def test_a_pattern_that_matches_nothing_is_an_error_with_the_nearest_path(tmp_path: Path, trainer: jg.Trainer) -> None:
    board = jg.callbacks.TensorBoard(tmp_path, histograms=Watch(nodes=("share",)))
    with pytest.raises(PathError, match=r"TensorBoard, histograms, nodes: .* Did you mean 'shared'"):
        fitted(trainer, rows(), board)


def test_every_call_of_a_shared_head_has_its_logits() -> None:
    x, y = jg.Input((3,), name="x"), jg.Input((3,), name="y")
    head = jg.layers.Dense(2, activation="softmax", name="head")
    model = jg.Model([x, y], {"one": head(x), "other": head(y)})
    losses = dict.fromkeys(("one", "other"), "sparse_categorical_crossentropy")
    found: list[Any] = []

    class Looks(jg.callbacks.Callback):
        every_steps = None

        def watches(self) -> jg.callbacks.Watch:
            return jg.callbacks.Watch(every_steps=1, of=("activations",))

        def on_step_end(self, memory: Any, event: Any) -> Any:
            found.append(event.watched.get(self.watches()))
            return memory, []

    rows = np.ones((4, 3), "float32")
    targets = dict.fromkeys(("one", "other"), np.zeros(4, int))
    jg.Trainer(model, optax.sgd(0.1), loss=losses).fit(
        ([rows, rows], targets), epochs=1, callbacks=[Looks()], progress=False
    )
    assert {f"activations/{name}" for name in ("head", "head/1", "head/logits", "head/1/logits")} == set(found[0])
