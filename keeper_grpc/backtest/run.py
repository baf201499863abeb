"""A backtest from beginning to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from keeper_grpc.backtest.figures import Answer, Figures, figures
from keeper_grpc.backtest.history import History
from keeper_grpc.backtest.network import Clock, OwnNetwork, own_network
from keeper_grpc.client import KeeperClient
from keeper_grpc.command.signals import ended_by_signals
from keeper_grpc.domain.patterns.merging.agreement import Agreement, agreement
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Insight
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    CapturePatternRequest,
    EnhanceInsightResponse,
)
from keeper_grpc.importing.files.kind import Format

IN_FLIGHT = 8

Advance = Callable[[str, int], None]
"""What is being done, and to how many rows it was done."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a backtest. `known`: histories of others, with their mappings, that the network has already."""

    file: Path
    mapping: Path
    known: Sequence[tuple[Path, Path]] = ()
    file_format: Format | None = None
    learned_share: float = 0.7
    questions: int = 1_000


@dataclass(frozen=True, slots=True)
class Backtest:
    """The result: rows learned from and left out, accounts behind them, the time between earlier and later rows."""

    learned: int
    left_out: int
    accounts: int
    k: int
    split: datetime
    later: int
    figures: Figures


async def run(options: Options, advance: Advance) -> Backtest:
    """Learn from the earlier rows, ask about the later ones. Raises ImportFailed and KeeperClientError."""
    with ended_by_signals():
        history = await History.opened(options.file, options.mapping, options.file_format)
        known = [await History.opened(file, mapping, None) for file, mapping in options.known]
        split = await history.split_at(options.learned_share)
        clock = Clock(split)
        async with own_network(clock) as network:
            learned, accounts = await _learn([*known, history], split, network.client, advance)
            await network.learn()
            later, questions = await _later(history, split, options.questions)
            answers = await _ask(questions, clock, network, advance)
    return Backtest(
        learned=learned,
        left_out=sum(each.left_out for each in (*known, history)),
        accounts=accounts,
        k=network.k,
        split=split,
        later=later,
        figures=figures(answers),
    )


async def _learn(
    histories: Sequence[History], split: datetime, client: KeeperClient, advance: Advance
) -> tuple[int, int]:
    """Capture what occurred until the split; how many rows, of how many accounts."""
    learned = 0
    accounts: set[str] = set()
    calls: set[asyncio.Task[object]] = set()
    try:
        for history in histories:
            async with aclosing(history.captures()) as captures:
                async for moment, request in captures:
                    if moment > split:
                        continue
                    if len(calls) >= IN_FLIGHT:
                        calls = await _some(calls)
                    calls.add(asyncio.create_task(_capture(client, request)))
                    accounts.add(request.account_id)
                    learned += 1
                    advance("learned from", learned)
        while calls:
            calls = await _some(calls)
    finally:
        for call in calls:
            call.cancel()
    return learned, len(accounts)


async def _some(calls: set[asyncio.Task[object]]) -> set[asyncio.Task[object]]:
    """Those that are still under way, once one has ended. Raises what a call raised."""
    done, under_way = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    for call in done:
        call.result()
    return under_way


async def _capture(client: KeeperClient, request: CapturePatternRequest) -> object:
    return await client.capture(
        request.account_id,
        request.insight,
        request.outcome,
        identifiers=request.identifiers,
        occurred_time=request.occurred_time.ToDatetime(),
        request_id=request.request_id,
    )


async def _later(
    history: History, split: datetime, most: int
) -> tuple[int, Sequence[tuple[datetime, CapturePatternRequest]]]:
    """How many rows occurred after the split, and of these `most` at even distances, in the order of time."""
    later = 0
    async with aclosing(history.captures()) as captures:
        async for moment, _ in captures:
            later += moment > split
    asked: list[tuple[datetime, CapturePatternRequest]] = []
    place = 0
    async with aclosing(history.captures()) as captures:
        async for moment, request in captures:
            if moment <= split:
                continue
            # The n-th of `later` rows is taken where n * most / later passes a whole number.
            if (place + 1) * most // later > place * most // later or later <= most:
                asked.append((moment, request))
            place += 1
    return later, sorted(asked, key=lambda each: each[0])


async def _ask(
    questions: Sequence[tuple[datetime, CapturePatternRequest]],
    clock: Clock,
    network: OwnNetwork,
    advance: Advance,
) -> list[Answer]:
    answers = []
    for moment, request in questions:
        # One at a time: each is asked at its own time.
        clock.now = max(clock.now, moment)
        answers.append(await _answer(network.client, request))
        advance("asked about", len(answers))
    return answers


async def _answer(client: KeeperClient, request: CapturePatternRequest) -> Answer:
    """What the network expects of what was done, and what it would have advised by itself."""
    done = request.insight.action
    of_done = await client.enhance(
        request.account_id, request.insight, identifiers=request.identifiers, min_success_rate=0.0
    )
    open_question = Insight()
    open_question.CopyFrom(request.insight)
    open_question.ClearField("action")
    open_question.ClearField("script")
    told = await client.enhance(request.account_id, open_question, identifiers=request.identifiers)
    expected = of_done.enhanced_insight
    advised = told.enhanced_insight
    authored = advised.HasField("authored_advice")
    given = advised.network_enhanced or authored
    action = advised.suggested_approach or (advised.authored_advice.action if authored else "")
    return Answer(
        success=request.outcome.success,
        expected=expected.expected_success_rate
        if expected.network_enhanced and _same(expected.suggested_approach, done)
        else None,
        advised=action if given else "",
        advised_expected=advised.expected_success_rate if advised.network_enhanced else None,
        authored=authored,
        followed=given and _same(action, done),
        reason=""
        if advised.network_enhanced
        else EnhanceInsightResponse.NoMatchReason.Name(told.no_match_reason).removeprefix(
            "NO_MATCH_REASON_"
        ),
    )


def _same(one: str, other: str) -> bool:
    """Whether two wordings are of one action."""
    return one.casefold() == other.casefold() or agreement(one, other) in (
        Agreement.SHARED,
        Agreement.TERSE,
    )
