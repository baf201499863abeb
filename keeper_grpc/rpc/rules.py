"""Validates messages and puts their ids into one form; the only place that does.

Most rules are declared in the protos. What makes two ids one cannot be declared there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import protovalidate
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from keeper_grpc.domain.accounts.account_id import AccountIdUnfit, canonical_account_id
from keeper_grpc.rpc.status import FieldViolation, RequestInvalid

if TYPE_CHECKING:
    from protovalidate import FieldPathPb

_CANONICAL: Mapping[str, Callable[[str], str]] = {
    "account_id": canonical_account_id,
    "owner_id": canonical_account_id,
    # A UUID may be written in capitals (RFC 9562); a retry may write it otherwise than the first call.
    "request_id": str.lower,
    "capture_request_id": str.lower,
    "enhancement_id": str.lower,
}
"""The one form of an id, by the name of its field, in whatever request it stands."""


class Rules:
    """Validates messages against the rules of their protos."""

    def __init__(self, warm_up: Iterable[Message]) -> None:
        """`warm_up`: one message of each type. Compiling its rules costs 5 to 10 ms once a process."""
        self._validator = _validator()
        for message in warm_up:
            self._validator.collect_violations(message)

    def check(self, message: Message, within: str = "") -> None:
        """Raise RequestInvalid, naming every field that breaks a rule; else put ids into one form.

        The ids change in `message` itself, so that everything after this reads the same account, and a
        retry that writes an id otherwise has the same fingerprint. The prefix `within` is removed from
        paths, so that the fields of a request in an envelope are named as if it had come alone.
        """
        violations = [
            FieldViolation(_path(violation.proto.field), violation.proto.message)
            for violation in self._validator.collect_violations(message)
        ]
        refused = {violation.field for violation in violations}
        for path in _id_fields(message.DESCRIPTOR):
            dotted = ".".join(path)
            if dotted in refused:
                continue
            try:
                _make_canonical(message, path)
            except AccountIdUnfit as error:
                violations.append(FieldViolation(dotted, str(error)))
        if violations:
            raise RequestInvalid(
                [
                    FieldViolation(violation.field.removeprefix(within), violation.description)
                    for violation in violations
                ]
            )


@functools.cache
def _validator() -> protovalidate.Validator:
    """The one of this process: it keeps the rules of each message that it has compiled."""
    return protovalidate.Validator()


@functools.cache
def _id_fields(message: Descriptor) -> tuple[tuple[str, ...], ...]:
    """The paths of the ids of a message and of the messages of ours in it."""
    found: list[tuple[str, ...]] = [
        (field.name,) for field in message.fields if field.name in _CANONICAL
    ]
    for field in message.fields:
        within = field.message_type
        if within is not None and within.file.package == message.file.package:
            found += [(field.name, *path) for path in _id_fields(within)]
    return tuple(found)


def _make_canonical(message: Message, path: tuple[str, ...]) -> None:
    *parents, name = path
    for parent in parents:
        if not message.HasField(parent):
            return
        message = getattr(message, parent)
    value = getattr(message, name)
    canonical = _CANONICAL[name](value) if value else value
    # Setting a field of a oneof would choose it.
    if canonical != value:
        setattr(message, name, canonical)


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
