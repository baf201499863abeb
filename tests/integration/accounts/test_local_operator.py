"""What a command of this machine's user changes is in the audit log under that user's name."""

from __future__ import annotations

import os

import pytest

from keeper_grpc.local_operator import local_operator
from keeper_grpc.one_shot.commands import rebuild, seed
from keeper_grpc.settings import Settings
from keeper_grpc.storage.accounts.audit import PostgresAudit
from tests.integration.observations import opened
from tests.rpc.service import PSEUDONYM_KEYS


async def test_commands_on_the_database_are_audited(database_of_its_own: str) -> None:
    """Seeding and rebuilding; a catalog that is there already changes nothing, and is no event."""
    settings = Settings(
        database_url=database_of_its_own,
        pseudonym_keys=PSEUDONYM_KEYS,
        embedder="local",
        open_accounts=True,
    )
    await seed(settings)
    await seed(settings)
    await rebuild(settings)
    async with opened(database_of_its_own) as pool:
        events = await PostgresAudit(pool).list_events(None, 10)
    assert [(event.action, event.actor) for event in events] == [
        ("rebuild_evidence", local_operator()),
        ("seed_catalog", local_operator()),
    ]
    assert events[1].details["added"] > 0


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers run as any."""
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_001)
    assert local_operator() == "local:4000000001"
