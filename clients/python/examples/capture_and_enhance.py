"""Synchronous code: three accounts report what worked, and a fourth one asks.

python capture_and_enhance.py [host:port [authority.pem token-file]]
"""

import sys
from pathlib import Path

from keeper_client import Credentials, InvalidRequest, SyncKeeperClient, TokenFile
from keeper_client.gen.keeper.network.v1.insight_pb2 import Insight, Outcome

target, *secured = sys.argv[1:] or ["127.0.0.1:50051"]
credentials = None
if secured:
    ca, token = map(Path, secured)
    credentials = Credentials(ca=ca, token=TokenFile(token))
keeper = SyncKeeperClient(target, credentials=credentials)


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
