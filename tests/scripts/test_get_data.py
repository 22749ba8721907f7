"""Getting data: from a server on this machine, in pieces, with what is wrong on the way refused."""

import hashlib
import io
import re
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts import get_data
from scripts.get_data import DataError, Source

CONTENT = bytes(range(256)) * 3_000


class Shop:
    """A server of some files: what it was asked for, and how it behaves."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.most: int | None = None  # so many bytes, then it hangs up
        self.ranges = True
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                shop.answer(self)

            def log_message(self, *args: object, **kwargs: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name, asked = request.path.removeprefix("/"), request.headers.get("Range")
        self.asked.append((name, asked))
        if name not in self.files:
            request.send_error(404)
            return
        content, begin = self.files[name], 0
        if asked and self.ranges:
            begin = int(asked.removeprefix("bytes=").removesuffix("-"))
            if begin >= len(content):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(content)}")
                request.end_headers()
                return
        request.send_response(206 if begin else 200)
        request.send_header("Content-Length", str(len(content) - begin))
        request.end_headers()
        request.wfile.write(content[begin:][: self.most])

    def has(self, name: str, content: bytes) -> Source:
        self.files[name] = content
        return Source((f"{self.address}/{name}",))


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, bytes]], Path]:
    """Says which files the data set `things` has, and gives the folder where they are to lie."""

    def say(files: dict[str, bytes]) -> Path:
        lines = [f"{hashlib.sha256(content).hexdigest()}  things/{name}" for name, content in files.items()]
        (tmp_path / "sums.txt").write_text("\n".join([*lines, f"{'0' * 64}  others/none"]) + "\n")
        monkeypatch.setattr(get_data, "SUMS", tmp_path / "sums.txt")
        monkeypatch.setenv("JGRAPH_DATA", str(tmp_path / "data"))
        return tmp_path / "data" / "things"

    return say


def test_a_file_is_downloaded_once_and_nothing_else_is_left(shop: Shop, wanted: Callable) -> None:
    folder = wanted({"a.bin": CONTENT})
    assert get_data.get("things", [shop.has("a.bin", CONTENT)]) == folder == get_data.folder_of("things")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a.bin": CONTENT}
    get_data.get("things", [shop.has("a.bin", CONTENT)])
    assert shop.asked == [("a.bin", None)]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_is_broken_off_goes_on(shop: Shop, wanted: Callable, ranges: bool) -> None:
    folder, source = wanted({"a.bin": CONTENT}), shop.has("a.bin", CONTENT)
    shop.most, shop.ranges = 300_000, ranges
    with pytest.raises(DataError, match=r"a\.bin: .*(broken off after 300000 of 768000 bytes|IncompleteRead)"):
        get_data.get("things", [source])
    assert [path.name for path in folder.iterdir()] == ["a.bin.part"]
    shop.most = None
    get_data.get("things", [source])
    assert (folder / "a.bin").read_bytes() == CONTENT
    assert shop.asked == [("a.bin", None), ("a.bin", "bytes=300000-")]


def test_a_draft_that_is_whole_or_too_long_is_seen_through(shop: Shop, wanted: Callable) -> None:
    folder, source = wanted({"a.bin": CONTENT}), shop.has("a.bin", CONTENT)
    folder.mkdir(parents=True)
    for draft, asked in ((CONTENT, 1), (CONTENT + b"more", 2)):
        (folder / "a.bin.part").write_bytes(draft)
        get_data.get("things", [source])
        assert (folder / "a.bin").read_bytes() == CONTENT
        assert len(shop.asked) == asked
        (folder / "a.bin").unlink()
        shop.asked.clear()


def test_other_bytes_are_refused_and_asked_for_anew(shop: Shop, wanted: Callable) -> None:
    folder = wanted({"a.bin": CONTENT})
    with pytest.raises(DataError, match=f"sha256 {hashlib.sha256(b'other').hexdigest()}, expected"):
        get_data.get("things", [shop.has("a.bin", b"other")])
    assert not (folder / "a.bin").exists()
    get_data.get("things", [shop.has("a.bin", CONTENT)])
    assert shop.asked == [("a.bin", None), ("a.bin", None)]
    (folder / "a.bin").write_bytes(b"changed")
    with pytest.raises(DataError, match=r"a\.bin has the sha256"):
        get_data.get("things", [])


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize(("name", "pack"), [("all.zip", zipped), ("all.tar.gz", tarred)])
def test_archives_give_their_published_files_alone(shop: Shop, wanted: Callable, name: str, pack: Callable) -> None:
    folder = wanted({"a.txt": b"a", "b.txt": b"b"})
    inside = {
        "set/en/a.txt": b"a",
        "set/en/b.txt": b"b",
        "set/hn/a.txt": b"other",
        "../b.txt": b"out",
        "set/en/c": b"c",
    }
    source = shop.has(name, pack(inside))._replace(within="set/en/")
    get_data.get("things", [source])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a.txt": b"a", "b.txt": b"b"}
    assert sorted(path.name for path in folder.parent.iterdir()) == ["things"]


def test_an_archive_without_a_file_and_one_that_is_none_are_errors(shop: Shop, wanted: Callable) -> None:
    wanted({"a.txt": b"a", "b.txt": b"b"})
    with pytest.raises(DataError, match=r"b\.txt is not in"):
        get_data.get("things", [shop.has("all.zip", zipped({"a.txt": b"a"}))])
    with pytest.raises(DataError, match=r"all\.tar\.gz cannot be read"):
        get_data.get("things", [shop.has("all.tar.gz", b"no archive")])


def test_addresses_are_tried_in_turn(shop: Shop, wanted: Callable) -> None:
    folder, source = wanted({"a.bin": CONTENT}), shop.has("a.bin", CONTENT)
    gone = f"{shop.address}/gone/a.bin"
    with pytest.raises(DataError, match=re.escape(f"{gone}: HTTP Error 404")):
        get_data.get("things", [Source((gone,))])
    get_data.get("things", [Source((gone, *source.addresses))])
    assert [path.name for path in folder.iterdir()] == ["a.bin"]
    assert [name for name, _ in shop.asked] == ["gone/a.bin", "gone/a.bin", "a.bin"]


def test_what_is_missing_says_how_to_get_it(wanted: Callable) -> None:
    wanted({"a.bin": CONTENT})
    with pytest.raises(DataError, match=r"a\.bin is not in .*things.*python scripts/get_data.py things, or set JGRAPH"):
        get_data.folder_of("things")


def test_the_command_says_where_data_are_and_what_failed(
    shop: Shop, wanted: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    folder = wanted({"a.bin": CONTENT})
    monkeypatch.setattr(get_data, "SOURCES", {"things": [shop.has("a.bin", CONTENT)], "others": []})
    assert get_data.main(["things"]) == 0
    assert capsys.readouterr().out == f"things: {folder}\n"
    assert get_data.main(["all"]) == 1
    assert "others: none is not in" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        get_data.main(["thing"])


def test_the_folder_is_the_users_cache_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JGRAPH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert get_data.root() == Path("/somewhere/jgraph")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert get_data.root() == Path.home() / ".cache" / "jgraph"


def test_every_data_set_has_sources_and_hashes() -> None:
    counts = {name: len(get_data.sums(name)) for name in get_data.SOURCES}
    assert counts == {"adult": 2, "babi-en": 40, "fashion-mnist": 4, "sick": 3}
    for name in ("fashion-mnist",):
        assert {Path(source.addresses[0]).name for source in get_data.SOURCES[name]} == set(get_data.sums(name))
