"""What stands in the place of a request that is no message of its type."""

from __future__ import annotations

from dataclasses import dataclass

from keeper_grpc.rpc.status import FieldViolation

NOT_A_MESSAGE = FieldViolation(
    "", "the bytes are no message of this request's type, or a string in it is not UTF-8"
)
"""A violation of the whole request: the parser does not say which field it is."""

NO_MESSAGE = FieldViolation("", "the call brought no message, or only a part of one")

MAX_REQUEST_BYTES = 256 * 1024
"""Bytes. The largest valid request, with every bounded field full, is below 150 KB."""

MAX_RECEIVED_BYTES = 4 * MAX_REQUEST_BYTES
"""What gRPC itself lets in. Beyond, it ends the call, and a stream with all its questions, without a reason of ours."""

TOO_LARGE = FieldViolation("", f"more than {MAX_REQUEST_BYTES} bytes")
"""It is not parsed: that would take memory and time of other calls."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """In the place of a request that is too large, whose bytes are damaged, or hold a string that is not UTF-8.

    Such a string is a surrogate, for example, of a client that does not check what it sends. `violation` is what is
    wrong with the request.
    """

    violation: FieldViolation = NOT_A_MESSAGE
