"""The table of a model: one row per call, its connections and masks, and totals that are right."""

import jax
import jax.numpy as jnp
import numpy as np

import jgraph as jg
from jgraph.core.summary import count, size

L = jg.layers

GOLDEN = """\
Reader

 path             layer           output shape          params   connected to           mask
 ──────────────────────────────────────────────────────────────────────────────────────────────────────
 text             Input int32     (batch, text_1)            -   -                      -
 embedding        Embedding       (batch, text_1, 4)        80   text                   made here
 lstm             LSTM            (batch, 3)                96   embedding              ends here
 image            Input float32   (batch, 2, 3)              -   -                      -
 tower/flatten    Flatten         (batch, 6)                 -   image                  -
 tower/dense      Dense           (batch, 3)                21   tower/flatten          -
 tower            Model           (batch, 3)                 -   tower/dense            -
 add              Add             (batch, 3)                 -   lstm, tower            -
 dense            Dense           (batch, 3)                12   add                    -
 dense [1]        Dense           (batch, 3)            shared   dense                  -
 getitem          op getitem      (batch, 1)                 -   dense [1]              -

Parameters: 209 (836 B)
State: 0 (0 B)"""


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
        "4096.0 GiB",
    ]
    assert written(3, dtype="bfloat16") == "6 B"
    assert count({"a": jnp.ones((2, 3)), "b": jnp.ones(())}) == 7


def test_leaves_of_nodes_with_several_outputs_are_numbered() -> None:
    x = jg.Input((4, 2))
    _, h, c = L.LSTM(3, return_state=True)(x)
    summary = jg.Model(x, h - c).summary()
    assert "lstm#1, lstm#2" in summary
    assert "(batch, 3), (batch, 3), (batch, 3)" in summary
