"""Policies: rules by pattern, what every layer gets from them, what is refused, and where a treatment goes along."""

import copy
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jgraph as jg
from jgraph.core.policy import changed
from jgraph.core.treatment import PLAIN, Treatment
from jgraph.errors import ArgumentError, GraphError, JGraphError, PathError

L = jg.layers

RULES = {
    "encoder": {"remat": True, "trainable": False},
    "*/dense*": {"dtype": "bfloat16"},
    "head": {"param_dtype": "float16"},
    "*/[bd]r?p": {"remat": True},
}

GOLDEN = """\
Plan for Model('Net', 8 nodes)

 path              layer                computed in   kept in   remat   trainable   rules
 ─────────────────────────────────────────────────────────────────────────────────────────────────────
 dense             Dense                as given      float32   -       yes         -
 encoder/dense     Dense                bfloat16      float32   -       no          encoder, */dense*
 encoder/drop      Dropout              as given      -         yes     -           encoder, */[bd]r?p
 encoder/dense_1   Dense                bfloat16      float32   -       no          encoder, */dense*
 encoder/norm      BatchNormalization   as given      float32   -       no          encoder
 encoder           Model                as given      -         yes     -           encoder
 head              Dense                as given      float16   -       yes         head"""


def net(policy: jg.Policy | None = None) -> jg.Model:
    x, i = jg.Input((4,), name="x"), jg.Input((5,))
    inner = L.Dropout(0.2, name="drop")(L.Dense(6)(i))
    encoder = jg.Model(i, L.BatchNormalization(name="norm")(L.Dense(3)(inner)), name="encoder")
    return jg.Model(x, L.Dense(2, name="head")(encoder(L.Dense(5)(x))), policy=policy, name="Net")


def treatments(model: jg.Model) -> dict[tuple[str, int], Treatment]:
    return {(node.path, node.call): node.treatment for node in model.nodes}


def test_the_plan_is_a_table() -> None:
    plan = jg.Policy(RULES).plan(net())
    assert str(plan) == GOLDEN


def test_every_node_gets_what_the_plan_shows() -> None:
    model, policy = net(), jg.Policy(RULES)
    treated, plan = model.with_policy(policy), policy.plan(model)
    assert {path: how for (path, _), how in treatments(treated).items() if path != "x"} == plan.treatments
    assert treatments(model) == dict.fromkeys(treatments(model), PLAIN)
    assert treated.layers == model.layers


def test_a_policy_can_be_given_where_a_model_is_drawn() -> None:
    policy = jg.Policy({"encoder/*": {"dtype": jnp.bfloat16}})
    drawn = net(policy)
    assert drawn.to_json() == net().with_policy(policy).to_json()
    assert drawn.output_of("encoder").dtype == jnp.bfloat16


def test_later_policies_change_only_what_they_speak_of() -> None:
    model = net().with_policy(jg.Policy({"head": {"dtype": "bfloat16"}}))
    model = model.with_policy(jg.Policy({"head": {"trainable": False}}))
    assert treatments(model)["head", 0] == Treatment(dtype="bfloat16", trainable=False)
    assert model.with_policy(jg.Policy({"head": {"trainable": False}})) is model
    assert treatments(model.with_policy(jg.Policy({"head": {"dtype": None}})))["head", 0] == Treatment(trainable=False)


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("head", {"head"}),
        ("dense", {"dense"}),
        ("*dense", {"dense", "encoder/dense"}),
        ("*/dense*", {"encoder/dense", "encoder/dense_1"}),
        ("encoder/dense_?", {"encoder/dense_1"}),
        ("encoder", {"encoder", "encoder/dense", "encoder/drop", "encoder/dense_1", "encoder/norm"}),
        ("enc*", {"encoder", "encoder/dense", "encoder/drop", "encoder/dense_1", "encoder/norm"}),
        ("*", {"dense", "encoder", "encoder/dense", "encoder/drop", "encoder/dense_1", "encoder/norm", "head"}),
    ],
)
def test_patterns(pattern: str, paths: set[str]) -> None:
    plan = jg.Policy({pattern: {"dtype": "float16"}}).plan(net())
    assert {path for path, how in plan.treatments.items() if how.dtype == "float16"} == paths
    assert {row.path for row in plan.rows if row.rules} == paths


