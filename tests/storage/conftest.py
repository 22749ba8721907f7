"""A disk that is full after 1000 bytes."""

import resource
from collections.abc import Iterator

import pytest


@pytest.fixture
def files_of_1000_bytes() -> Iterator[None]:
    """No file of this process grows beyond 1000 bytes: writing more of it is an OSError, as Python ignores SIGXFSZ."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
