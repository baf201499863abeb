from __future__ import annotations

from collections.abc import Mapping

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct, Value
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.errors import InvalidInput
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.rpc.convert.fields import MAX_CONDITIONS_DEPTH, json_object

plain = st.text(st.characters(exclude_categories=["C"]), max_size=8)
values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | plain | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=6,
)


def struct(given_values: Mapping[str, JsonValue]) -> Struct:
    """The object as a message."""
    message = Struct()
    message.update(dict(given_values))
    return message


@given(st.dictionaries(plain, values, max_size=4))
def test_an_object_is_read_as_protobuf_reads_it(given_values: dict[str, JsonValue]) -> None:
    """All kinds of values, nested; an object that is deeper than any engine sends is refused."""
    message = struct(given_values)
    try:
        found = json_object(message, "conditions")
    except InvalidInput as error:
        assert "nested" in str(error)  # noqa: PT017 - the other outcome is below
    else:
        assert found == MessageToDict(message)


def test_a_value_of_no_kind_is_null() -> None:
    """A client may leave it out; JSON has null for it."""
    message = Struct()
    message.fields["empty"].CopyFrom(Value())
    assert json_object(message, "conditions") == {"empty": None}


@pytest.mark.parametrize(
    ("given_values", "reason"),
    [
        ({"a": float("inf")}, "finite"),
        ({"a": [{"b": float("nan")}]}, "finite"),
        ({"a": "tab\x00"}, "control"),
        ({"a\x07": 1}, "control"),
        ({"a": {"b\x07": 1}}, "control"),
    ],
)
def test_what_a_database_cannot_hold_is_refused(
    given_values: dict[str, JsonValue], reason: str
) -> None:
    """Anywhere in the object, with the field's name."""
    with pytest.raises(InvalidInput, match=reason):
        json_object(struct(given_values), "conditions")


@pytest.mark.parametrize("depth", [MAX_CONDITIONS_DEPTH, MAX_CONDITIONS_DEPTH + 1])
def test_nesting_is_bounded(depth: int) -> None:
    """As many levels as may be, and one more."""
    value: JsonValue = 1
    for _ in range(depth - 1):
        value = [value]
    message = struct({"a": value})
    if depth <= MAX_CONDITIONS_DEPTH:
        assert json_object(message, "conditions") == MessageToDict(message)
    else:
        with pytest.raises(InvalidInput, match="nested"):
            json_object(message, "conditions")
