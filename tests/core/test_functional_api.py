"""Keras' functional API as its users know it: the scenarios of its guides, drawn by one text with both libraries.

Each drawing is made of Keras and of jgraph, the same weights are put into both, and their outputs are compared.
"""

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import GraphError, KeyMismatchError, PathError, ShapeError
from jgraph.tree import leaves_with_names
from tests.references.keras_twin import assert_close

L = jg.layers
KEY = jax.random.key(0)
RANDOM = np.random.default_rng(7)


@dataclasses.dataclass(frozen=True)
class Kit:
    """What a drawing is written with: the same words of one library or the other."""

    Input: Callable[..., Any]
    layers: Any
    Model: Callable[..., Any]
    Sequential: Callable[..., Any]
    lift: Callable[[str], Callable[..., Any]]
    at: Callable[[Any, str], Any]


OURS = Kit(jg.Input, L, jg.Model, jg.Sequential, lambda f: jg.op(getattr(jnp, f)), lambda m, path: m.output_of(path))
THEIRS = Kit(
    keras.Input,
    keras.layers,
    keras.Model,
    keras.Sequential,
    lambda f: getattr(keras.ops, f),
    lambda m, path: m.get_layer(path).output,
)


def tickets(k: Kit) -> Any:
    """Two texts and tags give a priority and a department."""
    title, body = k.Input((6,), dtype="int32", name="title"), k.Input((9,), dtype="int32", name="body")
    tags = k.Input((5,), name="tags")
    read = k.layers.LSTM(4, name="title_lstm")(k.layers.Embedding(10, 3, name="title_words")(title))
    rest = k.layers.GlobalAveragePooling1D()(k.layers.Embedding(10, 3, name="body_words")(body))
    joined = k.layers.concatenate([read, rest, tags])
    priority = k.layers.Dense(1, activation="sigmoid", name="priority")(joined)
    department = k.layers.Dense(4, activation="softmax", name="department")(joined)
    return k.Model({"title": title, "body": body, "tags": tags}, {"priority": priority, "department": department})


def toy_resnet(k: Kit) -> Any:
    """Two blocks that are added to what they read."""
    image = k.Input((12, 12, 3), name="image")
    x = k.layers.Conv2D(4, 3, activation="relu", name="stem")(image)
    block = k.layers.MaxPooling2D(2)(x)
    for number in (1, 2):
        x = k.layers.Conv2D(4, 3, activation="relu", padding="same", name=f"first{number}")(block)
        x = k.layers.Conv2D(4, 3, activation="relu", padding="same", name=f"second{number}")(x)
        block = k.layers.add([x, block])
    x = k.layers.GlobalAveragePooling2D()(k.layers.BatchNormalization(name="norm")(block))
    return k.Model(image, k.layers.Dense(5, name="classes")(k.layers.Dropout(0.5)(x)), name="toy_resnet")


def shared_embedding(k: Kit) -> Any:
    """One table of words for two texts of different lengths, padded with 0."""
    words = k.layers.Embedding(10, 4, mask_zero=True, name="words")
    a, b = k.Input((None,), dtype="int32", name="a"), k.Input((5,), dtype="int32", name="b")
    lstm = k.layers.LSTM(3, name="lstm")
    return k.Model([a, b], [lstm(words(a)), lstm(words(b)), k.layers.GlobalAveragePooling1D()(words(b))])


def autoencoder(k: Kit) -> Any:
    """Encoder and decoder share their layers with the whole, and the encoder is used beside it."""
    start = k.Input((6,), name="start")
    code = k.layers.Dense(2, name="code")(k.layers.Dense(4, activation="tanh", name="squeeze")(start))
    encoder = k.Model(start, code, name="encoder")
    inner = k.Input((2,), name="inner")
    decoder = k.Model(inner, k.layers.Dense(6, name="out")(k.layers.Dense(4, name="widen")(inner)), name="decoder")
    image = k.Input((6,), name="image")
    encoded = encoder(image)
    return k.Model(image, {"decoded": decoder(encoded), "encoded": encoded, "again": encoder(decoder(encoded))})


