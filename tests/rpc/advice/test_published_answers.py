"""What memory answers is what the database answers, whatever happened, for whoever asks."""

from __future__ import annotations

import asyncio
import copy
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isclose
from typing import Any

import grpc
import numpy as np
import pytest

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.advice.enhancement import Asked
from keeper_grpc.domain.advice.ranking import Candidate, Requirements, rank
from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import AnonymizedInsight, JsonValue
from keeper_grpc.domain.patterns.listing import PatternFilter
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey, Scope
from keeper_grpc.embedding.local import LocalEmbedder
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2 as admin
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import ReportOutcomeRequest
from keeper_grpc.storage.accounts.qualification import PostgresQualification
from keeper_grpc.storage.advice.candidates import PostgresCandidates
from keeper_grpc.storage.advice.outcomes import PostgresOutcomes
from keeper_grpc.storage.advice.published.following import FollowPublished
from keeper_grpc.storage.advice.published.handed_out import PublishedAdvice
from keeper_grpc.storage.advice.published.memory import PublishedMemory
from keeper_grpc.storage.advice.published.moves import PublishedMoves
from keeper_grpc.storage.advice.published.patterns import ReadPatterns
from keeper_grpc.storage.advice.published.reads import MEMORY, PublishedCandidates
from keeper_grpc.storage.advice.suggestions import PostgresMoves
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.evidence.lifts import PostgresLifts
from keeper_grpc.storage.evidence.priors import PostgresPriors
from keeper_grpc.storage.patterns.ann_indexes import PostgresAnnIndexes
from keeper_grpc.storage.patterns.read import Listed, PostgresPatterns
from keeper_grpc.usecases.evidence.learn_lifts import LearnLifts
from keeper_grpc.usecases.evidence.learn_priors import LearnPriors
from keeper_grpc.usecases.patterns.read import PublishedPatterns
from tests.integration.observations import opened
from tests.rpc.feedback import ask, report
from tests.rpc.requests import capture, new_account
from tests.rpc.service import Service, running

HALF_LIFE = timedelta(days=45)
SPAN = 150
"""Days of a history: some half-lives, and long enough for a pattern to fade."""

RULE = PublicationRule(3)
HARMFUL = (admin.WITHDRAWAL_REASON_HARMFUL, admin.WITHDRAWAL_REASON_UNSPECIFIED)
"""The reason to take something back, and to bring it back."""

TYPES = ("churn_prevention", "review_response")
ACTIONS = (
    "Offer a warm towel",
    "Offer the guest a warm towel",
    "Call the guest back",
    "Call back the guest by phone",
    "Send a card with 20% off",
    "Raise the price by 10%",
    "Give a free candle on the next visit",
)
SCRIPTS = ("", "Hi {name}, we missed you", "Welcome back, {name}")
SITUATIONS: Sequence[Mapping[str, Any]] = (
    {},
    {"churn_risk": "high"},
    {"churn_risk": "low"},
    {"churn_risk": "low", "day_of_week": "Monday"},
)
REQUIREMENTS = tuple(
    Requirements(similarity, RULE, rate, trials)
    for similarity in (-1.0, 0.4)
    for rate, trials in ((0.0, 1), (0.6, 3), (0.75, 5), (0.95, 8))
)


