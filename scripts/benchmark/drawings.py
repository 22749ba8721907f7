"""The six models in Keras' functional API, for Keras and for jgraph: `library` is the module of either.

Layers and their arguments have the same names in both, so that one drawing serves them.
"""

from typing import Any


def mlp(library: Any) -> Any:
    """16-64-64-1."""
    layers = library.layers
    x = library.Input((16,), name="x")
    hidden = layers.Dense(64, activation="relu")(layers.Dense(64, activation="relu")(x))
    return library.Model(x, layers.Dense(1)(hidden))


def qa(library: Any) -> Any:
    """A text and a question about it, each through its own LSTM, into one of 500 answers."""
    layers = library.layers
    text = library.Input((100,), dtype="int32", name="text")
    question = library.Input((20,), dtype="int32", name="question")
    t = layers.LSTM(32)(layers.Embedding(10_000, 64, mask_zero=True)(text))
    q = layers.LSTM(16)(layers.Embedding(10_000, 32, mask_zero=True)(question))
    answer = layers.Dense(500, activation="softmax")(layers.concatenate([t, q]))
    return library.Model({"text": text, "question": question}, answer)


def siamese(library: Any) -> Any:
    """Whether two series belong together: both through one LSTM."""
    layers = library.layers
    left, right = (library.Input((40, 128), name=name) for name in ("left", "right"))
    lstm = layers.LSTM(32)
    same = layers.Dense(1, activation="sigmoid")(layers.concatenate([lstm(left), lstm(right)]))
    return library.Model({"left": left, "right": right}, same)


def heads(library: Any) -> Any:
    """Age, income and gender of whoever wrote a post."""
    layers = library.layers
    posts = library.Input((200,), dtype="int32", name="posts")
    x = layers.Conv1D(64, 5, activation="relu")(layers.Embedding(5000, 64)(posts))
    x = layers.MaxPooling1D(5)(x)
    x = layers.Conv1D(128, 5, activation="relu")(x)
    x = layers.Conv1D(128, 5, activation="relu")(x)
    x = layers.Dense(64, activation="relu")(layers.GlobalMaxPooling1D()(x))
    age = layers.Dense(1, name="age")(x)
    income = layers.Dense(10, activation="softmax", name="income")(x)
    gender = layers.Dense(1, activation="sigmoid", name="gender")(x)
    return library.Model(posts, {"age": age, "income": income, "gender": gender})


def inception(library: Any) -> Any:
    """Three blocks of four branches with 64 filters each, on 16 x 16 and 8 x 8, and residuals around them."""
    layers = library.layers

    def convolution(x: Any, size: int, strides: int = 1) -> Any:
        return layers.Conv2D(64, size, strides=strides, padding="same", activation="relu")(x)

    def block(x: Any) -> Any:
        pooled = layers.AveragePooling2D(3, strides=1, padding="same")(x)
        branches = [
            convolution(x, 1),
            convolution(convolution(x, 1), 3),
            convolution(convolution(convolution(x, 1), 3), 3),
            convolution(pooled, 1),
        ]
        around = x if x.shape[-1] == 256 else layers.Conv2D(256, 1)(x)
        return layers.add([layers.concatenate(branches), around])

    image = library.Input((32, 32, 3), name="image")
    x = block(block(convolution(image, 3, strides=2)))
    x = block(layers.MaxPooling2D(2)(x))
    return library.Model(image, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def xception(library: Any) -> Any:
    """Three blocks of two separable convolutions beside a strided 1 x 1 one, from 16 x 16 down to 2 x 2."""
    layers = library.layers

    def separable(x: Any, filters: int) -> Any:
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
        return layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x)

    def block(x: Any, filters: int) -> Any:
        inner = separable(separable(x, filters), filters)
        pooled = layers.MaxPooling2D(3, strides=2, padding="same")(inner)
        return layers.add([pooled, layers.Conv2D(filters, 1, strides=2, padding="same", use_bias=False)(x)])

    image = library.Input((32, 32, 3), name="image")
    x = layers.Conv2D(64, 3, strides=2, padding="same", use_bias=False)(image)
    for filters in (128, 256, 512):
        x = block(x, filters)
    return library.Model(image, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