def ensemble(k: Kit) -> Any:
    """The mean of three models."""

    def member(number: int) -> Any:
        start = k.Input((4,))
        return k.Model(start, k.layers.Dense(1, name=f"dense{number}")(start), name=f"member{number}")

    start = k.Input((4,), name="start")
    return k.Model(start, k.layers.average([member(number)(start) for number in range(3)]))


def siamese(k: Kit) -> Any:
    """One tower, a model, on two pictures; the distance of what it says of them."""
    image = k.Input((6, 6, 1))
    seen = k.layers.Flatten()(k.layers.Conv2D(2, 3, activation="relu", name="conv")(image))
    tower = k.Model(image, k.layers.Dense(3, name="dense")(seen), name="tower")
    left, right = k.Input((6, 6, 1), name="left"), k.Input((6, 6, 1), name="right")
    distance = k.lift("sum")(abs(tower(left) - tower(right)), axis=1, keepdims=True)
    return k.Model([left, right], k.layers.Dense(1, activation="sigmoid", name="same")(distance))


def two_towers(k: Kit) -> Any:
    """A query and an item, each a dict of features, and the cosine of their vectors."""
    query = {"words": k.Input((4,), dtype="int32", name="words"), "age": k.Input((1,), name="age")}
    item = {"kind": k.Input((1,), dtype="int32", name="kind"), "price": k.Input((1,), name="price")}
    words = k.layers.GlobalAveragePooling1D()(k.layers.Embedding(10, 3, name="word_table")(query["words"]))
    left = k.layers.Dense(3, name="left")(k.layers.concatenate([words, query["age"]]))
    kind = k.layers.Flatten()(k.layers.Embedding(10, 3, name="kind_table")(item["kind"]))
    right = k.layers.Dense(3, name="right")(k.layers.concatenate([kind, item["price"]]))
    return k.Model({"query": query, "item": item}, k.layers.Dot(1, normalize=True)([left, right]))


def inception(k: Kit) -> Any:
    """Branches of different kernels that meet again."""
    image = k.Input((8, 8, 3), name="image")

    def conv(x: Any, size: int, name: str) -> Any:
        return k.layers.Conv2D(2, size, padding="same", activation="relu", name=name)(x)

    wide = conv(conv(image, 1, "reduce"), 3, "wide")
    wider = conv(conv(image, 1, "reduce_more"), 5, "wider")
    pooled = conv(k.layers.MaxPooling2D(3, strides=1, padding="same")(image), 1, "pooled")
    return k.Model(image, k.layers.concatenate([conv(image, 1, "narrow"), wide, wider, pooled], axis=-1))


def captioning(k: Kit) -> Any:
    """A picture's features and the words so far, padded with 0, give the next word."""
    features, words = k.Input((7,), name="features"), k.Input((5,), dtype="int32", name="words")
    seen = k.layers.Dense(4, activation="relu", name="seen")(k.layers.Dropout(0.3)(features))
    read = k.layers.LSTM(4, name="lstm")(k.layers.Embedding(10, 3, mask_zero=True, name="table")(words))
    x = k.layers.Dense(4, activation="relu", name="both")(k.layers.add([seen, read]))
    return k.Model([features, words], k.layers.Dense(10, activation="softmax", name="next")(x))


def features(k: Kit) -> Any:
    """An extractor of what many layers of another model give, and a model from a middle tensor."""
    start = k.Input((4,), name="start")
    x = start
    for number in range(3):
        x = k.layers.Dense(4, activation="tanh", name=f"dense{number}")(x)
    base = k.Model(start, x, name="base")
    extractor = k.Model(base.inputs if k is THEIRS else [base.inputs], [k.at(base, f"dense{n}") for n in range(3)])
    rest = k.Model(k.at(base, "dense0"), k.at(base, "dense2"), name="rest")
    again = k.Input((4,), name="again")
    return k.Model(again, {"features": extractor([again]), "rest": rest(again)})


