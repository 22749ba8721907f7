"""Reading ahead: the same items in the same order, errors in their place, and nothing left behind."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jgraph.data.prefetch import Prefetch


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "jgraph-prefetch"]


def until(true: Callable[[], bool]) -> None:
    """Waits for what another thread is about to do."""
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


@settings(max_examples=25, deadline=None)
@given(count=st.integers(0, 20), ahead=st.integers(1, 4))
def test_items_come_in_their_order(count: int, ahead: int) -> None:
    items = Prefetch(lambda: iter(range(count)), ahead)
    assert list(items) == list(range(count))
    assert next(items, "end") == "end"
    items.close()
    assert not threads()


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(3), StopIteration()])
def test_an_error_comes_where_its_item_would(error: BaseException) -> None:
    class Items:
        number = 0

        def __iter__(self) -> "Items":
            return self

        def __next__(self) -> int:
            self.number += 1
            if self.number == 4:
                raise error
            return self.number

    got: list[int] = []
    with contextlib.closing(Prefetch(Items)) as items:
        if isinstance(error, StopIteration):
            got += items
        else:
            with pytest.raises(type(error)) as caught:
                got += items
            assert caught.value is error
    assert got == [1, 2, 3]
    assert next(items, None) is None
    assert not threads()


@pytest.mark.parametrize("ahead", [1, 2, 3])
def test_no_more_is_read_ahead_than_said(ahead: int) -> None:
    read: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    items = Prefetch(numbers, ahead)
    assert not read
    assert not threads()
    for number in range(3):
        assert next(items) == number
        until(lambda n=number: len(read) == n + 1 + ahead)
        time.sleep(0.01)
        assert len(read) == number + 1 + ahead
    items.close()
    assert len(read) == 3 + ahead


def test_closing_ends_the_thread_and_closes_the_iterator() -> None:
    closed: list[str] = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.append(threading.current_thread().name)

    items = Prefetch(numbers)
    assert next(items) == 0
    items.close()
    items.close()
    assert closed == ["jgraph-prefetch"]
    assert not threads()
    assert next(items, None) is None


def test_one_that_was_never_read_has_no_thread() -> None:
    items = Prefetch(lambda: iter([1]))
    items.close()
    assert next(items, None) is None
    assert not threads()


def test_settings_of_the_caller_hold_in_the_thread() -> None:
    def made() -> Iterator[tuple[str, str, str]]:
        device = str(jax.default_device.value)
        yield str(jnp.asarray(np.ones(1, "float64")).dtype), np.geterr()["divide"], device

    with jax.enable_x64(True), np.errstate(divide="raise"), jax.default_device(jax.devices("cpu")[0]):
        here = next(made())
        assert list(Prefetch(made)) == [here]
    assert here[:2] == ("float64", "raise")
    assert next(Prefetch(made))[0] == "float32"


def test_what_is_read_ahead_is_not_kept() -> None:
    class Item:
        alive = 0

        def __init__(self) -> None:
            Item.alive += 1

        def __del__(self) -> None:
            Item.alive -= 1

    with contextlib.closing(Prefetch(lambda: (Item() for _ in range(20)))) as items:
        for _ in range(10):
            held = [next(items)]
            assert Item.alive <= 4
            held.clear()
    assert Item.alive == 0
