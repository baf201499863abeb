from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import grpc
import pytest

from keeper_grpc.app import application
from keeper_grpc.composition.shared import counting_of, qualification
from keeper_grpc.domain.patterns.pattern import scope_id
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import (
    ForgetAccountRequest,
    ListAuditEventsRequest,
    RegisterAccountRequest,
    UpdateAccountRequest,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetPatternRequest,
    ListPatternsRequest,
)
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern
from keeper_grpc.one_shot.commands import rebuild
from keeper_grpc.settings import Settings
from keeper_grpc.storage.accounts.qualification import PostgresQualification
from keeper_grpc.storage.evidence.stale import PostgresStalePatterns
from keeper_grpc.usecases.accounts.qualify import QualifyAccounts
from keeper_grpc.usecases.evidence.refresh import RefreshEvidence
from tests import program
from tests.conftest import PostgresServer
from tests.e2e.waiting import SOON
from tests.integration.locks import waiting_for_a_lock
from tests.integration.observations import opened
from tests.rpc.refusal import refusal
from tests.rpc.requests import capture, new_account, new_topic, question
from tests.rpc.service import PATIENT, PSEUDONYM_KEYS, Service, client, running

DAY = timedelta(days=1)
ONE, OTHER = (base64.b64encode(bytes([fill]) * 32).decode() for fill in (1, 2))


class Clock:
    """A clock that the test moves. It begins in the past, because the database has a clock too."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) - 300 * DAY

    def __call__(self) -> datetime:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of the test's service."""
    return Clock()


def chosen(database_url: str, **settings: Any) -> Settings:
    """An external database, with the settings of accounts at their defaults."""
    defaults: dict[str, Any] = {
        "port": 0,
        "database_url": database_url,
        "pseudonym_keys": PSEUDONYM_KEYS,
        "embedder": "local",
        "openai_api_key": None,
        "seed_catalog": False,
        "counting_step": 1,
        "acquire_timeout": PATIENT,
        "statement_timeout": PATIENT,
        "max_call_duration": PATIENT,
    }
    return Settings(**defaults | settings)


@asynccontextmanager
async def closed(dsn: str, clock: Clock, **settings: Any) -> AsyncIterator[Service]:
    """A service as an operator runs it, on the test's clock."""
    async with (
        application(chosen(dsn, **settings), clock) as app,
        client(app, dsn) as service,
    ):
        yield service


@pytest.fixture
async def dsn(postgres_server: PostgresServer, template_database: str) -> AsyncIterator[str]:
    """A migrated database that no other server uses."""
    async with postgres_server.database(f"TEMPLATE {template_database}") as name:
        yield postgres_server.url(name)


@pytest.fixture(scope="module")
async def service(database_url: str) -> AsyncIterator[Service]:
    """The module's service: accounts count from their first call."""
    async with running(database_url) as started:
        yield started


async def register(service: Service, account: str, owner: str = "", **fields: Any) -> None:
    """Register a spa."""
    await service.admin.RegisterAccount(
        RegisterAccountRequest(
            account_id=account, business_category="spa", owner_id=owner, **fields
        )
    )


async def owned(service: Service, owner: str, count: int = 1) -> list[str]:
    """New accounts of one owner."""
    accounts = [new_account() for _ in range(count)]
    for account in accounts:
        await register(service, account, owner)
    return accounts


async def say(service: Service, topic: str, *accounts: str, **fields: Any) -> str:
    """A capture of each account; the pattern's id."""
    for account in accounts:
        stored = await service.capture(capture(topic, account=account, **fields))
    return stored.pattern_id


async def shown(service: Service, topic: str) -> list[Pattern]:
    """The published patterns of a type."""
    found = await service.network.ListPatterns(ListPatternsRequest(pattern_type=topic))
    return list(found.patterns)


async def look(dsn: str, clock: Clock) -> None:
    """What the server does every minute."""
    async with opened(dsn) as database:
        settings = chosen(dsn)
        await QualifyAccounts(
            store=PostgresQualification(database),
            refresh=RefreshEvidence(PostgresStalePatterns(database, counting_of(settings))),
            rule=qualification(settings),
            clock=clock,
            interval=settings.qualification_interval,
        )()


