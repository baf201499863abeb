"""How far can accounts that collude bend what is shown, and do bounds keep their promise?

`python bench/integrity.py` serves a network of its own in a temporary directory and plays through the API
what 1 to 5 accounts can do against 6 honest ones of five captures each: bury a pattern that works, lift one
that does not, move it among others, and put their words in place of the honest ones. Each attacker makes
`ATTACK` captures, as many as six honest accounts together. Then it prints what an observer reads of a victim
in a pattern of which it knows all the rest, what polls of the metrics tell of one account, and how often
bounds miss the true rate, by number of trials, in simulated networks whose worlds the code does not know.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.coverage import WORLDS, misses
from keeper_grpc import logs
from keeper_grpc.app import application
from keeper_grpc.domain.evidence.evidence import Share, weigh
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.evidence.steps import due
from keeper_grpc.gen.keeper.network.v1 import insight_pb2, network_service_pb2
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Kpi
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern
from keeper_grpc.settings import Settings

if TYPE_CHECKING:
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

HONEST = 6
CAPTURES = 5
"""Captures of each honest account."""

ATTACK = 30
ATTACK_SCRIPT = "Tell me your card number"
ATTACKERS = range(6)
ACTION = "Offer the guest a warm towel at the entrance"
OTHERS = (
    "Call the guest back within a day",
    "Send a reminder before the appointment",
    "Raise the price by ten percent",
    "Write a letter to the member",
    "Give the team a lesson on Mondays",
)
"""Honest patterns of the same type, of which so many in six captures of five succeed."""

VICTIM_REVENUE = 123.45
VICTIM_TIME = datetime.now(UTC).replace(hour=3, minute=4, second=5, microsecond=678901) - timedelta(
    1
)
"""What the observer is after: the revenue of each of one victim's captures, and when they happened."""

STEP: int = Settings.model_fields["counting_step"].default
"""Outcomes of an account that begin to count at a time."""

MOST = 40
"""Most captures that the observer thinks a victim may have made."""

TRIALS = (3, 5, 10, 20, 50)
PATTERNS = 60
KNOWN = (0, 1, 4)
NETWORKS = 200


@dataclass(frozen=True)
class Shown:
    """What a newcomer is shown of the pattern that is attacked, after the attack."""

    pattern: Pattern
    rank: int
    applied: bool


class Network:
    """A served network, and what accounts do in it."""

    def __init__(self, stub: NetworkLearningServiceAsyncStub) -> None:
        self._stub = stub

    async def capture(
        self,
        account: str,
        insight: insight_pb2.Insight,
        outcomes: Sequence[bool],
        revenue: float | None = None,
        occurred: datetime | None = None,
    ) -> None:
        """Capture outcomes of one account's insight."""
        for success in outcomes:
            request = network_service_pb2.CapturePatternRequest(
                request_id=str(uuid.uuid4()),
                account_id=account,
                insight=insight,
                outcome=insight_pb2.Outcome(success=success, revenue_impact=revenue),
            )
            if occurred:
                request.occurred_time.FromDatetime(occurred)
            await self._stub.CapturePattern(request)

    async def report(
        self, account: str, insight: insight_pb2.Insight, outcomes: Sequence[bool], revenue: float
    ) -> None:
        """Ask for advice and report what came of it, once for each outcome."""
        for success in outcomes:
            given = await self._stub.EnhanceInsight(
                network_service_pb2.EnhanceInsightRequest(account_id=account, insight=insight)
            )
            await self._stub.ReportOutcome(
                network_service_pb2.ReportOutcomeRequest(
                    request_id=str(uuid.uuid4()),
                    account_id=account,
                    enhancement_id=given.enhancement_id,
                    outcome=insight_pb2.Outcome(success=success, revenue_impact=revenue),
                )
            )

    async def metrics(self) -> Sequence[float]:
        """What the metrics show of outcomes: successes, revenue, revenue per pattern, outcomes of the last day."""
        told = await self._stub.GetNetworkMetrics(network_service_pb2.GetNetworkMetricsRequest())
        (per_pattern,) = [
            kpi.metric.value for kpi in told.kpis if kpi.name == Kpi.NAME_REVENUE_PER_PATTERN
        ]
        return (
            told.metrics.total_success_applications.value,
            told.metrics.revenue_generated_network.value,
            per_pattern,
            told.days[-1].advised_count,
        )

    async def look(self, topic: str) -> Sequence[Pattern]:
        """The published patterns of a type, in the order in which anyone is shown them."""
        listed = await self._stub.ListPatterns(
            network_service_pb2.ListPatternsRequest(pattern_type=topic)
        )
        return listed.patterns

    async def honest(self, topic: str, successes: Sequence[int], action: str) -> None:
        """The honest accounts' captures: of each, so many of five succeed."""
        for number, good in enumerate(successes):
            await self.capture(
                f"honest {number}",
                _insight(topic, action, "Hi {name}, this is for you"),
                [True] * good + [False] * (CAPTURES - good),
            )

    async def attacked(self, topic: str, attackers: int, *, success: bool) -> Shown:
        """Let some accounts attack a pattern, and look at it as a newcomer."""
        for number in range(attackers):
            await self.capture(
                f"attacker {number}",
                _insight(topic, ACTION, ATTACK_SCRIPT),
                [success] * ATTACK,
            )
        listed = await self.look(topic)
        place = [pattern.action for pattern in listed].index(ACTION)
        answer = await self._stub.EnhanceInsight(
            network_service_pb2.EnhanceInsightRequest(
                account_id="newcomer", insight=_insight(topic, ACTION, "")
            )
        )
        applied = answer.enhanced_insight.pattern_id == listed[place].pattern_id
        return Shown(listed[place], place + 1, applied)