def stacks(k: Kit) -> Any:
    """A model in a stack, which is called twice, and a stack in a stack."""
    start = k.Input((3,))
    inner = k.Model(start, start + k.layers.Dense(3, name="inner_dense")(start), name="inner")
    block = k.Sequential([k.Input((3,)), inner, k.layers.Dense(3, activation="tanh", name="after")], name="block")
    outer = k.Sequential([k.Sequential([k.layers.Dense(3, name="first")], name="small"), block], name="outer")
    x, y = k.Input((3,), name="x"), k.Input((3,), name="y")
    return k.Model([x, y], [outer(x), block(block(y)), inner(y)])


def video(k: Kit) -> Any:
    """A picture model on each frame of a video, a question beside it."""
    frame = k.Input((6, 6, 1))
    picture = k.Model(frame, k.layers.Flatten()(k.layers.Conv2D(2, 3, strides=2, name="conv")(frame)), name="picture")
    frames, question = k.Input((None, 6, 6, 1), name="frames"), k.Input((4,), dtype="int32", name="question")
    seen = k.layers.LSTM(3, name="watch")(k.layers.TimeDistributed(picture, name="each")(frames))
    asked = k.layers.Flatten()(k.layers.Embedding(10, 3, name="table")(question))
    return k.Model([frames, question], k.layers.Dense(4, name="answer")(k.layers.concatenate([seen, asked])))


def translation(k: Kit) -> Any:
    """What was read is said at each step of what is written."""
    source, target = k.Input((5, 3), name="source"), k.Input((4, 2), name="target")
    read = k.layers.LSTM(3, name="read")(source)
    said = k.lift("repeat")(read[:, None, :], 4, axis=1)
    written = k.layers.LSTM(3, return_sequences=True, name="write")(k.layers.concatenate([said, target]))
    looked = k.layers.Attention()([written, k.layers.Dense(3, name="keys")(source)])
    return k.Model({"source": source, "target": target}, k.layers.Dense(6, name="word")(written + looked))


def gates(k: Kit) -> Any:
    """Wide and deep, a highway, and arithmetic with constants on both sides."""
    wide, deep = k.Input((3,), name="wide"), k.Input((4,), name="deep")
    x = k.layers.Dense(4, activation="relu", name="deep1")(deep)
    gate = k.layers.Dense(4, activation="sigmoid", name="gate")(deep)
    x = gate * x + (1 - gate) * deep - 0.5 / (2.0 + abs(x))
    x = k.lift("where")(x > 0.1, x, -(x[:, ::-1] ** 2))
    joined = k.layers.concatenate([wide[:, :2], x, 2 * wide[:, -1:]])
    return k.Model([wide, deep], {"y": k.layers.Dense(1, name="out")(joined), "deep": x @ np.ones((4, 2), "float32")})


def attention(k: Kit) -> Any:
    """A layer that is called with several symbols by place and one by keyword."""
    query, value = k.Input((3, 4), name="query"), k.Input((5, 4), name="value")
    heads = k.layers.MultiHeadAttention(2, 3, name="heads")
    allowed = value[:, None, :, 0] > query[:, :, None, 0] - 2.0
    return k.Model([query, value], [heads(query, value, attention_mask=allowed), heads(query, value, 2.0 * value)])


def trees(k: Kit) -> Any:
    """Models that take and give dicts and lists, nested in one that reads parts of them; one input is not read."""
    a, b = k.Input((3,), name="a"), k.Input((3,), name="b")
    parts = {
        "sum": k.layers.add([a, b]),
        "both": [k.layers.Dense(2, name="left")(a), k.layers.Dense(2, name="right")(b)],
    }
    inner = k.Model({"a": a, "b": b}, parts, name="inner")
    x, y, z = (k.Input((3,), name=name) for name in "xyz")
    first, second = inner({"a": x, "b": y}), inner({"a": y, "b": first_of(x)})
    return k.Model([x, y, z], [first["both"][0] - second["both"][1], {"sum": second["sum"]}])


def first_of(x: Any) -> Any:
    return x * 0.5


SCENARIOS = [
    *(tickets, toy_resnet, shared_embedding, autoencoder, ensemble, siamese, two_towers, inception, captioning),
    *(features, stacks, video, translation, gates, attention, trees),
]


