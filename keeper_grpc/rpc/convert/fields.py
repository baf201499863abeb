"""Fields that messages of every kind have: times, texts, JSON objects."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from keeper_grpc.domain.errors import InvalidInput
from keeper_grpc.domain.insight import JsonValue

MAX_CONDITIONS_BYTES = 16 * 1024
"""Bounds the anonymizer's work. The proto's rules bound the number of keys."""

MAX_CONDITIONS_DEPTH = 8
"""Most levels of nesting in a request; protobuf itself allows a hundred. Facts are flat or nearly so, and
privacy/layers/structured.py shares fewer levels."""

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No outcome is older than this: before it, a timestamp is a unit mistake (0, or milliseconds)."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def json_object(message: Struct, field: str) -> Mapping[str, JsonValue]:
    """Read a JSON object. Raises InvalidInput for one that is too large or too deep, or has infinite numbers."""
    if message.ByteSize() > MAX_CONDITIONS_BYTES:
        raise InvalidInput(field, f"at most {MAX_CONDITIONS_BYTES} bytes")
    return _object(message, field, MAX_CONDITIONS_DEPTH)


def optional_time(message: Timestamp, field: str, *, given: bool) -> datetime | None:
    """Read a timestamp that may be left out."""
    return read_time(message, field) if given else None


def _object(message: Struct, field: str, depth: int) -> dict[str, JsonValue]:
    return {
        read_text(key, field): _value(value, field, depth) for key, value in message.fields.items()
    }


def _value(message: Value, field: str, depth: int) -> JsonValue:
    """Read a value. protobuf's own reader of JSON takes several times as long, and every question has conditions.

    Refuses control characters, which a database cannot hold, infinite numbers, which JSON does not have, and deep nesting.
    """
    if depth < 1:
        raise InvalidInput(field, f"nested deeper than {MAX_CONDITIONS_DEPTH} levels")
    match message.WhichOneof("kind"):
        case "string_value":
            return read_text(message.string_value, field)
        case "number_value":
            if not math.isfinite(message.number_value):
                raise InvalidInput(field, "numbers must be finite")
            return message.number_value
        case "bool_value":
            return message.bool_value
        case "list_value":
            return [_value(each, field, depth - 1) for each in message.list_value.values]
        case "struct_value":
            return _object(message.struct_value, field, depth - 1)
        case _:
            return None


def read_text(value: str, field: str) -> str:
    """Read a text. Raises InvalidInput for control characters, which a database cannot hold."""
    if _CONTROL.search(value):
        raise InvalidInput(field, "must not contain control characters")
    return value


def read_time(message: Timestamp, field: str) -> datetime:
    """Read a timestamp. Raises InvalidInput for an invalid one, or one before the year 2000."""
    try:
        time = message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(field, "not a valid timestamp") from error
    if time < _EARLIEST:
        raise InvalidInput(field, "before the year 2000: seconds since 1970 are expected")
    return time


def write_time(time: datetime) -> Timestamp:
    """Write a time."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def write_struct(values: Mapping[str, JsonValue]) -> Struct:
    """Write a JSON object."""
    message = Struct()
    message.update(dict(values))
    return message
