"""Messages made by walking their descriptors: plausible ones, improbable ones, and damaged bytes.

A plausible value passes the rules of its field, so that a message with few improbable ones gets beyond validation.
"""

from __future__ import annotations

import dataclasses
import json
import math
import uuid
from collections.abc import Sequence
from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import EncodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

WILDNESS = (0.0, 0.0, 0.02, 0.1, 0.5)
"""How often a value is improbable, of one message each."""

ACCOUNTS = 12
"""Of an era."""

MANY = 300
"""Elements of a repeated field that is to have too many."""

SELDOM = frozenset({"keeper.network.v1.CapturePatternRequest.enhancement_id"})
"""Fields that a message mostly does without, because hardly one that is made up passes."""

DEEPEST = 3
"""Messages in messages that are filled. None of ours contains itself."""

_TEXTS = (
    *("", " ", "\x00", "\x07bell", "\u202eright to left", "a\u0301" * 40, "\U0001f9d6" * 50),
    *(
        "x" * 129,
        "y" * 2_001,
        "z" * 20_000,
        "%s%n%d",
        "{0.__class__}",
        "'; DROP TABLE accounts; --",
    ),
    *(
        "\ufeffmark",
        "\ud7ff\ue000",
        "\u2028line",
        "NaN",
        "null",
        "-1",
        "../../etc/passwd",
        "İstanbul",
    ),
    *(
        "Anna Müller, anna@example.org, +1 512 555 0134",
        "4111 1111 1111 1111",
        "\n" * 200,
        "a" * 64,
    ),
)
_FLOATS = (math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, -0.0, 2.0, -1.0)
_SECONDS = (0, -1, 1, 2**31, -(2**31), 253_402_300_799, 253_402_300_800, -62_135_596_801, 2**63 - 1)
_NANOS = (0, 1, -1, 999_999_999, 1_000_000_000, -(2**31), 2**31 - 1)