@dataclass
class Story:
    """What goes on in a network: its accounts, and what may happen to it."""

    service: Service
    database: Database
    draw: random.Random
    accounts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.accounts = {new_account(): self.draw.choice(["spa", "spa", "gym"]) for _ in range(9)}

    async def happen(self) -> None:
        """Something happens: mostly outcomes, at times what an operator does."""
        draw = self.draw
        step = draw.choices(
            [
                self.captured,
                self.reported,
                self.forgotten,
                self.corrected,
                self.qualified,
                self.retired,
                self.withdrawn,
                self.learned,
            ],
            [60, 18, 2, 5, 5, 4, 4, 2],
        )[0]
        with suppress(grpc.aio.AioRpcError):  # what does not exist any more, or is so already
            await step()

    async def captured(self) -> None:
        """An account captures an outcome, which may be revised, and says what harm it did."""
        draw = self.draw
        account, category = draw.choice(list(self.accounts.items()))
        action, kind = draw.choice(ACTIONS), draw.choice(TYPES)
        age = draw.uniform(0, SPAN)
        request = capture(
            kind,
            action,
            account=account,
            category=category,
            # Some actions work, some do not, some no longer do.
            success=draw.random() < (0.85 if len(action) % 3 else 0.3 if age < 20 else 0.8),
            script=draw.choice(SCRIPTS),
            conditions=draw.choice(SITUATIONS),
        )
        request.occurred_time.FromDatetime(datetime.now(UTC) - timedelta(days=age))
        if draw.random() < 0.5:
            request.outcome.revenue_impact = draw.uniform(-50, 500)
        if draw.random() < 0.5:
            request.outcome.complained = draw.random() < 0.1
            request.outcome.cost = draw.uniform(0, 300)
        request.outcome.final = draw.random() < 0.8
        await self.service.network.CapturePattern(request)
        if not request.outcome.final:
            await self.service.network.ReportOutcome(
                ReportOutcomeRequest(
                    request_id=str(uuid.uuid4()),
                    account_id=account,
                    capture_request_id=request.request_id,
                    outcome=Outcome(success=draw.random() < 0.5),
                )
            )

    async def reported(self) -> None:
        """An account asks, is perhaps advised from another category, and reports."""
        draw = self.draw
        account, category = draw.choice(list(self.accounts.items()))
        given = await ask(
            self.service,
            draw.choice(TYPES),
            account,
            draw.choice(ACTIONS),
            category=category,
            conditions=draw.choice(SITUATIONS),
            min_success_rate=0.3,
        )
        await self.service.network.ReportOutcome(
            report(account, given.enhancement_id, success=draw.random() < 0.7)
        )

    async def forgotten(self) -> None:
        """An account is forgotten, and another one takes its place."""
        account = self.draw.choice(list(self.accounts))
        await self.service.admin.ForgetAccount(admin.ForgetAccountRequest(account_id=account))
        self.accounts[new_account()] = self.accounts.pop(account)

    async def corrected(self) -> None:
        """An account goes to another owner, or to another line of business."""
        account = self.draw.choice(list(self.accounts))
        request = admin.UpdateAccountRequest(account_id=account)
        if self.draw.random() < 0.7:
            request.owner_id = self.draw.choice(["", "chain-one", "chain-two"])
        else:
            request.business_category = self.draw.choice(["spa", "gym"])
        await self.service.admin.UpdateAccount(request)
        if request.business_category:
            self.accounts[account] = request.business_category

    async def qualified(self) -> None:
        """An account begins or ceases to count; the patterns' totals follow later."""
        async with self.database.connection() as connection:
            rows = await connection.fetch("SELECT account_key FROM accounts ORDER BY account_key")
        if rows:
            await PostgresQualification(self.database).qualify(
                self.draw.choice(rows)["account_key"], qualified=self.draw.random() < 0.7
            )

    async def retired(self) -> None:
        """A pattern is taken back, or comes back."""
        pattern_id = await self._some("SELECT id::text FROM network_patterns ORDER BY id")
        undo = self.draw.random() < 0.6
        await self.service.admin.RetirePattern(
            admin.RetirePatternRequest(pattern_id=pattern_id, reason=HARMFUL[undo], undo=undo)
        )

    async def withdrawn(self) -> None:
        """A script is taken back, or comes back."""
        pattern_id = await self._some(
            "SELECT DISTINCT pattern_id::text FROM pattern_scripts ORDER BY 1"
        )
        undo = self.draw.random() < 0.5
        await self.service.admin.WithdrawScript(
            admin.WithdrawScriptRequest(
                pattern_id=pattern_id,
                script=self.draw.choice(SCRIPTS[1:]),
                reason=HARMFUL[undo],
                undo=undo,
            )
        )

    async def learned(self) -> None:
        """Priors and the lifts of scripts are learned from what has become known."""
        await LearnPriors(
            store=PostgresPriors(
                self.database, half_life=HALF_LIFE, clock=lambda: datetime.now(UTC)
            ),
            rule=RULE,
            interval=timedelta(days=1),
        )()
        await LearnLifts(
            store=PostgresLifts(self.database), rule=RULE, interval=timedelta(days=1)
        )()

    async def _some(self, query: str) -> str:
        async with self.database.connection() as connection:
            rows = await connection.fetch(query)
        return str(self.draw.choice(rows)[0]) if rows else str(uuid.uuid4())