def rows_for(inputs: Any, rows: int = 3) -> Any:
    """Random rows for the inputs of a model; of a free axis six."""

    def one(symbol: Any) -> Any:
        shape = (rows, *(size if isinstance(size, int) else 6 for size in symbol.shape[1:]))
        whole = np.issubdtype(symbol.dtype, np.integer)
        return RANDOM.integers(0, 10, shape) if whole else RANDOM.normal(size=shape).astype("float32")

    return jax.tree.map(one, inputs)


def own_name(variable: Any, names: list[str]) -> str:
    """Our name of Keras' variable: it ends in the layer and the name of the array."""
    *layers, last = variable.path.split("/")
    (name,) = [n for n in names if n.split("/")[-1] == last and n.split("/")[-2] in layers] or [variable.path]
    return name


@pytest.fixture
def quick_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras' start values cost most of the time here, and are replaced anyway."""
    for kind in (keras.initializers.VarianceScaling, keras.initializers.Orthogonal, keras.initializers.RandomUniform):
        monkeypatch.setattr(kind, "__call__", lambda self, shape, dtype=None: np.zeros(shape, "float32"))


@pytest.mark.usefixtures("quick_keras")
@pytest.mark.parametrize("draw", SCENARIOS, ids=lambda draw: draw.__name__)
def test_a_drawing_computes_what_keras_computes(draw: Callable[[Kit], Any]) -> None:
    ours, theirs = draw(OURS), draw(THEIRS)
    specs = ours.params_spec, ours.state_spec
    flat = {name: RANDOM.uniform(0.1, 0.6, s.shape).astype("float32") for name, s in leaves_with_names(specs)}
    names = list(flat)
    inputs = rows_for(ours.inputs)
    params, state = jax.tree.unflatten(jax.tree.structure(specs), list(flat.values()))
    trained = [own_name(v, names) for v in theirs.trainable_variables]
    moving = [own_name(v, names) for v in theirs.non_trainable_variables]
    assert sorted(trained + [name for name in moving if name in flat]) == sorted(names)
    others = [flat.get(name, v.value) for name, v in zip(moving, theirs.non_trainable_variables, strict=True)]
    expected, _ = jax.jit(theirs.stateless_call)([flat[name] for name in trained], others, inputs)
    outputs, _ = jax.jit(ours.apply)(params, state, inputs)
    assert_close(outputs, expected, draw.__name__)


# What Keras does otherwise, and jgraph strictly


