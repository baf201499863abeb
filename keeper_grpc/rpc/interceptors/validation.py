"""Validates requests against the rules declared in their protos."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from google.protobuf.message import Message

from keeper_grpc.rpc.interceptors.around import OURS, Around, Call
from keeper_grpc.rpc.interceptors.unreadable import Unreadable
from keeper_grpc.rpc.rules import Rules
from keeper_grpc.rpc.status import FieldViolation, RequestInvalid

_NOT_A_MESSAGE = FieldViolation(
    "", "the bytes are no message of this request's type, or a string in it is not UTF-8"
)
"""A violation of the whole request: the parser does not say which field it is."""


class Validation(Around):
    """Refuses an invalid request, naming every field that breaks a rule.

    It does not see the messages of a client's stream; the handler validates each of them.
    """

    def __init__(self, warm_up: Iterable[Message]) -> None:
        """`warm_up`: one message of each request type, see `Rules`."""
        self._rules = Rules(warm_up)

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Raise RequestInvalid before the handler sees the request."""
        # Infrastructure's own messages declare no rules.
        if isinstance(call.request, Unreadable):
            raise RequestInvalid([_NOT_A_MESSAGE])
        if call.request is not None and call.method.startswith(OURS):
            self._rules.check(call.request)
        yield