def test_rules_go_down_to_any_depth_but_remat_stays_with_the_block() -> None:
    model = net()
    for depth in range(2):
        x = jg.Input((4,), name="x")
        model = jg.Model(x, model(x), name=f"level_{depth}")
    plan = jg.Policy({"net": {"trainable": False, "remat": True}}).plan(_named(model)).treatments
    assert not any(how.trainable for path, how in plan.items() if path.startswith("net"))
    assert [path for path, how in plan.items() if how.remat] == ["net"]


def _named(model: jg.Model) -> jg.Model:
    x = jg.Input((4,), name="x")
    object.__setattr__(model, "name", "net")
    return jg.Model(x, model(x))


def test_a_layer_inside_and_outside_of_a_nested_model_is_meant_through_both() -> None:
    x, i = jg.Input((4,)), jg.Input((4,))
    shared = L.Dense(4, name="shared")
    model = jg.Model(x, shared(jg.Model(i, shared(i), name="inner")(x)))
    frozen = model.freeze("inner")
    assert {call: how.trainable for (path, call), how in treatments(frozen).items() if path == "inner/shared"} == {
        0: False,
        1: False,
    }


def test_a_call_that_is_treated_otherwise_has_its_own_row_and_keeps_its_treatment() -> None:
    x, i = jg.Input((4,), name="x"), jg.Input((4,))
    judge = jg.Model(i, L.Dense(2, name="judge")(i))
    model = jg.Model(x, [judge(x), judge.freeze("judge")(x)])
    assert [(row.path, row.call) for row in jg.Policy({}).plan(model).rows][1:3] == [("model", 0), ("model/judge", 1)]
    assert "model/judge [1]" in str(jg.Policy({}).plan(model))
    cast = model.with_policy(jg.Policy({"model/judge": {"dtype": "bfloat16"}}))
    found = {call: how for (path, call), how in treatments(cast).items() if path == "model/judge"}
    assert found == {0: Treatment(dtype="bfloat16"), 1: Treatment(dtype="bfloat16", trainable=False)}


# What is refused


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"head": {"remta": True}}, "Did you mean 'remat'?"),
        ({"head": {"remat": 1}}, "rule 'head', remat: expected True or False, or a text that names a block, got 1"),
        ({"head": {"trainable": "no"}}, "expected True or False, got 'no'"),
        ({"head": {"dtype": "int8"}}, "expected a floating dtype, got 'int8'"),
        ({"head": {"dtype": "bfloat61"}}, "expected a floating dtype, got 'bfloat61'"),
        ({"head": {"param_dtype": "float64"}}, "'float64' needs jax_enable_x64"),
        ({"head": {"param_dtype": "complex64"}}, "expected a floating dtype"),
        ({"head": {}}, "each a dict of settings"),
        ({"head": "remat"}, "each a dict of settings"),
        ({1: {"remat": True}}, "each a dict of settings"),
        ([("head", {"remat": True})], "each a dict of settings"),
    ],
)
def test_rules_that_mean_nothing(rules: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match="Policy") as caught:
        jg.Policy(rules)
    assert said in str(caught.value)


def test_a_rule_that_matches_nothing_names_the_nearest_path() -> None:
    with pytest.raises(PathError, match=r"the rule 'encoder/dens' .*Did you mean 'encoder/dense'\? Known: 'dense', "):
        net().with_policy(jg.Policy({"encoder/dens": {"remat": True}}))
    with pytest.raises(PathError, match="Known: 'dense', 'encoder/dense'"):
        net().freeze("x")