@dataclass(frozen=True)
class Sources:
    """The two that are compared: memory, which follows the database as another process would, and the database."""

    memory: PublishedMemory
    published: PublishedCandidates
    stored: PostgresCandidates
    readers: Readers


@dataclass(frozen=True)
class Readers:
    """The same of what other calls read: each pair is of memory and of the database alone."""

    patterns: tuple[ReadPatterns, PostgresPatterns]
    moves: tuple[PublishedMoves, PostgresMoves]
    advice: tuple[PublishedAdvice, PostgresOutcomes]

    @classmethod
    def of(
        cls, database: Database, memory: PublishedMemory, clock: Callable[[], datetime]
    ) -> Readers:
        """The readers of a database."""
        aged: Any = {"half_life": HALF_LIFE, "clock": clock}
        outcomes = PostgresOutcomes(database, Counting(RULE, HALF_LIFE, 1))
        return cls(
            (ReadPatterns(database, memory, **aged), PostgresPatterns(database, **aged)),
            (PublishedMoves(database, memory, **aged), PostgresMoves(database, **aged)),
            (PublishedAdvice(database, memory, outcomes, RULE), outcomes),
        )


@asynccontextmanager
async def followed(
    database: Database, clock: Callable[[], datetime], limit: int = 2**28
) -> AsyncIterator[Sources]:
    """Memory on a pool of its own, so that it sees the service's commits as another process does."""
    memory = PublishedMemory(database, k=RULE.k, limit=limit)
    indexes = PostgresAnnIndexes(database)
    stored = PostgresCandidates(database, indexes, half_life=HALF_LIFE, clock=clock)
    published = PublishedCandidates(
        memory, stored, database, indexes, half_life=HALF_LIFE, clock=clock
    )
    following = asyncio.create_task(FollowPublished(database, memory).run())
    try:
        yield Sources(memory, published, stored, Readers.of(database, memory, clock))
    finally:
        following.cancel()
        await asyncio.wait([following])
        await memory.aclose()


async def loaded(memory: PublishedMemory, scope: Scope) -> None:
    """Wait until questions to the scope, and to the type's others, are answered from memory."""
    while await memory.fresh(scope) is None or await memory.fresh_elsewhere(scope) is None:  # noqa: ASYNC110 - loading is another task
        await asyncio.sleep(0)


async def versions(database: Database) -> int:
    """Grows with every change of what may be shown."""
    async with database.connection() as connection:
        changed = await connection.fetchval("SELECT coalesce(sum(version), 0) FROM scopes")
    return int(changed)


