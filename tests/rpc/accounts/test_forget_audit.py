from __future__ import annotations

from keeper_grpc.domain.access.identity import UNAUTHENTICATED
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2
from tests.rpc.accounts.forgetting import forget
from tests.rpc.requests import capture, new_account
from tests.rpc.service import Service


async def test_forgetting_is_audited_without_the_account(service: Service, topic: str) -> None:
    """The audit event has the counts of the answer, and no trace of who it was."""
    gone = new_account()
    await service.network.CapturePattern(capture(topic, account=gone))
    answer = await forget(service, gone)
    events = await service.admin.ListAuditEvents(
        admin_service_pb2.ListAuditEventsRequest(page_size=500)
    )
    event = next(e for e in events.audit_events if e.audit_event_id == answer.audit_event_id)
    assert event.action == "forget_account"
    assert event.counts["observations_removed"] == 1
    assert event.counts["patterns_deleted"] == 1
    assert gone not in str(events)


async def test_audit_events_are_listed_in_pages(service: Service, topic: str) -> None:
    """Pages of one event each give every event once, newest first."""
    for _ in range(2):
        account = new_account()
        await service.network.CapturePattern(capture(topic, account=account))
        await forget(service, account)
    request = admin_service_pb2.ListAuditEventsRequest(page_size=500)
    everything = [
        e.audit_event_id for e in (await service.admin.ListAuditEvents(request)).audit_events
    ]
    paged, token = [], ""
    while True:
        page = await service.admin.ListAuditEvents(
            admin_service_pb2.ListAuditEventsRequest(page_size=1, page_token=token)
        )
        paged += [event.audit_event_id for event in page.audit_events]
        token = page.next_page_token
        if not token:
            break
    assert paged == everything


async def test_without_authentication_everybody_is_unauthenticated(service: Service) -> None:
    """And has that name in the audit log."""
    request = admin_service_pb2.RegisterAccountRequest(
        account_id=new_account(), business_category="spa"
    )
    await service.admin.RegisterAccount(request)
    newest = await service.admin.ListAuditEvents(
        admin_service_pb2.ListAuditEventsRequest(page_size=1)
    )
    assert newest.audit_events[0].actor == UNAUTHENTICATED.name
