r"""Pictures of TensorBoard's pages as a run of jgraph fills them: by hand, with Chromium and its driver.

    python -m experiments.watch --full
    python -m scripts.screenshots FOLDER --runs runs/watch/0 --run width_128/tensorboard \
        --pages scalars histograms projector hparams
    python -m scripts.screenshots FOLDER --pages graphs images

The first are of the experiment `watch`, the others show what a text model has not: pictures, and a shared tower.
Without `--runs` the same model is trained twice, with other hyperparameters, on scikit-learn's digits. Runs are served
on this machine alone.
"""

import argparse
import base64
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from sklearn.datasets import load_digits

import jgraph as jg

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,800",
)

SECONDS = 6.0
"""How long a page is given to draw itself."""

PAGES = {
    "scalars": "#scalars",
    "graphs": "#graphs&run={run}%2Ftrain",
    "histograms": "#histograms",
    "images": "#images",
    "projector": "#projector&run={run}%2Ftrain",
    "hparams": "#hparams",
    "text": "#text",
}


def drawn(units: int) -> jg.Model:
    """Two halves of a digit through one shared tower of convolutions, and joined."""
    half = jg.Input((8, 4, 1), name="half")
    x = jg.layers.Conv2D(8, 3, padding="same", activation="relu")(half)
    x = jg.layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    tower = jg.Model(half, jg.layers.Dense(units, activation="relu")(jg.layers.Flatten()(x)), name="tower")
    image = jg.Input((8, 8, 1), name="digit")
    joined = jg.layers.concatenate([tower(image[:, :, :4]), tower(image[:, :, 4:])])
    joined = jg.layers.Dropout(0.2)(jg.layers.Dense(units, activation="relu", name="joined")(joined))
    return jg.Model(image, jg.layers.Dense(10, activation="softmax", name="answer")(joined))


def train(folder: Path, units: int, rate: float, epochs: int) -> None:
    """One run with everything that TensorBoard shows."""
    digits: Any = load_digits()
    images = (digits.images / 16)[..., None].astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order], digits.target[order].astype(np.int32)
    held_out = images[-300:], labels[-300:]
    model = drawn(units)
    trainer = jg.Trainer(
        model, optax.adam, learning_rate=rate, loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    board = jg.callbacks.TensorBoard(
        folder / f"units_{units}",
        every_steps=10,
        histograms=20,
        images=jg.callbacks.Images(inputs=held_out[0], targets=held_out[1], every_epochs=epochs // 3),
        projector=jg.callbacks.Projector(
            "joined", held_out[0], metadata={"digit": held_out[1]}, images=held_out[0], every_epochs=epochs // 3
        ),
        hparams={"units": units, "learning_rate": rate, "optimizer": "adam"},
    )
    data = images[:-300], labels[:-300]
    trainer.fit(data, epochs=epochs, batch_size=64, validation_data=held_out, callbacks=[board], progress=False)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a TensorBoard that serves a folder on this machine."""
    command = ["tensorboard.main", "--logdir", folder.name, "--host", "127.0.0.1", "--port", "0", "--load_fast=false"]
    options: Any = {"stderr": subprocess.PIPE, "text": True, "cwd": folder.parent}  # the pages show the path as given
    with subprocess.Popen([sys.executable, "-m", *command], **options) as process:
        try:
            assert process.stderr is not None
            found = next(m for line in process.stderr if (m := re.search(r"http://[\d.]+:\d+/", line)))
            yield found[0]
        finally:
            process.terminate()


class Browser:
    """Chromium, driven over the WebDriver protocol."""

    def __init__(self, port: int, profile: str) -> None:
        self._address = f"http://127.0.0.1:{port}"
        options = {"args": [*FLAGS, f"--user-data-dir={profile}"]}
        capabilities = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        self._session = self._ask("/session", capabilities)["sessionId"]

    def _ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._address + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def open(self, address: str) -> None:
        """Goes to an address, anew even where only what stands behind the # differs."""
        self._ask(f"/session/{self._session}/url", {"url": "about:blank"})
        self._ask(f"/session/{self._session}/url", {"url": address})

    def picture(self) -> bytes:
        """The page as a PNG file."""
        return base64.b64decode(self._ask(f"/session/{self._session}/screenshot"))

    def close(self) -> None:
        """Ends the browser."""
        address = f"{self._address}/session/{self._session}"
        urllib.request.urlopen(urllib.request.Request(address, method="DELETE"), timeout=60).close()


def main() -> None:
    """Trains, serves, and takes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=Path, help="runs that are there already, or where they are to be")
    parser.add_argument("--run", default="units_32", help="whose graph and points are shown")
    parser.add_argument("--pages", nargs="*", default=list(PAGES), choices=PAGES)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--port", type=int, default=9517, help="of the browser's driver")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        runs = options.runs or Path(place) / "runs"
        if not runs.exists():
            for units, rate in ((32, 3e-3), (8, 1e-3)):
                train(runs, units, rate, options.epochs)
                jax.clear_caches()
        with served(runs) as address, subprocess.Popen(["chromedriver", f"--port={options.port}"]) as driver:
            try:
                time.sleep(SECONDS)
                with contextlib.closing(Browser(options.port, f"{place}/profile")) as browser:
                    for page in options.pages:
                        browser.open(address + PAGES[page].format(run=urllib.parse.quote(options.run, safe="")))
                        time.sleep(2 * SECONDS)
                        (options.folder / f"tensorboard_{page}.png").write_bytes(browser.picture())
                        print(f"{options.folder}/tensorboard_{page}.png")
            finally:
                driver.terminate()


if __name__ == "__main__":
    main()
