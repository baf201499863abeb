from __future__ import annotations

import asyncio
import math
import os
import random
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from keeper_grpc.app import application
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ForgetAccountRequest
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import ReportOutcomeRequest
from keeper_grpc.one_shot.commands import rebuild
from keeper_grpc.settings import Settings
from keeper_grpc.storage.evidence.rebuild import EvidenceStale
from tests import program
from tests.rpc.feedback import ask, react, report
from tests.rpc.requests import capture, new_account
from tests.rpc.service import PSEUDONYM_KEYS, Service, running

HALF_LIFE = timedelta(days=90)
SPAN = 200
"""Days of a history: some half-lives, and recent enough that what works is still advised in each situation."""

TABLES: Mapping[str, str] = {
    "network_patterns": "SELECT t.*, pattern_embedding::text AS place FROM network_patterns t "
    "ORDER BY id",
    "pattern_actions": "SELECT t.*, action_embedding::text AS place FROM pattern_actions t "
    "ORDER BY pattern_id",
    "pattern_accounts": "SELECT * FROM pattern_accounts ORDER BY pattern_id, account_key",
    "pattern_harms": "SELECT * FROM pattern_harms ORDER BY pattern_id, account_key",
    "pattern_facets": "SELECT * FROM pattern_facets ORDER BY pattern_id, facet, account_key",
    "pattern_wordings": "SELECT * FROM pattern_wordings ORDER BY 1, 2, 3",
    "pattern_scripts": "SELECT * FROM pattern_scripts ORDER BY id",
    "script_accounts": "SELECT * FROM script_accounts ORDER BY script_id, account_key",
    "observations": "SELECT * FROM observations ORDER BY id",
    "enhancements": "SELECT * FROM enhancements ORDER BY id",
    "outcome_revisions": "SELECT * FROM outcome_revisions ORDER BY id",
    "reactions": "SELECT * FROM reactions ORDER BY id",
}

Dump = Mapping[str, Sequence[Mapping[str, Any]]]

ACTIONS = ("Offer a warm towel", "Call the guest back", "Raise the price by 10%")
SCRIPTS = ("", "Hi {name}, we missed you", "Welcome back, {name}")
REACTIONS: Sequence[Sequence[str]] = (
    (),
    ("SHOWN",),
    ("DISMISSED", "SHOWN"),
    ("ACCEPTED", "DISMISSED"),
    ("DISMISSED", "ACCEPTED"),
    ("DONE", "ACCEPTED"),
)
SITUATIONS: Sequence[Mapping[str, Any]] = ({}, {"churn_risk": "high"}, {"churn_risk": "low"})


async def dump(database: asyncpg.Pool[asyncpg.Record]) -> Dump:
    """Every row of every table that captures, reports and forgetting write."""
    return {
        table: [dict(row) for row in await database.fetch(query)] for table, query in TABLES.items()
    }


def same(one: object, other: object) -> bool:
    """Equal; floats within what the order of a sum can change."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one == other


def differences(before: Dump, after: Dump) -> list[str]:
    """What is not the same, as `table.column`."""
    found = [table for table in TABLES if len(before[table]) != len(after[table])]
    for table in TABLES:
        for one, other in zip(before[table], after[table], strict=False):
            found += [f"{table}.{name}" for name in one if not same(one[name], other[name])]
    return sorted(set(found))


def settings(database_url: str, **chosen: Any) -> Settings:
    """Settings of a command on the test's database."""
    return Settings(
        **{
            "database_url": database_url,
            "pseudonym_keys": PSEUDONYM_KEYS,
            "embedder": "local",
            "openai_api_key": None,
            "seed_catalog": False,
            "port": 0,
            "open_accounts": True,
            "evidence_half_life": HALF_LIFE,
        }
        | chosen
    )


async def revise(service: Service, draw: random.Random, account: str, **source: Any) -> None:
    """Up to three outcomes in the place of an interim one, at other times, with other figures."""
    for _ in range(draw.randrange(4)):
        outcome = Outcome(success=draw.random() < 0.8, final=False)
        if draw.random() < 0.5:
            outcome.complained, outcome.unsubscribed = draw.random() < 0.5, draw.random() < 0.5
        if draw.random() < 0.5:
            outcome.revenue_impact, outcome.cost = draw.uniform(-50, 500), draw.uniform(0, 50)
        request = ReportOutcomeRequest(
            request_id=str(uuid.uuid4()), account_id=account, outcome=outcome, **source
        )
        if "capture_request_id" in source:
            days = timedelta(days=draw.uniform(0, SPAN))
            request.occurred_time.FromDatetime(datetime.now(UTC) - days)
        await service.network.ReportOutcome(request)


