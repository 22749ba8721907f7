"""What the step is told to guard."""

import pytest

from jgraph.callbacks import EarlyStopping, TerminateOnNaN
from jgraph.errors import ArgumentError


def test_what_is_guarded() -> None:
    assert TerminateOnNaN().guards() == "loss"
    assert TerminateOnNaN(gradients=True).guards() == "gradients"
    assert TerminateOnNaN(enabled=False).guards() is None
    assert TerminateOnNaN(enabled=False, gradients=True).guards() is None
    assert EarlyStopping().guards() is None


def test_what_is_located() -> None:
    assert (TerminateOnNaN(locate=True).guards(), TerminateOnNaN(locate=True).locates()) == ("update", True)
    assert TerminateOnNaN(enabled=False, locate=True).guards() is None
    assert not TerminateOnNaN(enabled=False, locate=True).locates()
    assert not TerminateOnNaN(gradients=True).locates()


def test_its_name() -> None:
    assert TerminateOnNaN().default_name() == "terminate_on_nan"


@pytest.mark.parametrize("argument", ["enabled", "gradients", "locate"])
@pytest.mark.parametrize("value", [None, 1, "no"])
def test_arguments_are_flags(argument: str, value: object) -> None:
    with pytest.raises(ArgumentError, match=f"TerminateOnNaN, {argument}: expected True or False"):
        TerminateOnNaN(**{argument: value})  # pyright: ignore[reportArgumentType]
