"""The position of data: told as a copy, taken as a copy, by either pair of names."""

import threading
from typing import Any

import pytest

from jgraph.data.place import Place, check_keeps, keeps_state, place_by, restore
from jgraph.data.reading import pass_end, place_behind, reading
from jgraph.errors import ResumeError


class Grain:
    def __init__(self) -> None:
        self.state = {"next": [0]}

    def get_state(self) -> Any:
        return self.state

    def set_state(self, state: Any) -> None:
        self.state = state


class Torch:
    def __init__(self) -> None:
        self.state = {"next": [0]}

    def state_dict(self) -> Any:
        return self.state

    def load_state_dict(self, state: Any) -> None:
        self.state = state


class Half:
    def get_state(self) -> Any:
        return {}


class Counting(Grain):
    """An iterator that keeps its position."""

    def __iter__(self) -> "Counting":
        return self

    def __next__(self) -> int:
        number = self.state["next"][0]
        if number == 3:
            raise StopIteration
        self.state["next"][0] += 1
        return number


class Data(Torch):
    """Data that keep a position, and give iterators that do."""

    def __iter__(self) -> Counting:
        return Counting()


@pytest.mark.parametrize("make", [Grain, Torch])
def test_a_state_is_a_copy_both_ways(make: Any) -> None:
    data = make()
    place = place_by(data, "data")
    assert place is not None
    data.state["next"][0] = 7
    assert place.value == {"next": [0]}
    restore(data, place.value, "fit")
    data.state["next"][0] = 8
    assert place.value == {"next": [0]}


def test_a_method_that_is_there_for_form_tells_nothing() -> None:
    class Formal(Grain):
        def get_state(self) -> Any:
            raise NotImplementedError

    class Locked(Grain):
        def get_state(self) -> Any:
            return threading.Lock()

    assert place_by(Formal(), "data") is None
    with pytest.raises(TypeError) as caught:
        place_by(Locked(), "data")
    assert caught.value.__notes__ == ["Raised by get_state of the data, or by a copy of what it gave."]


def test_half_a_pair_keeps_nothing() -> None:
    assert [keeps_state(data) for data in (Grain(), Torch(), Half(), [], iter([]))] == [True, True, False, False, False]
    with pytest.raises(ResumeError, match=r"fit: .*got a Half without get_state and set_state, or state_dict and load"):
        check_keeps(Half(), "fit")


def test_the_iterator_of_an_epoch_comes_before_the_data() -> None:
    data, own = Data(), Counting()
    with reading(data) as batches:
        next(batches)
        assert place_behind(data, batches, "seen", 4) == Place("iterator", {"next": [1]}, 4)
    assert place_behind(own, own, "seen", 4) == Place("data", {"next": [0]}, 4)
    assert place_behind([1], iter([1]), "seen", 4) == Place("batches", "seen", 4)


def test_reading_goes_on_at_a_place() -> None:
    with reading(Data(), Place("iterator", {"next": [2]})) as batches:
        assert list(batches) == [2]
    with pytest.raises(ResumeError, match="got a list_iterator without"), reading([1], Place("iterator", {})):
        pass


def test_the_end_of_an_epoch_is_passed_where_it_is() -> None:
    class Loader(Torch):
        def __iter__(self) -> Any:
            yield from range(self.state["next"][0], 3)
            self.state = {"next": [0], "epochs": self.state.get("epochs", 0) + 1}

    data = Loader()
    pass_end(data, Place("data", {"next": [3]}, 4), cut=False, where="fit")
    assert data.state == {"next": [0], "epochs": 1}
    pass_end(data, Place("data", {"next": [2]}, 4), cut=True, where="fit")
    assert data.state == {"next": [2]}
    with pytest.raises(ResumeError, match=r"fit: expected data that end where the last epoch .* got another batch"):
        pass_end(data, Place("data", {"next": [2]}, 4), cut=False, where="fit")
