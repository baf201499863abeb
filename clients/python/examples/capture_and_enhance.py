"""Synchronous code: three accounts report what worked, and a fourth one asks."""

import sys

from keeper_client import InvalidRequest, SyncKeeperClient
from keeper_client.gen.keeper.network.v1.insight_pb2 import Insight, Outcome

keeper = SyncKeeperClient(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")


def insight(**fields: str) -> Insight:
    """A guest who has not come for a while."""
    made = Insight(type="churn_prevention", business_category="spa", confidence=0.6, **fields)
    made.conditions.update({"days_since_visit": 45, "service": "Swedish Massage"})
    return made


for account in ("py-spa-01", "py-spa-02", "py-spa-03"):
    keeper.capture(
        account,
        insight(action="Send the guest a personal reminder with 20% off"),
        Outcome(success=True, revenue_impact=120),
    )
answer = keeper.enhance("py-spa-99", insight())
enhanced = answer.enhanced_insight
print(f"{enhanced.suggested_approach}: {enhanced.expected_success_rate:.0%}")
try:
    keeper.capture("", insight(), Outcome())
except InvalidRequest as error:
    print(error)