async def _forget(service: Service, account: str) -> bool:
    """Forget it; whether there was something to forget."""
    answer = await service.admin.ForgetAccount(ForgetAccountRequest(account_id=account))
    return answer.found


async def test_three_locations_of_one_owner_publish_nothing(service: Service, topic: str) -> None:
    """Neither to themselves nor to others, whatever they capture; with two other owners they do."""
    chain = await owned(service, "chain-of-one", 3)
    pattern_id = await say(service, topic, *chain, script="Come back, {name}")
    assert not await shown(service, topic)
    refused = await refusal(service.network.GetPattern(GetPatternRequest(pattern_id=pattern_id)))
    assert refused.reason == "PATTERN_NOT_FOUND"
    answer = await service.network.EnhanceInsight(question(topic))
    assert not answer.enhanced_insight.network_enhanced

    strangers = [new_account() for _ in range(2)]
    await say(service, topic, strangers[0], strangers[0], script="Come back, {name}")
    assert not await shown(service, topic)
    await say(service, topic, strangers[1], strangers[1], script="Come back, {name}")
    (pattern,) = await shown(service, topic)
    assert pattern.evidence.account_count == 3


async def test_an_owner_does_not_get_its_own_evidence_back(service: Service, topic: str) -> None:
    """Asked by one location, what the others of its owner saw is left out."""
    asking, other = await owned(service, "chain-that-asks", 2)
    strangers = [new_account() for _ in range(2)]
    await say(service, topic, other, *strangers)
    assert await shown(service, topic)
    own = await service.network.EnhanceInsight(question(topic, account=asking))
    assert not own.enhanced_insight.network_enhanced
    stranger = await service.network.EnhanceInsight(question(topic))
    assert stranger.enhanced_insight.network_enhanced


async def test_an_owner_is_one_after_its_key_was_replaced(dsn: str, topic: str) -> None:
    """Accounts registered under the old pseudonym key and under the new one are of one owner."""
    async with running(dsn, pseudonym_keys=f"old:{ONE}") as service:
        await say(service, topic, *await owned(service, "chain-of-old", 2))
    async with running(dsn, pseudonym_keys=f"new:{OTHER},old:{ONE}") as service:
        await say(service, topic, *await owned(service, "chain-of-old", 2))
        assert not await shown(service, topic)
        strangers = [new_account() for _ in range(2)]
        await say(service, topic, *strangers, *strangers)
        (pattern,) = await shown(service, topic)
        assert pattern.evidence.account_count == 3


async def test_an_owner_id_is_held_to_the_rules_of_account_ids(service: Service) -> None:
    """Two that look the same would be two owners."""
    request = RegisterAccountRequest(
        account_id=new_account(), business_category="spa", owner_id="chain\u200b"
    )
    refused = await refusal(service.admin.RegisterAccount(request))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_another_owner_is_a_conflict_and_the_same_is_not(service: Service) -> None:
    """A registration holds; a retry of it is fine, and so is one that says nothing of an owner."""
    account = new_account()
    await register(service, account, "first-chain")
    await register(service, account, "first-chain")
    await register(service, account)
    refused = await refusal(
        service.admin.RegisterAccount(
            RegisterAccountRequest(
                account_id=account, business_category="spa", owner_id="second-chain"
            )
        )
    )
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.reason == "ACCOUNT_OWNER_CONFLICT"


async def test_a_registration_names_the_owner_of_accounts_known_from_calls(
    service: Service, topic: str
) -> None:
    """What they published together as three is unpublished when they turn out to be one's."""
    accounts = [new_account() for _ in range(3)]
    await say(service, topic, *accounts)
    assert await shown(service, topic)
    for account in accounts:
        await register(service, account, "chain-found-out")
    assert not await shown(service, topic)


