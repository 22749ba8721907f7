"""What a checkpoint says of its run is believed only where it has the form of a run."""

from pathlib import Path
from typing import Any

import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import LoadError, ResumeError
from jgraph.storage.steps import read_step, save_step
from jgraph.train.record import check_record

K = jg.callbacks


def fit(folder: Path, resume: Any = None) -> jg.Run:
    x = jg.Input((3,), name="x")
    trainer = jg.Trainer(jg.Model(x, jg.layers.Dense(1, name="y")(x)), optax.sgd(0.1), loss="mse")
    callbacks = [K.EarlyStopping(monitor="loss", restore_best=True), K.Checkpoint(folder)]
    data = np.ones((8, 3), "float32"), np.ones(8, "float32")
    return trainer.fit(data, epochs=1, callbacks=callbacks, resume=resume, progress=False)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tree and the record of a step."""
    folder = tmp_path_factory.mktemp("saved")
    fit(folder)
    return read_step(folder, 1)


WRONG: dict[str, tuple[Any, ...]] = {
    "model": (None, 3, ["{}"]),
    "graph": (None, 3),
    "identity": (None, []),
    "callbacks": (None, [], {"early_stopping": 3}),
    "position": (None, [], [1], [0, 0, 0], [-1, 0], [0, 2**70], [0, 0.5], [True, 0], "10", {"0": 0}),
    "history": (None, [], {"loss": 3}, {"loss": ["x"]}, {"loss": [None]}),
    "timings": (None, {"seconds": [[]]}),
    "events": (None, "text", [3], {}),
    "stopped": (3, [], True),
    "seed": (None, 0.5, True, "0"),
    "key_impl": (3, "os.system", "", []),
    "memories": (None, [], {"a": 3}, {"a": {"form": []}}, {"a": {"form": [["x"]], "values": {}}}),
    "frozen": (None, [3], "text"),
}


@pytest.mark.parametrize("part", WRONG)
def test_a_part_that_no_run_has_is_named(part: str, saved: Any) -> None:
    tree, record = saved
    check_record("here", tree, record)
    for value in WRONG[part]:
        with pytest.raises(LoadError, match=rf"here: expected the record of a run, got something else in '{part}'\."):
            check_record("here", tree, {**record, part: value})
    if part != "frozen":  # which was not written always
        with pytest.raises(LoadError, match=f"something else in '{part}'"):
            check_record("here", tree, {name: value for name, value in record.items() if name != part})


@pytest.mark.parametrize("part", ["train_state", "memories", "sums"])
def test_a_tree_that_no_run_has_is_named(part: str, saved: Any) -> None:
    tree, record = saved
    with pytest.raises(LoadError, match=f"something else in '{part}'"):
        check_record("here", {**tree, part: {"x": np.zeros(2)} if part != "train_state" else np.zeros(2)}, record)


@pytest.mark.parametrize("value", [..., "text", None, [1], 0.5, True], ids=repr)
def test_values_of_a_memory_are_never_cast(value: Any, saved: Any, tmp_path: Path) -> None:
    """Each integer in turn is something else, or missing."""
    tree, record = saved
    memory = record["memories"]["early_stopping"]
    numbers = [name for name, found in memory["values"].items() if type(found) is int]
    assert numbers
    for name in numbers:
        others = {n: found for n, found in memory["values"].items() if n != name}
        forged = {**memory, "values": others if value is ... else {**others, name: value}}
        memories = {**record["memories"], "early_stopping": forged}
        save_step(tmp_path, 1, tree, {**record, "memories": memories})
        with pytest.raises(LoadError, match="memory of 'early_stopping': expected values of the form"):
            fit(tmp_path, resume=tmp_path)


def test_sums_of_an_epoch_have_the_form_of_this_trainer(saved: Any, tmp_path: Path) -> None:
    tree, record = saved
    for sums in (np.zeros(3, "float32"), np.zeros((2, 50), "float32")):
        save_step(tmp_path, 1, {**tree, "sums": sums}, {**record, "position": [0, 1]})
        with pytest.raises(ResumeError, match=r"sums of an epoch: expected float32\[\d, \d\], got float32\["):
            fit(tmp_path, resume=tmp_path)


def test_what_is_whole_goes_on(saved: Any, tmp_path: Path) -> None:
    tree, record = saved
    save_step(tmp_path, 1, tree, record)
    assert fit(tmp_path, resume=tmp_path).position.epoch == 1


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"layers": [], "model": 0}'])
def test_a_model_that_cannot_be_read_is_told(text: str, saved: Any, tmp_path: Path) -> None:
    tree, record = saved
    save_step(tmp_path, 1, tree, {**record, "model": text, "graph": "another"})
    with pytest.raises(LoadError, match="the model's JSON: expected the entries of a whole model"):
        fit(tmp_path, resume=tmp_path)
