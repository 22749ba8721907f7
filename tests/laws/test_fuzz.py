"""Anything as an argument of anything public that makes something: an error of jgraph, or an object that works.

`scripts/fuzz.py` does so with more calls.
"""

from typing import Any

from hypothesis import given, settings

from tests.laws.audit.fuzz import calls, outcome


@settings(max_examples=600, deadline=None, derandomize=True, database=None)
@given(calls())
def test_whatever_is_given_is_refused_or_works(call: tuple[str, dict[str, Any]]) -> None:
    assert outcome(*call) in ("refused", "made", "misfit", "drawn")
