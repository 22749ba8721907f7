"""Pictures of models to look at, from a small one up to InceptionV3: `python -m scripts.pictures FOLDER`."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp

import jgraph as jg

ENDINGS = ("svg", "png", "dot", "mmd")


def question_answering() -> jg.Model:
    """Two texts with masks that meet."""
    text = jg.Input((100,), dtype="int32", name="text")
    question = jg.Input((20,), dtype="int32", name="question")
    t = jg.layers.LSTM(32)(jg.layers.Embedding(10_000, 64, mask_zero=True)(text))
    q = jg.layers.LSTM(16)(jg.layers.Embedding(10_000, 32, mask_zero=True)(question))
    answer = jg.layers.Dense(500, activation="softmax", name="answer")(jg.layers.concatenate([t, q]))
    return jg.Model({"text": text, "question": question}, {"answer": answer}, name="question_answering")


def siamese() -> jg.Model:
    """One embedding and one LSTM for two texts."""
    left, right = (jg.Input((30,), dtype="int32", name=name) for name in ("left", "right"))
    embedding, lstm = jg.layers.Embedding(5000, 64, mask_zero=True), jg.layers.LSTM(32)
    apart = abs(lstm(embedding(left)) - lstm(embedding(right)))
    return jg.Model([left, right], jg.layers.Dense(1, activation="sigmoid", name="same")(apart), name="siamese")


def two_cameras() -> jg.Model:
    """A nested model that is called twice, one half of it frozen, and two outputs."""
    image = jg.Input((64, 64, 3), name="image")
    x = image
    for filters in (16, 32):
        x = jg.layers.Conv2D(filters, 3, padding="same", name=f"conv_{filters}")(x)
        x = jg.layers.BatchNormalization(name=f"norm_{filters}")(x)
        x = jg.layers.MaxPooling2D(2, name=f"pool_{filters}")(jg.op(jnp.maximum)(x, 0.0))
    vision = jg.Model(image, jg.layers.GlobalAveragePooling2D(name="average")(x), name="vision")
    left, right = jg.Input((64, 64, 3), name="left_camera"), jg.Input((64, 64, 3), name="right_camera")
    speed = jg.Input((1,), name="speed")
    seen = jg.layers.concatenate([vision(left), vision(right), jg.layers.Dense(8, name="speed_features")(speed)])
    hidden = jg.layers.Dense(64, activation="relu", name="hidden")(seen)
    outputs = {
        "steering": jg.layers.Dense(1, name="steering")(hidden),
        "braking": jg.layers.Dense(1, activation="sigmoid", name="braking")(hidden),
    }
    inputs = {"left": left, "right": right, "speed": speed}
    return jg.Model(inputs, outputs, name="two_cameras").freeze("vision/conv_*")


def translation() -> jg.Model:
    """An encoder whose states begin the decoder: several outputs of one layer, and masks."""
    source, target = (jg.Input((None,), dtype="int32", name=name) for name in ("source", "target"))
    encoder = jg.layers.LSTM(64, return_state=True, name="encoder")
    _, h, c = encoder(jg.layers.Embedding(8000, 64, mask_zero=True, name="source_words")(source))
    words = jg.layers.Embedding(8000, 64, mask_zero=True, name="target_words")(target)
    decoded = jg.layers.LSTM(64, return_sequences=True, name="decoder")(words, initial_state=[h, c])
    logits = jg.layers.TimeDistributed(jg.layers.Dense(8000), name="word")(decoded)
    return jg.Model([source, target], logits, name="translation")


def residual() -> jg.Model:
    """Residual blocks as nested models in a nested model."""

    def block(filters: int, size: int, channels: int, name: str) -> jg.Model:
        x = start = jg.Input((size, size, channels))
        for number in (1, 2):
            x = jg.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv_{number}")(x)
            x = jg.layers.BatchNormalization(name=f"norm_{number}")(x)
            x = jg.op(jnp.maximum)(x, 0.0) if number == 1 else x
        skip = start if filters == channels else jg.layers.Conv2D(filters, 1, name="project")(start)
        return jg.Model(start, jg.layers.Activation("relu", name="relu")(x + skip), name=name)

    image = x = jg.Input((32, 32, 3), name="image")
    x = jg.layers.Conv2D(16, 3, padding="same", name="stem")(x)
    body = start = jg.Input((32, 32, 16))
    body = block(16, 32, 16, "block_1")(body)
    body = block(32, 32, 16, "block_2")(body)
    x = jg.Model(start, body, name="body")(x)
    x = jg.layers.GlobalAveragePooling2D(name="pool")(x)
    return jg.Model(image, jg.layers.Dense(10, activation="softmax", name="digit")(x), name="residual")


def _normalized(x: Any, filters: int, size: int | tuple[int, int], strides: int = 1, padding: str = "same") -> Any:
    x = jg.layers.Conv2D(filters, size, strides=strides, padding=padding, use_bias=False)(x)
    return jg.layers.Activation("relu")(jg.layers.BatchNormalization(scale=False)(x))


def _pooled(x: Any, filters: int) -> Any:
    return _normalized(jg.layers.AveragePooling2D(3, strides=1, padding="same")(x), filters, 1)


def _block_a(x: Any, pool: int) -> Any:
    five = _normalized(_normalized(x, 48, 1), 64, 5)
    three = _normalized(_normalized(_normalized(x, 64, 1), 96, 3), 96, 3)
    return jg.layers.concatenate([_normalized(x, 64, 1), five, three, _pooled(x, pool)])


def _block_b(x: Any, filters: int) -> Any:
    seven = _normalized(_normalized(_normalized(x, filters, 1), filters, (1, 7)), 192, (7, 1))
    double = _normalized(x, filters, 1)
    for count, size in ((filters, (7, 1)), (filters, (1, 7)), (filters, (7, 1)), (192, (1, 7))):
        double = _normalized(double, count, size)
    return jg.layers.concatenate([_normalized(x, 192, 1), seven, double, _pooled(x, 192)])


def _block_c(x: Any) -> Any:
    three = _normalized(x, 384, 1)
    three = jg.layers.concatenate([_normalized(three, 384, (1, 3)), _normalized(three, 384, (3, 1))])
    double = _normalized(_normalized(x, 448, 1), 384, 3)
    double = jg.layers.concatenate([_normalized(double, 384, (1, 3)), _normalized(double, 384, (3, 1))])
    return jg.layers.concatenate([_normalized(x, 320, 1), three, double, _pooled(x, 192)])


def inception_v3() -> jg.Model:
    """InceptionV3 (Szegedy et al., 2015) as Keras draws it: 313 layers, 11 blocks, 23,817,352 parameters."""
    image = x = jg.Input((299, 299, 3), name="image")
    x = _normalized(_normalized(_normalized(x, 32, 3, 2, "valid"), 32, 3, 1, "valid"), 64, 3)
    x = jg.layers.MaxPooling2D(3, strides=2)(x)
    x = jg.layers.MaxPooling2D(3, strides=2)(_normalized(_normalized(x, 80, 1, 1, "valid"), 192, 3, 1, "valid"))
    for pool in (32, 64, 64):
        x = _block_a(x, pool)
    double = _normalized(_normalized(_normalized(x, 64, 1), 96, 3), 96, 3, 2, "valid")
    largest = jg.layers.MaxPooling2D(3, strides=2)(x)
    x = jg.layers.concatenate([_normalized(x, 384, 3, 2, "valid"), double, largest])
    for filters in (128, 160, 160, 192):
        x = _block_b(x, filters)
    three = _normalized(_normalized(x, 192, 1), 320, 3, 2, "valid")
    seven = _normalized(_normalized(_normalized(x, 192, 1), 192, (1, 7)), 192, (7, 1))
    seven = _normalized(seven, 192, 3, 2, "valid")
    x = jg.layers.concatenate([three, seven, jg.layers.MaxPooling2D(3, strides=2)(x)])
    x = jg.layers.GlobalAveragePooling2D()(_block_c(_block_c(x)))
    return jg.Model(image, jg.layers.Dense(1000, activation="softmax", name="predictions")(x), name="inception_v3")


def inception_stack() -> jg.Model:
    """Two of the blocks of InceptionV3."""
    image = jg.Input((35, 35, 192), name="image")
    x = jg.layers.GlobalAveragePooling2D(name="pool")(_block_a(_block_a(image, 32), 64))
    return jg.Model(image, jg.layers.Dense(10, name="digit")(x), name="inception_stack")


MODELS: dict[str, Callable[[], jg.Model]] = {
    function.__name__: function
    for function in (question_answering, siamese, two_cameras, translation, residual, inception_stack, inception_v3)
}


def main() -> None:
    """Draws all of them, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--endings", nargs="*", default=list(ENDINGS), choices=list(ENDINGS))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.models:
        model = MODELS[name]()
        for ending in options.endings:
            begin = time.perf_counter()
            model.plot(options.folder / f"{name}.{ending}")
            print(f"{name}.{ending}  {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    main()
