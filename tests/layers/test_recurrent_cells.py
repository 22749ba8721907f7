"""The cells against their formulas in float64; stacks of them; and cells of one's own in an RNN."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, RandomKeyError, ShapeError
from tests.references.numpy_layers import sigmoid

L = jg.layers
RANDOM: Any = np.random.default_rng(0)
X, H, C = (RANDOM.normal(size=(4, size)) for size in (2, 3, 3))


def weights(gates: int, bias: tuple[int, ...] = ()) -> dict[str, Any]:
    shapes = {"kernel": (2, 3 * gates), "recurrent_kernel": (3, 3 * gates), "bias": (*bias, 3 * gates)}
    return {name: RANDOM.normal(size=shape) for name, shape in shapes.items()}


def one_step(cell: Any, params: Any, *memories: Any) -> Any:
    """The output and the memories in float64."""
    with jax.enable_x64(True):
        y, new = cell.apply(params, {}, X, [*memories])[0]
    return [np.asarray(v) for v in (y, *new)]


def test_simple_formula() -> None:
    p = weights(1)
    want = np.tanh(X @ p["kernel"] + H @ p["recurrent_kernel"] + p["bias"])
    for got in one_step(L.SimpleRNNCell(3), p, H):
        np.testing.assert_allclose(got, want, rtol=1e-13)


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru_formula(reset_after: bool) -> None:
    p = weights(3, (2,) * reset_after)
    first, second = p["bias"] if reset_after else (p["bias"], np.zeros(9))
    zx, rx, gx = np.split(X @ p["kernel"] + first, 3, axis=-1)
    zu, ru, gu = np.split(p["recurrent_kernel"], 3, axis=-1)
    zb, rb, gb = np.split(second, 3)
    z, r = sigmoid(zx + H @ zu + zb), sigmoid(rx + H @ ru + rb)
    g = np.tanh(gx + (r * (H @ gu + gb) if reset_after else (r * H) @ gu))
    for got in one_step(L.GRUCell(3, reset_after=reset_after), p, H):
        np.testing.assert_allclose(got, z * H + (1 - z) * g, rtol=1e-13)


def test_lstm_formula() -> None:
    p = weights(4)
    i, f, g, o = np.split(X @ p["kernel"] + H @ p["recurrent_kernel"] + p["bias"], 4, axis=-1)
    c = sigmoid(f) * C + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    for got, want in zip(one_step(L.LSTMCell(3), p, H, C), (h, h, c), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)


def test_a_memory_comes_back_as_it_was_given() -> None:
    x, h = jg.Input((2,), name="x"), jg.Input((3,), name="h")
    assert jax.tree.structure(L.GRUCell(3)(x, h)) == jax.tree.structure((0, 0))
    assert jax.tree.structure(L.GRUCell(3)(x, [h])) == jax.tree.structure((0, [0]))


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_gates_share_a_draw_unless_the_memory_is_dropped_too(kind: str) -> None:
    """Keras' rule. Ones come through a kernel of ones as the number of features that a gate sees."""
    gates = getattr(L, f"{kind}Cell").gates
    x = jnp.ones((8, 60))
    params = {"kernel": jnp.ones((60, gates)), "recurrent_kernel": jnp.ones((1, gates)), "bias": jnp.zeros(gates)}
    for rate, shared in ((0.0, True), (0.5, False)):
        cell = getattr(L, f"{kind}Cell")(
            1, dropout=0.5, recurrent_dropout=rate, **{"reset_after": False} if gates == 3 else {}
        )
        project, _ = cell.begin(params, {}, x, train=True, key=jax.random.key(0))
        seen = np.asarray(project(x)) / 2
        np.testing.assert_array_equal(seen, np.round(seen))
        assert abs(seen.mean() - 30) < 5 * np.sqrt(15 / 8)
        assert (seen == seen[:, :1]).all() == shared
        sequence = np.asarray(project(jnp.broadcast_to(x[:, None], (8, 3, 60)))) / 2
        np.testing.assert_array_equal(sequence, np.broadcast_to(seen[:, None], sequence.shape))


