"""The story with the network: day by day, every account through the API.

Outcomes are reported in the morning of a day, and the network learns from them; accounts ask during
the rest of it. The answers of one day do not affect each other, so they are requested concurrently.
Outcomes of one scope (category and type) are reported in a fixed order, different scopes concurrently:
scopes are independent. Timing therefore decides nothing, and a seed determines the story.
"""

from __future__ import annotations

import asyncio
import math
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Outcome
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Kpi, NetworkMetrics
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import EnhanceInsightResponse
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern
from keeper_grpc.simulation.parameters import DAY_ZERO, Parameters
from keeper_grpc.simulation.play.episodes import Advice, Answer, Episode
from keeper_grpc.simulation.play.person import Person
from keeper_grpc.simulation.play.server import Clock, Network
from keeper_grpc.simulation.play.speech import done_by, named_by, question, statement, tone_of
from keeper_grpc.simulation.world.population import Met, Stage, population, stages
from keeper_grpc.simulation.world.truth import Action, Situation, World

_AT_ONCE = 16
"""Concurrent questions: enough to keep server and database busy."""

_PAGE = 500
"""Patterns a page: the API's maximum."""

_HOUR = 1 / 24

_REQUESTS = uuid.UUID("8c0f4b57-0c5b-4f0e-9a39-8e6f2b7f6d10")
"""A random UUID: the namespace of derived request ids."""

_NoMatch = EnhanceInsightResponse.NoMatchReason


@dataclass(frozen=True, slots=True)
class Support:
    """One outcome counted for a pattern: the true action, and its chance.

    `chance` is an average account's, because evidence of many accounts estimates that.
    """

    action: Action
    category: str
    chance: float
    situation: Situation
    known_day: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The network's knowledge at the end of a stage.

    `metrics` are the network's own and cover the measured part, `kpis` cover the whole stage,
    as does `exploration_loss`, which each question with advice was expected to cost.
    """

    published: Sequence[Pattern]
    meaning: Mapping[str, Action]
    support: Mapping[str, Sequence[Support]]
    metrics: NetworkMetrics
    kpis: Sequence[Kpi]
    exploration_loss: float = 0.0


@dataclass(frozen=True, slots=True)
class PatternDay:
    """The published patterns after the outcomes of one day, by id, and those of them that were FADING."""

    day: int
    published: frozenset[str]
    fading: frozenset[str]


@dataclass(frozen=True, slots=True)
class PlayedStory:
    """The whole story, with one snapshot a stage; `calls` is the number of API calls made.

    `pattern_days` has every day of a story whose truths turn, and none of another: listing patterns takes time.
    """

    episodes: Sequence[Episode]
    snapshots: Sequence[Snapshot]
    calls: int
    pattern_days: Sequence[PatternDay] = ()


class Story:
    """Plays one story. `progress` is called after every day; the account `without` never joins."""

    def __init__(
        self,
        parameters: Parameters,
        world: World,
        network: Network,
        clock: Clock,
        progress: Callable[[int], None],
        *,
        without: int | None = None,
    ) -> None:
        self._parameters = parameters
        self._world = world
        self._client = network.client
        self._ledger = network.ledger
        self._learn = network.learn
        self._clock = clock
        self._progress = progress
        self._without = without
        self._episodes: list[Episode] = []
        self._due: dict[int, list[Episode]] = defaultdict(list)
        self._reported: dict[str, Episode] = {}
        self._people: dict[int, Person] = {}
        self._calls = 0

    async def play(self) -> PlayedStory:
        """Play it from the first day to the last. Raises KeeperClientError."""
        joining = [a for a in population(self._parameters) if a.number != self._without]
        ends = {int(stage.ends) - 1: stage for stage in stages(self._parameters)}
        snapshots, pattern_days = [], []
        for day in range(self._parameters.days):
            self._clock.move_to(day)
            await self._report(self._due.pop(day, []))
            await self._learn()
            if self._parameters.reversals:
                pattern_days.append(await self._pattern_day(day))
            # Questions come after every report, so that no outcome arrives while it is asked about.
            self._clock.move_to(day + _HOUR)
            while joining and joining[0].joined < day + 1:
                account = joining.pop(0)
                person = Person(self._parameters, self._world, account, self._parameters.days)
                self._people[account.number] = person
                self._calls += 1
                await self._client.register_account(account.account_id, account.category)
            await self._ask(day)
            if day in ends:
                snapshots.append(await self._snapshot(ends[day], day))
            self._progress(day)
        return PlayedStory(self._episodes, snapshots, self._calls, pattern_days)

    async def _ask(self, day: int) -> None:
        """Every account asks the network about today's insights, then acts on them."""
        insights = [insight for person in self._people.values() for insight in person.insights(day)]
        slots = asyncio.Semaphore(_AT_ONCE)

        async def ask(insight: Met) -> EnhanceInsightResponse:
            async with slots:
                return await self._client.enhance(insight.account.account_id, question(insight))

        self._calls += len(insights)
        answers = await asyncio.gather(*(ask(insight) for insight in insights))
        for insight, answer in zip(insights, answers, strict=True):
            episode = self._people[insight.account.number].act(
                insight, _understood(insight, answer)
            )
            self._episodes.append(episode)
            self._due[episode.known_day].append(episode)

    async def _report(self, episodes: Sequence[Episode]) -> None:
        """Report outcomes: each scope in order, all scopes concurrently."""
        scopes: dict[tuple[str, int], list[Episode]] = defaultdict(list)
        for episode in sorted(episodes, key=lambda e: (e.met.account.number, e.met.number)):
            self._people[episode.met.account.number].learn(episode)
            scopes[episode.met.account.category, episode.met.situation.kind].append(episode)
        self._calls += len(episodes)
        await asyncio.gather(*(self._report_scope(scope) for scope in scopes.values()))

    async def _report_scope(self, episodes: Sequence[Episode]) -> None:
        for episode in episodes:
            await self._report_one(episode)

    async def _report_one(self, episode: Episode) -> None:
        """Report advice that was followed or held out, or capture an own idea."""
        account_id, number = episode.met.account.account_id, episode.met.number
        request_id = str(uuid.uuid5(_REQUESTS, f"{self._parameters.seed} {account_id} {number}"))
        self._reported[request_id] = episode
        outcome = Outcome(
            success=episode.success,
            revenue_impact=episode.revenue,
            customer_retained=episode.retained,
            # Where nothing costs anything, nobody speaks of cost.
            cost=episode.cost if self._parameters.trap_effect else None,
        )
        answer = episode.answer
        if answer is not None and (episode.followed or answer.held_out):
            await self._client.report_outcome(
                account_id, answer.enhancement_id, outcome, request_id=request_id
            )
            return
        said, identifiers = statement(self._parameters, episode.met, episode.action, episode.tone)
        await self._client.capture(
            account_id,
            said,
            outcome,
            identifiers=identifiers,
            request_id=request_id,
            # Advice that was not followed: intention to treat.
            enhancement_id=answer.enhancement_id if answer and answer.advice else "",
        )

    async def _published(self) -> list[Pattern]:
        published = [
            pattern
            async for pattern in self._client.list_patterns(page_size=_PAGE)
            if pattern.evidence.occurrence_count  # an untested one of the catalog has none
        ]
        self._calls += 1 + len(published) // _PAGE
        return published

    async def _pattern_day(self, day: int) -> PatternDay:
        published = await self._published()
        return PatternDay(
            day,
            frozenset(each.pattern_id for each in published),
            frozenset(each.pattern_id for each in published if each.state == Pattern.STATE_FADING),
        )

    async def _snapshot(self, stage: Stage, day: int) -> Snapshot:
        published = await self._published()
        measured = await self._client.network_metrics(window=_back(day, stage.reached))
        whole = await self._client.network_metrics(window=_back(day, stage.begins))
        self._calls += 2
        meaning: dict[str, Action] = {}
        support: dict[str, list[Support]] = defaultdict(list)
        for credit in await self._ledger.credits():
            episode = self._reported[credit.request_id]
            # Advice from another category may have begun a pattern of this one.
            advised = episode.advice.meant if episode.advice and episode.followed else None
            meaning.setdefault(credit.pattern_id, advised or episode.action)
            support[credit.pattern_id].append(self._supported(episode))
        return Snapshot(
            published=published,
            meaning=meaning,
            support=support,
            metrics=measured.metrics,
            kpis=whole.kpis,
            exploration_loss=await self._ledger.exploration_loss(
                DAY_ZERO + timedelta(days=stage.begins)
            ),
        )

    def _supported(self, episode: Episode) -> Support:
        met = episode.met
        rate = self._world.success_rate(
            met.account.category, met.situation, episode.action, episode.tone, day=met.day
        )
        return Support(episode.action, met.account.category, rate, met.situation, episode.known_day)


