"""What is said in event files, read back as TensorBoard's messages."""

from typing import Any

import pytest
from tensorboardX.proto import event_pb2, graph_pb2, plugin_hparams_pb2

from jgraph.ops.distribution import Distribution
from jgraph.storage import messages as m

KIND: Any = event_pb2
GRAPH: Any = graph_pb2
HPARAMS: Any = plugin_hparams_pb2


def event(record: m.Record) -> Any:
    data = m.message(record)
    assert m.step_of(data) == record.step
    return KIND.Event.FromString(data)


def test_a_histogram_has_the_upper_ends_of_its_bins() -> None:
    found = Distribution(0.0, 4.0, 7.0, 21.0, (2, 0, 1, 1))
    (value,) = event(m.Histograms(3, {"params/a": found})).summary.value
    assert (value.tag, value.histo.num, value.histo.sum, value.histo.sum_squares) == ("params/a", 4, 7, 21)
    assert list(value.histo.bucket_limit) == [1, 2, 3, 4]
    assert list(value.histo.bucket) == [2, 0, 1, 1]


def test_equal_numbers_are_one_bin_and_none_are_no_histogram() -> None:
    same, none = Distribution(2.0, 2.0, 6.0, 12.0, (3, 0, 0)), Distribution(0.0, 0.0, 0.0, 0.0, (0, 0, 0), nan=5)
    (value,) = event(m.Histograms(3, {"same": same, "none": none})).summary.value
    assert (list(value.histo.bucket_limit), list(value.histo.bucket)) == ([2.0], [3.0])


def test_a_picture_has_its_size_and_caption() -> None:
    (value,) = event(m.Images(0, {"inputs": m.Picture(b"png", 4, 6, "digits")})).summary.value
    assert (value.image.height, value.image.width, value.image.encoded_image_string) == (4, 6, b"png")
    assert value.metadata.summary_description == "digits"


def test_a_text_is_one_of_the_text_plugin() -> None:
    (value,) = event(m.Texts(0, {"summary": "größe"})).summary.value
    assert value.metadata.plugin_data.plugin_name == "text"
    assert list(value.tensor.string_val) == ["größe".encode()]


def test_hyperparameters_keep_their_kinds() -> None:
    (value,) = event(m.SessionStart(0, {"units": 64, "rate": 0.5, "name": "a", "bias": True})).summary.value
    assert value.tag == "_hparams_/session_start_info"
    content = HPARAMS.HParamsPluginData.FromString(value.metadata.plugin_data.content)
    kinds = {name: v.WhichOneof("kind") for name, v in content.session_start_info.hparams.items()}
    assert kinds == {"units": "number_value", "rate": "number_value", "name": "string_value", "bias": "bool_value"}
    assert content.session_start_info.hparams["rate"].number_value == 0.5


@pytest.mark.parametrize(("status", "number"), [("success", 1), ("failure", 2)])
def test_an_end_says_how(status: str, number: int) -> None:
    (value,) = event(m.SessionEnd(9, status)).summary.value
    content = HPARAMS.HParamsPluginData.FromString(value.metadata.plugin_data.content)
    assert (value.tag, content.session_end_info.status) == ("_hparams_/session_end_info", number)


def test_a_graph_has_its_nodes_with_shapes_and_facts() -> None:
    node = m.GraphNode("a/b", "Dense", ("x", "y:1"), ((-1, 3),), {"parameters": 12, "layer": "Dense(3)"})
    (found,) = GRAPH.GraphDef.FromString(event(m.Graph(0, (node,))).graph_def).node
    assert (found.name, found.op, list(found.input)) == ("a/b", "Dense", ["x", "y:1"])
    assert [d.size for d in found.attr["_output_shapes"].list.shape[0].dim] == [-1, 3]
    assert (found.attr["parameters"].i, found.attr["layer"].s) == (12, b"Dense(3)")
