"""How outputs end, and the graph opened before those ends: where a cross-entropy finds its logits."""

import dataclasses

import jax

from jgraph.core.ends import End, end_of, open_end
from jgraph.core.graph import Graph, Ref
from jgraph.core.symbol import Symbol
from jgraph.errors import LossError
from jgraph.losses.loss import Loss
from jgraph.train.joint import Joint
from jgraph.train.objective import Objective, Target


def checked_end(name: str, graph: Graph, ref: Ref, loss: Loss) -> End:
    """How an output ends, where that fits a cross-entropy.

    Raises:
        LossError: it is neither the activation that the loss undoes, nor logits.
    """
    end = end_of(graph.nodes, ref)
    if end.kind not in (loss.link, "linear"):
        raise LossError(
            f"output {name!r}",
            expected=f"an end in {loss.link}, or logits, for {loss.name}",
            got=f"an end in {end.kind if end.kind != 'other' else repr(end.node.layer)} at {end.node.path!r}",
            cure=f"End the output in {loss.link} (activation={loss.link!r}, or a layer Activation({loss.link!r})), or"
            " say that it is logits by ending it in Activation('linear').",
        )
    return end


def check_probabilities(name: str, graph: Graph, ref: Ref, loss: Loss) -> None:
    """Checks that an output may be probabilities.

    Raises:
        LossError: it is logits.
    """
    end = end_of(graph.nodes, ref)
    if end.kind == "linear":
        raise LossError(
            f"output {name!r}",
            expected=f"probabilities for {loss.name}, such as a sigmoid or softmax gives",
            got=f"logits: an end without activation at {end.node.path!r}",
            cure="End the output in sigmoid or softmax; or use binary_dice_loss or dice_loss, which are on logits.",
        )


def mask_of(graph: Graph, symbol: Symbol) -> Ref | None:
    """Where in the graph the mask of an output is, if it carries one."""
    if symbol.mask is None:
        return None
    mask = symbol.mask
    for place, symbols in enumerate(graph.symbols):
        if symbols[0].call.token is mask.call.token:
            return Ref(place, mask.index)
    raise AssertionError("a mask is read by the nodes that carry it")


def open_ends(
    graph: Graph, targets: tuple[Target, ...], ends: dict[str, End], joints: tuple[Joint, ...], single: bool
) -> Objective:
    """Opens the ends one after the other; all references ride along in the graph's outputs as they move."""
    logits: dict[str, Ref] = {name: end.ref for name, end in ends.items() if end.kind == "linear"}
    places = tuple(joint.refs for joint in joints)
    for name in (n for n, e in ends.items() if e.kind != "linear"):
        refs = {t.name: {"output": t.output, "mask": t.mask} for t in targets}
        graph = dataclasses.replace(graph, outputs=(refs, logits, places))
        end = end_of(graph.nodes, refs[name]["output"])
        graph, opened = open_end(graph, end)
        refs, logits, places = graph.outputs
        logits = {**logits, name: opened}
        targets = tuple(dataclasses.replace(t, **refs[t.name]) for t in targets)
    linear = {name for name, end in ends.items() if end.kind == "linear"}
    targets = tuple(dataclasses.replace(t, logits=logits.get(t.name), linear=t.name in linear) for t in targets)
    inputs = tuple(ref.node for ref in jax.tree.leaves(graph.inputs))
    joints = tuple(dataclasses.replace(j, refs=refs) for j, refs in zip(joints, places, strict=True))
    return Objective(graph, inputs, targets, single, joints=joints)