def test_rules_that_disagree_are_both_named() -> None:
    policy = jg.Policy({"encoder": {"dtype": "bfloat16"}, "*/dense_1": {"dtype": "float32"}})
    with pytest.raises(ArgumentError) as caught:
        policy.plan(net())
    assert "the rules for 'encoder/dense_1': expected one value of 'dtype'" in str(caught.value)
    assert "'bfloat16' of the rule 'encoder' and 'float32' of the rule '*/dense_1'" in str(caught.value)
    same = jg.Policy({"encoder": {"dtype": "bfloat16"}, "*/dense_1": {"dtype": "bfloat16", "trainable": False}})
    assert same.plan(net()).treatments["encoder/dense_1"] == Treatment(dtype="bfloat16", trainable=False)


def test_a_rule_about_params_needs_some() -> None:
    with pytest.raises(ArgumentError, match=r"as it sets 'trainable', got .*Dropout.*, which have none"):
        net().freeze("*/drop")
    x = jg.Input((4,))
    bare = jg.Model(x, L.Dense(1)(L.BatchNormalization(center=False, scale=False, name="norm")(x)))
    assert not treatments(bare.freeze("norm"))["norm", 0].trainable  # it has a state, which stays
    with pytest.raises(ArgumentError, match="as it sets 'param_dtype'"):
        bare.with_policy(jg.Policy({"norm": {"param_dtype": "bfloat16"}}))


def test_what_is_no_policy() -> None:
    with pytest.raises(ArgumentError, match=r"expected a jg\.Policy, got .*Write jg\.Policy"):
        net().with_policy({"head": {"remat": True}})  # pyright: ignore[reportArgumentType]


def test_a_policy_is_a_value() -> None:
    given = {"head": {"remat": True}}
    policy = jg.Policy(given)
    given["head"]["remat"] = False
    assert repr(policy) == "Policy({'head': {'remat': True}})"
    with pytest.raises(TypeError):
        policy.rules["head"]["remat"] = False  # pyright: ignore[reportIndexIssue]


# Where treatments go along


def test_treatments_survive_copies_and_files() -> None:
    model = net().with_policy(jg.Policy(RULES))
    for other in (
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        copy.copy(model),
        jg.Model.from_json(model.to_json()),
    ):
        assert treatments(other) == treatments(model)
        assert other.to_json() == model.to_json()


def test_treatments_survive_nesting_and_cutting() -> None:
    model = net().with_policy(jg.Policy(RULES))
    x = jg.Input((4,), name="x")
    object.__setattr__(model, "name", "net")
    outer = jg.Model(x, model(x))
    inside = {(p.removeprefix("net/"), c): how for (p, c), how in treatments(outer).items() if p.startswith("net/")}
    assert inside == {place: how for place, how in treatments(model).items() if place[0] != "x"}
    cut = jg.Model(model.inputs, model.output_of("encoder"))
    assert treatments(cut) == {place: how for place, how in treatments(model).items() if place[0] != "head"}
    params, state = model.init(jax.random.key(0))
    assert cut.select(state, of=model) == state
    assert set(cut.select(params, of=model)) == {"dense", "encoder"}


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m.insert_after("dense", L.Activation("relu", name="new")),
        lambda m: m.insert_after("encoder/dense", L.Activation("relu", name="new")),
        lambda m: m.replace("dense", L.Dense(5, activation="relu")),
        lambda m: m.remove("encoder/drop"),
    ],
)
def test_treatments_survive_edits(edit: Any) -> None:
    model = net().with_policy(jg.Policy(RULES))
    before, after = treatments(model), treatments(edit(model))
    assert all(after[place] == before[place] for place in set(before) & set(after))
    assert all(how == PLAIN for place, how in after.items() if place not in before)


