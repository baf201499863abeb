"""The only table from our exceptions to google.rpc statuses (AIP-193).

Every error carries an ErrorInfo whose reason a program can switch on; invalid requests name their
fields; errors that a retry may cure carry RetryInfo. Internals never leak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import status_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc import StatusCode

from keeper_grpc.domain import errors

DOMAIN = "network.keeper"

MAX_VIOLATION_BYTES = 2_048
"""Of all field violations of one error. It travels in a trailer, and a client drops the whole error where its trailers
are more than 8 KB."""

MAX_PATH, MAX_DESCRIPTION = 200, 400
"""Characters. A path may have a key in it that the caller chose."""

PUSHBACK = "grpc-retry-pushback-ms"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One broken rule of a request: the field's path and what it should be."""

    field: str
    description: str


class RequestInvalid(errors.KeeperError):
    """A request breaks the rules that its proto declares."""

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        super().__init__("the request is invalid: see the field violations")
        self.violations = violations


# The first class that an error is an instance of decides, so subclasses stand before their bases.
_TABLE: tuple[tuple[type[errors.KeeperError], StatusCode, str], ...] = (
    (RequestInvalid, StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
    (errors.ResumeTokenInvalid, StatusCode.INVALID_ARGUMENT, "RESUME_TOKEN_INVALID"),
    (errors.InvalidInput, StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
    (errors.PatternNotFound, StatusCode.NOT_FOUND, "PATTERN_NOT_FOUND"),
    (errors.ScriptNotFound, StatusCode.NOT_FOUND, "SCRIPT_NOT_FOUND"),
    (errors.EnhancementNotFound, StatusCode.NOT_FOUND, "ENHANCEMENT_NOT_FOUND"),
    (errors.CaptureNotFound, StatusCode.NOT_FOUND, "CAPTURE_NOT_FOUND"),
    (errors.AccountNotFound, StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND"),
    (errors.RequestIdReused, StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED"),
    (errors.OutcomeAlreadyReported, StatusCode.ALREADY_EXISTS, "OUTCOME_ALREADY_REPORTED"),
    (errors.NothingAdvised, StatusCode.FAILED_PRECONDITION, "NOTHING_ADVISED"),
    (errors.AlreadyDone, StatusCode.FAILED_PRECONDITION, "ALREADY_DONE"),
    (errors.AccountCategoryUnknown, StatusCode.FAILED_PRECONDITION, "ACCOUNT_CATEGORY_UNKNOWN"),
    (errors.AccountCategoryConflict, StatusCode.FAILED_PRECONDITION, "ACCOUNT_CATEGORY_CONFLICT"),
    (errors.AccountOwnerConflict, StatusCode.FAILED_PRECONDITION, "ACCOUNT_OWNER_CONFLICT"),
    (errors.AccountBeingForgotten, StatusCode.FAILED_PRECONDITION, "ACCOUNT_BEING_FORGOTTEN"),
    (errors.AccountForgotten, StatusCode.FAILED_PRECONDITION, "ACCOUNT_FORGOTTEN"),
    (errors.SubscriberTooSlow, StatusCode.RESOURCE_EXHAUSTED, "SUBSCRIBER_TOO_SLOW"),
    (errors.CredentialsMissing, StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING"),
    (errors.TokenExpired, StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED"),
    (errors.TokenInvalid, StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"),
    (errors.CertificateUnknown, StatusCode.UNAUTHENTICATED, "CERTIFICATE_UNKNOWN"),
    (errors.RoleMissing, StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"),
    (errors.AccountNotAllowed, StatusCode.PERMISSION_DENIED, "ACCOUNT_NOT_ALLOWED"),
    (errors.KeysUnavailable, StatusCode.UNAVAILABLE, "KEYS_UNAVAILABLE"),
    (errors.RateExceeded, StatusCode.RESOURCE_EXHAUSTED, "IDENTITY_RATE_EXCEEDED"),
    (errors.ConcurrencyExceeded, StatusCode.RESOURCE_EXHAUSTED, "IDENTITY_CONCURRENCY_EXCEEDED"),
    (errors.EmbedderUnavailable, StatusCode.UNAVAILABLE, "EMBEDDER_UNAVAILABLE"),
    (errors.StorageUnavailable, StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE"),
    (errors.TooBusy, StatusCode.RESOURCE_EXHAUSTED, "TOO_BUSY"),
    (errors.ShuttingDown, StatusCode.UNAVAILABLE, "SHUTTING_DOWN"),
    (errors.StreamMaxAge, StatusCode.UNAVAILABLE, "STREAM_MAX_AGE"),
)


def code_of(status: status_pb2.Status) -> StatusCode:
    """The gRPC code of a status."""
    return next(code for code in StatusCode if code.value[0] == status.code)


def to_status(error: errors.KeeperError) -> status_pb2.Status:
    """The status that a caller sees. An error that the table does not know is a defect of ours."""
    for kind, code, reason in _TABLE:
        if isinstance(error, kind):
            return _status(code, str(error), reason, _details(error))
    return internal()


def internal() -> status_pb2.Status:
    """The caller's view of a defect: INTERNAL without details. The log has them, by request id."""
    return _status(StatusCode.INTERNAL, "internal error; see the server log", "INTERNAL", [])


def deadline_exceeded() -> status_pb2.Status:
    """The server's own limit on a call's duration was reached."""
    return _status(
        StatusCode.DEADLINE_EXCEEDED, "the call took too long", "CALL_DURATION_EXCEEDED", []
    )


def trailing_metadata(status: status_pb2.Status) -> tuple[tuple[str, str | bytes], ...]:
    """The status as the metadata in which gRPC's rich error model carries it, and RetryInfo's delay as those in which
    gRPC's own retries (gRFC A6) look for it.
    """
    packed: tuple[str, str | bytes] = ("grpc-status-details-bin", status.SerializeToString())
    retry = RetryInfo()
    for detail in status.details:
        if detail.Unpack(retry):
            return packed, (PUSHBACK, str(retry.retry_delay.ToMilliseconds()))
    return (packed,)


async def abort(
    context: grpc.aio.ServicerContext[Message, Message], status: status_pb2.Status
) -> None:
    """End the call with a status, beside the trailing metadata that it has; always raises."""
    await context.abort(
        code_of(status),
        status.message,
        trailing_metadata=(*context.trailing_metadata(), *trailing_metadata(status)),
    )


def _details(error: errors.KeeperError) -> list[Message]:
    match error:
        case RequestInvalid():
            return [_bad_request(error.violations)]
        case errors.InvalidInput():
            return [_bad_request([FieldViolation(error.field, str(error))])]
        case errors.Unavailable():
            delay = Duration()
            delay.FromMilliseconds(int(error.retry_after * 1000))
            return [RetryInfo(retry_delay=delay)]
        case _:
            return []


def _bad_request(violations: Sequence[FieldViolation]) -> BadRequest:
    told = BadRequest()
    left = MAX_VIOLATION_BYTES
    for number, violation in enumerate(violations):
        one = BadRequest.FieldViolation(
            field=violation.field[:MAX_PATH], description=violation.description[:MAX_DESCRIPTION]
        )
        left -= one.ByteSize()
        if left < 0 and number:
            told.field_violations.add(description=f"and {len(violations) - number} more violations")
            break
        told.field_violations.append(one)
    return told


def _status(
    code: StatusCode, message: str, reason: str, details: Sequence[Message]
) -> status_pb2.Status:
    packed = []
    for detail in [ErrorInfo(reason=reason, domain=DOMAIN), *details]:
        item = Any()
        item.Pack(detail)
        packed.append(item)
    return status_pb2.Status(code=code.value[0], message=message, details=packed)