def told(candidates: Sequence[Candidate], requirements: Requirements) -> list[object]:
    """All that an answer may depend on. Of what is not similar the database reads no scripts and no situation."""
    return [
        (
            replace(
                one.pattern,
                scripts=tuple(sorted(one.pattern.scripts, key=lambda script: script.template)),
            ),
            one.situation,
            one.transfer,
            one.expected_success_rate,
        )
        if one.similarity >= requirements.min_similarity
        else one.pattern.pattern_id
        for one in candidates
    ]


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two values differ; floats within what the order of a sum can change."""
    if isinstance(one, float) and isinstance(other, float):
        return [] if isclose(one, other, rel_tol=1e-9, abs_tol=1e-9) else [f"{path}: {one} {other}"]
    if is_dataclass(one) and type(one) is type(other):
        one, other = (
            {each.name: getattr(value, each.name) for each in fields(value)}
            for value in (one, other)
        )
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [d for key in one for d in differences(one[key], other[key], f"{path}.{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [d for place, pair in pairs for d in differences(*pair, f"{path}[{place}]")]
    return [] if one == other else [f"{path}: {one} {other}"]


def similarities(candidates: Sequence[Candidate]) -> list[float]:
    """How near each is."""
    return [one.similarity for one in candidates]


async def same_answers(sources: Sources, asked: Asked, requirements: Requirements) -> None:
    """Each search finds the same in memory and in the database."""
    for limit in (2, 20):
        mine = await sources.published.candidates(asked, requirements, limit)
        theirs = await sources.stored.candidates(asked, requirements, limit)
        assert differences(told(mine, requirements), told(theirs, requirements)) == []
        assert similarities(mine) == pytest.approx(similarities(theirs), abs=1e-5)
        one, other = rank(mine, requirements), rank(theirs, requirements)
        assert one.no_match == other.no_match
        assert [each.candidate.pattern.pattern_id for each in one.fit] == [
            each.candidate.pattern.pattern_id for each in other.fit
        ]
    mine = await sources.published.candidates_elsewhere(asked, requirements, 5)
    theirs = await sources.stored.candidates_elsewhere(asked, requirements, 5)
    assert differences(told(mine, requirements), told(theirs, requirements)) == []
    assert similarities(mine) == pytest.approx(similarities(theirs), abs=1e-5)
    of_catalog = await sources.published.authored(asked, RULE)
    expected = await sources.stored.authored(asked, RULE)

    def by_id(each: Any) -> Any:
        return each.candidate.pattern.pattern_id

    for first, second in zip(
        sorted(of_catalog, key=by_id), sorted(expected, key=by_id), strict=True
    ):
        mine, theirs = [first.candidate], [second.candidate]
        assert differences(told(mine, requirements), told(theirs, requirements)) == []
        assert (first.trigger, first.own) == (second.trigger, second.own)


def in_order(pattern: Pattern) -> Pattern:
    """Scripts have no order."""
    return replace(
        pattern, scripts=tuple(sorted(pattern.scripts, key=lambda script: script.template))
    )


def sorted_scripts(pattern: Pattern | None) -> Pattern | None:
    """The same of a pattern that may be missing."""
    return pattern and in_order(pattern)


async def same_patterns(readers: Readers, database: Database) -> int:
    """Each pattern reads the same, whether it may be shown or not, and so does the list; how many there are."""
    mine, theirs = readers.patterns
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT id FROM network_patterns")
    for (pattern_id,) in rows:
        one, other = [
            sorted_scripts(await each.find_pattern(pattern_id, RULE)) for each in (mine, theirs)
        ]
        assert differences(one, other) == []
    for kind in ("", *TYPES):
        pages = [
            [
                sorted_scripts(one)
                for one in await each.list_patterns(
                    PatternFilter(pattern_type=kind), RULE, None, 100
                )
            ]
            for each in (mine, theirs)
        ]
        assert differences(pages[0], pages[1]) == []
    return len(rows)


async def same_moves(readers: Readers, database: Database, asked: Asked) -> None:
    """Each pattern that may be suggested is the same candidate, without the asking owner's part in it."""
    mine, theirs = readers.moves
    assert await mine.triggers(asked.scope.business_category) == await theirs.triggers(
        asked.scope.business_category
    )
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT scope_id, id FROM network_patterns WHERE business_category = $1",
            asked.scope.business_category,
        )
    account = Account(asked.account_key, asked.scope.business_category, asked.owner_key)
    keys = [PatternKey(*row) for row in rows]
    found, expected = [
        {
            key: replace(one, pattern=in_order(one.pattern))
            for key, one in (
                await each.candidates_without(account, keys, asked.conditions, RULE)
            ).items()
            if one.pattern.applies and (one.pattern.authored or not one.pattern.withheld(RULE))
        }
        for each in (mine, theirs)
    ]
    assert differences(found, expected) == []


