"""The table of a model: one row per call, its connections and masks, and totals that are right."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.core.summary import count, size
from jgraph.errors import ArgumentError

L = jg.layers

GOLDEN = """\
Reader

 path            layer           output shape         params   operations   activations   connected to    mask
 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────
 text            Input int32     (batch, text_1)           -            -             -   -               -
 embedding       Embedding       (batch, text_1, 4)       80            ?             ?   text            made here
 lstm            LSTM            (batch, 3)               96            ?             ?   embedding       ends here
 image           Input float32   (batch, 2, 3)             -            -             -   -               -
 tower/flatten   Flatten         (batch, 6)                -            -             -   image           -
 tower/dense     Dense           (batch, 3)               21           39             -   tower/flatten   -
 tower           Model           (batch, 3)                -            -             -   tower/dense     -
 add             Add             (batch, 3)                -            3          12 B   lstm, tower     -
 dense           Dense           (batch, 3)               12           21          12 B   add             -
 dense [1]       Dense           (batch, 3)           shared           21             -   dense           -
 getitem         op getitem      (batch, 1)                -            -           4 B   dense [1]       -

Parameters: 209 (836 B)
Trainable: 209 (836 B)
Frozen: 0 (0 B)
State: 0 (0 B)
One row: 84 operations, 28 B of activations, without ?, which depends on free axes: summary(sizes=100) counts them"""


def test_the_table_of_a_small_model() -> None:
    text, image = jg.Input((None,), dtype="int32", name="text"), jg.Input((2, 3), name="image")
    inner_x = jg.Input((2, 3))
    tower = jg.Model(inner_x, L.Dense(3)(L.Flatten()(inner_x)), name="tower")
    both = L.add([L.LSTM(3)(L.Embedding(20, 4, mask_zero=True)(text)), tower(image)])
    shared = L.Dense(3)
    model = jg.Model([text, image], shared(shared(both))[:, :1], name="Reader")
    squeezed = [" ".join(line.split()) for line in model.summary().splitlines() if not set(line) <= {"─", " "}]
    golden = [" ".join(line.split()) for line in GOLDEN.splitlines() if not set(line) <= {"─", " "}]
    assert squeezed == golden


def test_columns_line_up_and_lines_have_no_trailing_blanks() -> None:
    x = jg.Input((2,))
    lines = jg.Model(x, L.Dense(1000)(x)).summary().splitlines()
    assert lines[0] == "Model"
    assert all(line == line.rstrip() for line in lines)
    header = next(line for line in lines if "path" in line)
    row = next(line for line in lines if "dense" in line)
    assert header.index("layer") == row.index("Dense")
    assert row[: header.index("params") + len("params")].endswith("3,000")


def test_totals_are_those_of_what_init_makes() -> None:
    x = jg.Input((6, 3))
    shared = L.Dense(3)
    y = L.BatchNormalization()(shared(L.LSTM(3, return_sequences=True)(shared(x))))
    model = jg.Model(x, y)
    params, state = model.init(jax.random.key(0))
    for tree, word in [(params, "Parameters"), (state, "State")]:
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
        expected = f"{word}: {sum(a.size for a in leaves):,} ({sum(a.nbytes for a in leaves)} B)"
        assert expected in model.summary().splitlines()


def test_sizes_are_written_in_units_that_suit_them() -> None:
    def written(*shape: int, dtype: str = "float32") -> str:
        return size({"w": jax.ShapeDtypeStruct(shape, dtype)})

    assert [written(3), written(256), written(1536, 256), written(2**28), written(2**40)] == [
        "12 B",
        "1.0 KiB",
        "1.5 MiB",
        "1.0 GiB",
        "4.0 TiB",
    ]
    assert written(3, dtype="bfloat16") == "6 B"
    assert count({"a": jnp.ones((2, 3)), "b": jnp.ones(())}) == 7


def test_leaves_of_nodes_with_several_outputs_are_numbered() -> None:
    x = jg.Input((4, 2))
    _, h, c = L.LSTM(3, return_state=True)(x)
    summary = jg.Model(x, h - c).summary()
    assert "lstm#1, lstm#2" in summary
    assert "(batch, 3), (batch, 3), (batch, 3)" in summary


def nested() -> jg.Model:
    x = jg.Input((4,), name="x")
    inner = jg.Input((4,))
    tower = jg.Model(inner, L.Dense(4, name="b")(L.Dense(8, activation="relu", name="a")(inner)), name="tower")
    return jg.Model(x, L.Dense(2, name="head")(tower(tower(x))), name="Net")


COLLAPSED = """\
Net

 path        layer           output shape   params   operations   activations
 ────────────────────────────────────────────────────────────────────────────
 x           Input float32   (batch, 4)          -            -             -
 tower       Model           (batch, 4)         76          148          80 B
 tower [1]   Model           (batch, 4)     shared          148          80 B
 head        Dense           (batch, 2)         10           18           8 B

Parameters: 86 (344 B)
Trainable: 86 (344 B)
Frozen: 0 (0 B)
State: 0 (0 B)
One row: 314 operations, 168 B of activations"""


def test_a_nested_model_is_one_row_with_its_sums_or_all_of_its_rows() -> None:
    model = nested()
    assert model.summary(expand_nested=False) == COLLAPSED
    rows = [line.split()[0] for line in model.summary().splitlines()[4:] if line.strip()][:7]
    assert rows == ["x", "tower/a", "tower/b", "tower", "tower/a", "tower/b", "tower"]
    assert model.summary().splitlines()[-5:] == COLLAPSED.splitlines()[-5:]


def test_totals_part_what_is_trained_from_what_is_not() -> None:
    lines = nested().freeze("tower").summary().splitlines()
    assert lines[-5:-1] == ["Parameters: 86 (344 B)", "Trainable: 10 (40 B)", "Frozen: 76 (304 B)", "State: 0 (0 B)"]


def test_free_axes_count_once_their_sizes_are_given() -> None:
    text = jg.Input(("steps",), dtype="int32", name="text")
    model = jg.Model(text, L.Dense(3)(L.LSTM(4)(L.Embedding(9, 8)(text))))
    assert "without ?, which depends on free axes: summary(sizes=100) counts them" in model.summary()
    assert model.summary(sizes=20) == model.summary(sizes={"steps": 20})
    assert model.summary(sizes=20).endswith("at steps = 20")
    assert "?" not in model.summary(sizes=20)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [({"stps": 3}, "'stps'.*Did you mean 'steps'"), (0, "got 0"), ({"steps": 2.5}, "got 2.5"), (True, "got True")],
)
def test_sizes_that_are_none_are_refused(sizes: Any, message: str) -> None:
    x = jg.Input(("steps", 2))
    with pytest.raises(ArgumentError, match=f"summary, sizes.*{message}"):
        jg.Model(x, L.Dense(3)(x)).summary(sizes=sizes)


def test_connections_are_said_where_the_row_above_is_not_all_that_is_read() -> None:
    x = jg.Input((4,))
    h = L.Dense(4)(x)
    assert "connected to" not in jg.Model(x, L.Dense(2)(h)).summary()
    assert "connected to" in jg.Model(x, L.add([x, h])).summary()
