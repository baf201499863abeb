"""The errors of the client, by what a caller can do about them.

    KeeperClientError          code, reason, message
     +- InvalidRequest         the request breaks a rule: field_violations say which
     +- NotFound
     +- Conflict               the request_id was used before for something else
     +- PreconditionFailed     the account's state does not allow this: reason says why
     +- Refused                the server does not know who calls, or does not let them: UNAUTHENTICATED, PERMISSION_DENIED
     +- DeadlineExceeded       no answer in time; the call may have been carried out
     +- Unavailable            worth trying again, after retry_after seconds if set
     +- ServerError            anything else: a defect, or a server of another kind

The server's errors carry a google.rpc.Status. An error without one (no connection, a proxy) still
has its code and message, and an empty reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

_DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One broken rule: the field's path in the request and what it should be."""

    field: str
    description: str


class KeeperClientError(Exception):
    """Base of all. `reason` is the server's UPPER_SNAKE name of the error, or empty.

    Its text is the reason (or the code), the message and the first field violation.
    """

    def __init__(self, code: StatusCode, message: str, detail: Detail) -> None:
        text = f"{detail.reason or code.name}: {message}"
        for first in detail.field_violations[:1]:
            text += f" ({first.field}: {first.description})"
        super().__init__(text)
        self.code = code
        self.message = message
        self.reason = detail.reason
        self.field_violations = detail.field_violations
        self.retry_after = detail.retry_after


class InvalidRequest(KeeperClientError):
    """INVALID_ARGUMENT or OUT_OF_RANGE. `field_violations` names the fields."""


class NotFound(KeeperClientError):
    """NOT_FOUND."""


class Conflict(KeeperClientError):
    """ALREADY_EXISTS or ABORTED."""


class PreconditionFailed(KeeperClientError):
    """FAILED_PRECONDITION: something else has to be done first."""


class Refused(KeeperClientError):
    """UNAUTHENTICATED or PERMISSION_DENIED: another token, role or account is needed; `reason` says which."""


class DeadlineExceeded(KeeperClientError):
    """DEADLINE_EXCEEDED, the client's or the server's."""


class Unavailable(KeeperClientError):
    """UNAVAILABLE or RESOURCE_EXHAUSTED. `retry_after` is in seconds, None when not said."""


class ServerError(KeeperClientError):
    """INTERNAL, UNKNOWN, UNIMPLEMENTED and every other error that the caller cannot correct."""


@dataclass(frozen=True, slots=True)
class Detail:
    """The details of a rich status, beyond code and message."""

    reason: str = ""
    field_violations: tuple[FieldViolation, ...] = ()
    retry_after: float | None = None


_KINDS: dict[StatusCode, type[KeeperClientError]] = {
    StatusCode.INVALID_ARGUMENT: InvalidRequest,
    StatusCode.OUT_OF_RANGE: InvalidRequest,
    StatusCode.NOT_FOUND: NotFound,
    StatusCode.ALREADY_EXISTS: Conflict,
    StatusCode.ABORTED: Conflict,
    StatusCode.FAILED_PRECONDITION: PreconditionFailed,
    StatusCode.UNAUTHENTICATED: Refused,
    StatusCode.PERMISSION_DENIED: Refused,
    StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    StatusCode.UNAVAILABLE: Unavailable,
    StatusCode.RESOURCE_EXHAUSTED: Unavailable,
}


def from_call(error: grpc.aio.AioRpcError | grpc.Call) -> KeeperClientError:
    """The error of a call that failed."""
    packed = dict(error.trailing_metadata() or ()).get(_DETAILS)
    detail = Detail()
    if isinstance(packed, bytes):
        try:
            detail = _detail(Status.FromString(packed))
        except DecodeError:
            detail = Detail()  # not a status of this server; code and message remain
    return _error(error.code(), error.details() or "", detail)


def from_blocking_call(error: grpc.RpcError) -> KeeperClientError:
    """The same of synchronous gRPC, whose errors are their calls. Raises what is none of a call."""
    call: Any = error
    if not isinstance(call, grpc.Call):
        raise error
    return from_call(call)


def from_status(status: Status) -> KeeperClientError:
    """The error of one item of a stream."""
    return _error(_code(status.code), status.message, _detail(status))


def stream_ended() -> KeeperClientError:
    """The error of a stream that ended with OK too early: this server's never do, a proxy's may."""
    return _error(StatusCode.UNAVAILABLE, "the stream ended early", Detail())


def _error(code: StatusCode, message: str, detail: Detail) -> KeeperClientError:
    return _KINDS.get(code, ServerError)(code, message, detail)


def _code(number: int) -> StatusCode:
    return next((code for code in StatusCode if code.value[0] == number), StatusCode.UNKNOWN)


def _detail(status: Status) -> Detail:
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    retry_after = None
    for packed in status.details:
        packed.Unpack(info)
        packed.Unpack(bad)
        if packed.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return Detail(
        info.reason,
        tuple(FieldViolation(broken.field, broken.description) for broken in bad.field_violations),
        retry_after,
    )
