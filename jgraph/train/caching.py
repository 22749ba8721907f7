"""The cache of compiled programs on disk, from which another process reads what this one has compiled."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import jax
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from jgraph.errors import check_path
from jgraph.storage.appended_file import check_folder
from jgraph.storage.places import make_ready

Directory = str | os.PathLike[str]

ALL = {
    "jax_enable_compilation_cache": True,
    "jax_persistent_cache_min_compile_time_secs": 0.0,  # JAX: 1.0, which would leave out most programs of a start
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
"""JAX's settings under which every program is kept, however small, and however quickly compiled."""


def check_cache(where: str, directory: Directory | None) -> None:
    """Checks that a directory can hold a cache, without making anything.

    Raises:
        ArgumentError: it is no path. WriteError: no file can be made there.
    """
    if directory is not None:
        check_path(where, directory)
        check_folder(Path(directory))


@contextlib.contextmanager
def caching(directory: Directory | None) -> Iterator[None]:
    """While it lasts, JAX reads compiled programs from a directory and keeps new ones there; `None` changes nothing.

    A program is found by what it is, JAX, XLA and the device: so it is the one that would have been compiled, to the
    bit. The cache is one of the process, so what other threads compile meanwhile is kept, too. Afterwards JAX's
    settings are what they were.

    Raises:
        WriteError: the directory cannot be made, or no file in it.

    >>> import jax.numpy as jnp, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with caching(folder):
    ...         _ = jax.jit(lambda x: x + 1)(jnp.ones(3))
    ...     any(pathlib.Path(folder).iterdir())
    True
    """
    if directory is None:
        yield
        return
    make_ready(directory)
    asked = {**ALL, "jax_compilation_cache_dir": str(Path(directory).absolute())}
    before = {name: getattr(jax.config, name) for name in asked}
    try:
        _set(asked)
        yield
    finally:
        _set(before)


def _set(settings: dict[str, object]) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)
    reset_cache()  # JAX looks at the directory once, when it first compiles
