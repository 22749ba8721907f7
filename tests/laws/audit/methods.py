"""The methods of what users hold: a good call of each, and what is wrong for its arguments.

The hooks that a layer's author overrides are called by the library alone, with what it has checked.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jgraph as jg
from jgraph.errors import (
    DataError,
    DTypeError,
    KeyMismatchError,
    LoadError,
    MonitorError,
    PathError,
    ShapeError,
    SymbolError,
)
from tests.laws.audit.bad import (
    ARRAY,
    FLAG,
    LAYER,
    NO_DICT,
    ODD,
    OPTIONAL,
    POSITIVE,
    ROWS,
    TEXT,
    Bad,
    choices,
    numbers,
)
from tests.laws.audit.good import BATCH, model, params, run, spread, train_state, trainer


def two_ends() -> jg.Model:
    x = jg.Input((3,), name="x")
    return jg.Model(x, [jg.layers.Dense(2, name="y")(x), jg.layers.Dense(2, name="z")(x)])


METHODS: dict[str, tuple[Callable[[], Any], dict[str, Callable[[], Any]]]] = {
    **{
        f"Model.{name}": (two_ends if name == "prune" else model, given)
        for name, given in {
            "__call__": {"inputs": lambda: jg.Input((3,))},
            "apply": {"params": params, "state": dict, "inputs": lambda: BATCH[0]},
            "constrain": {"params": params},
            "freeze": {"patterns": lambda: "y"},
            "from_json": {"text": lambda: model().to_json()},
            "frozen": {"params": params},
            "index_range": {},
            "init": {"key": lambda: jax.random.key(0)},
            "input_of": {"path": lambda: "y"},
            "insert_after": {"path": lambda: "y", "layer": lambda: jg.layers.ReLU()},
            "output_of": {"path": lambda: "y"},
            "plot": {},
            "predict": {"params": params, "state": dict, "inputs": lambda: BATCH[0]},
            "predict_batches": {"params": params, "state": dict, "batches": lambda: BATCH[0]},
            "prune": {"paths": lambda: "z"},
            "regularization": {"params": params},
            "remove": {"path": lambda: "y"},
            "replace": {"path": lambda: "y", "layer": lambda: jg.layers.Dense(4)},
            "select": {"tree": params},
            "summary": {},
            "to_json": {},
            "unfreeze": {"patterns": lambda: "y"},
            "with_policy": {"policy": lambda: jg.Policy({"*": {"remat": True}})},
            "with_treatments": {"treatments": lambda: [node.treatment for node in model().nodes]},
        }.items()
    },
    **{
        f"Trainer.{name}": (trainer, given)
        for name, given in {
            "evaluate": {"train_state": train_state, "data": lambda: BATCH},
            "fit": {"data": lambda: BATCH, "epochs": lambda: 1, "progress": lambda: False},
            "fit_many": {"data": lambda: BATCH, "epochs": lambda: 1, "progress": lambda: False},
            "init": {"key": lambda: jax.random.key(0)},
            "learning_rate_of": {"train_state": train_state},
            "lower": {"batch": lambda: BATCH},
            "predict": {"train_state": train_state, "inputs": lambda: BATCH[0]},
            "predict_batches": {"train_state": train_state, "batches": lambda: BATCH[0]},
            "step": {"train_state": train_state, "batch": lambda: BATCH},
        }.items()
    },
    "Trainer.plan": (spread, {"batch": lambda: BATCH}),
    "TrainState.averaged": (lambda: train_state().replace(ema=train_state().params), {}),
    "TrainState.replace": (train_state, {}),
    "Run.after_epoch": (run, {"train_state": train_state, "logs": dict, "timings": dict}),
    "Run.left": (run, {}),
    "Run.plot": (run, {"monitor": lambda: "loss"}),
}
"""By class and method: whose it is, and the arguments."""

NOWHERE = (object(), None, 5, True, 1.5, "", "nothing", b"x", ("y",), ["y"], {"a": 1}, int)
TREES = Bad((None, 5, True, "x", [], [1], ("a",), {"a": 1}, object(), int, ARRAY), KeyMismatchError)
ENDS = Bad((*(v for v in TREES.values if v is not None), {}), KeyMismatchError)
STATES = Bad((*ODD, None, 5, "x", (), LAYER))
DATA = Bad((None, 5, 1.5, "x", (), (ROWS,), object(), int, {"a": 1}), DataError)
ARRAYS = (
    Bad((None, "x", jg.Input((3,))), SymbolError),
    Bad((object(), b"x", int), DTypeError),
    Bad((5, 1.5, True, ARRAY), ShapeError),
    Bad(([], {}, [ROWS, ROWS], {"y": ROWS}), KeyMismatchError),
)
SYMBOLS = (Bad((None, 5, "x", ARRAY, object()), SymbolError), Bad(([], {}, {"y": ROWS}), KeyMismatchError))
OUT = (Bad((5, "x", object(), ARRAY, jnp.ones((4, 2)))), Bad(([], {}, [ROWS]), KeyMismatchError))
BATCHES = (Bad((None, 5, "x", object(), int), DataError), Bad(({}, {"y": ROWS}), KeyMismatchError))
KEYS = Bad((*ODD, None, 5, "x", [], jnp.ones(3)))
PATTERNS = (Bad((*ODD, None, 5, True, [], ("y",))), Bad(("", "nothing"), PathError))
OPTIONAL_DATA = Bad(tuple(v for v in DATA.values if v is not None), DataError)

METHODS_BY_NAME: dict[str, tuple[Bad, ...]] = {
    "params": (TREES,),
    "state": (Bad(tuple(v for v in TREES.values if v is not None), KeyMismatchError),),
    "path": (Bad(NOWHERE, PathError),),
    "paths": (Bad(NOWHERE, PathError),),
    "call": (Bad((object(), True, -1, 1, 1.5, "x", [], b"x", int), PathError),),
    "patterns": PATTERNS,
    "inputs": ARRAYS,
    "batches": BATCHES,
    "data": (DATA,),
    "batch": (DATA,),
    "validation_data": (OPTIONAL_DATA,),
    "out": OUT,
    "key": (KEYS,),
    "batch_size": (POSITIVE,),
    "train_state": (STATES,),
    "allow": (Bad((None, 5, "x", {"a": 1}, [5], ["x"])),),
    "callbacks": (Bad((*ODD, None, 5, "x", [5], [LAYER])),),
    "validation_split": (numbers(-0.1, 1.0, 1, None),),
    "epochs": (numbers(-1, 1.5, None, [1]),),
    "steps_per_epoch": (OPTIONAL,),
    **dict.fromkeys(
        [
            "shuffle",
            "progress",
            "drop_last",
            "donate",
            "show_shapes",
            "show_dtype",
            "show_params",
            "expand_nested",
            "train",
        ],
        (FLAG,),
    ),
}
"""By the name of the parameter."""

METHODS_OF: dict[str, tuple[Bad, ...]] = {
    "Model.__call__.inputs": SYMBOLS,
    "Model.__call__.mask": (
        Bad((5, "x", [], {}, ARRAY, object()), SymbolError),
        Bad((jg.Input((3,)),), DTypeError),
    ),
    "Model.__call__.kwargs": (Bad(({"train": True}, {"nothing": 1})),),
    "Model.apply.key": (Bad((*ODD, 5, "x", [], jnp.ones(3))),),
    "Model.from_json.text": (Bad((*ODD, None, 5, "", "x", "{}", "[]", '{"format": "x"}'), LoadError),),
    "Model.insert_after.layer": (Bad((*ODD, None, 5, "x", jg.layers.Dense)),),
    "Model.replace.layer": (Bad((*ODD, None, 5, "x", jg.layers.Dense)),),
    "Model.plot.path": (Bad((*ODD, 5, True, "", "x.gif", ("a",))),),
    "Model.plot.rankdir": (choices(None, "tb"),),
    "Model.plot.dpi": (numbers(0, -1, 1.5, None, 2401),),
    "Model.predict_batches.batch_size": (OPTIONAL,),
    "Model.select.tree": (Bad((*NO_DICT, None, 5, "x", [], ("a",))),),
    "Model.select.of": (Bad((*ODD, 5, "x", LAYER)),),
    "Model.summary.sizes": (numbers(0, -1, 1.5, {"nothing": 3}),),
    "Model.with_policy.policy": (Bad((*ODD, None, 5, "x", LAYER)),),
    "Trainer.evaluate.steps": (OPTIONAL,),
    "Trainer.fit.validation_steps": (OPTIONAL,),
    "Trainer.fit.validation_batch_size": (OPTIONAL,),
    "Trainer.fit.validation_every": (POSITIVE,),
    "Trainer.fit.data_on_device": (Bad((*ODD, 0, 1, "yes", 1.5, [])),),
    "Trainer.fit.seed": (numbers(-1, 1.5, None, 2**32),),
    "Trainer.fit.class_weight": (Bad((*NO_DICT, 5, "x", [], {0: -1.0}, {"nothing": 1.0})),),
    "Trainer.fit.initial_epoch": (numbers(-1, 1.5, None),),
    "Trainer.fit.train_state": (Bad(tuple(v for v in STATES.values if v is not None)),),
    "Trainer.fit.run": (Bad((*ODD, 5, "x", LAYER)),),
    "Trainer.fit.resume": (Bad((*ODD, 5, True, "", ("a",))),),
    "Trainer.fit_many.seeds": (Bad((*ODD, None, 0, -1, 1.5, True, "x", [], [1.5])),),
    "Trainer.fit_many.learning_rate": (Bad((object(), b"x", 1j, "x", -1.0, math.nan, True, ["a"], {})),),
    "Trainer.init.params": (Bad(tuple(v for v in TREES.values if v is not None), KeyMismatchError),),
    **{f"Trainer.{name}.batch_size": (OPTIONAL,) for name in ("lower", "plan")},
    **{f"Trainer.{name}.batch": (OPTIONAL_DATA,) for name in ("lower", "plan")},
    "Trainer.predict_batches.batch_size": (OPTIONAL,),
    "TrainState.replace.changes": (Bad(({"nothing": 1}, {"lr_scal": 1}, {"opt_states": 1})),),
    "Run.after_epoch.train_state": (STATES,),
    **{f"Run.after_epoch.{name}": (Bad((*NO_DICT, None, 5, "x", [])),) for name in ("logs", "timings")},
    "Run.plot.path": (Bad((*ODD, 5, True, "", "x.gif", ("a",))),),
    "Run.plot.logs": (Bad((*ODD, 5, "loss", [], ["nothing"])),),
    "Run.plot.monitor": (TEXT, Bad(("nothing",), MonitorError)),
    "Run.plot.mode": (choices(None, "", typo="mni", meant="min"),),
    "Run.plot.title": (Bad((*ODD, None, 5, True, ("a",))),),
}
"""By class, method and parameter."""

PROTOCOL = "a part of the protocol of layers: the library calls it, with trees that it has checked"
METHODS_ANY: dict[str, str] = {
    **{f"Model.{name}.params": PROTOCOL for name in ("constrain", "frozen", "regularization")},
    "Model.init.specs": "the model has been drawn on specs of its own, and takes any for layers' sake",
    "Model.with_treatments.treatments": "what a policy or an edit has found out, node by node; users give a policy",
}
"""Arguments for which nothing is wrong, with the reason."""

METHODS_SAID_BY: dict[str, str] = {
    "Run.plot": "best epoch",
    "Run.plot.path": "curves",
    "Run.plot.logs": "curves",
    "Model.predict_batches.batch_size": "predict",
    "Trainer.predict_batches.batch_size": "predict",
    "Trainer.fit_many": "fit",
    "Trainer.plan": "lower",
    "Model.init.key": "key",
    "Model.apply.key": "key",
    "Trainer.init.key": "key",
    "Model.from_json.text": "JSON",
    "Model.from_json.allow": "allow",
    **{f"Model.{name}freeze.patterns": "rule" for name in ("", "un")},
}
"""Whom the error names where that is neither the method nor the model."""