def rows(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype("float32")


def trainer(model: jg.Model, loss: Any, **options: Any) -> jg.Trainer:
    return jg.Trainer(model, optimizer=optax.sgd(0.1), loss=loss, **options)


def test_both_losses_of_a_shared_head_are_logged() -> None:
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b")
    head = L.Dense(1, name="d")
    model = jg.Model([a, b], [head(a), head(b)])
    data = [rows(8, 3), rows(8, 3)], [rows(8, 1), rows(8, 1)]
    run = trainer(model, {"d": "mse", "d_1": "mae"}, loss_weights={"d_1": 2.0}).fit(data, epochs=1, progress=False)
    assert sorted(run.history) == ["d/loss", "d_1/loss", "loss"]
    (d,), (d_1,), (loss,) = (run.history[name] for name in sorted(run.history))
    assert loss == pytest.approx(d + 2 * d_1, rel=1e-5)
    with pytest.raises(KeyMismatchError, match=r"'d', 'd_1'.*none for 'd_1'"):
        trainer(model, {"d": "mse"})


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_a_loss_dict_names_every_output_whatever_holds_them(kind: str) -> None:
    start = jg.Input((3,))
    y, z = L.Dense(1, name="y")(start), L.Dense(1, name="z")(start)
    model = jg.Model(start, [y, z] if kind == "list" else {"y": y, "z": z})
    with pytest.raises(KeyMismatchError, match=r"none for 'z'.*Give None"):
        trainer(model, {"y": "mse"})
    assert trainer(model, {"y": "mse", "z": None}) is not None


def test_losses_may_be_nested_like_the_outputs() -> None:
    start = jg.Input((3,))
    y, z = L.Dense(1, name="y")(start), L.Dense(1, name="z")(start)
    model = jg.Model(start, {"parts": [y, z], "sum": y + z})
    nested = trainer(model, {"parts": ["mse", None], "sum": "mae"}, metrics={"parts": [["mae"], []], "sum": []})
    flat = trainer(model, {"parts/0": "mse", "parts/1": None, "sum": "mae"}, metrics={"parts/0": ["mae"]})
    data = rows(4, 3), {"parts": [rows(4, 1), rows(4, 1)], "sum": rows(4, 1)}
    logs = [t.step(t.init(KEY), data)[1] for t in (nested, flat)]
    assert sorted(logs[0]) == ["loss", "parts/0/loss", "parts/0/mae", "sum/loss"]
    assert logs[0] == logs[1]
    with pytest.raises(KeyMismatchError, match="a dict like theirs"):
        trainer(model, ["mse", "mse", "mae"])


def test_a_chain_of_1200_operations_needs_no_recursion() -> None:
    start = jg.Input((2,), name="start")
    x = start
    for _ in range(1200):
        x = x + 1.0
    outputs, _ = jg.Model(start, x).apply({}, {}, np.zeros((1, 2)))
    np.testing.assert_array_equal(outputs, 1200.0)


class Fill(jg.Layer):
    """Adds what may be absent."""

    mixes_rows = False

    def apply(self, params: Any, state: Any, x: Any, more: Any, *, train: bool = False, key: Any = None) -> Any:
        return x if more is None else x + more, state


def test_an_optional_input_stays_optional_in_every_copy() -> None:
    a, more = jg.Input((3,), name="a"), jg.Input((3,), name="more", optional=True)
    model = jg.Model({"a": a, "more": more}, Fill(name="fill")(a, more))
    x, y = jg.Input((3,), name="x"), jg.Input((3,), name="y", optional=True)
    copies = [
        pickle.loads(pickle.dumps(model)),
        jg.Model.from_json(model.to_json(), allow=[Fill]),
        model.insert_after("fill", L.Identity()),
        model.replace("fill", Fill()),
        jg.Model({"a": x, "more": y}, model({"a": x, "more": y})),
        jg.Model({"a": model.inputs["a"], "more": model.inputs["more"]}, model.output_of("fill")),
    ]
    given = rows(2, 3)
    for copy in copies:
        np.testing.assert_array_equal(copy.apply({}, {}, {"a": given, "more": None})[0], given)
        np.testing.assert_array_equal(copy.apply({}, {}, {"a": given, "more": given})[0], 2 * given)
    fixed = jg.Model(x, model({"a": x, "more": None}))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fixed)).apply({}, {}, given)[0], given)


def test_a_model_drawn_with_a_dict_takes_no_list() -> None:
    p, q = jg.Input((1,), name="p"), jg.Input((1,), name="q")
    model = jg.Model({"p": p, "q": q}, p - q)
    for use in (
        lambda inputs: model.apply({}, {}, inputs),
        lambda inputs: model.predict({}, {}, inputs),
        lambda inputs: trainer(model, "mse").fit((inputs, rows(2, 1)), epochs=1, progress=False),
    ):
        with pytest.raises(KeyMismatchError, match=r"a dict with exactly 'p', 'q', got a list"):
            use([rows(2, 1), rows(2, 1)])


def test_a_rank_that_is_off_by_one_is_not_squeezed() -> None:
    start = jg.Input((1,), name="start")
    model = jg.Model(start, 2 * start)
    for wrong in (rows(4), rows(4, 1, 1)):
        with pytest.raises(ShapeError, match=r"input 'start': expected rank 2"):
            model.apply({}, {}, wrong)


def test_the_output_of_a_layer_with_several_calls_is_asked_for_by_its_call() -> None:
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b")
    inner = jg.Input((3,))
    dense = L.Dense(3, name="dense")
    block = jg.Model(inner, jg.op(jnp.tanh)(dense(inner)), name="block")
    model = jg.Model({"a": a, "b": b}, block(block(a)) + block(b))
    with pytest.raises(PathError, match=r"call=0 on 'a'; call=1 on 'block' \(call=0\); call=2 on 'b'"):
        model.output_of("block/dense")
    params, _ = model.init(KEY)
    part = jg.Model(model.inputs, [model.output_of("block/dense", call=n) for n in range(3)])
    given = {"a": rows(2, 3), "b": rows(2, 3)}
    kernel, bias = (params["block"]["dense"][name] for name in ("kernel", "bias"))
    first = given["a"] @ kernel + bias
    expected = [first, jnp.tanh(first) @ kernel + bias, given["b"] @ kernel + bias]
    assert_close(part.apply(part.select(params), {}, given)[0], expected, "calls of an inner layer")
    assert model.input_of("block/dense", call=1) is model.output_of("block", call=0)


