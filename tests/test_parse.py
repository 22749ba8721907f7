"""JSON that anyone may have written."""

import json

import pytest

from jgraph.parse import parse


@pytest.mark.parametrize("text", ["{}", "[1, 2.5, null, true]", '{"a": {"b": [{"a": "b"}]}}', '"text"', "-Infinity"])
def test_what_is_json_is_read(text: str) -> None:
    assert parse(text) == json.loads(text)


@pytest.mark.parametrize("text", ["", "{", "[1,]", '{"a": 1} 2', "{'a': 1}"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"line 1 column \d"):
        parse(text)


def test_an_object_says_one_thing_of_a_key() -> None:
    with pytest.raises(ValueError, match="the key 'b' stands twice"):
        parse('[{"a": {"b": 1, "c": 2, "b": 1}}]')
    assert parse('[{"b": 1}, {"b": 1}]') == [{"b": 1}] * 2


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 100_000])
def test_what_nests_too_deep_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nests too deep"):
        parse(text)


def test_a_number_with_too_many_digits_is_refused() -> None:
    with pytest.raises(ValueError, match="digits"):
        parse("9" * 100_000)
