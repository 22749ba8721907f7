"""Writing a picture where its user wants it."""

from pathlib import Path

from jgraph.errors import WriteError


def write(place: Path, content: bytes) -> None:
    """Writes a file, and makes its folder.

    Raises:
        WriteError: it cannot be written.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    except OSError as error:
        got, cure = f"{error.strerror or error} ({error.filename})", "Give a path that this process may write."
        raise WriteError(str(place), expected="a place that can be written", got=got, cure=cure) from error