def _insight(topic: str, action: str, script: str) -> insight_pb2.Insight:
    return insight_pb2.Insight(
        type=topic, business_category="spa", action=action, script=script, confidence=0.5
    )


async def collusion(network: Network) -> None:
    """Print what 0 to 5 attackers do to a pattern that works and to one that does not."""
    for title, honest, success in (
        ("failures against 24 of 30", (4,) * HONEST, False),
        ("successes for 7 of 30", (2, *(1,) * (HONEST - 1)), True),
    ):
        table = Table(title=f"{ATTACK} {title}, of each attacker")
        for heading in ("attackers", "shown", "rate", "at least", "rank of 6", "applied", "script"):
            table.add_column(heading, justify="right")
        for attackers in ATTACKERS:
            topic = f"{title.split()[0]}_{attackers}"
            for good, action in enumerate(OTHERS, 1):
                await network.honest(topic, (good,) * HONEST, action)
            await network.honest(topic, honest, ACTION)
            shown = await network.attacked(topic, attackers, success=success)
            evidence = shown.pattern.evidence
            table.add_row(
                str(attackers),
                f"{evidence.success_count} of {evidence.occurrence_count}",
                f"{evidence.success_rate:.0%}",
                f"{evidence.lower_bound:.0%}",
                str(shown.rank),
                "yes" if shown.applied else "no",
                "theirs" if shown.pattern.proven_script == ATTACK_SCRIPT else "honest",
            )
        Console().print(table)


async def differencing(network: Network) -> None:
    """Print what is read of a victim's captures by an observer whose accounts are all the others.

    It knows its own captures and the rules by which outcomes are counted and weighed: it keeps the trials and
    successes that give the counts that are shown. Half its accounts gained nothing and half a thousand, so that the median
    is the victim's revenue.
    """
    table = Table(
        title=f"read of a victim: {VICTIM_REVENUE} each, the last at {VICTIM_TIME.isoformat(sep=' ')}"
    )
    for heading in ("others", "victim", "trials", "successes", "revenue", "last time"):
        table.add_column(heading, justify="right")
    long_ago = VICTIM_TIME - timedelta(days=30)
    for others in (2, 6, 20):
        for good, bad in ((1, 0), (1, 1), (2, 1), (3, 1), (7, 1), (20, 10)):
            topic = f"victim_{others}_{good}_{bad}"
            insight = _insight(topic, ACTION, "")
            for number in range(others):
                await network.capture(
                    f"observer {topic} {number}",
                    insight,
                    [True] * CAPTURES,
                    1000.0 * (number % 2),
                    long_ago,
                )
            await network.capture(
                f"victim {topic}",
                insight,
                _mixed(good, bad),
                VICTIM_REVENUE,
                VICTIM_TIME,
            )
            (pattern,) = await network.look(topic)
            shown = pattern.evidence
            found = _consistent(others, shown.occurrence_count, shown.success_count)
            table.add_row(
                str(others),
                f"{good} of {good + bad}",
                _span([trials for trials, _ in found]),
                _span([successes for _, successes in found]),
                f"{shown.mean_revenue_impact:.2f}",
                pattern.last_validated_time.ToDatetime(UTC).isoformat(sep=" "),
            )
    Console().print(table)


def _consistent(others: int, trials: int, successes: int) -> Sequence[tuple[int, int]]:
    """Trials and successes of a victim that would show these counts beside the observer's accounts.

    Those that wait for a step show nothing of themselves.
    """
    own = [Share(CAPTURES, CAPTURES)] * others
    found = []
    for tried in range(1, MOST + 1):
        counted = max(number for number in range(1, tried + 1) if due(number, STEP))
        for good in range(counted + 1):
            whole = weigh([*own, Share(counted, good)], PublicationRule().k)
            if (whole.trials, whole.successes) == (trials, successes):
                found += [(tried, good + waiting) for waiting in range(tried - counted + 1)]
    return found


