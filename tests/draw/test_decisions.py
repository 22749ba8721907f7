"""What was decided, read from the events that a run notes."""

import pytest

from jgraph.draw.decisions import Decision, decisions

EVENTS = (
    "epoch 1: up to 64 steps per dispatch",
    "compiled train: a loop of steps of 32 rows",
    "epoch 9, step 18: reduce_lr_on_plateau: learning rate 0.5 -> 0.25 (val_loss flat for 2 epochs)",
    "epoch 4, step 8: reduce_lr_on_plateau: learning rate 1x -> 0.5x",
    "epoch 4, step 8: another: learning rate 0.5x -> 0.25x",
    "epoch 4, step 8: mine: freezes 'a: learning rate 1 -> 2'",
    "epoch 13, step 26: early_stopping: stops: val_loss has not improved",
    "epoch 13, step 26: early_stopping: restores a train state (best in epoch 7)",
    "epoch 5, step 10: evaluated: loss 0.5",
)


def test_decisions_are_read_by_kind_with_each_epoch_once() -> None:
    assert decisions(EVENTS, 13) == [
        Decision("rate", (3, 8)),
        Decision("restored", (12,)),
        Decision("frozen", (3,)),
    ]


def test_what_came_after_the_epochs_that_are_drawn_is_left_out() -> None:
    assert decisions(EVENTS, 8) == [Decision("rate", (3,)), Decision("frozen", (3,))]
    assert decisions((), 8) == []


@pytest.mark.parametrize(
    ("epochs", "words"),
    [
        ((0,), "learning rate changed at epoch 1"),
        (tuple(range(12)), "learning rate changed at epochs 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more"),
    ],
)
def test_decisions_are_said_for_people(epochs: tuple[int, ...], words: str) -> None:
    assert Decision("rate", epochs).words() == words