def test_edits_where_low_precision_comes_into_a_nested_model() -> None:
    model = net().with_policy(jg.Policy({"dense": {"dtype": "bfloat16"}}))
    edited = model.remove("encoder/drop")
    assert edited.output_of("dense").dtype == jnp.bfloat16
    assert edited.output_of("encoder").dtype == model.output_of("encoder").dtype
    assert treatments(edited) == {place: how for place, how in treatments(model).items() if place[0] != "encoder/drop"}


def test_unfreezing_undoes_freezing() -> None:
    model = net()
    frozen = model.freeze("encoder", "head")
    back = frozen.unfreeze("encoder", "head")
    assert frozen.to_json() != model.to_json()
    assert back.to_json() == model.to_json()
    assert treatments(back) == treatments(model)
    assert back.layers == model.layers
    key = jax.random.key(0)
    for made in zip(*(jax.tree.leaves(m.init(key)) for m in (model, frozen, back)), strict=True):
        assert all((made[0] == other).all() for other in made[1:])


def test_a_wrong_pattern_changes_nothing() -> None:
    with pytest.raises(JGraphError, match="nothere"):
        net().freeze("head", "nothere")
    with pytest.raises(GraphError, match="as one block"):
        _peeking().with_policy(jg.Policy({"encoder": {"remat": True}}))


def _peeking() -> jg.Model:
    model = net()
    early = L.Dense(3, name="side")(model.output_of("encoder/dense"))
    return jg.Model(model.inputs, L.Add(name="sum")([early, model.output_of("encoder")]))


def test_what_changed_in_short() -> None:
    assert changed(PLAIN) == ""
    assert changed(Treatment(remat=True, dtype="bfloat16", param_dtype="float16", trainable=False)) == (
        "bfloat16, kept in float16, remat, frozen"
    )


TREATED = """\
Net

 path              layer                output shape   params   operations   activations   policy
 ──────────────────────────────────────────────────────────────────────────────────────────────────────────
 x                 Input float32        (batch, 4)          -            -             -   -
 dense             Dense                (batch, 5)         25           45          20 B   -
 encoder/dense     Dense                (batch, 6)         36           66             -   bfloat16, frozen
 encoder/drop      Dropout              (batch, 6)          -            -             -   remat, frozen
 encoder/dense_1   Dense                (batch, 3)         21           39             -   bfloat16, frozen
 encoder/norm      BatchNormalization   (batch, 3)          6           21           6 B   frozen
 encoder           Model                (batch, 3)          -            -             -   remat, frozen
 head              Dense                (batch, 2)          8           14           8 B   kept in float16

Parameters: 96 (368 B)
Trainable: 33 (116 B)
Frozen: 63 (252 B)
State: 6 (24 B)
One row: 185 operations, 34 B of activations"""


def test_the_summary_says_how_nodes_are_treated() -> None:
    model = net()
    assert model.with_policy(jg.Policy(RULES)).summary() == TREATED
    assert "policy" not in model.summary()
    assert "frozen" not in model.summary()


@pytest.mark.parametrize("edit", ["freeze", "unfreeze", "prune"])
def test_an_edit_of_nothing_is_refused(edit: str) -> None:
    model = jg.Sequential([jg.Input((3,)), jg.layers.Dense(2)])
    with pytest.raises(ArgumentError, match=f"{edit}.*got none"):
        getattr(model, edit)()


def test_a_name_with_a_bracket_is_meant_by_itself() -> None:
    model = jg.Sequential([jg.Input((3,)), jg.layers.Dense(2, name="a[0]")])
    assert not model.freeze("a[0]").nodes[1].treatment.trainable


def test_patterns_are_texts_and_plans_are_of_models() -> None:
    model = jg.Sequential([jg.Input((3,)), jg.layers.Dense(2)])
    with pytest.raises(ArgumentError, match="each a text"):
        model.freeze(["dense"])
    with pytest.raises(ArgumentError, match=r"expected a jg\.Model"):
        jg.Policy({}).plan(3)
