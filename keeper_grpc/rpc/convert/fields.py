"""Fields that messages of every kind have: times, texts, JSON objects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
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
    try:
        values: dict[str, JsonValue] = MessageToDict(message) if message.fields else {}
    except ValueError as error:  # JSON has no NaN and no infinity
        raise InvalidInput(field, "numbers must be finite") from error
    for key, value in values.items():
        _check_value(key, field)
        _check_value(value, field, MAX_CONDITIONS_DEPTH)
    return values


def optional_time(message: Timestamp, field: str, *, given: bool) -> datetime | None:
    """Read a timestamp that may be left out."""
    return read_time(message, field) if given else None


def _check_value(value: JsonValue, field: str, depth: int = 1) -> None:
    """Refuse control characters, which a database cannot hold, and deep nesting."""
    if depth < 1:
        raise InvalidInput(field, f"nested deeper than {MAX_CONDITIONS_DEPTH} levels")
    match value:
        case str():
            read_text(value, field)
        case list():
            for item in value:
                _check_value(item, field, depth - 1)
        case dict():
            for key, item in value.items():
                read_text(key, field)
                _check_value(item, field, depth - 1)


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
