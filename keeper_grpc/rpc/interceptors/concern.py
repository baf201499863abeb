"""What is done around every call, one concern a class."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc

from keeper_grpc.admission.queue import Turn
from keeper_grpc.domain.access.identity import UNIDENTIFIED, Identity

OURS = "/keeper.network."
"""The prefix of this service's methods; health and reflection have others."""

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]] | None
"""What a caller sends beside its message."""


@dataclass(slots=True)
class Call:
    """A call as the concerns see it.

    `request` is None where the client streams. `identity` is who calls, once that is known, and `counted` whether its limits count the call. `metadata` is what concerns return to the caller beside the answer.
    `error` is what ended the call, None while it runs and when it succeeded, and `cause` what it was made of: the error
    that got its status. `turn` is its turn at the gate, None of a call that needs none. `undo` is called at the very end.
    """

    method: str
    streaming: bool
    request: Any
    context: Any
    metadata: list[tuple[str, str]] = field(default_factory=list)
    error: BaseException | None = None
    identity: Identity = UNIDENTIFIED
    counted: bool = False
    cause: BaseException | None = None
    turn: Turn | None = None
    undo: list[Callable[[], None]] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)


class Concern:
    """One thing that is done before and after every handler, health's and reflection's included.

    The methods are plain: a context manager each, of which a call would enter seven, costs more than they do.
    """

    def begin(self, call: Call) -> Awaitable[None] | None:
        """Before the handler. What it raises ends the call as if the handler had raised it.

        A concern that has to wait returns what to await; most never do, and cost no coroutine.
        """

    def end(self, call: Call) -> None:
        """After the handler, however it ended, if this has begun. Must not raise."""


def code_of(call: Call) -> str:
    """The name of the status code that a call ended with."""
    # A handler may return after it has aborted.
    code: object = call.context.code() or 0
    if isinstance(code, grpc.StatusCode):
        return code.name
    return _NAMES.get(code, "UNKNOWN")


_NAMES: dict[object, str] = {code.value[0]: code.name for code in grpc.StatusCode}
"""The context returns a StatusCode or its number, depending on how it was set."""