async def live(service: Service, draw: random.Random, topic: str, steps: int) -> None:
    """A random history: captures, questions with reports, forgotten accounts."""
    accounts = {new_account(): draw.choice(["spa", "spa", "gym"]) for _ in range(10)}
    for _ in range(steps):
        account, category = draw.choice(list(accounts.items()))
        action, situation = draw.choice(ACTIONS), draw.choice(SITUATIONS)
        days = timedelta(days=draw.uniform(0, SPAN))
        step = draw.random()
        if step < 0.6:
            request = capture(
                topic,
                action,
                account=account,
                success=draw.random() < 0.9,
                category=category,
                script=draw.choice(SCRIPTS),
                conditions=situation,
            )
            request.occurred_time.FromDatetime(datetime.now(UTC) - days)
            if draw.random() < 0.5:
                request.outcome.revenue_impact = draw.uniform(-50, 500)
            request.outcome.final = draw.random() < 0.7
            if draw.random() < 0.5:
                request.outcome.complained = draw.random() < 0.3
                request.outcome.cost = draw.uniform(0, 50)
            await service.network.CapturePattern(request)
            if not request.outcome.final:
                await revise(service, draw, account, capture_request_id=request.request_id)
        elif step < 0.95:
            given = await ask(
                service,
                topic,
                account,
                action,
                category=category,
                conditions=situation,
                min_success_rate=0.3,
            )
            reactions = draw.choice(REACTIONS) if given.enhanced_insight.network_enhanced else ()
            # What has an outcome cannot be dismissed.
            before = len(reactions) if "DISMISSED" in reactions else draw.randint(0, len(reactions))
            for reaction in reactions[:before]:
                await service.network.ReportReaction(react(account, given.enhancement_id, reaction))
            final = draw.random() < 0.7
            await service.network.ReportOutcome(
                report(account, given.enhancement_id, success=draw.random() < 0.7, final=final)
            )
            if not final:
                await revise(service, draw, account, enhancement_id=given.enhancement_id)
            for reaction in reactions[before:]:
                await service.network.ReportReaction(react(account, given.enhancement_id, reaction))
        else:
            await service.admin.ForgetAccount(ForgetAccountRequest(account_id=account))
            # It cannot come back by a call: another one takes its place.
            accounts[new_account()] = accounts.pop(account)


async def test_rebuilding_changes_nothing_and_repairs_what_is_damaged(database_url: str) -> None:
    """After a random history every table is what the ledger says, and can be made so again."""
    seed = int(os.environ.get("KEEPER_TEST_SEED", "20250101"))
    async with running(
        database_url,
        evidence_half_life=HALF_LIFE,
        counting_step=5,
        script_exploration=1.0,
        pattern_exploration=1.0,
        exploration_loss=1.0,
    ) as service:
        draw = random.Random(seed)  # noqa: S311 - a history, not a secret
        await live(service, draw, "churn_prevention", 150)
        before = await dump(service.database)
        reported = [row for row in before["observations"] if row["disposition"] == "reported"]
        assert any(row["pattern_id"] for row in reported)
        assert len(before["network_patterns"]) >= 2
        result = await rebuild(settings(database_url))
        assert result.patterns == len(before["network_patterns"])
        assert result.observations == sum(
            row["pattern_id"] is not None and row["counted"] for row in before["observations"]
        )
        assert not all(row["counted"] for row in before["observations"]), "some wait for a step"
        assert result.corrected == 0
        assert differences(before, await dump(service.database)) == []

        for damage in (
            """
            UPDATE network_patterns
               SET occurrence_count = occurrence_count + 7, success_count = 1, account_count = 99,
                   confidence_score = 2, first_discovered = now(), last_validated = NULL
            """,
            "UPDATE pattern_accounts SET occurrence_count = 1000, recent_trials = 0",
            "DELETE FROM pattern_facets WHERE facet LIKE 'whole:%'",
            "UPDATE pattern_facets SET success_count = success_count + 1",
            "UPDATE pattern_accounts SET fast_successes = 0, slow_trials = 0",
            "UPDATE pattern_facets SET recent_successes = recent_trials",
            "UPDATE network_patterns SET fading = NOT fading",
            "DELETE FROM script_accounts",
            "UPDATE pattern_harms SET complaints = complaints + 1, costed = 0",
            "UPDATE enhancements SET reaction = 'shown', dismissal_reason = 'other'",
        ):
            await service.database.execute(damage)
        damaged = differences(before, await dump(service.database))
        assert len(damaged) > 10
        await rebuild(settings(database_url))
        # What it repaired has changed, which the detector is to see.
        left = differences(before, await dump(service.database))
        assert left == ["network_patterns.changed_in"]


async def test_scripts_that_the_ledger_does_not_know_are_removed_and_lost_ones_return(
    database_url: str,
) -> None:
    """A script's row is an aggregate too: of the observations that used its words."""
    async with running(database_url, evidence_half_life=HALF_LIFE) as service:
        pattern_id = (
            await service.capture(capture("review_response", script="Thank you, {name}"))
        ).pattern_id
        await service.database.execute(
            "UPDATE pattern_scripts SET template = 'other', template_hash = '\\x00' "
            "WHERE pattern_id = $1::text::uuid",
            pattern_id,
        )
        await rebuild(settings(database_url))
        rows = await service.database.fetch(
            """
            SELECT s.template, a.occurrence_count FROM pattern_scripts s
              JOIN script_accounts a ON a.scope_id = s.scope_id AND a.script_id = s.id WHERE s.pattern_id = $1::text::uuid
            """,
            pattern_id,
        )
        assert [tuple(row) for row in rows] == [("Thank you, {name}", 1)]