def test_a_new_input_in_the_middle_leaves_the_inner_layers_their_paths() -> None:
    inner = jg.Input((3,))
    hidden = L.Dense(4, name="hidden")(inner)
    block = jg.Model(inner, L.Dense(2, name="last")(hidden), name="block")
    start = jg.Input((3,), name="start")
    model = jg.Model(start, block(start))
    params, _ = model.init(KEY)
    rest = jg.Model(model.output_of("block/hidden"), model.outputs)
    assert list(rest.layers) == ["input", "block/last", "block"]
    given = rows(2, 4)
    expected = given @ params["block"]["last"]["kernel"] + params["block"]["last"]["bias"]
    assert_close(rest.apply(rest.select(params), {}, given)[0], expected, "from the middle")
    with pytest.raises(GraphError, match="also needs the input 'start'"):
        jg.Model(model.output_of("block/last"), model.output_of("block/hidden"))


def test_a_frozen_discriminator_judges_a_generator_that_is_trained() -> None:
    noise, image = jg.Input((2,), name="noise"), jg.Input((3,), name="image")
    judge = jg.Model(image, L.Dense(1, activation="sigmoid", name="real")(image), name="judge")
    maker = jg.Model(noise, L.Dense(3, name="draw")(noise), name="maker")
    z = jg.Input((2,), name="z")
    game = jg.Model(z, judge(maker(z))).freeze("judge/*")
    judging = trainer(judge, "binary_crossentropy")
    state = judging.init(KEY)
    state, _ = judging.step(state, (rows(8, 3), np.ones((8, 1))))
    playing = trainer(game, "binary_crossentropy")
    before = playing.init(KEY, params={"judge": state.params, "maker": maker.init(KEY)[0]})
    after, _ = playing.step(before, (rows(8, 2), np.ones((8, 1))))
    jax.tree.map(np.testing.assert_array_equal, after.params["judge"], state.params)
    assert np.any(after.params["maker"]["draw"]["kernel"] != before.params["maker"]["draw"]["kernel"])
    state, _ = judging.step(state, (rows(8, 3), np.zeros((8, 1))))
    assert np.any(after.params["judge"]["real"]["kernel"] != state.params["real"]["kernel"])


def test_a_trained_base_is_frozen_under_a_new_head_and_then_tuned() -> None:
    start = jg.Input((4,), name="start")
    x = L.Dense(3, activation="relu", name="base2")(L.Dense(5, activation="relu", name="base1")(start))
    old = jg.Model(start, L.Dense(10, name="head")(x))
    params, _ = old.init(KEY)
    new = old.replace("head", L.Dense(2, name="new_head")).freeze("base*")
    carried = jg.carry(old, new, params, start=new.init(jax.random.key(1))[0])
    assert carried.new == ("new_head/bias", "new_head/kernel")
    jax.tree.map(np.testing.assert_array_equal, carried.tree["base1"], params["base1"])
    frozen = trainer(new, "mse")
    trained, _ = frozen.step(frozen.init(KEY, params=carried.tree), (rows(8, 4), rows(8, 2)))
    jax.tree.map(np.testing.assert_array_equal, trained.params["base1"], params["base1"])
    assert np.any(trained.params["new_head"]["kernel"] != carried.tree["new_head"]["kernel"])
    tuning = trainer(new.unfreeze("base*"), "mse")
    tuned, _ = tuning.step(tuning.init(KEY, params=trained.params), (rows(8, 4), rows(8, 2)))
    assert np.any(tuned.params["base1"]["kernel"] != params["base1"]["kernel"])
