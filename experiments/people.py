"""One record of a census, three things to say about the person, and how their losses are weighed.

Age, income and sex are told from 14 columns. What age and sex are told from are the 11 of `SHARED`, as a husband's sex
is no secret; the branch of income also sees `OWN`, relationship, sex and age, as all published figures do. A text goes
through an embedding. A number goes in twice, both made in the graph: as the embedding of its bin, and as how much of
each bin it fills (Gorishniy et al. 2022). Age's error, in squared years, is about 100, and cross-entropies are below 1:
one model is trained with equal weights, with weights by hand, and with each balance of `jg.balance`, all else the same.

Data: UCI Adult (Kohavi and Becker 1996, CC BY 4.0), 30,162 and 15,060 rows without unknowns; 10 % of the training rows
are held out, on which all was chosen. Published errors of income on the 15,060 (adult.names): C4.5 15.54 %, naive Bayes
16.12 %, NBTree 14.10 %, the best 14.05 %. Of age and sex there are none. Asked for: 14.0 %.

Reached on test rows by hand, seeds 0 to 2: income 13.1, 13.3, 13.0 %, sex 19.7 to 19.8 %, age 10.1 to 10.2 years; with
equal weights 13.9, 13.7, 13.6 %, 29.7 to 31.2 %, 10.1 years: age leaves nothing to sex. The balances, seed 0, in this
order: Uncertainty 13.2, 20.1, 10.1, GradNorm 13.2, 19.8, 10.3, PCGrad 13.4, 20.5, 10.1, and DWA, which looks at how
fast losses fall and not at how large they are, 13.8, 29.9, 10.1.

    python -m experiments.people --help
"""

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

import jgraph as jg
from experiments import common, data

SHARED = (
    "workclass", "education", "marital-status", "occupation", "race", "native-country", "fnlwgt", "education-num",
    "capital-gain", "capital-loss", "hours-per-week",
)  # fmt: skip
OWN = ("relationship", "sex", "age")
LOSSES = {"age": "mse", "income": "binary_crossentropy", "sex": "binary_crossentropy"}
PUBLISHED = {"income, % wrong": "14.05", "sex, % wrong": "32.62, all male", "age, RMSE in years": "13.38, the mean"}
WAYS = {
    "equal": None,
    "hand": {"age": 0.005},
    "uncertainty": jg.balance.Uncertainty(),
    "dwa": jg.balance.DWA(),
    "gradnorm": jg.balance.GradNorm(of="shared", optimizer=optax.adam),
    "pcgrad": jg.balance.PCGrad(),
}


def tables_of(columns: dict[str, np.ndarray], bins: int = 48) -> dict[str, np.ndarray]:
    """The known values of each text, and the edges of each number's bins, ascending."""
    found = {name: np.unique(columns[name]) for name in SHARED + OWN}
    for name in data.NUMBERS:
        values, least = columns[name], columns[name].min()
        values = values[values > least] if np.median(values) == least else values  # of gains and losses most are 0
        found[name] = np.unique([least, *np.quantile(values, np.linspace(0, 1, bins + 1))]).astype(np.float32)
    return found


def arrays_of(columns: dict[str, np.ndarray], tables: dict[str, np.ndarray]) -> tuple[dict, dict]:
    """Inputs and targets: numbers as they are, texts by their place in the table, or its length where unknown."""
    inputs = {name: columns[name] for name in SHARED + OWN}
    for name in [name for name in inputs if name not in data.NUMBERS]:
        known, table = np.isin(inputs[name], tables[name]), tables[name]
        inputs[name] = np.where(known, np.searchsorted(table, inputs[name]), len(table)).astype(np.int32)
    says = {"income": columns["income"] == ">50K", "sex": columns["sex"] == "Male"}
    return inputs, {"age": columns["age"]} | {name: value.astype(np.float32) for name, value in says.items()}


def read(name: str, table: np.ndarray, size: int = 8) -> tuple[jg.Symbol, list[jg.Symbol]]:
    """The input of a column, and its features."""
    if name not in data.NUMBERS:
        text = jg.Input((), dtype="int32", name=name)
        return text, [jg.layers.Embedding(len(table) + 1, size, name=f"{name}-read")(text)]
    number = jg.Input((), name=name)
    place = jg.op(jnp.searchsorted)(table, number, side="right")
    filled = jg.op(jnp.clip)((jg.layers.Reshape((1,))(number) - table[:-1]) / np.diff(table), 0.0, 1.0)
    dense = jg.layers.Dense(size, activation="relu", name=f"{name}-filled")(filled)
    return number, [dense, jg.layers.Embedding(len(table) + 1, size, name=f"{name}-bin")(place)]


