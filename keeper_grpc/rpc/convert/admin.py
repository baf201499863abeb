"""Between AdminService's protos and the domain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from keeper_grpc.domain.accounts.forgetting import AuditEvent, Forgotten
from keeper_grpc.domain.errors import InvalidInput
from keeper_grpc.domain.patterns.listing import AuditCursor
from keeper_grpc.domain.patterns.support import Support
from keeper_grpc.domain.patterns.withdrawal import WithdrawalReason
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2
from keeper_grpc.rpc.convert.fields import optional_time
from keeper_grpc.usecases.accounts.register import Registration
from keeper_grpc.usecases.accounts.update import Correction
from keeper_grpc.usecases.patterns.withdraw import Withdrawal

_REASON_NUMBERS = {
    None: admin_service_pb2.WITHDRAWAL_REASON_UNSPECIFIED,
    WithdrawalReason.HARMFUL: admin_service_pb2.WITHDRAWAL_REASON_HARMFUL,
    WithdrawalReason.IDENTIFYING: admin_service_pb2.WITHDRAWAL_REASON_IDENTIFYING,
    WithdrawalReason.WRONG: admin_service_pb2.WITHDRAWAL_REASON_WRONG,
    WithdrawalReason.OUTDATED: admin_service_pb2.WITHDRAWAL_REASON_OUTDATED,
    WithdrawalReason.OTHER: admin_service_pb2.WITHDRAWAL_REASON_OTHER,
}
_REASONS = {number: reason for reason, number in _REASON_NUMBERS.items()}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def registration(request: admin_service_pb2.RegisterAccountRequest) -> Registration:
    """Read a RegisterAccountRequest. Raises InvalidInput."""
    return Registration(
        request.account_id,
        request.business_category,
        optional_time(request.joined_time, "joined_time", given=request.HasField("joined_time")),
        request.owner_id,
        request.return_forgotten,
    )


def correction(request: admin_service_pb2.UpdateAccountRequest) -> Correction:
    """Read an UpdateAccountRequest."""
    return Correction(
        request.account_id,
        request.business_category if request.HasField("business_category") else None,
        request.owner_id if request.HasField("owner_id") else None,
    )


def updated(event_id: UUID | None) -> admin_service_pb2.UpdateAccountResponse:
    """Write an UpdateAccountResponse."""
    return admin_service_pb2.UpdateAccountResponse(
        changed=event_id is not None, audit_event_id=str(event_id) if event_id else ""
    )


def retirement(request: admin_service_pb2.RetirePatternRequest) -> Withdrawal:
    """Read a RetirePatternRequest."""
    return Withdrawal(UUID(request.pattern_id), None if request.undo else _REASONS[request.reason])


def script_withdrawal(request: admin_service_pb2.WithdrawScriptRequest) -> Withdrawal:
    """Read a WithdrawScriptRequest."""
    return Withdrawal(
        UUID(request.pattern_id),
        None if request.undo else _REASONS[request.reason],
        request.script,
    )


def supported(support: Support) -> admin_service_pb2.GetPatternSupportResponse:
    """Write a GetPatternSupportResponse."""
    return admin_service_pb2.GetPatternSupportResponse(
        owner_count=support.owners,
        account_count=support.accounts,
        waiting_account_count=support.waiting_accounts,
        published=support.published,
    )


def forgotten(done: Forgotten, event_id: UUID | None) -> admin_service_pb2.ForgetAccountResponse:
    """Write a ForgetAccountResponse."""
    return admin_service_pb2.ForgetAccountResponse(
        found=event_id is not None,
        observations_removed=done.observations_removed,
        enhancements_removed=done.enhancements_removed,
        sightings_removed=done.sightings_removed,
        scripts_removed=done.scripts_removed,
        patterns_recomputed=done.patterns_recomputed,
        patterns_unpublished=done.patterns_unpublished,
        patterns_deleted=done.patterns_deleted,
        audit_event_id=str(event_id) if event_id else "",
    )


def audit_cursor(request: admin_service_pb2.ListAuditEventsRequest) -> AuditCursor | None:
    """Read a page token: `<microseconds since 1970>.<event id>`. Raises InvalidInput."""
    if not request.page_token:
        return None
    microseconds, _, event_id = request.page_token.partition(".")
    try:
        return AuditCursor(_EPOCH + timedelta(microseconds=int(microseconds)), UUID(event_id))
    except (ValueError, OverflowError) as error:
        raise InvalidInput("page_token", "not a token of this listing") from error


def audit_page(
    events: Sequence[AuditEvent], after: AuditCursor | None
) -> admin_service_pb2.ListAuditEventsResponse:
    """Write a ListAuditEventsResponse."""
    response = admin_service_pb2.ListAuditEventsResponse()
    for event in events:
        message = response.audit_events.add(
            audit_event_id=str(event.event_id),
            action=event.action,
            counts=event.details,
            pattern_id=str(event.pattern_id) if event.pattern_id else "",
            reason=_REASON_NUMBERS[event.reason],
            actor=event.actor,
        )
        message.event_time.FromDatetime(event.created_at)
    if after is not None:
        microseconds = (after.created_at - _EPOCH) // timedelta(microseconds=1)
        response.next_page_token = f"{microseconds}.{after.event_id}"
    return response