async def test_what_an_older_release_counted_is_recounted_at_the_first_start(
    database_url: str,
) -> None:
    """It had no ages of situations and scripts, nothing to tell a fading pattern by, and another default."""
    async with running(database_url, evidence_half_life=HALF_LIFE) as service:
        draw = random.Random(11)  # noqa: S311 - a history, not a secret
        await live(service, draw, "churn_prevention", 40)
        before = await dump(service.database)
        for older in (
            "UPDATE pattern_accounts SET fast_trials = 0, slow_trials = 0, slow_successes = 0",
            "UPDATE pattern_facets SET recent_trials = 0, recent_successes = 0",
            "UPDATE script_accounts SET recent_trials = 0, recent_successes = 0",
            "UPDATE script_accounts SET drawn_weight = 0, drawn_excess = 1",
            "UPDATE evidence_settings SET half_life = '180 days', complete = false",
        ):
            await service.database.execute(older)
        assert differences(before, await dump(service.database)) != []
    async with running(database_url, evidence_half_life=HALF_LIFE) as service:
        # Priors, and how much facts matter, are learned at every start.
        learned = ("changed_in", "confidence_score", "prior_", "cautious_", "fact_spreads")
        left = differences(before, await dump(service.database))
        assert [name for name in left if not name.split(".")[1].startswith(learned)] == []
        assert await service.value("SELECT complete FROM evidence_settings")


async def test_a_changed_half_life_stops_the_start_until_the_evidence_is_rebuilt(
    database_url: str,
) -> None:
    """Weights of two half-lives must not be added up; the line says what to do."""
    async with running(database_url, evidence_half_life=HALF_LIFE) as service:
        request = capture("modifier_opportunity")
        request.occurred_time.FromDatetime(datetime.now(UTC) - timedelta(days=100))
        await service.network.CapturePattern(request)
        weight = (
            "SELECT sum(a.recent_trials) FROM pattern_accounts a JOIN network_patterns p "
            "ON p.scope_id = a.scope_id AND p.id = a.pattern_id WHERE p.pattern_type = 'modifier_opportunity'"
        )
        before = await service.value(weight)
    changed = settings(database_url, evidence_half_life=timedelta(days=30))
    with pytest.raises(EvidenceStale, match="keeper rebuild") as caught:
        async with application(changed):
            pass
    assert "2592000" in str(caught.value)
    assert "7776000" in str(caught.value)
    await rebuild(changed)
    async with running(database_url, evidence_half_life=timedelta(days=30)) as service:
        assert await service.value(weight) != pytest.approx(before)
    with pytest.raises(EvidenceStale):
        async with application(settings(database_url)):
            pass
    await rebuild(settings(database_url))
    async with running(database_url, evidence_half_life=HALF_LIFE) as service:
        assert await service.value(weight) == pytest.approx(before, rel=1e-9)


async def test_an_interrupted_rebuild_is_to_be_finished(database_url: str) -> None:
    """Half of the patterns may have new weights then: no half-life is the right one."""
    async with running(database_url, evidence_half_life=HALF_LIFE) as service:
        await service.network.CapturePattern(capture("churn_prevention"))
        await service.database.execute("UPDATE evidence_settings SET half_life = NULL")
    with pytest.raises(EvidenceStale, match="interrupted"):
        async with application(settings(database_url)):
            pass
    await rebuild(settings(database_url))
    async with application(settings(database_url)):
        pass


def keeper_rebuild(database_url: str, half_life: timedelta) -> subprocess.CompletedProcess[str]:
    """Run the command as an operator does."""
    return program.run(
        ["rebuild"],
        env={
            **os.environ,
            "KEEPER_DATABASE_URL": database_url,
            "KEEPER_PSEUDONYM_KEYS": PSEUDONYM_KEYS,
            "KEEPER_EVIDENCE_HALF_LIFE": str(half_life.total_seconds()),
        },
    )


async def test_the_command_says_what_it_did(database_url: str) -> None:
    """`keeper rebuild` reads the settings of the server and prints one line."""
    async with running(database_url, evidence_half_life=HALF_LIFE) as service:
        await service.network.CapturePattern(capture("churn_prevention"))
        patterns = await service.value("SELECT count(*) FROM network_patterns")
    ended = await asyncio.to_thread(keeper_rebuild, database_url, HALF_LIFE)
    assert ended.returncode == 0
    assert ended.stdout.startswith(f"rebuilt {patterns} patterns from ")