_WORDS: dict[str, tuple[str, ...]] = {
    "owner_id": ("fuzz-owner-1", "fuzz-owner-2"),
    "business_category": ("spa",) * 15 + ("salon",),
    "type": ("churn_prevention", "no_show", "referral"),
    "pattern_type": ("churn_prevention", "no_show", "referral"),
    "action": ("Offer a warm towel", "Offer tea and a candle", "Call the guest on Monday"),
    "script": ("Hi {customer_name}, we miss you.", ""),
    "correlation_id": ("one", "two", "three"),
}
_PAIRS: dict[str, Any] = {
    "days_since_visit": 60,
    "rating": 2,
    "visits": 3,
    "weekday": "monday",
    "is_member": True,
}
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_LOW_BITS = 0x7F


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What the server has answered with: patterns, and each enhancement with the account that it was given to."""

    patterns: list[str] = dataclasses.field(default_factory=list)
    enhancements: list[tuple[str, str]] = dataclasses.field(default_factory=list)


class Messages:
    """Makes the requests of one call, all from its own source of chance."""

    def __init__(self, rng: Random, known: Known, era: int) -> None:
        """Each era has accounts of its own: sooner or later every account is forgotten."""
        self._rng = rng
        self._known = known
        self._era = era

    def request(self, kind: Descriptor) -> bytes:
        """The bytes of one request: a message, a damaged one, or none at all."""
        rng = self._rng
        if self._likely(0.15):
            return rng.randbytes(rng.choice((0, 1, 2, 16, 200, 5_000)))
        try:
            whole = self.message(kind, rng.choice(WILDNESS)).SerializeToString()
        except EncodeError:  # a Struct deeper than protobuf itself writes
            whole = b""
        if self._likely(0.3):
            return self.damaged(whole)
        if self._likely(0.03):
            return nested(rng.choice((20, 99, 101, 3_000))) + whole
        return whole

    def message(self, kind: Descriptor, wildness: float, depth: int = 0) -> Message:
        """A message of this type, of which about so many values are improbable."""
        made: Any = GetMessageClass(kind)()
        rng = self._rng
        chosen = {oneof.name: rng.choice(oneof.fields).name for oneof in kind.oneofs}
        for field in kind.fields:
            oneof = field.containing_oneof
            if oneof is not None and chosen[oneof.name] != field.name:
                continue
            if field.full_name in SELDOM and self._likely(0.7):
                continue
            wild = self._likely(wildness)
            if (wild and self._likely(0.3)) or (field.is_repeated and self._likely(0.5)):
                continue
            if field.is_repeated:
                count = MANY if wild and self._likely(0.2) else rng.randint(1, 2)
                self._repeat(made, field, count, wildness, depth)
            elif field.message_type is not None:
                self._fill(getattr(made, field.name), wild, wildness, depth)
            else:
                setattr(made, field.name, self._value(field, wild=wild))
        self._name_an_enhancement(made)
        return made  # type: ignore[no-any-return]  # classes from descriptors are Any

    def _name_an_enhancement(self, made: Any) -> None:
        """Mostly one that there is, by the account that it was given to."""
        known = self._known.enhancements
        names = made.DESCRIPTOR.fields_by_name
        if "account_id" not in names or "enhancement_id" not in names or not made.enhancement_id:
            return
        if known and self._likely(0.7):
            made.account_id, made.enhancement_id = self._rng.choice(known)

    def damaged(self, whole: bytes) -> bytes:
        """The bytes with something wrong in them, which may by chance still be a message."""
        rng = self._rng
        changed = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 8))):
            at = rng.randrange(len(changed) + 1)
            match rng.randrange(6):
                case 0 if changed:
                    changed[at % len(changed)] ^= 1 << rng.randrange(8)
                case 1:
                    del changed[at:]
                case 2:
                    changed[at:at] = rng.randbytes(rng.randint(1, 9))
                case 3:
                    changed[at:at] = changed[at : at + rng.randint(1, 60)]
                case 4:
                    changed[at:at] = b"\xed\xa0\x80"  # a surrogate, which is not UTF-8
                case _:
                    del changed[at : at + rng.randint(1, 9)]
        return bytes(changed)

    def _repeat(
        self, made: Any, field: FieldDescriptor, count: int, wildness: float, depth: int
    ) -> None:
        values = getattr(made, field.name)
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            return  # the maps of our requests are those of Struct, which `_fill` writes
        for _ in range(count):
            if kind is None:
                values.append(self._value(field, wild=self._likely(wildness)))
            else:
                self._fill(values.add(), self._likely(wildness), wildness, depth)

    def _fill(self, into: Any, wild: bool, wildness: float, depth: int) -> None:
        rng = self._rng
        match into:
            case Struct():
                into.SetInParent()
                for key in rng.sample(sorted(_PAIRS), rng.randint(0, 3)):
                    into[key] = _PAIRS[key]
                if wild:
                    into[rng.choice(_TEXTS)] = rng.choice((*_FLOATS, *_TEXTS, None, _deep(rng)))
            case Timestamp() | Duration():
                into.seconds = rng.choice(_SECONDS) if wild else 1_790_000_000
                into.nanos = rng.choice(_NANOS) if wild else 0
                if isinstance(into, Duration) and not wild:
                    into.seconds = 86_400 * rng.randint(1, 30)
            case _ if depth < DEEPEST and into.DESCRIPTOR.full_name != "google.protobuf.Any":
                into.SetInParent()
                into.MergeFrom(self.message(into.DESCRIPTOR, wildness, depth + 1))

    def _value(self, field: FieldDescriptor, *, wild: bool) -> Any:
        rng = self._rng
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                values: Sequence[Any] = (rng.randbytes(rng.randint(0, 40)),)
            case FieldDescriptor.CPPTYPE_STRING:
                values = _TEXTS if wild else (self._word(field.name),)
            case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
                values = _FLOATS if wild else (round(rng.random(), 3),)
            case FieldDescriptor.CPPTYPE_BOOL:
                values = (True, False)
            case FieldDescriptor.CPPTYPE_ENUM:
                known = field.enum_type.values_by_number if field.enum_type else ()
                values = (-1, 99, 2**31 - 1) if wild else tuple(known)
            case kind if wild:
                least, most = _INTEGERS[kind]
                values = (0, least, most)
            case _:
                values = range(1, 6)
        return rng.choice(values)

    def _likely(self, share: float) -> bool:
        return self._rng.random() < share

    def _word(self, name: str) -> str:
        rng = self._rng
        if name == "pattern_id" and self._known.patterns and self._likely(0.7):
            return rng.choice(self._known.patterns)
        if name == "account_id":
            return f"fuzz-{self._era}-{rng.randrange(ACCOUNTS)}"
        if name in _WORDS:
            return rng.choice(_WORDS[name])
        if name.endswith(("request_id", "enhancement_id", "pattern_id")):
            # A small range, so that ids are used again, also with another body.
            return str(uuid.UUID(int=rng.randrange(2_000)))
        return "" if name.endswith("token") else "Anna Miller"


def nested(depth: int) -> bytes:
    """Bytes of an unknown field that contains itself so often: a parser without a bound would overflow."""
    inner = b""
    for _ in range(depth):
        inner = b"\xfa\x07" + _varint(len(inner)) + inner
    return inner


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > _LOW_BITS:
        out.append(number & _LOW_BITS | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _deep(rng: Random) -> Any:
    depth = rng.choice((3, 9, 30))
    return json.loads("[" * depth + "1" + "]" * depth)
