"""A Conv1D text model with everything of TensorBoard switched on: the pictures of README and docs are made from it.

One model answers the questions of all 20 bAbI tasks: story and question stand in one row of words, and windows of three
words look for what is asked. TensorBoard is shown scalars, histograms of params, gradients, updates and activations,
the graph, the words as points, the trainer as text, a row of hyperparameters for each width, and a trace of some steps.

Data: bAbI (1,000 + 1,000 questions for each task), of each story the last words. Published: 49.2 % in the mean, by one
LSTM for each task (Weston et al. 2015).

Reached, seed 0: 0.601 (held out 0.601) with a width of 128, in 4 minutes for three widths on two cores.

    python -m experiments.watch --help
    tensorboard --logdir runs/watch/0
"""

from pathlib import Path
from typing import Any

import numpy as np
import optax

import jgraph as jg
from experiments.common import ended, options, tell
from experiments.data import Question, babi, held_out, padded, vocabulary


def rows_of(questions: list[Question], words: dict[str, int], answers: list[str], length: int) -> tuple[Any, Any]:
    """Each question and its story, the newest sentences last, as one row of words; and the number of its answer."""
    texts = [[w for sentence in q.story for w in sentence] + list(q.question) for q in questions]
    return padded(texts, length, words), np.array([answers.index(q.answer) for q in questions], np.int32)


def draw(words: int, answers: int, length: int, width: int) -> jg.Model:
    """Words, three convolutions over them, the largest of each feature, the answer."""
    text = jg.Input((length,), dtype="int32", name="text")
    x = jg.layers.Embedding(words, 32, name="words")(text)
    for number in range(3):
        x = jg.layers.Conv1D(width, 3, padding="same", activation="relu", name=f"windows_{number}")(x)
    x = jg.layers.Dropout(0.2)(jg.layers.GlobalMaxPooling1D(name="found")(x))
    return jg.Model(text, {"answer": jg.layers.Dense(answers, activation="softmax", name="answer")(x)}, name="watched")


def watchers(folder: Path, names: list[str], width: int, every: int) -> list[jg.callbacks.Callback]:
    """The run is saved and written down; TensorBoard is shown all that it can show."""
    return [
        jg.callbacks.EarlyStopping("val_accuracy", patience=5, restore_best=True),
        jg.callbacks.ReduceLROnPlateau(patience=2, factor=0.5),
        jg.callbacks.Checkpoint(folder, monitor="val_accuracy"),
        jg.callbacks.CSVLogger(folder / "log.csv"),
        jg.callbacks.Throughput(),
        jg.callbacks.TensorBoard(
            folder / "tensorboard",
            every_steps=every,
            histograms=every,
            projector=jg.callbacks.Projector("words", metadata=names),
            hparams={"width": width, "rate": 2e-3},
            profile_steps=(5, 8),
        ),
    ]


def main(words_given: Any = None) -> dict[str, float]:
    """Trains a model for each width, tests the one that was best on held-out questions, and says where to look."""
    given = options(__doc__, "watch", words_given, tasks=20, epochs=0, length=80)
    widths, epochs = ((32, 64, 128) if given.full else (64,)), given.epochs or (15 if given.full else 3)
    tasks = [babi(task + 1) for task in range(given.tasks)]
    parts = {part: [question for task in tasks for question in task[part]] for part in ("train", "test")}
    words = vocabulary([[w for s in (*q.story, q.question) for w in s] for q in parts["train"]])
    answers = sorted({q.answer for part in parts.values() for q in part})
    arrays = {part: rows_of(questions, words, answers, given.length) for part, questions in parts.items()}
    own, held = held_out(len(parts["train"]), 0.1, given.seed)
    train, validation = ((arrays["train"][0][rows], arrays["train"][1][rows]) for rows in (own, held))
    scores, runs = {}, {}
    for width in widths:
        folder = given.folder / f"width_{width}"
        model = draw(len(words) + 2, len(answers), given.length, width)
        trainer = jg.Trainer(
            model, optax.adam, learning_rate=2e-3, loss="sparse_categorical_crossentropy", metrics="accuracy"
        )
        run = trainer.fit(
            train,
            epochs=epochs,
            batch_size=64,
            validation_data=validation,
            validation_batch_size=500,
            callbacks=watchers(folder, ["(nothing)", "(unknown)", *words], width, every=len(own) // 64 // 2 + 1),
            seed=given.seed,
            resume=folder if given.resume else None,
        )
        ended(run)
        run.plot(folder / "curves.png", title=f"Width {width}")
        jg.inspect.report(folder, folder / "report.html")
        runs[width] = trainer, run
        scores[width] = float(trainer.evaluate(run.train_state, validation, batch_size=500)["accuracy"])
    best = max(widths, key=lambda width: scores[width])
    trainer, run = runs[best]
    test = trainer.evaluate(run.train_state, arrays["test"], batch_size=500)["accuracy"]
    reached = {"test accuracy": float(test), "validation accuracy": scores[best], "width": best}
    tell(given, "A watched text model on all bAbI tasks", reached, {"test accuracy": "0.492 (LSTMs)"})
    print(f"tensorboard --logdir {given.folder}     and {given.folder}/width_{best}/report.html")
    return reached


if __name__ == "__main__":
    main()