def _understood(insight: Met, answer: EnhanceInsightResponse) -> Answer:
    """What the account takes the answer to mean: all that it has are the answer's words."""
    enhanced = answer.enhanced_insight
    advice = None
    if enhanced.HasField("authored_advice"):
        said = enhanced.authored_advice
        meant = named_by(said.action, insight.situation.kind)
        advice = Advice(
            pattern_id=said.pattern_id,
            action=done_by(said.script, meant),
            meant=meant,
            tone=tone_of(said.script),
            category=insight.account.category,
            confidence=enhanced.confidence,
            expected=said.author_claim.success_rate,
            authored=True,
        )
    elif enhanced.network_enhanced:
        meant = named_by(enhanced.suggested_approach, insight.situation.kind)
        advice = Advice(
            pattern_id=enhanced.pattern_id,
            action=done_by(enhanced.proven_script, meant),
            meant=meant,
            tone=tone_of(enhanced.proven_script),
            category=enhanced.factors.business_category,
            confidence=enhanced.confidence,
            expected=enhanced.expected_success_rate,
        )
    reason = _NoMatch.Name(answer.no_match_reason).removeprefix("NO_MATCH_REASON_").lower()
    return Answer(answer.enhancement_id, advice, reason, held_out=reason == "holdout")


def _back(day: int, begin: float) -> timedelta:
    """The window from the first whole day since `begin` to a day's questions, less half an hour."""
    days = max(day - math.ceil(begin), 0)
    return timedelta(days=days + _HOUR / 2)
