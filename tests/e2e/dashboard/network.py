"""A server whose network is known, for a dashboard to show."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from keeper_grpc.client import KeeperClient
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Insight, Outcome
from tests.e2e.server_process import ServerProcess

SPAS = ("spa-1", "spa-2", "spa-3", "spa-4")

ACTIONS = (
    "Send a personal reminder with a discount",
    "Book the next appointment at the desk",
    "Offer a hot stone upgrade with the massage",
)


async def learn(
    target: str,
    action: str,
    *,
    kind: str = "churn_prevention",
    category: str = "spa",
    accounts: int = 4,
) -> None:
    """Let accounts capture the same, so that it becomes a pattern; the last one fails."""
    async with KeeperClient(target) as keeper:
        for number, account in enumerate(SPAS[:accounts]):
            insight = Insight(
                type=kind,
                business_category=category,
                action=action,
                script="Hi {name}, we have missed you. Shall we find a time this week?",
                confidence=0.6,
            )
            insight.conditions.update({"days_since_visit": 60})
            await keeper.capture(
                f"{category}-{account}",
                insight,
                Outcome(success=number < 3, revenue_impact=40.0),
                request_id=str(uuid.uuid4()),
            )


@dataclass
class Network:
    """A server that can be killed and started again, on the same port and database."""

    start: Callable[[int], Awaitable[ServerProcess]]
    server: ServerProcess

    @property
    def address(self) -> str:
        """What clients connect to."""
        return self.server.address

    async def start_again(self) -> None:
        """Serve at the same address, after it was killed."""
        self.server = await self.start(self.server.port)
