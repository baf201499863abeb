"""After the story: the server goes on, accounts ask, react and report, and a dashboard shows it."""

from __future__ import annotations

import asyncio
import itertools
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from grpc.aio import AioRpcError

from keeper_grpc.demo.history import Examples, Row
from keeper_grpc.demo.invented_world import UPLIFT, InventedWorld
from keeper_grpc.demo.server_process import dashboard, serving
from keeper_grpc.demo.show import Show
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import RegisterAccountRequest
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import AdminServiceStub
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightRequest,
    EnhanceInsightResponse,
    ReportOutcomeRequest,
    ReportReactionRequest,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub

if TYPE_CHECKING:  # exist in the stub files only
    from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import AdminServiceAsyncStub
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

_HOLDOUT = {"KEEPER_HOLDOUT_SHARE": "0.3"}
"""The holdout: enough for a sure answer after the demo's few hundred questions. A tenth is enough for months."""

_METRICS = {"KEEPER_METRICS_PORT": "0"}
"""For the operator's page, on a free port."""

_NEWCOMERS = 4
"""Accounts that join each line of business."""

_FIRST_QUESTIONS = 6
"""What each newcomer asks: questions that others had before."""

_TIMES = 2
"""How often each line of the history comes again as a question."""

_AT_ONCE = 8
_DEADLINE = 60.0

_FAILURES = 10
"""Questions in a row that fail until the demo gives its server up."""

_PULSE = 2.0
"""Seconds between two questions."""


@dataclass(frozen=True, slots=True)
class _Question:
    """A line of the history, as one account asks about it."""

    account_id: str
    row: Row


async def stay(examples: Examples, environment: Mapping[str, str], log: Path, show: Show) -> None:
    """Serve what the story left, with a dashboard, until Ctrl-C. Raises DemoFailed, AioRpcError."""
    show.heading("7. The dashboard")
    async with (
        serving({**environment, **_HOLDOUT, **_METRICS}, log) as server,
        server.channel() as channel,
    ):
        newcomers = await _join(AdminServiceStub(channel), examples)
        accounts = _Accounts(NetworkLearningServiceStub(channel), examples, newcomers)
        async with dashboard(server, environment, log, UPLIFT) as address:
            with show.progress("questions", len(accounts.questions)) as progress:
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


async def _join(admin: AdminServiceAsyncStub, examples: Examples) -> Mapping[str, str]:
    """Register the newcomers: line of business by account."""
    newcomers = {
        f"acct-{category}-new-{number}": category
        for category in sorted(set(examples.accounts.values()))
        for number in range(1, _NEWCOMERS + 1)
    }
    for account, category in newcomers.items():
        request = RegisterAccountRequest(account_id=account, business_category=category)
        request.joined_time.FromDatetime(datetime.now(UTC))
        await admin.RegisterAccount(request, timeout=_DEADLINE)
    return newcomers


class _Accounts:
    """The accounts of the history and some newcomers, which ask what the network knows and report what came of it."""

    def __init__(
        self,
        network: NetworkLearningServiceAsyncStub,
        examples: Examples,
        newcomers: Mapping[str, str],
    ) -> None:
        self._network = network
        self._world = InventedWorld(examples)
        self._counts: Counter[str] = Counter()
        self.questions: Sequence[_Question] = [
            *_first_questions(examples, newcomers),
            *_TIMES * [_Question(row.account_id, row) for row in examples.replayed],
        ]

    async def all_ask(self, progress: Callable[[], None]) -> None:
        """Every newcomer asks, and every line of the history is a question."""
        waiting = iter(self.questions)

        async def caller() -> None:
            for question in waiting:
                await self._ask(question)
                progress()

        await asyncio.gather(*(caller() for _ in range(_AT_ONCE)))

    async def go_on(self) -> None:
        """Ask slowly, until cancelled. Raises AioRpcError when the server fails some questions in a row."""
        failed = 0
        for question in itertools.cycle(self.questions):
            await asyncio.sleep(_PULSE)
            try:
                await self._ask(question)
            except AioRpcError:
                # A machine that is busy for a moment is no end of it.
                failed += 1
                if failed == _FAILURES:
                    raise
            else:
                failed = 0

    def summary(self) -> str:
        """What was asked, in a line."""
        return (
            f"{self._counts.total()} questions: {self._counts['advised']} were given advice, "
            f"{self._counts['held out']} were held out; what came of them is invented: advice truly adds "
            f"{100 * UPLIFT:.0f} points"
        )

    async def _ask(self, question: _Question) -> None:
        row = question.row
        asked = EnhanceInsightRequest(account_id=question.account_id)
        captured = row.request(datetime.now(UTC))
        asked.insight.CopyFrom(captured.insight)
        asked.insight.ClearField("action")
        asked.insight.ClearField("script")
        asked.identifiers.CopyFrom(captured.identifiers)
        answer = await self._network.EnhanceInsight(asked, timeout=_DEADLINE)
        told = answer.enhanced_insight
        advised = told.network_enhanced or told.HasField("authored_advice")
        if advised:
            self._counts["advised"] += 1
        elif answer.no_match_reason == EnhanceInsightResponse.NO_MATCH_REASON_HOLDOUT:
            self._counts["held out"] += 1
        else:
            self._counts["neither"] += 1
        acts = self._world.acts()
        if advised:
            await self._react(question.account_id, answer.enhancement_id, acts=acts)
        if not acts:
            return
        await self._network.ReportOutcome(
            ReportOutcomeRequest(
                request_id=str(uuid.uuid4()),
                account_id=question.account_id,
                enhancement_id=answer.enhancement_id,
                outcome=self._world.outcome(question.account_id, row.scope, advised=advised),
            ),
            timeout=_DEADLINE,
        )

    async def _react(self, account_id: str, enhancement_id: str, *, acts: bool) -> None:
        reaction, reason = self._world.reaction(acts=acts)
        await self._network.ReportReaction(
            ReportReactionRequest(
                request_id=str(uuid.uuid4()),
                account_id=account_id,
                enhancement_id=enhancement_id,
                reaction=reaction,
                reason=reason,
            ),
            timeout=_DEADLINE,
        )


def _first_questions(examples: Examples, newcomers: Mapping[str, str]) -> Sequence[_Question]:
    """What the newcomers ask: each its own part of the history of its line of business."""
    questions = []
    for category in sorted(set(newcomers.values())):
        rows = itertools.cycle(row for row in examples.replayed if row.scope[0] == category)
        questions += [
            _Question(account, row)
            for account, its in newcomers.items()
            if its == category
            for row in itertools.islice(rows, _FIRST_QUESTIONS)
        ]
    return questions
