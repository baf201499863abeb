"""Every field of every request that may hold text, found by descriptor, and what becomes of its text.

A new field fails `tests/unit/rpc/test_text_fields.py` until it stands here; `test_canaries.py` fills each with canaries.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2, network_service_pb2
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Identifiers

Path: TypeAlias = tuple[str, ...]
"""The names of the fields down to one."""


class Becomes(StrEnum):
    """What becomes of a field's text."""

    REFUSED = "is refused unless it is a UUID or a token that this service wrote"
    KEYED = "is stored as a keyed hash"
    LABEL = "is stored as it is if its words are everyday ones, else as `other`"
    MASKED = "goes through the anonymizer before anything else"
    SCRUBBED = "is taken out of the texts and stored nowhere"
    RETURNED = "is returned to its caller and stored nowhere"
    COMPARED = "is compared with what is shown, or evaluated, and stored nowhere"


RULES: Final = {
    "account_id": Becomes.KEYED,
    "owner_id": Becomes.KEYED,
    "request_id": Becomes.REFUSED,
    "enhancement_id": Becomes.REFUSED,
    "capture_request_id": Becomes.REFUSED,
    "pattern_id": Becomes.REFUSED,
    "page_token": Becomes.REFUSED,
    "resume_token": Becomes.REFUSED,
    "insight.insight_id": Becomes.RETURNED,
    "correlation_id": Becomes.RETURNED,
    "insight.type": Becomes.LABEL,
    "insight.business_category": Becomes.LABEL,
    "insight.conditions": Becomes.MASKED,
    "insight.action": Becomes.MASKED,
    "insight.script": Becomes.MASKED,
    "identifiers.customer_names": Becomes.SCRUBBED,
    "identifiers.customer_emails": Becomes.SCRUBBED,
    "identifiers.customer_phones": Becomes.SCRUBBED,
    "identifiers.business_names": Becomes.SCRUBBED,
    "identifiers.employee_names": Becomes.SCRUBBED,
    "identifiers.addresses": Becomes.SCRUBBED,
    "RegisterAccountRequest.business_category": Becomes.LABEL,
    "UpdateAccountRequest.business_category": Becomes.LABEL,
    "SuggestMovesRequest.business_category": Becomes.LABEL,
    "StreamMovesRequest.business_category": Becomes.LABEL,
    "SuggestMovesRequest.facts": Becomes.COMPARED,
    "StreamMovesRequest.facts": Becomes.COMPARED,
    "WithdrawScriptRequest.script": Becomes.COMPARED,
    "StreamEmergingPatternsRequest.pattern_type": Becomes.COMPARED,
    "StreamEmergingPatternsRequest.business_category": Becomes.COMPARED,
    "GetNetworkMetricsRequest.business_category": Becomes.COMPARED,
    "StreamNetworkMetricsRequest.business_category": Becomes.COMPARED,
    "ListPatternsRequest.pattern_type": Becomes.COMPARED,
    "ListPatternsRequest.business_category": Becomes.COMPARED,
    "ListPatternsRequest.search": Becomes.COMPARED,
}
"""By the end of the field's path, which begins with the request's name."""


def methods() -> Iterator[MethodDescriptor]:
    """Every method of both services."""
    for file in (network_service_pb2.DESCRIPTOR, admin_service_pb2.DESCRIPTOR):
        for service in file.services_by_name.values():
            yield from service.methods


def text_fields(message: Descriptor, path: Path = ()) -> Iterator[Path]:
    """The fields that may hold text, of a message and of those in it."""
    for field in message.fields:
        here = (*path, field.name)
        inner = field.message_type
        if field.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}:
            yield here
        elif inner is None:
            continue
        elif inner.full_name == "google.protobuf.Struct" or inner.GetOptions().map_entry:
            yield here
        elif inner.file.package == message.file.package:
            yield from text_fields(inner, here)


def rule(request: str, path: Path) -> Becomes | None:
    """What becomes of this field's text; None where nothing says so."""
    for length in range(len(path) + 1, 0, -1):
        found = RULES.get(".".join((request, *path)[-length:]))
        if found is not None:
            return found
    return None


def filled(
    method: MethodDescriptor, text: str, label: str, declared: Identifiers, odd: Path | None = None
) -> Message:
    """A request of this method with the text in every field, or where it must have a form, with `label` or a UUID.

    It declares the identifiers that the text holds. `odd` gets the text whatever its form.
    """
    request = GetMessageClass(method.input_type)()
    _fill_rest(request)
    for path in text_fields(method.input_type):
        *parents, name = path
        at: Any = request
        for parent in parents:
            at = getattr(at, parent)
        field = at.DESCRIPTOR.fields_by_name[name]
        becomes = rule(method.input_type.name, path)
        labelled = becomes is Becomes.LABEL or name in {"pattern_type", "business_category"}
        token = name.endswith("_token")
        if path == odd:
            value = text
        elif becomes is Becomes.SCRUBBED:
            getattr(at, name).extend(getattr(declared, name))
            continue
        elif labelled:
            value = label
        elif becomes is Becomes.REFUSED:
            value = "" if token else str(uuid.uuid4())
        else:
            value = text if becomes in {Becomes.MASKED, Becomes.COMPARED} else text[:40]
        if field.message_type is not None:
            at_field = getattr(at, name)
            at_field.update({"service": value, value[:40]: 1, "notes": [value]})
        elif isinstance(getattr(at, name), str):
            # The last field of a oneof takes the place of those before.
            setattr(at, name, value[:200] if name == "search" and path != odd else value)
        else:
            getattr(at, name).append(value)
    return request


def _fill_rest(message: Message) -> None:
    """Sets what rules of other kinds require: an outcome, a reaction."""
    for field in message.DESCRIPTOR.fields:
        if field.enum_type is not None and not field.is_repeated:
            setattr(message, field.name, field.enum_type.values[-1].number)
        elif field.message_type is not None and field.containing_oneof is None:
            ours = field.message_type.file.package == message.DESCRIPTOR.file.package
            if ours and not field.is_repeated:
                getattr(message, field.name).SetInParent()


def unreturned(message: Message) -> str:
    """An answer as text, less what is the caller's own and only returned to it."""
    copy = type(message)()
    copy.CopyFrom(message)
    _clear_returned(copy)
    return str(copy)


def _clear_returned(message: Message) -> None:
    for field, value in message.ListFields():
        if field.name in {"insight_id", "correlation_id"}:
            message.ClearField(field.name)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for each in value if field.is_repeated else [value]:
                _clear_returned(each)
