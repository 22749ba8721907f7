"""The queue before files: in order, bounded, one error, and no thread that stays."""

import threading
from typing import Any

import pytest

from jgraph.errors import WriteError
from jgraph.storage import queued
from jgraph.storage.queued import Queued


class Slow:
    """Writes only while the gate is open, and fails at a record."""

    def __init__(self, bad: Any = None, error: BaseException | None = None) -> None:
        self.gate, self.got, self.closed, self.flushed = threading.Event(), [], 0, 0
        self.bad, self.error = bad, error
        self.gate.set()

    def write(self, record: Any) -> None:
        assert self.gate.wait(30)
        if record == self.bad and self.error is not None:
            raise self.error
        self.got.append(record)

    def flush(self) -> None:
        self.flushed += 1

    def close(self) -> None:
        self.closed += 1


def full() -> WriteError:
    return WriteError("events", expected="a place that can be written", got="No space left", cure="Free some space.")


def test_records_are_written_in_order_by_another_thread_that_ends() -> None:
    before, slow = threading.enumerate(), Slow()
    queue = Queued(slow)
    for number in range(1000):
        queue.write(number)
    queue.flush()
    assert (slow.got, slow.flushed) == (list(range(1000)), 1)
    queue.close()
    assert slow.closed == 1
    assert threading.enumerate() == before


def test_writing_does_not_wait_until_the_queue_is_full() -> None:
    slow = Slow()
    slow.gate.clear()
    queue = Queued(slow, room=3)
    for number in range(3):
        queue.write(number)
    assert slow.got == []
    waiting = threading.Thread(target=queue.write, args=(3,))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    slow.gate.set()
    waiting.join(30)
    queue.close()
    assert slow.got == [0, 1, 2, 3]


def write_many(queue: Queued) -> None:
    for number in range(1000):
        queue.write(number)


@pytest.mark.parametrize("error", [full(), RuntimeError("odd"), SystemExit("the thread is told to end")])
def test_a_record_that_fails_is_one_error_for_all_who_ask(error: BaseException) -> None:
    slow = Slow(bad=2, error=error)
    queue = Queued(slow)
    with pytest.raises(type(error)) as first:
        write_many(queue)
    for ask in (queue.check, queue.flush, lambda: queue.write(5), queue.close):
        with pytest.raises(type(error)) as again:
            ask()
        assert again.value is first.value is error
    assert slow.got == [0, 1], "what comes after it would leave a gap"
    assert slow.closed == 1


def test_a_full_queue_behind_a_dead_thread_is_an_error_and_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queued, "LOOK_SECONDS", 0.01)
    queue = Queued(Slow(), "runs/a", room=2)
    monkeypatch.setattr(queue, "_run", lambda: None)  # as if it had been killed from outside
    queue.write(0)
    queue.write(1)
    with pytest.raises(
        WriteError, match="runs/a: expected a thread that writes the records, got a dead one, which left 2"
    ):
        queue.write(2)
    with pytest.raises(WriteError, match="dead"):
        queue.close()


def test_a_thread_that_cannot_be_started_takes_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow()
    queue = Queued(slow)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("can't start")))
        with pytest.raises(RuntimeError, match="can't start"):
            queue.write(0)
    queue.write(1)
    queue.close()
    assert slow.got == [1]