async def same_advice(readers: Readers, database: Database) -> None:
    """Whatever was handed out is the same, to the account that it was handed out to."""
    mine, theirs = readers.advice
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT id, account_key, owner_key FROM enhancements JOIN accounts USING (account_key)"
        )
    for enhancement_id, key, owner in rows:
        found, expected = [
            await each.handed_out(Account(key, "", owner), enhancement_id)
            for each in (mine, theirs)
        ]
        assert found is not None
        assert expected is not None
        assert (
            differences(
                replace(found, pattern=sorted_scripts(found.pattern)),
                replace(expected, pattern=sorted_scripts(expected.pattern)),
            )
            == []
        )


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_memory_reads_what_the_database_reads(database_url: str, seed: int) -> None:
    """After any history, pattern by pattern, move by move and task by task."""
    draw = random.Random(seed)  # noqa: S311 - a history, not a secret
    now = datetime.now(UTC)
    model = LocalEmbedder()
    async with (
        running(
            database_url,
            evidence_half_life=HALF_LIFE,
            seed_catalog=seed % 2 == 1,
            counting_step=1,
            qualification_interval=timedelta(days=1),
        ) as service,
        opened(database_url) as database,
        followed(database, lambda: now) as sources,
    ):
        story = Story(service, database, draw)
        read = 0
        for _ in range(8):
            for _ in range(10):
                await story.happen()
            async with database.connection() as connection:
                rows = await connection.fetch("SELECT account_key, owner_key FROM accounts")
            askers = [(row["account_key"], row["owner_key"]) for row in rows]
            key, owner = draw.choice([*askers, ("a newcomer", "a newcomer")])
            category, conditions = draw.choice(["spa", "gym"]), draw.choice(SITUATIONS)
            scope = Scope(TYPES[0], category, model.model)
            asked = Asked(scope, np.zeros(1536, np.float32), key, owner, conditions)
            while True:
                sources.memory.doubt()
                for kind in TYPES:
                    await loaded(sources.memory, replace(scope, pattern_type=kind))
                before = await versions(database)
                try:
                    read += await same_patterns(sources.readers, database)
                    await same_moves(sources.readers, database, asked)
                    await same_advice(sources.readers, database)
                except AssertionError:
                    if before == await versions(database):
                        raise
                    continue  # something of the background's came between
                break
        assert read > 20
    await model.aclose()


class Interrupted(ReadPatterns):
    """Something happens between the reading of the list and of its patterns."""

    then: Callable[[], Awaitable[None]]

    async def list_places(self, *arguments: Any) -> Sequence[Listed]:
        listed = await super().list_places(*arguments)
        await self.then()
        return listed


async def three_patterns(service: Service) -> Sequence[uuid.UUID]:
    """Published ones of one type, the surest first."""
    ids = []
    for successes, action in (
        (9, "Offer a warm towel"),
        (6, "Praise the sauna"),
        (1, "Ring a bell"),
    ):
        for n in range(9):
            stored = await service.capture(capture("listed", action, success=n < successes))
        ids.append(uuid.UUID(stored.pattern_id))
    return ids


async def pages(patterns: PostgresPatterns, most: int) -> Sequence[uuid.UUID]:
    """The patterns of as many pages of one."""
    reading, after, listed = PublishedPatterns(store=patterns, rule=RULE), None, []
    for _ in range(most):
        page = await reading.page(PatternFilter(pattern_type="listed"), after, 1)
        listed += [each.pattern_id for each in page.patterns]
        after = page.next
        if after is None:
            break
    return listed


