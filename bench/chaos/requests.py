"""What accounts of a seeded network say: the same things again and again, and now and then something new."""

from __future__ import annotations

import uuid
from random import Random

from google.protobuf.struct_pb2 import Struct

from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Insight, Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    CapturePatternRequest,
    EnhanceInsightRequest,
)

TYPES = ("churn_prevention", "late_arrival", "review_response", "gift_cards", "opening_hours")
CATEGORIES = ("spa", "salon", "gym")
ACCOUNTS = 90
DOINGS = (
    "Send a reminder about",
    "Offer a discount on",
    "Call and ask about",
    "Put up a sign about",
)
THINGS = (
    "the massage", "the membership", "the gift cards", "the late appointment", "the opening hours",
    "the review", "the birthday", "the new towels", "the parking", "the cold drinks", "the sauna",
    "the waiting list",
)  # fmt: skip
SUCCEED = 0.8


class Words:
    """One caller's stream of requests."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def happens(self, share: float) -> bool:
        """Whether something happens that does so in this share of cases."""
        return self._random.random() < share

    def request_id(self) -> str:
        """A new one, by the seed."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def outcome(self, *, final: bool = True) -> Outcome:
        """What came of something."""
        chance = self._random
        outcome = Outcome(success=self.happens(SUCCEED), final=final)
        if self.happens(0.5):
            outcome.revenue_impact = chance.randrange(200)
            outcome.cost = chance.randrange(20)
        if self.happens(0.3):
            outcome.complained = self.happens(0.02)
        return outcome

    def capture(self, *, final: bool) -> CapturePatternRequest:
        """Some account did something. A few things are done by most."""
        account, category = self._account()
        return CapturePatternRequest(
            request_id=self.request_id(),
            account_id=account,
            insight=self._insight(category, acted=True),
            outcome=self.outcome(final=final),
        )

    def question(self) -> EnhanceInsightRequest:
        """Some account asks."""
        account, category = self._account()
        insight = self._insight(category, acted=self.happens(0.8))
        return EnhanceInsightRequest(account_id=account, insight=insight)

    def _account(self) -> tuple[str, str]:
        number = self._random.randrange(ACCOUNTS)
        return f"account-{number}", CATEGORIES[number % len(CATEGORIES)]

    def _insight(self, category: str, *, acted: bool) -> Insight:
        chance = self._random
        kind = chance.choice(TYPES)
        things = len(THINGS)
        which = int(len(DOINGS) * things * chance.random() ** 3)
        conditions = Struct()
        # Made of the action, so that one action is one sentence, and one pattern.
        conditions.update({"days_since_visit": 10 + which, "rating": 1 + which % 5})
        action = f"{DOINGS[which // things]} {THINGS[which % things]}" if acted else ""
        return Insight(
            type=kind,
            business_category=category,
            conditions=conditions,
            action=action,
            script="Hi {name}, we have missed you. Shall we find a time?" if acted else "",
            confidence=0.6,
            potential_value=50,
        )
