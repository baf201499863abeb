"""The calls of operators, as SyncKeeperClient has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from keeper_grpc.client.blocking.connection import Connection
from keeper_grpc.client.operating import NO_REASON
from keeper_grpc.client.requests import timestamp
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2 as admin


class Operating:
    """AdminService's calls over a client's connection."""

    _connection: Connection

    def register_account(
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
        return self._connection.call(self._connection.admin.RegisterAccount, request).created

    def update_account(
        self, account_id: str, *, business_category: str | None = None, owner_id: str | None = None
    ) -> admin.UpdateAccountResponse:
        """Correct an account's line of business or owner; None leaves it. An empty owner is the account itself."""
        request = admin.UpdateAccountRequest(
            account_id=account_id, business_category=business_category, owner_id=owner_id
        )
        return self._connection.call(self._connection.admin.UpdateAccount, request)

    def forget_account(self, account_id: str) -> admin.ForgetAccountResponse:
        """Remove everything that came from an account, and recompute what it was part of. Cannot be undone.

        After an error another call continues it; each counts its own work only.
        """
        request = admin.ForgetAccountRequest(account_id=account_id)
        return self._connection.call(self._connection.admin.ForgetAccount, request)

    def retire_pattern(
        self,
        pattern_id: str,
        reason: admin.WithdrawalReason.ValueType = NO_REASON,
        *,
        undo: bool = False,
    ) -> admin.RetirePatternResponse:
        """Withdraw a pattern from all advice, or take that back. Raises NotFound."""
        request = admin.RetirePatternRequest(pattern_id=pattern_id, reason=reason, undo=undo)
        return self._connection.call(self._connection.admin.RetirePattern, request)

    def withdraw_script(
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
        return self._connection.call(self._connection.admin.WithdrawScript, request)

    def get_pattern_support(self, pattern_id: str) -> admin.GetPatternSupportResponse:
        """Who stands behind a pattern, published or not: counts for operators. Raises NotFound."""
        request = admin.GetPatternSupportRequest(pattern_id=pattern_id)
        return self._connection.call(self._connection.admin.GetPatternSupport, request)

    def list_audit_events(self, *, page_size: int = 0) -> Sequence[admin.AuditEvent]:
        """The newest actions of operators, at most `page_size` (0: 50)."""
        request = admin.ListAuditEventsRequest(page_size=page_size)
        page = self._connection.call(self._connection.admin.ListAuditEvents, request)
        return page.audit_events

    def audit_events(self, *, page_size: int = 0) -> Iterator[admin.AuditEvent]:
        """All actions of operators, newest first, fetched page by page as they are consumed."""
        request = admin.ListAuditEventsRequest(page_size=page_size)
        while True:
            page = self._connection.call(self._connection.admin.ListAuditEvents, request)
            yield from page.audit_events
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
