"""Messages of the API as JSON, with the proto's field names.

Withheld and unknown numbers are absent, never 0. 64-bit integers are strings, as in protobuf's JSON
mapping.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetNetworkMetricsResponse,
    GetPatternResponse,
)
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern


def document(content: dict[str, Any]) -> str:
    """One message, indented."""
    return json.dumps(content, indent=2)


def line(content: dict[str, Any]) -> str:
    """One message of many, on one line."""
    return json.dumps(content)


def message_json(message: Message) -> dict[str, Any]:
    """A message with every number in it, zeros included."""
    content: dict[str, Any] = MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    return content


def report_json(report: GetNetworkMetricsResponse) -> dict[str, Any]:
    """A report; a withheld one has only its times."""
    if not report.withheld:
        return message_json(report)
    content: dict[str, Any] = MessageToDict(report, preserving_proto_field_name=True)
    return content


def pattern_json(pattern: Pattern) -> dict[str, Any]:
    """A pattern, without evidence while too few accounts support it."""
    content = message_json(pattern)
    if not pattern.evidence.account_count:
        content.pop("evidence", None)
    return content


def history_json(answer: GetPatternResponse) -> dict[str, Any]:
    """A pattern with its scripts and its history."""
    return message_json(answer) | {"pattern": pattern_json(answer.pattern)}
