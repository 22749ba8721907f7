"""Every class of error is raised by somebody, says where, what was expected and got, and how to mend it."""

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph import errors
from jgraph.errors import JGraphError, listing, nearest

L = jg.layers
ROWS = np.ones((2, 3), np.float32)

# Classes that only training, saving and loading raise.
UNTIL_TRAINING = {
    "LossError",
    "DataError",
    "SaveError",
    "LoadError",
    "CallbackError",
    "MonitorError",
    "WriteError",
    "LockedError",
    "ResumeError",
}


def x(name: str | None = None) -> Any:
    return jg.Input((3,), name=name)


def small() -> jg.Model:
    start = x("x")
    return jg.Model({"x": start}, L.Dropout(0.5, name="drop")(L.Dense(2, name="dense")(start)))


def applied(**changes: Any) -> Any:
    model = small()
    params, state = model.init(jax.random.key(0))
    arguments = {"params": params, "state": state, "inputs": {"x": ROWS}, **changes}
    return model.apply(**arguments)


TABLE: list[tuple[str, Callable[[], Any], str]] = [
    ("ArgumentError", lambda: L.Dense(0), "Give units a size of at least 1"),
    ("ArgumentError", lambda: L.Dense(3, activation="rellu"), "Did you mean 'relu'?"),
    ("ArgumentError", lambda: jg.Input(3), "Write Input((28, 28, 1))"),  # pyright: ignore[reportArgumentType]
    ("ArgumentError", lambda: jg.op(3), "Write jg.op(jnp.clip)(x, 0.0, 1.0)"),  # pyright: ignore[reportArgumentType]
    ("ArgumentError", lambda: jg.Sequential([]), "Lift functions with jg.op"),
    ("GraphError", lambda: jg.Model(x("left"), x("right") * 2), "Add the input"),
    ("GraphError", lambda: jg.Model(x("left"), x("left") * 2), "Use one symbol for both"),
    ("GraphError", lambda: jg.Model([], x()), "Give the model an input and an output"),
    ("NameClashError", lambda: jg.Model(a := x("a"), L.Dense(2, name="a")(a)), "Rename one of them"),
    ("ShapeError", lambda: L.LSTM(2)(x()), "use the layer of another rank"),
    ("ShapeError", lambda: applied(inputs={"x": np.ones((2, 4))}), "Reshape the array"),
    ("ShapeError", lambda: x() + jg.Input((4,)), "Compare the inputs with the layer's documentation"),
    ("DTypeError", lambda: applied(inputs={"x": ROWS * 1j}), "Convert it with .astype(...)"),
    ("DTypeError", lambda: L.Embedding(3, 2)(x()), "dtype='int32'"),
    ("SymbolError", lambda: applied(inputs={"x": x()}), "apply and predict take arrays"),
    ("SymbolError", lambda: L.Dense(2)(ROWS), "On arrays use layer.apply(params, state, x)"),
    ("SymbolError", lambda: bool(x() > 0), "jg.op(jnp.where)"),
    ("KeyMismatchError", lambda: applied(inputs={"y": ROWS}), "Give the inputs in the structure"),
    ("KeyMismatchError", lambda: applied(params={}), "sub.select(tree, of=model)"),
    ("PathError", lambda: small().output_of("dens"), "Did you mean 'dense'?"),
    ("RandomKeyError", lambda: applied(train=True), "train=True, key=jax.random.key(0)"),
]


@pytest.mark.parametrize(("kind", "fault", "cure"), TABLE, ids=[f"{kind}-{cure}" for kind, _, cure in TABLE])
def test_a_fault_is_told_with_its_cure(kind: str, fault: Callable[[], Any], cure: str) -> None:
    with pytest.raises(getattr(errors, kind)) as caught:
        fault()
    error = caught.value
    assert type(error).__name__ == kind
    assert cure in error.cure
    assert str(error) == f"{error.where}: expected {error.expected}, got {error.got}. {error.cure}"
    assert all(part.strip() for part in (error.where, error.expected, error.got, error.cure))
    assert error.cure.rstrip().endswith((".", "?", ")", "]"))


def classes() -> dict[str, type]:
    found = inspect.getmembers(errors, inspect.isclass)
    return {name: kind for name, kind in found if issubclass(kind, JGraphError) and kind is not JGraphError}


def test_no_class_is_untested() -> None:
    assert {kind for kind, _, _ in TABLE} | UNTIL_TRAINING == set(classes())


@pytest.mark.parametrize("kind", classes().values(), ids=list(classes()))
def test_every_class_is_also_a_builtin_and_is_documented(kind: type[JGraphError]) -> None:
    builtins = (ValueError, TypeError, KeyError, IndexError, OSError)
    assert sum(issubclass(kind, base) for base in builtins) == 1
    assert kind.__doc__
    error = kind("here", expected="one", got="two", cure="Take one.")
    assert str(error) == "here: expected one, got two. Take one."
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(again), str(again), again.cure) == (kind, str(error), "Take one.")


def test_the_run_and_the_notes_of_an_error_go_with_its_copies() -> None:
    def fail(event: jg.callbacks.Event) -> None:
        raise OSError("no such sensor")

    trainer = jg.Trainer(jg.Sequential([jg.Input((3,)), L.Dense(1)]), optax.sgd, loss="mse", learning_rate=0.1)
    with pytest.raises(errors.CallbackError) as caught:
        trainer.fit((ROWS, ROWS[:, 0]), epochs=2, progress=False, callbacks=[jg.callbacks.on_epoch_end(fail)])
    error: Any = caught.value
    error.add_note("in the cellar")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (type(again), str(again), again.__notes__) == (type(error), str(error), ["in the cellar"])
        assert (again.run.position, again.run.history) == (error.run.position, error.run.history)
        jax.tree.map(np.testing.assert_array_equal, again.run.train_state.params, error.run.train_state.params)
        assert jnp.array_equal(again.run.train_state.key, error.run.train_state.key)


def test_messages_hold_shapes_and_never_values() -> None:
    with pytest.raises(errors.ShapeError) as caught:
        applied(inputs={"x": np.full((2, 4), 123.456)})
    assert "123.456" not in str(caught.value)
    assert "[2, 4]" in str(caught.value)


def test_the_nearest_name_is_suggested_only_where_it_is_near() -> None:
    assert nearest("kernle", ["bias", "kernel"]) == "Did you mean 'kernel'? "
    assert nearest("zzz", ["bias", "kernel"]) == ""
    assert nearest(3, [1, 2]) == ""


def test_long_lists_of_names_are_shortened() -> None:
    assert listing([]) == "none"
    assert listing(["a", "b"]) == "'a', 'b'"
    assert listing(range(20), most=2) == "'0', '1', ... (20 in all)"


def test_an_error_in_apply_says_in_which_node_it_happened() -> None:
    with pytest.raises(errors.RandomKeyError) as caught:
        applied(train=True)
    assert caught.value.__notes__ == ["In 'drop' (Dropout(0.5, name='drop')), call 0."]
    assert jnp.isfinite(applied()[0]).all()
