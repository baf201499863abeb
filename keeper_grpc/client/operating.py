"""The calls of operators, as KeeperClient has them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime

from keeper_grpc.client.connection import Connection
from keeper_grpc.client.requests import timestamp
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2 as admin

NO_REASON = admin.WithdrawalReason.WITHDRAWAL_REASON_UNSPECIFIED
"""That of an undo, which needs none."""


class Operating:
    """AdminService's calls over a client's connection."""

    _connection: Connection

    async def register_account(
        self,
        account_id: str,
        business_category: str,
        *,
        joined_time: datetime | None = None,
        owner_id: str = "",
        return_forgotten: bool = False,
    ) -> bool:
        """Register an account; whether it was new to the network.

        `owner_id`: whose account it is, where one owner has several. `return_forgotten` registers one that was
        forgotten lately, which is refused otherwise (PreconditionFailed, ACCOUNT_FORGOTTEN).
        """
        request = admin.RegisterAccountRequest(
            account_id=account_id,
            business_category=business_category,
            joined_time=timestamp(joined_time),
            owner_id=owner_id,
            return_forgotten=return_forgotten,
        )
        return (
            await self._connection.call(self._connection.admin.RegisterAccount, request)
        ).created

    async def update_account(
        self, account_id: str, *, business_category: str | None = None, owner_id: str | None = None
    ) -> admin.UpdateAccountResponse:
        """Correct an account's line of business or owner; None leaves it. An empty owner is the account itself."""
        request = admin.UpdateAccountRequest(
            account_id=account_id, business_category=business_category, owner_id=owner_id
        )
        return await self._connection.call(self._connection.admin.UpdateAccount, request)

    async def forget_account(self, account_id: str) -> admin.ForgetAccountResponse:
        """Remove everything that came from an account, and recompute what it was part of. Cannot be undone.

        After an error another call continues it; each counts its own work only.
        """
        request = admin.ForgetAccountRequest(account_id=account_id)
        return await self._connection.call(self._connection.admin.ForgetAccount, request)

    async def retire_pattern(
        self,
        pattern_id: str,
        reason: admin.WithdrawalReason.ValueType = NO_REASON,
        *,
        undo: bool = False,
    ) -> admin.RetirePatternResponse:
        """Withdraw a pattern from all advice, or take that back. Raises NotFound."""
        request = admin.RetirePatternRequest(pattern_id=pattern_id, reason=reason, undo=undo)
        return await self._connection.call(self._connection.admin.RetirePattern, request)

    async def withdraw_script(
        self,
        pattern_id: str,
        script: str,
        reason: admin.WithdrawalReason.ValueType = NO_REASON,
        *,
        undo: bool = False,
    ) -> admin.WithdrawScriptResponse:
        """Withdraw one script of a pattern, as `get_pattern` shows it, or take that back. Raises NotFound."""
        request = admin.WithdrawScriptRequest(
            pattern_id=pattern_id, script=script, reason=reason, undo=undo
        )
        return await self._connection.call(self._connection.admin.WithdrawScript, request)

    async def get_pattern_support(self, pattern_id: str) -> admin.GetPatternSupportResponse:
        """Who stands behind a pattern, published or not: counts for operators. Raises NotFound."""
        request = admin.GetPatternSupportRequest(pattern_id=pattern_id)
        return await self._connection.call(self._connection.admin.GetPatternSupport, request)

    async def list_audit_events(self, *, page_size: int = 0) -> Sequence[admin.AuditEvent]:
        """The newest actions of operators, at most `page_size` (0: 50)."""
        request = admin.ListAuditEventsRequest(page_size=page_size)
        page = await self._connection.call(self._connection.admin.ListAuditEvents, request)
        return page.audit_events

    async def audit_events(self, *, page_size: int = 0) -> AsyncGenerator[admin.AuditEvent]:
        """All actions of operators, newest first, fetched page by page as they are consumed."""
        request = admin.ListAuditEventsRequest(page_size=page_size)
        while True:
            page = await self._connection.call(self._connection.admin.ListAuditEvents, request)
            for event in page.audit_events:
                yield event
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
