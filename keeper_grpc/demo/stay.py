"""After the story: the server goes on, accounts ask and report, and a dashboard shows it."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from grpc import aio

from keeper_grpc.demo.history import Examples, Row
from keeper_grpc.demo.server_process import dashboard, serving
from keeper_grpc.demo.show import Show
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightRequest,
    EnhanceInsightResponse,
    ReportOutcomeRequest,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub

if TYPE_CHECKING:  # exists in the stub file only
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

_HOLDOUT = {"KEEPER_HOLDOUT_SHARE": "0.2"}
"""The holdout: a fifth of the questions, enough for a comparison after a few hundred."""

_AT_ONCE = 8
_DEADLINE = 60.0

_PULSE = 2.0
"""Seconds between two questions."""

_REVENUE = (40, 160)
"""The revenue of a success, in invented money."""

_STAYS_ANYWAY = 0.3
"""Share of customers who stay after a failure."""


async def stay(examples: Examples, environment: Mapping[str, str], log: Path, show: Show) -> None:
    """Serve what the story left, with a dashboard, until Ctrl-C. Raises DemoFailed, AioRpcError."""
    show.heading("7. The dashboard")
    async with (
        serving({**environment, **_HOLDOUT}, log) as server,
        aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        accounts = _Accounts(NetworkLearningServiceStub(channel), examples)
        async with dashboard(server.port, environment, log) as address:
            with show.progress("questions", len(examples.replayed)) as progress:
                await accounts.all_ask(progress)
            show.line(accounts.summary())
            show.line(f"the server is on 127.0.0.1:{server.port}, and goes on being asked")
            show.line(f"open {address}")
            show.line("Ctrl-C ends both")
            await _until_interrupted(accounts)
        await server.drain()
    show.line("the dashboard ended, the server drained and exited 0")


async def _until_interrupted(accounts: _Accounts) -> None:
    """Let accounts ask until SIGINT, which is the way to end well here and not an interruption."""
    interrupted = asyncio.Event()
    # It stays: a second Ctrl-C must not keep the server from draining.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
    waiting = asyncio.create_task(interrupted.wait())
    asking = asyncio.create_task(accounts.go_on())
    try:
        await asyncio.wait((asking, waiting), return_when=asyncio.FIRST_COMPLETED)
        if asking.done():
            await asking
    finally:
        for task in (asking, waiting):
            task.cancel()
        await asyncio.wait((asking, waiting))


class _Accounts:
    """The accounts of the history, which ask what the network knows and report what came of it.

    The outcomes are invented: with advice they succeed as often as the network expects; without it, as
    often as accounts did in the history of the same type and line of business.
    """

    def __init__(self, network: NetworkLearningServiceAsyncStub, examples: Examples) -> None:
        self._network = network
        self._rows = examples.replayed
        self._random = random.Random()  # noqa: S311 - nothing is kept secret by it
        self._usual = _success_rates(examples)
        self._counts: Counter[str] = Counter()

    async def all_ask(self, progress: Callable[[], None]) -> None:
        """Every line of the history is a question once."""
        waiting = iter(self._rows)

        async def caller() -> None:
            for row in waiting:
                await self._ask(row)
                progress()

        await asyncio.gather(*(caller() for _ in range(_AT_ONCE)))

    async def go_on(self) -> None:
        """Ask slowly, until cancelled."""
        for row in itertools.cycle(self._rows):
            await asyncio.sleep(_PULSE)
            await self._ask(row)

    def summary(self) -> str:
        """What was asked, in a line."""
        return (
            f"{self._counts.total()} questions: {self._counts['advised']} were given advice, "
            f"{self._counts['held out']} were held out; each reported an invented outcome"
        )

    async def _ask(self, row: Row) -> None:
        question = EnhanceInsightRequest(account_id=row.account_id)
        captured = row.request(datetime.now(UTC))
        question.insight.CopyFrom(captured.insight)
        question.insight.ClearField("action")
        question.insight.ClearField("script")
        question.identifiers.CopyFrom(captured.identifiers)
        answer = await self._network.EnhanceInsight(question, timeout=_DEADLINE)
        advised = answer.enhanced_insight.network_enhanced
        if advised:
            self._counts["advised"] += 1
        elif answer.no_match_reason == EnhanceInsightResponse.NO_MATCH_REASON_HOLDOUT:
            self._counts["held out"] += 1
        else:
            self._counts["neither"] += 1
        rate = answer.enhanced_insight.expected_success_rate if advised else self._usual[row.scope]
        success = self._random.random() < rate
        await self._network.ReportOutcome(
            ReportOutcomeRequest(
                request_id=str(uuid.uuid4()),
                account_id=row.account_id,
                enhancement_id=answer.enhancement_id,
                outcome=Outcome(
                    success=success,
                    revenue_impact=self._random.uniform(*_REVENUE) if success else 0.0,
                    customer_retained=success or self._random.random() < _STAYS_ANYWAY,
                ),
            ),
            timeout=_DEADLINE,
        )


def _success_rates(examples: Examples) -> Mapping[tuple[str, str], float]:
    """How often accounts succeeded by themselves, by line of business and type."""
    trials: Counter[tuple[str, str]] = Counter()
    successes: Counter[tuple[str, str]] = Counter()
    for row in examples.rows:
        trials[row.scope] += 1
        successes[row.scope] += row.fields["outcome"]["success"]
    return {scope: successes[scope] / trials[scope] for scope in trials}
