"""Reading ahead: what an iterator gives is made in a thread, a few items before it is asked for."""

import contextlib
import contextvars
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, Self, TypeVar

import jax

Item = TypeVar("Item")

AHEAD = 2
"""Items that are ready at most: one to begin with when the device is free, and one more where reading is uneven."""


class Prefetch(Generic[Item]):
    """The items of an iterator, in their order, each made up to `ahead` items before it is asked for.

    `make` is called, and its iterator read and closed, in a thread of its own, which begins with the first `next` and
    ends with the last item, an error, or `close`. An error comes out where its item would have. Settings of JAX and
    context variables of the caller, such as `jax.enable_x64` and `np.errstate`, hold in the thread too.

    >>> with contextlib.closing(Prefetch(lambda: iter([1, 2, 3]))) as numbers:
    ...     list(numbers)
    [1, 2, 3]
    """

    def __init__(self, make: Callable[[], Iterator[Item]], ahead: int = AHEAD) -> None:
        self._make, self._ahead = make, ahead
        self._ready = deque[Item]()
        self._changed = threading.Condition()
        self._ended = self._closed = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        if self._thread is None and not self._closed:
            self._begin()
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._ended or self._closed)
            if self._ready and not self._closed:
                self._changed.notify_all()
                return self._ready.popleft()
            error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    def close(self) -> None:
        """Ends the thread, once it is done with the item that it is at, and closes the iterator; nothing is left."""
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _begin(self) -> None:
        context, x64, device = contextvars.copy_context(), jax.enable_x64.value, jax.default_device.value

        def fill() -> None:
            with jax.enable_x64(x64), jax.default_device(device):
                context.run(self._fill)

        self._thread = threading.Thread(target=fill, name="jgraph-prefetch", daemon=True)
        self._thread.start()

    def _fill(self) -> None:
        try:
            with contextlib.closing(_closable(self._make())) as items:
                while self._has_room() and self._add(items):
                    pass
        except BaseException as error:  # it is raised where the item would have come
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _has_room(self) -> bool:
        """Waits for room for one more item; false where no more are wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._ready) < self._ahead)
            return not self._closed

    def _add(self, items: Iterator[Item]) -> bool:
        """Makes one item more; false at the end."""
        for item in items:
            with self._changed:
                self._ready.append(item)
                self._changed.notify_all()
            return True
        return False


def _closable(items: Iterator[Any]) -> Any:
    """An iterator that has `close`."""
    return items if hasattr(items, "close") else (item for item in items)
