"""Gives every call an id that its log lines carry."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import structlog

from keeper_grpc.rpc.interceptors.around import Around, Call

HEADER = "x-request-id"
# A caller's id goes into the log: a UUID or hexadecimal, as tracing makes them. Names, account ids and
# telephone numbers are neither; a card number is hexadecimal, hence the letter.
_RANDOM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[0-9]*[a-f])[0-9a-f]{16,64}")


class RequestId(Around):
    """Takes the caller's x-request-id, or makes one, and returns it in the initial metadata.

    It identifies a call in the log; the `request_id` of a request identifies a capture across retries.
    """

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Bind the id to the call's log lines."""
        given = dict(call.context.invocation_metadata() or ()).get(HEADER, "")
        name = given if isinstance(given, str) and _RANDOM.fullmatch(given) else uuid4().hex
        await call.context.send_initial_metadata(((HEADER, name),))
        with structlog.contextvars.bound_contextvars(call_id=name):
            yield