async def test_invented_accounts_count_for_nothing_with_a_database_of_ones_own(
    dsn: str, clock: Clock
) -> None:
    """Three of them, three captures each: stored, not shown, and no help to a third honest account."""
    topic = new_topic()
    async with closed(dsn, clock) as service:
        invented = [new_account() for _ in range(3)]
        await say(service, topic, *invented * 3, script="Reply with your card number")
        assert not await shown(service, topic)
        clock.now += 10 * DAY
        await say(service, topic, *invented)
        await look(dsn, clock)
        assert not await shown(service, topic)
        # Registered by an operator, they have the age and the activity already.
        for account in invented:
            await register(service, account)
        (pattern,) = await shown(service, topic)
        assert pattern.evidence.occurrence_count == 12


async def test_registered_accounts_count_after_a_day_and_two_days_of_work(
    dsn: str, clock: Clock
) -> None:
    """New customers learn from each other within their first week, and not in their first hour."""
    topic = new_topic()
    async with closed(dsn, clock) as service:
        customers = [new_account() for _ in range(3)]
        for customer in customers:
            await register(service, customer)
        await say(service, topic, *customers * 2)
        await look(dsn, clock)
        assert not await shown(service, topic)
        clock.now += DAY + timedelta(minutes=1)
        await look(dsn, clock)
        assert not await shown(service, topic), "one day of work is not two"
        await say(service, topic, *customers)
        await look(dsn, clock)
        (pattern,) = await shown(service, topic)
        assert pattern.evidence.occurrence_count == 9


async def test_other_settings_hold_old_accounts_to_them_at_the_next_start(
    dsn: str, clock: Clock
) -> None:
    """Accounts that counted while accounts were open stop counting when they are not, and back."""
    topic = new_topic()
    async with closed(dsn, clock, open_accounts=True) as service:
        await say(service, topic, *(new_account() for _ in range(3)))
        assert await shown(service, topic)
    async with closed(dsn, clock) as service:
        assert not await shown(service, topic)
    async with closed(dsn, clock, open_accounts=True) as service:
        assert await shown(service, topic)


async def test_a_late_retry_does_not_bring_a_forgotten_account_back(
    service: Service, topic: str
) -> None:
    """Neither its own request nor a question; an operator may, and that is audited."""
    account = new_account()
    request = capture(topic, account=account)
    await service.network.CapturePattern(request)
    await service.admin.ForgetAccount(ForgetAccountRequest(account_id=account))
    accounts = await service.value("SELECT count(*) FROM accounts")
    for call in (
        service.network.CapturePattern(request),
        service.network.EnhanceInsight(question(topic, account=account)),
        service.admin.RegisterAccount(
            RegisterAccountRequest(account_id=account, business_category="spa")
        ),
    ):
        refused = await refusal(call)
        assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
        assert refused.reason == "ACCOUNT_FORGOTTEN"
    assert await service.value("SELECT count(*) FROM accounts") == accounts

    await register(service, account, return_forgotten=True)
    await service.network.CapturePattern(request)
    events = await service.admin.ListAuditEvents(ListAuditEventsRequest(page_size=1))
    assert events.audit_events[0].action == "return_forgotten_account"


async def test_an_account_that_is_being_forgotten_does_not_return_half_way(
    service: Service, topic: str
) -> None:
    """It is refused until it is forgotten, and stays so: the tombstone of the end is the one that stands."""
    account = new_account()
    request = capture(topic, account=account)
    await service.network.CapturePattern(request)
    async with service.database.acquire() as held, held.transaction():
        await held.execute(
            "SELECT FROM scopes WHERE scope_id = $1 FOR UPDATE", scope_id(topic, "spa")
        )
        forgetting = asyncio.create_task(_forget(service, account))
        await waiting_for_a_lock(held)
        refused = await refusal(register(service, account, return_forgotten=True))
        assert refused.reason == "ACCOUNT_BEING_FORGOTTEN"
    assert await forgetting
    refused = await refusal(service.network.CapturePattern(request))
    assert refused.reason == "ACCOUNT_FORGOTTEN"
    await register(service, account, return_forgotten=True)
    await service.network.CapturePattern(request)


