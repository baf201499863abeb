"""Validates messages against the rules that their protos declare; the only place that does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import protovalidate
from google.protobuf.message import Message

from keeper_grpc.rpc.status import FieldViolation, RequestInvalid

if TYPE_CHECKING:
    from protovalidate import FieldPathPb


class Rules:
    """Validates messages against the rules of their protos."""

    def __init__(self, warm_up: Iterable[Message]) -> None:
        """`warm_up`: one message of each type. Compiling its rules costs 5 to 10 ms once."""
        self._validator = protovalidate.Validator()
        for message in warm_up:
            self._validator.collect_violations(message)

    def check(self, message: Message, within: str = "") -> None:
        """Raise RequestInvalid, naming every field that breaks a rule.

        The prefix `within` is removed from paths, so that the fields of a request in an envelope are
        named as if it had come alone.
        """
        violations = self._validator.collect_violations(message)
        if violations:
            raise RequestInvalid(
                [
                    FieldViolation(
                        _path(violation.proto.field).removeprefix(within), violation.proto.message
                    )
                    for violation in violations
                ]
            )


def _path(path: FieldPathPb | None) -> str:
    """A field path as AIP-193 writes it: `insight.action`, `identifiers.customer_names[2]`."""
    if path is None:
        return ""
    parts: list[str] = []
    for element in path.elements:
        subscript = element.subscript
        index = "" if subscript is None else f"[{subscript.value}]"
        parts.append(f"{element.field_name}{index}")
    return ".".join(parts)
