"""Gives every call an id that its log lines carry."""

from __future__ import annotations

import re
from uuid import uuid4

import structlog

from keeper_grpc.rpc.interceptors.concern import Call, Concern, Metadata

HEADER = "x-request-id"
# A caller's id goes into the log: a UUID or hexadecimal, as tracing makes them. Names, account ids and
# telephone numbers are neither; a card number is hexadecimal, hence the letter.
_RANDOM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[0-9]*[a-f])[0-9a-f]{16,64}")


class RequestId(Concern):
    """Takes the caller's x-request-id, or makes one, and returns it: in the initial metadata of a stream, in the
    trailing metadata of any other call, whose initial metadata would be a message of their own (a quarter of what
    the simplest call costs).

    It identifies a call in the log; the `request_id` of a request identifies a capture across retries.
    """

    def begin(self, call: Call) -> None:
        """Bind the id to the call's log lines, until the end of the call's task."""
        name = request_id(call.context.invocation_metadata())
        call.metadata.append((HEADER, name))
        structlog.contextvars.bind_contextvars(call_id=name)


def request_id(metadata: Metadata) -> str:
    """The caller's id of a call, or one of ours."""
    given: object = ""
    for key, value in metadata or ():
        if key == HEADER:
            given = value
    return given if isinstance(given, str) and _RANDOM.fullmatch(given) else uuid4().hex