async def test_a_return_that_is_refused_leaves_the_tombstone(service: Service) -> None:
    """An operator's mistake must not let the late retry in."""
    account = new_account()
    await service.admin.ForgetAccount(ForgetAccountRequest(account_id=account))
    later = datetime.now(UTC) + timedelta(days=400)
    refused = await refusal(register(service, account, return_forgotten=True, joined_time=later))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    refused = await refusal(service.network.CapturePattern(capture(new_topic(), account=account)))
    assert refused.reason == "ACCOUNT_FORGOTTEN"


async def test_a_tombstone_stands_for_its_time(dsn: str, clock: Clock) -> None:
    """Also of an account that was never known; after it, a call adds the account, and it is trimmed."""
    topic = new_topic()
    settings: dict[str, Any] = {"maintenance_interval": timedelta(milliseconds=20)}
    async with closed(dsn, clock, **settings) as service:
        account = new_account()
        await service.admin.ForgetAccount(ForgetAccountRequest(account_id=account))
        stands = "SELECT count(*) FROM account_tombstones WHERE expire_time = $1"
        expire_time = clock.now + 30 * DAY
        assert await service.value(stands, expire_time) == 1
        clock.now += 30 * DAY - timedelta(minutes=1)
        refused = await refusal(service.network.CapturePattern(capture(topic, account=account)))
        assert refused.reason == "ACCOUNT_FORGOTTEN"
        clock.now += timedelta(minutes=1)
        async with asyncio.timeout(SOON):
            while await service.value(stands, expire_time):  # noqa: ASYNC110 - the database alone tells
                await asyncio.sleep(0.02)
        await service.network.CapturePattern(capture(topic, account=account))


async def test_a_corrected_category_takes_the_evidence_out_and_back(
    service: Service, topic: str
) -> None:
    """It stays where it was captured, and counts only while the account is of that category."""
    account, *others = (new_account() for _ in range(3))
    await say(service, topic, account, *others)
    correction = UpdateAccountRequest(account_id=account, business_category="gym")
    changed = await service.admin.UpdateAccount(correction)
    assert changed.changed
    assert not await shown(service, topic)
    assert not (await service.admin.UpdateAccount(correction)).changed
    await service.network.CapturePattern(capture(topic, account=account, category="gym"))
    refused = await refusal(service.network.CapturePattern(capture(topic, account=account)))
    assert refused.reason == "ACCOUNT_CATEGORY_CONFLICT"

    correction.business_category = "spa"
    await service.admin.UpdateAccount(correction)
    (pattern,) = await shown(service, topic)
    assert pattern.business_category == "spa"
    assert pattern.evidence.occurrence_count == 3


async def test_a_corrected_owner_counts_with_its_accounts(service: Service, topic: str) -> None:
    """And an account that is given back to itself counts for itself; each change is audited."""
    accounts = [new_account() for _ in range(3)]
    await say(service, topic, *accounts)
    for account in accounts[:2]:
        changed = await service.admin.UpdateAccount(
            UpdateAccountRequest(account_id=account, owner_id="chain-of-two")
        )
    assert not await shown(service, topic)
    events = await service.admin.ListAuditEvents(ListAuditEventsRequest(page_size=1))
    assert events.audit_events[0].audit_event_id == changed.audit_event_id
    assert dict(events.audit_events[0].counts) == {"business_category": 0, "owner_id": 1}

    await service.admin.UpdateAccount(UpdateAccountRequest(account_id=accounts[0], owner_id=""))
    assert await shown(service, topic)


async def test_an_unknown_account_is_not_corrected(service: Service) -> None:
    """A typing error must not add an account."""
    refused = await refusal(
        service.admin.UpdateAccount(
            UpdateAccountRequest(account_id=new_account(), business_category="spa")
        )
    )
    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert refused.reason == "ACCOUNT_NOT_FOUND"


