"""The cache of compiled programs: where it acts, what it leaves behind, and what it refuses."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache

import jgraph as jg
from jgraph.errors import ArgumentError, WriteError
from jgraph.train.caching import ALL, caching

SETTINGS = (*ALL, "jax_compilation_cache_dir")
DATA = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    before = settings()
    yield
    assert settings() == before
    reset_cache()


def settings() -> dict[str, Any]:
    return {name: getattr(jax.config, name) for name in SETTINGS}


def trainer_of(cache: Any, units: int = 5) -> jg.Trainer:
    model = jg.Sequential([jg.Input((3,)), jg.layers.Dense(units, activation="relu"), jg.layers.Dense(1)])
    return jg.Trainer(model, optax.adam(1e-2), loss="mse", compilation_cache=cache)


def programs_in(folder: Path) -> int:
    return len(list(folder.glob("*-cache")))


def test_every_door_keeps_its_programs(tmp_path: Path) -> None:
    trainer, kept = trainer_of(tmp_path / "new" / "cache", units=7), []
    run = trainer.fit(DATA, epochs=1, progress=False)
    for door in (
        lambda: trainer.fit_many(DATA, epochs=1, progress=False),
        lambda: trainer.evaluate(run.train_state, DATA),
        lambda: trainer.predict(run.train_state, DATA[0]),
        lambda: trainer.lower(batch_size=4),
    ):
        kept.append(programs_in(tmp_path / "new" / "cache"))
        door()
    kept.append(programs_in(tmp_path / "new" / "cache"))
    assert kept == sorted(set(kept))


def test_without_it_nothing_is_kept_nor_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings()
    monkeypatch.setattr(jax.config, "update", None)
    with caching(None):
        assert settings() == before


def test_settings_are_put_back_after_an_error(tmp_path: Path) -> None:
    def fail(event: Any) -> None:
        raise RuntimeError("no")

    with pytest.raises(ValueError, match="no"):
        trainer_of(tmp_path).fit(DATA, epochs=1, progress=False, callbacks=[jg.callbacks.on_epoch_end(fail)])


def test_a_cache_of_the_process_is_used_before_and_after(tmp_path: Path) -> None:
    with caching(tmp_path / "own"):
        jax.jit(lambda x: x + 1)(np.ones(2))
        inside = settings()
        trainer_of(tmp_path / "other", units=9).fit(DATA, epochs=1, progress=False)
        assert settings() == inside
        before = programs_in(tmp_path / "own")
        jax.jit(lambda x: x + 2)(np.ones(2))
        assert programs_in(tmp_path / "own") == before + 1
    assert programs_in(tmp_path / "other") > 0


def test_a_place_that_cannot_be_one_is_refused_when_the_trainer_is_made(tmp_path: Path) -> None:
    for wrong in (3, "", b"cache"):
        with pytest.raises(ArgumentError, match="compilation_cache: expected a path"):
            trainer_of(wrong)
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "cache"):
        with pytest.raises(WriteError, match=r"(?s)file.*Give a path that this process may write"):
            trainer_of(place)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused_when_the_trainer_is_made(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(WriteError, match="Permission denied"):
        trainer_of(tmp_path / "cache")


def test_a_place_that_was_lost_since_is_refused_before_training(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path / "cache")
    (tmp_path / "cache").touch()
    with pytest.raises(WriteError, match="cache") as refused:
        trainer.fit(DATA, epochs=1, progress=False)
    assert refused.value.__dict__["run"] is None


def test_results_do_not_depend_on_it(tmp_path: Path) -> None:
    with_it, without = (trainer_of(place).fit(DATA, epochs=2, progress=False) for place in (tmp_path, None))
    assert with_it.history == without.history
