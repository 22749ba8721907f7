"""Points for TensorBoard's Projector: snapshots of tensors, with metadata and sprites, in files that it loads.

Tensors are text. The Projector can read bytes too, but takes a file for text wherever its bytes happen to be valid
UTF-8, as those of zeros are, and fails then.
"""

import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jgraph.errors import ResumeError
from jgraph.storage.appended_file import check_folder, make_folder
from jgraph.storage.places import failures
from jgraph.storage.queued import Queued

CONFIGURATION = "projector_config.pbtxt"
ENTRY = "entry.pbtxt"
"""What the configuration says of a snapshot; it is written last, so a snapshot without it is torn."""


class Sprite(NamedTuple):
    """Small pictures of all points in one: the bytes of a PNG file, and the size of each of them."""

    png: bytes
    height: int
    width: int


class Snapshot(NamedTuple):
    """The points of a tensor at one moment: `values` [points, dimensions], and what belongs to each of them.

    `metadata` is the text of a table: a line for each point, and, if there are several columns, one with their names.
    """

    name: str
    values: np.ndarray
    metadata: str = ""
    sprite: Sprite | None = None


@dataclasses.dataclass(frozen=True)
class ProjectorFiles:
    """The Projector's files in the directory of a run; its records are `Snapshot`s.

    >>> import tempfile
    >>> directory = tempfile.mkdtemp()
    >>> file = ProjectorFiles(directory).open(None)
    >>> file.write(Snapshot("words", np.zeros((3, 2))))
    >>> file.close()
    >>> print((Path(directory) / "projector_config.pbtxt").read_text())
    embeddings {
      tensor_name: "words"
      tensor_shape: 3
      tensor_shape: 2
      tensor_path: "projector/00000/tensor.tsv"
    }
    <BLANKLINE>
    """

    directory: str

    def open(self, keep: int | None) -> Queued:
        """Opens it after the first `keep` snapshots, or those of them that are whole; later ones are removed.

        Raises:
            WriteError: the directory cannot be written. ResumeError: it has snapshots, and `keep` is `None`.
        """
        folder = Path(self.directory)
        check_folder(folder)
        if keep is None and list((folder / "projector").glob("[0-9]*")):
            raise ResumeError(
                self.directory,
                expected="a directory without the points of another run",
                got=f"one with {CONFIGURATION}",
                cure="Go on with run= or resume=, give each run a directory of its own, or remove this one.",
            )
        return Queued(ProjectorWriter(folder, keep or 0), self.directory)


class ProjectorWriter:
    """A directory that snapshots are written to; it is made with the first of them."""

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self._place = folder, folder / "projector"
        with failures(self._place):
            there = sorted(path for path in self._place.glob("[0-9]*") if path.is_dir())
            whole = [path for path in there[:keep] if (path / ENTRY).exists()]
            for path in there:
                if path not in whole:
                    shutil.rmtree(path)
            self._entries = [(path / ENTRY).read_text(encoding="utf-8") for path in whole]
            self._next = 1 + max((int(path.name) for path in whole), default=-1)
            if there:
                self._configure()

    def write(self, record: Snapshot) -> None:
        """Writes the files of a snapshot, and puts it in the configuration.

        Raises:
            WriteError: they cannot be written.
        """
        path = self._place / f"{self._next:05d}"
        make_folder(path)
        with failures(path):
            tensor = path / "tensor.tsv"
            rows = ("\t".join(f"{number:.9g}" for number in row) for row in np.asarray(record.values).tolist())
            _put(tensor, "".join(f"{row}\n" for row in rows).encode())
            entry = [f"tensor_name: {_quoted(record.name)}"]
            entry += [f"tensor_shape: {size}" for size in record.values.shape]
            entry += [f"tensor_path: {self._quoted_path(tensor)}"]
            if record.metadata:
                entry += [f"metadata_path: {self._quoted_path(self._shared(record.metadata.encode(), 'tsv'))}"]
            if record.sprite is not None:
                picture = self._quoted_path(self._shared(record.sprite.png, "png"))
                size = [f"single_image_dim: {n}" for n in (record.sprite.width, record.sprite.height)]
                entry += [f"sprite {{ {' '.join([f'image_path: {picture}', *size])} }}"]
            text = "embeddings {\n" + "".join(f"  {line}\n" for line in entry) + "}\n"
            _put(path / ENTRY, text.encode())
            self._entries.append(text)
            self._next += 1
            self._configure()

    def flush(self) -> None:
        """Does nothing: each file is on the disk when it has its name."""

    def close(self) -> None:
        """Does nothing, as nothing is open."""

    def _configure(self) -> None:
        """Writes the configuration."""
        _put(self._folder / CONFIGURATION, "".join(self._entries).encode())

    def _shared(self, data: bytes, suffix: str) -> Path:
        """A file that snapshots share, by what is in it."""
        path = self._place / f"{hashlib.sha256(data).hexdigest()[:12]}.{suffix}"
        if not path.exists():
            _put(path, data)
        return path

    def _quoted_path(self, path: Path) -> str:
        return _quoted(path.relative_to(self._folder).as_posix())


def _put(path: Path, data: bytes) -> None:
    """A file with this in it, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
