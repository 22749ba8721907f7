"""An Inception network on Fashion-MNIST: blocks of four branches that look at the same pixels through other windows.

Data: Fashion-MNIST (see `experiments/clothes.py`). Published: GoogLeNet 0.937 (the data set's own table, submitted by
users). Asked: 0.937 within 60 minutes on two cores, with at most 1M parameters.

Reached, seed 0: 0.9431 on test pictures (held out 0.9432; shirts 0.81), with 351 thousand params, in 24 epochs. An
epoch takes 127 to 133 s on two cores of their own, so all of them 52 minutes; while that run was made, tests ran beside
it, and it took 72. In the short form (12,000 pictures, 3 epochs): 0.864.

    python -m experiments.inception --help
"""

from typing import Any

import jgraph as jg
from experiments.clothes import classified, conv, picture, whole

PUBLISHED = {"test accuracy": "0.937 (GoogLeNet)", "million params": "at most 1", "minutes": "at most 60"}


def inception(x: jg.Symbol, narrow: int, middle: int, wide: int, pooled: int) -> jg.Symbol:
    """Windows of 1, 3 and 5 (as two of 3), and a pool, side by side (Szegedy et al. 2015 and 2016)."""
    one = conv(x, narrow, 1)
    three = conv(conv(x, middle // 2, 1), middle, 3)
    five = conv(conv(conv(x, wide // 2, 1), wide, 3), wide, 3)
    pool = conv(jg.layers.MaxPooling2D(3, strides=1, padding="same")(x), pooled, 1)
    return jg.layers.concatenate([one, three, five, pool])


def draw() -> jg.Model:
    """A stem, and four blocks on two scales."""
    image, x = picture()
    x = conv(conv(x, 32, 3), 32, 3, strides=2)  # 14 x 14
    x = inception(x, 32, 64, 32, 16)
    x = jg.layers.MaxPooling2D(2)(x)  # 7 x 7
    x = inception(x, 48, 80, 32, 32)
    x = inception(x, 64, 96, 48, 32)
    x = inception(x, 80, 112, 48, 32)
    return classified(image, x, "inception")


def main(words: Any = None) -> dict[str, float]:
    """Trains, tests, and says what was reached."""
    return whole(__doc__, "inception", draw(), "Inception on Fashion-MNIST", PUBLISHED, words)


if __name__ == "__main__":
    main()
