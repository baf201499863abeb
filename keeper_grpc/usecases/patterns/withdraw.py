"""RetirePattern and WithdrawScript: an operator takes back what no reader is to be shown any more.

Evidence stays and goes on being counted, and captures go on joining the pattern, so that it neither begins
again under another id nor loses anything by an undo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.domain.patterns.withdrawal import WithdrawalReason
from keeper_grpc.usecases.ports import Clock, NewId


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What is to be taken back: a pattern, or one `script` of it. Without a `reason` it is an undo."""

    pattern_id: UUID
    reason: WithdrawalReason | None
    script: str | None = None


class WithdrawalStore(Protocol):
    """Where patterns and scripts are taken back. Each writes the event in its transaction if it changes."""

    async def retire(self, pattern_id: UUID, event: AuditEvent, *, undo: bool) -> bool:
        """Retire a pattern, or undo that; whether that changed anything. Raises PatternNotFound."""

    async def withdraw_script(
        self, pattern_id: UUID, script: str, event: AuditEvent, *, undo: bool
    ) -> bool:
        """Withdraw a script, or undo that; whether that changed anything.

        Raises PatternNotFound and ScriptNotFound.
        """


class Withdraw:
    """The use case. One instance serves all calls."""

    def __init__(self, *, store: WithdrawalStore, clock: Clock, new_id: NewId) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id

    async def __call__(self, asked: Withdrawal, *, actor: str) -> UUID | None:
        """Take it back, or undo that; the id of the audit event, None where it was so already.

        Raises PatternNotFound, ScriptNotFound and StorageUnavailable.
        """
        undo = asked.reason is None
        done = "retire_pattern" if asked.script is None else "withdraw_script"
        event = AuditEvent(
            self._new_id(),
            f"undo_{done}" if undo else done,
            {},
            self._clock(),
            pattern_id=asked.pattern_id,
            reason=asked.reason,
            actor=actor,
        )
        if asked.script is None:
            changed = await self._store.retire(asked.pattern_id, event, undo=undo)
        else:
            changed = await self._store.withdraw_script(
                asked.pattern_id, asked.script, event, undo=undo
            )
        return event.event_id if changed else None