def test_the_memory_that_goes_on_is_not_dropped() -> None:
    """Dropout is in the products alone: a gate that keeps all hands on all."""
    params = {"kernel": jnp.zeros((2, 9)), "recurrent_kernel": jnp.zeros((3, 9)), "bias": jnp.full((2, 9), 50.0)}
    cell = L.GRUCell(3, recurrent_dropout=0.9)
    (y, _), _ = cell.apply(
        params, {}, jnp.asarray(X, "float32"), jnp.asarray(H, "float32"), train=True, key=jax.random.key(0)
    )
    np.testing.assert_allclose(y, H, rtol=1e-6)


class Mean(jg.Layer):
    """A cell with a method `apply` alone: the mean of all steps, whose sum and count it remembers."""

    width: int
    mixes_rows = False

    @property
    def state_size(self) -> list[int]:
        return [self.width, 1]

    def apply(self, params: Any, state: Any, x: Any, memories: Any, *, train: bool = False, key: Any = None) -> Any:
        total, count = memories
        total, count = total + x, count + 1
        return (total / count, (total, count)), state


class Noisy(jg.Layer):
    """A cell with params, state and noise: it counts the steps it has ever seen."""

    state_size = 2

    def init(self, key: Any, x: Any, memory: Any) -> Any:
        return {"kernel": jnp.ones((x.shape[-1], memory.shape[-1]))}, {"steps": jnp.zeros((), jnp.int32)}

    def apply(self, params: Any, state: Any, x: Any, memory: Any, *, train: bool = False, key: Any = None) -> Any:
        noise = jax.random.normal(key, memory.shape) if train else 0.0
        y = x @ params["kernel"] + noise
        return (y, memory + y), {"steps": state["steps"] + 1}


class TestCellsOfOnesOwn:
    """What a user writes: a state_size and an apply."""

    x: Any = RANDOM.normal(size=(3, 5, 2)).astype("float32")
    mask = np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0]], bool)

    def test_an_output_that_is_no_memory(self) -> None:
        layer = L.RNN(Mean(2), return_sequences=True, return_state=True)
        assert not layer.mixes_rows
        y, total, count = layer.apply({}, {}, self.x)[0]
        counts = np.arange(1, 6)[:, None]
        np.testing.assert_allclose(y, self.x.cumsum(1) / counts, rtol=1e-5)
        np.testing.assert_allclose(total, self.x.sum(1), rtol=1e-5)
        np.testing.assert_array_equal(count, np.full((3, 1), 5.0))

    @pytest.mark.parametrize("unroll", [False, True])
    def test_a_masked_step_repeats_the_output_before_it(self, unroll: bool) -> None:
        y = L.RNN(Mean(2), return_sequences=True, unroll=unroll).apply({}, {}, self.x, mask=self.mask)[0]
        last = L.RNN(Mean(2), unroll=unroll).apply({}, {}, self.x, mask=self.mask)[0]
        for row in range(3):
            total, count, shown = np.zeros(2), 0, np.zeros(2)
            for step in range(5):
                if self.mask[row, step]:
                    total, count = total + self.x[row, step], count + 1
                    shown = total / count
                np.testing.assert_allclose(y[row, step], shown, rtol=1e-5)
            np.testing.assert_allclose(last[row], shown, rtol=1e-5)

    def test_state_goes_from_step_to_step_and_one_key_serves_all(self) -> None:
        x = jg.Input((5, 2), name="x")
        model = jg.Model(x, L.RNN(Noisy(), return_sequences=True, name="it")(x))
        params, state = model.init(jax.random.key(0))
        still, state = model.apply(params, state, self.x)
        assert int(state["it"]["steps"]) == 5
        y, state = model.apply(params, state, self.x, train=True, key=jax.random.key(0))
        assert int(state["it"]["steps"]) == 10
        noise = np.asarray(y - still)
        np.testing.assert_allclose(noise, np.broadcast_to(noise[:, :1], noise.shape), atol=1e-5)
        assert np.unique(noise[:, 0]).size == 6

    def test_in_a_stack(self) -> None:
        layer = L.RNN([L.SimpleRNNCell(3), Mean(3), Noisy(name="top")])
        spec = jax.ShapeDtypeStruct((3, 5, 2), "float32")
        params, state = layer.init(jax.random.key(0), spec)
        assert jax.tree.map(jnp.shape, params)["top"] == {"kernel": (3, 2)}
        assert set(params) == {"simple_rnn_cell", "top"}
        y, state = layer.apply(params, state, self.x)
        assert y.shape == (3, 2)
        assert int(state["top"]["steps"]) == 5

    def test_sizes_that_are_not_what_is_said(self) -> None:
        class Wrong(Mean):
            def apply(self, params: Any, state: Any, x: Any, memories: Any, **options: Any) -> Any:
                return (x, [x, x]), state

        with pytest.raises(ShapeError, match="Return memories of the sizes that state_size says"):
            L.RNN(Wrong(2))(jg.Input((5, 2)))

    def test_a_penalty_would_be_lost(self) -> None:
        class Punished(Mean):
            def penalty(self, params: Any, inputs: tuple, outputs: Any) -> Any:
                return 0.0

        with pytest.raises(ArgumentError, match="a cell without a penalty"):
            L.RNN(Punished(2))