def _mixed(good: int, bad: int) -> Sequence[bool]:
    """Outcomes in an order in which the failures come evenly."""
    made = good + bad
    return [(number * bad) // made == ((number + 1) * bad) // made for number in range(made)]


async def looking_twice(network: Network) -> None:
    """Print what changes between two looks, before and after each capture of one account beside others."""
    table = Table(title="an account captures while an observer looks after each: what changes")
    for heading in ("captures", "shown before", "shown after"):
        table.add_column(heading, justify="right")
    topic = "looked_at"
    insight = _insight(topic, ACTION, "")
    for number in range(HONEST):
        await network.capture(f"beside {number}", insight, [True] * CAPTURES, 100.0)
    before = await _counts(network, topic)
    for number, success in enumerate(_mixed(8, 4), 1):
        await network.capture("looked at", insight, [success], VICTIM_REVENUE)
        after = await _counts(network, topic)
        table.add_row(str(number), before, after if after != before else "the same")
        before = after
    Console().print(table)


async def polling_metrics(network: Network) -> None:
    """Print what changes in the network's metrics from poll to poll, before and after each outcome of one account."""
    table = Table(title="an account reports while an observer polls the metrics: what changes")
    for heading in (
        "reports",
        "successes",
        "revenue",
        "revenue per pattern",
        "outcomes of its day",
    ):
        table.add_column(heading, justify="right")
    topic = "polled"
    insight = _insight(topic, ACTION, "")
    for number in range(HONEST):
        await network.capture(f"taught {number}", insight, [True] * CAPTURES)
    for number in range(HONEST):
        await network.report(f"advised {number}", insight, [True] * STEP, 100.0)
    before = await network.metrics()
    for number, success in enumerate(_mixed(8, 4), 1):
        await network.report("polled", insight, [success], VICTIM_REVENUE)
        after = await network.metrics()
        moved = [f"{now - was:+.2f}" for was, now in zip(before, after, strict=True)]
        table.add_row(str(number), *(moved if after != before else ["the same"] * len(moved)))
        before = after
    Console().print(table)


async def _counts(network: Network, topic: str) -> str:
    (pattern,) = await network.look(topic)
    shown = pattern.evidence
    return f"{shown.success_count} of {shown.occurrence_count}, {shown.mean_revenue_impact:.0f}"


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def coverage(networks: int) -> None:
    """Print how often bounds of 95% certainty miss, in percent."""
    table = Table(title="misses of all / of those shown (>= 60%) / of the best of ten, in percent")
    table.add_column("world")
    for trials in TRIALS:
        table.add_column(f"n = {trials}", justify="right")
    for name, world in WORLDS.items():
        row = []
        for trials in TRIALS:
            chance = np.random.default_rng([trials, len(name)])
            found = misses(world, trials, PATTERNS, networks, chance)
            row.append(" / ".join(_percent(part) for part in (found.all, found.shown, found.best)))
        table.add_row(name, *row)
    Console().print(table)
    print(f"{networks} networks of {PATTERNS} patterns each; promised: at most 5.0 everywhere")


def coverage_of_few(networks: int) -> None:
    """Print the same of a type of which few other patterns are known."""
    table = Table(title="misses of those shown (>= 60%) in a new type, in percent")
    table.add_column("world")
    for others in KNOWN:
        for trials in TRIALS:
            table.add_column(f"{others} others, n = {trials}", justify="right")
    for name, world in WORLDS.items():
        row = []
        for others in KNOWN:
            for trials in TRIALS:
                chance = np.random.default_rng([trials, len(name), others])
                found = misses(world, trials, others + 1, networks * 20, chance)
                row.append(_percent(found.shown))
        table.add_row(name, *row)
    Console(width=200).print(table)


def _percent(missed: Sequence[bool]) -> str:
    return f"{100 * np.mean(missed):.1f}" if missed else "-"


async def serve(settings: Settings) -> None:
    """Serve a network and attack it."""
    async with (
        application(settings) as app,
        grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel,
    ):
        stub: NetworkLearningServiceAsyncStub = NetworkLearningServiceStub(channel)
        network = Network(stub)
        await collusion(network)
        await differencing(network)
        await looking_twice(network)
        await polling_metrics(network)


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--networks", type=int, default=NETWORKS, help="simulated, for each cell")
    arguments = parser.parse_args()
    logs.configure("warning", "console")
    with tempfile.TemporaryDirectory(prefix="keeper-integrity-") as directory:
        asyncio.run(serve(Settings(port=0, data_dir=Path(directory), seed_catalog=False)))
    coverage(arguments.networks)
    coverage_of_few(arguments.networks)


if __name__ == "__main__":
    main()
