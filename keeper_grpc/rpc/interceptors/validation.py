"""Validates requests against the rules declared in their protos."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message

from keeper_grpc.rpc.interceptors.concern import OURS, Call, Concern
from keeper_grpc.rpc.interceptors.unreadable import Unreadable
from keeper_grpc.rpc.rules import Rules
from keeper_grpc.rpc.status import RequestInvalid


class Validation(Concern):
    """Refuses an invalid request, naming every field that breaks a rule.

    It does not see the messages of a client's stream; the handler validates each of them.
    """

    def __init__(self, warm_up: Iterable[Message]) -> None:
        """`warm_up`: one message of each request type, see `Rules`."""
        self._rules = Rules(warm_up)

    def begin(self, call: Call) -> None:
        """Raise RequestInvalid before the handler sees the request."""
        # Infrastructure's own messages declare no rules.
        if isinstance(call.request, Unreadable):
            raise RequestInvalid([call.request.violation])
        if call.request is not None and call.method.startswith(OURS):
            self._rules.check(call.request)