class TestStacks:
    """Cells on top of each other."""

    x = jax.ShapeDtypeStruct((3, 5, 2), "float32")

    def test_a_stack_is_a_chain_of_layers(self) -> None:
        cells = [L.LSTMCell(4), L.GRUCell(3), L.GRUCell(2)]
        stack = L.RNN(cells, return_sequences=True, return_state=True)
        params, _ = stack.init(jax.random.key(0), self.x)
        assert list(params) == ["lstm_cell", "gru_cell", "gru_cell_1"]
        x = TestCellsOfOnesOwn.x
        y, *memories = stack.apply(params, {}, x)[0]
        wanted = []
        for cell, own in zip(cells, params.values(), strict=True):
            x, *last = L.RNN(cell, return_sequences=True, return_state=True).apply(own, {}, x)[0]
            wanted.append(last)
        np.testing.assert_allclose(y, x, rtol=1e-5, atol=1e-6)
        for got, want in zip(jax.tree.leaves(memories), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)

    def test_each_cell_draws_its_own_dropout(self) -> None:
        cells = [L.SimpleRNNCell(64, "linear", dropout=0.5), L.SimpleRNNCell(64, "linear", dropout=0.5)]
        stack = L.RNN(cells, return_sequences=True)
        eye, none = jnp.eye(64), jnp.zeros((64, 64))
        own = {"kernel": eye, "recurrent_kernel": none, "bias": jnp.zeros(64)}
        params = {"simple_rnn_cell": own, "simple_rnn_cell_1": own}
        y = np.asarray(stack.apply(params, {}, jnp.ones((4, 3, 64)), train=True, key=jax.random.key(0))[0])
        np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
        assert abs((y[:, 0] != 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 256)
        with pytest.raises(RandomKeyError, match=r"key=jax\.random\.key"):
            stack.apply(params, {}, jnp.ones((4, 3, 64)), train=True)

    def test_weights_are_regularized_and_constrained_by_the_cells(self) -> None:
        layer = L.RNN([L.SimpleRNNCell(2, kernel_regularizer="l2"), L.GRUCell(2, recurrent_constraint="non_neg")])
        params, _ = layer.init(jax.random.key(0), self.x)
        assert layer.regularizes()
        assert layer.constrains()
        squares = (np.asarray(params["simple_rnn_cell"]["kernel"], "float64") ** 2).sum()
        np.testing.assert_allclose(layer.regularization(params), 0.01 * squares, rtol=1e-5)
        after = layer.constrain(params)
        assert (after["gru_cell"]["recurrent_kernel"] >= 0).all()
        assert jax.tree.structure(after) == jax.tree.structure(params)
        np.testing.assert_array_equal(after["simple_rnn_cell"]["kernel"], params["simple_rnn_cell"]["kernel"])
        assert not L.RNN(L.GRUCell(2)).regularizes()
        assert not L.RNN(L.GRUCell(2)).constrains()