async def test_a_page_ends_where_the_next_begins(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pattern comes once, also while memory is of before the surest one failed."""
    async with (
        running(database_url, counting_step=1) as service,
        opened(database_url) as database,
        followed(database, lambda: datetime.now(UTC)) as sources,
    ):
        ids = await three_patterns(service)
        async with database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT pattern_type, business_category, embedding_model FROM network_patterns"
            )
        assert row is not None
        scope = Scope(*row)
        sources.memory.doubt()
        await loaded(sources.memory, scope)
        before = copy.deepcopy(await sources.memory.fresh(scope))

        async def as_it_was(_: Scope) -> Any:
            return before

        monkeypatch.setattr(sources.memory, "fresh", as_it_was)
        assert await pages(sources.readers.patterns[0], 9) == ids
        for _ in range(30):
            await service.capture(capture("listed", "Offer a warm towel", success=False))
        assert await pages(sources.readers.patterns[1], 9) == [ids[1], ids[0], ids[2]]
        assert await pages(sources.readers.patterns[0], 9) == [ids[1], ids[0], ids[2]]


async def test_a_pattern_that_goes_meanwhile_does_not_end_the_list(database_url: str) -> None:
    """The page is filled with the next one, and says that there are more."""
    async with running(database_url) as service, opened(database_url) as database:
        ids = await three_patterns(service)
        memory = PublishedMemory(database, k=RULE.k, limit=0)
        patterns = Interrupted(
            database, memory, half_life=HALF_LIFE, clock=lambda: datetime.now(UTC)
        )

        async def retire() -> None:
            async with database.connection() as connection:
                await connection.execute(
                    "UPDATE network_patterns SET retired_time = now() WHERE id = $1", ids[0]
                )

        patterns.then = retire
        assert await pages(patterns, 9) == ids[1:]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_memory_answers_what_the_database_answers(database_url: str, seed: int) -> None:
    """After any history, question by question, for each account that the network knows and for a newcomer."""
    draw = random.Random(seed)  # noqa: S311 - a history, not a secret
    now = datetime.now(UTC)
    model = LocalEmbedder()
    async with (
        running(
            database_url,
            evidence_half_life=HALF_LIFE,
            seed_catalog=seed % 2 == 1,
            counting_step=1 + 4 * (seed % 2),
            script_exploration=0.5,
            qualification_interval=timedelta(days=1),
        ) as service,
        opened(database_url) as database,
        followed(database, lambda: now) as sources,
    ):
        story = Story(service, database, draw)
        compared = 0
        for _ in range(20):
            for _ in range(5):
                await story.happen()
            async with database.connection() as connection:
                rows = await connection.fetch("SELECT account_key, owner_key FROM accounts")
            askers = [(row["account_key"], row["owner_key"]) for row in rows]
            kind, category = draw.choice(TYPES), draw.choice(["spa", "spa", "gym", "salon"])
            conditions: Mapping[str, JsonValue] = draw.choice(SITUATIONS)
            action = draw.choice([*ACTIONS, "Offer tea", ""])
            insight = AnonymizedInsight(kind, category, conditions, action, "", 0.5, 0, 0)
            (vector,) = await model.embed([insight.render()])
            scope = Scope(kind, category, model.model)
            requirements = draw.choice(REQUIREMENTS)
            for account, owner in [*askers, ("a newcomer", "a newcomer")]:
                while True:
                    sources.memory.doubt()
                    await loaded(sources.memory, scope)
                    before = await versions(database)
                    answered = sources.published.answers[MEMORY]
                    asked = Asked(scope, vector, account, owner, conditions)
                    try:
                        await same_answers(sources, asked, requirements)
                    except AssertionError:
                        if before == await versions(database):
                            raise
                        continue  # something of the background's came between
                    assert sources.published.answers[MEMORY] == answered + 4
                    compared += 1
                    break
        assert compared > 100
        assert sources.memory.patterns
    await model.aclose()