def hidden(x: jg.Symbol, name: str) -> jg.Symbol:
    """128 features, of which 30 % are dropped in training."""
    return jg.layers.Dropout(0.3)(jg.layers.Dense(128, activation="relu", name=name)(x))


def draw(tables: dict[str, np.ndarray], age: tuple[float, float]) -> jg.Model:
    """14 columns to age in years, income above 50,000 dollars, and sex; `age` is its mean and standard deviation."""
    columns = {name: read(name, tables[name]) for name in SHARED + OWN}
    seen, own = (jg.layers.concatenate([x for name in part for x in columns[name][1]]) for part in (SHARED, OWN))
    shared = hidden(hidden(seen, "wide"), "shared")
    rich = hidden(jg.layers.concatenate([shared, seen, own]), "rich")  # all columns, by a shortcut
    years = jg.layers.Rescaling(age[1], offset=age[0], name="years")(jg.layers.Dense(1, name="age-said")(shared))
    income = jg.layers.Dense(1, activation="sigmoid", name="income-said")(rich)
    sex = jg.layers.Dense(1, activation="sigmoid", name="sex-said")(shared)
    inputs = {name: symbol for name, (symbol, _) in columns.items()}
    return jg.Model(inputs, {"age": years, "income": income, "sex": sex}, name="people")


def train(model: jg.Model, way: str, parts: dict[str, Any], given: Any) -> tuple[jg.Trainer, jg.Run]:
    """Trains one way, up to the epoch that was best for income."""
    folder, steps = given.folder / way, given.epochs * -(-len(parts["train"][1]["age"]) // 256)
    trainer = jg.Trainer(
        model,
        functools.partial(optax.adamw, weight_decay=1e-2, mask=jg.optimizers.decay_mask),
        learning_rate=optax.cosine_decay_schedule(2e-3, steps),
        loss=LOSSES,
        loss_weights=WAYS[way],
        metrics={"age": "root_mean_squared_error", "income": "accuracy", "sex": "accuracy"},
        ema=min(0.998, 1 - 5 / (steps + 5)),
        validate_ema=True,
    )
    print(f"\n{way}: {trainer}\n")
    best = jg.callbacks.EarlyStopping(monitor="val_income/loss", patience=8, restore_best=True)
    callbacks = [best, *common.watchers(folder, "val_income/loss")]
    how = {"epochs": given.epochs, "batch_size": 256, "seed": given.seed, "resume": folder if given.resume else None}
    run = common.ended(trainer.fit(parts["train"], validation_data=parts["validation"], callbacks=callbacks, **how))
    run.plot(folder / "curves.png", monitor="val_income/loss", title=f"Adult, losses weighed {way}, seed {given.seed}")
    return trainer, run


def main(words: Any = None) -> dict[str, float]:
    """Trains every way; returns the errors of the one whose income loss is least on validation rows, and of all."""
    given = common.options(__doc__, "people", words, epochs=0, ways="")
    given.epochs = given.epochs or (25 if given.full else 6)
    ways = [way for way in given.ways.split(",") if way] or (list(WAYS) if given.full else ["equal", "hand"])
    rows = data.adult()
    split = data.held_out(len(rows["train"]["age"]), 0.1, given.seed)
    rows["train"], rows["validation"] = ({n: v[part] for n, v in rows["train"].items()} for part in split)
    tables, age = tables_of(rows["train"]), rows["train"]["age"]
    parts = {part: arrays_of(columns, tables) for part, columns in rows.items()}
    model = draw(tables, (float(age.mean()), float(age.std())))
    print(model.summary())
    figures = {}
    for way in ways:
        trainer, run = train(model, way, parts, given)
        for part in ("validation", "test"):
            logs = trainer.evaluate(run.train_state.averaged(), parts[part], batch_size=1_000)
            wrong = {f"{name}, % wrong": 100 * (1 - logs[f"{name}/accuracy"]) for name in ("income", "sex")}
            rest = {"age, RMSE in years": logs["age/root_mean_squared_error"], "income, loss": logs["income/loss"]}
            figures[way, part] = wrong | rest
    chosen = min(ways, key=lambda way: figures[way, "validation"]["income, loss"])
    each = {f"{way}, {part}: {what}": value for (way, part), own in figures.items() for what, value in own.items()}
    reached = figures[chosen, "test"] | each
    common.tell(given, f"Adult, losses weighed by {chosen}", reached, PUBLISHED)
    return reached


if __name__ == "__main__":
    main()
