"""Fetches the data sets of the experiments from where they are published.

    python scripts/get_data.py fashion-mnist        one of them: adult, babi-en, fashion-mnist, sick
    python scripts/get_data.py all
    JGRAPH_DATA=folder python scripts/get_data.py adult

They go into `JGRAPH_DATA`, or else into `jgraph` in the user's cache folder, each in a folder of its own name; the
experiments look there too. A file is only given its name when its sha256 is that of `data_sums.txt`; what is there
already is checked and left. A download that was broken off goes on where it ended.
"""

import argparse
import hashlib
import http.client
import os
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

SUMS = Path(__file__).with_name("data_sums.txt")
PIECE = 1 << 18
SECONDS = 30
"""How long a server may be silent."""


class Source(NamedTuple):
    """Something to download: addresses that are tried in turn, and the files that are taken from it."""

    addresses: tuple[str, ...]
    within: str = ""  # the folder within an archive; all files of the data set that lie there are taken


SHOP = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
TASK = "http://alt.qcri.org/semeval2014/task1/data/uploads"
SOURCES = {
    "adult": [Source(("https://archive.ics.uci.edu/static/public/2/adult.zip",))],
    "babi-en": [
        Source(
            (
                "https://s3.amazonaws.com/text-datasets/babi_tasks_1-20_v1-2.tar.gz",
                "http://www.thespermwhale.com/jaseweston/babi/tasks_1-20_v1-2.tar.gz",
            ),
            within="tasks_1-20_v1-2/en/",
        )
    ],
    "fashion-mnist": [
        Source((f"{SHOP}/{part}-{kind}-ubyte.gz",))
        for part in ("train", "t10k")
        for kind in ("images-idx3", "labels-idx1")
    ],
    "sick": [Source((f"{TASK}/sick_{part}.zip",)) for part in ("train", "trial", "test_annotated")],
}
"""Of each data set, where its publishers have it. The SICK data are for non-commercial use (CC BY-NC-SA 3.0)."""


class DataError(Exception):
    """A data set cannot be had."""


def root() -> Path:
    """The folder that has one folder for each data set."""
    if given := os.environ.get("JGRAPH_DATA"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jgraph"


def sums(name: str) -> dict[str, set[str]]:
    """The files of a data set, each with the hashes that it may have."""
    found: dict[str, set[str]] = {}
    for line in SUMS.read_text(encoding="utf-8").splitlines():
        digest, _, path = line.partition("  ")
        folder, _, file = path.partition("/")
        if folder == name:
            found.setdefault(file, set()).add(digest)
    return found


def folder_of(name: str) -> Path:
    """The folder of a data set whose files are there.

    Raises:
        DataError: some are not; the message says how to get them.
    """
    folder = root() / name
    if missing := [file for file in sums(name) if not (folder / file).is_file()]:
        cure = f"python scripts/get_data.py {name}, or set JGRAPH_DATA to a folder that has it in {name}/"
        raise DataError(f"{missing[0]} is not in {folder}. Get it: {cure}")
    return folder


def get(name: str, sources: list[Source] | None = None) -> Path:
    """Downloads what a data set lacks, and checks what is there; its folder.

    Raises:
        DataError: a file cannot be downloaded, or is not the published one.
    """
    folder, wanted = root() / name, sums(name)
    for file in wanted:
        if (folder / file).exists():
            check(folder / file, wanted[file])
    for source in SOURCES[name] if sources is None else sources:
        own = Path(source.addresses[0]).name
        if (folder / own).exists() or all((folder / file).exists() for file in wanted):
            continue
        folder.mkdir(parents=True, exist_ok=True)
        draft = download(source, folder / f"{own}.part")
        try:
            for file, content in members(draft, own, source.within):
                with content:
                    if file in wanted:
                        place(content, folder / file, wanted[file])
        except (EOFError, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise DataError(f"{own} cannot be read: {error}") from error
        finally:
            draft.unlink()  # what is whole and wrong would never become right by going on
    folder_of(name)
    return folder


def download(source: Source, draft: Path) -> Path:
    """The whole file from the first address that gives it; what the draft has already is not asked for again."""
    told = []
    for address in source.addresses:
        try:
            fetch(address, draft)
        except (OSError, http.client.HTTPException) as error:
            told.append(f"{address}: {error}")
        else:
            return draft
    raise DataError("; ".join(told))


def fetch(address: str, draft: Path) -> None:
    """Appends to a draft what it lacks, or begins anew where the server cannot go on in the middle."""
    have = draft.stat().st_size if draft.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:  # 416: there is nothing behind what the draft has
            raise
        if error.headers.get("Content-Range") != f"bytes */{have}":
            draft.unlink()
            fetch(address, draft)
        return
    with answer, draft.open("ab" if answer.status == 206 else "wb") as out:
        begun = have if answer.status == 206 else 0
        size = begun + int(answer.headers.get("Content-Length") or 0)
        while piece := answer.read(PIECE):
            out.write(piece)
            begun += len(piece)
            if sys.stderr.isatty():
                print(f"\r{address}  {begun / 1e6:.1f} of {size / 1e6:.1f} MB", end="", file=sys.stderr)
    if begun < size:
        raise OSError(f"broken off after {begun} of {size} bytes; the same command goes on")


def members(path: Path, own: str, within: str) -> Iterator[tuple[str, IO[bytes]]]:
    """The files in an archive that lie in one of its folders, or the file itself, by their names without folders."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name == within + Path(name).name:
                    yield Path(name).name, archive.open(name)
    elif own.endswith(".tar.gz"):
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None and member.name.removeprefix("./") == within + Path(member.name).name:
                    yield Path(member.name).name, content
    else:
        yield own, path.open("rb")


def place(content: IO[bytes], path: Path, digests: set[str]) -> None:
    """Writes a file, and gives it its name when it is the published one."""
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as out:
        shutil.copyfileobj(content, out, PIECE)
    check(draft, digests)
    draft.replace(path)


def check(path: Path, digests: set[str]) -> None:
    """Compares a file with the hashes that it may have."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found not in digests:
        raise DataError(
            f"{path} has the sha256 {found}, expected {' or '.join(sorted(digests))}. Delete it, and again."
        )


def main(words: list[str] | None = None) -> int:
    """Gets data sets, and says where they are; 1 where one cannot be had."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "names", nargs="+", choices=[*SOURCES, "all"], metavar="name", help=", ".join([*SOURCES, "all"])
    )
    names = parser.parse_args(words).names
    failed = 0
    for name in SOURCES if "all" in names else names:
        try:
            print(f"{name}: {get(name)}")
        except DataError as error:
            failed = 1
            print(f"{name}: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