async def test_what_is_stale_after_an_interruption_is_refreshed(
    database_url: str, service: Service, topic: str
) -> None:
    """Whoever noted it may be gone: the next look of any process goes on."""
    await say(service, topic, *(new_account() for _ in range(3)))
    await service.database.execute(
        "UPDATE network_patterns SET occurrence_count = 0, success_count = 0, account_count = 0"
        " WHERE pattern_type = $1",
        topic,
    )
    await service.database.execute(
        "INSERT INTO stale_patterns (scope_id, pattern_id, recount)"
        " SELECT scope_id, id, false FROM network_patterns WHERE pattern_type = $1",
        topic,
    )
    async with running(database_url):
        assert await shown(service, topic)
    assert await service.value("SELECT count(*) FROM stale_patterns") == 0


async def test_a_rebuild_changes_nothing_that_owners_and_corrections_made(
    dsn: str, topic: str
) -> None:
    """Totals and shares from the ledger are those that were kept."""
    totals = (
        "SELECT jsonb_agg(to_jsonb(t)) FROM (SELECT id, occurrence_count, success_count,"
        " account_count, confidence_score FROM network_patterns ORDER BY id) t"
    )
    shares = (
        "SELECT jsonb_agg(to_jsonb(t)) FROM (SELECT * FROM pattern_accounts ORDER BY 1, 2, 3) t"
    )
    async with running(dsn) as service:
        chain = await owned(service, "chain", 2)
        others = [new_account() for _ in range(4)]
        await say(service, topic, *chain, *others, *others, script="Come back, {name}")
        await service.admin.UpdateAccount(
            UpdateAccountRequest(account_id=others[0], business_category="gym")
        )
        before = [await service.value(sql) for sql in (totals, shares)]
    settings = chosen(dsn, open_accounts=True)
    await rebuild(settings)
    async with running(dsn) as service:
        assert [await service.value(sql) for sql in (totals, shares)] == before
        (pattern,) = await shown(service, topic)
        assert pattern.evidence.account_count == 4  # the chain and three others


async def test_invented_accounts_approve_no_word(dsn: str, clock: Clock) -> None:
    """A rare surname of three of them stays masked; of registered ones it waits for a person."""
    action = "Offer a glowzilla soak"
    async with closed(dsn, clock) as service:
        invented = [new_account() for _ in range(3)]
        await say(service, new_topic(), *invented, action=action)
    async with closed(dsn, clock) as service:
        assert await understood(service, action) == "Offer a [other] soak"
        for account in invented:
            await register(service, account)
        clock.now += 2 * DAY
        await say(service, new_topic(), *invented, action=action)
        await look(dsn, clock)
    async with closed(dsn, clock, word_approval="manual") as service:
        assert await understood(service, action) == "Offer a [other] soak"

    keeper = partial(run_keeper, dsn)
    code, out = await keeper("words")
    assert code == 0
    (line,) = out.splitlines()
    assert line.startswith("waiting ")
    assert line.endswith("offer a [other] soak")
    assert "glowzilla" not in line
    assert " 7-9 letters " in line
    (word,) = [part for part in line.split() if part.startswith("test:")]
    assert (await keeper("words", "approve", word))[0] == 0
    assert (await keeper("words", "approve", "test:0"))[0] == 1
    assert (await keeper("words", "approve"))[0] == 2
    async with closed(dsn, clock, word_approval="manual") as service:
        assert await understood(service, action) == action


async def run_keeper(dsn: str, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a keeper command, as a process: it configures its logging for itself alone."""
    done = await asyncio.to_thread(
        program.run,
        arguments,
        env={
            **os.environ,
            "KEEPER_DATABASE_URL": dsn,
            "KEEPER_PSEUDONYM_KEYS": PSEUDONYM_KEYS,
            "KEEPER_WORD_APPROVAL": "manual",
            "KEEPER_LOG_LEVEL": "error",
        },
    )
    return done.returncode, done.stdout


async def understood(service: Service, action: str) -> str:
    """The action as the service keeps it now."""
    answer = await service.network.EnhanceInsight(question(new_topic(), action))
    return str(answer.enhanced_insight.insight.action)
