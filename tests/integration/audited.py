"""What an operator of the tests does."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from keeper_grpc.domain.accounts.forgetting import AuditEvent

OPERATOR = "operator-of-the-tests"


def audited(action: str = "register_account", at: datetime | None = None) -> AuditEvent:
    """An event of the audit log, of now unless said otherwise."""
    return AuditEvent(uuid4(), action, {}, at or datetime.now(UTC), actor=OPERATOR)
