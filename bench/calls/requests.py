"""The requests that are measured: spread over scopes as the patterns are, most of them about few."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from uuid import uuid4

import numpy as np
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from bench.calls.network import SCOPES, WORDINGS, account, action, conditions, shares
from keeper_grpc.gen.keeper.network.v1 import adoption_pb2, insight_pb2
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network

_NEW = 8_192
"""New words of one seed, of fifty."""
NAMES = ("Maria", "Anna", "Julia", "Sofia", "Laura", "Emma", "Nina", "Clara", "Paula", "Marta")
SUCCESS = 0.7
"""Of captures."""
SURNAMES = ("Lopez", "Meyer", "Rossi", "Novak", "Jansen", "Larsen", "Kovacs", "Silva", "Dubois")


class Requests:
    """Makes requests; no request_id twice, and no new words twice among seeds from 0 to 49."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._new = count(1_024 + _NEW * (seed % 50))

    def questions(self, number: int, *, new: bool = False) -> list[network.EnhanceInsightRequest]:
        """Questions about an action, without script."""
        return [
            network.EnhanceInsightRequest(
                account_id=account(category, who), insight=self._insight(kind, category, text)
            )
            for kind, category, who, text in self._drawn(number, new=new)
        ]

    def every_text(self) -> list[network.EnhanceInsightRequest]:
        """One question about each text of each scope that questions and captures draw from."""
        return [
            network.EnhanceInsightRequest(
                account_id=account(category, text), insight=self._insight(kind, category, text)
            )
            for kind, category in SCOPES
            for text in range(WORDINGS)
        ]

    def captures(self, number: int, *, new: bool = False) -> list[network.CapturePatternRequest]:
        """Captures with a script to a guest, who is named."""
        made = []
        for kind, category, who, text in self._drawn(number, new=new):
            first, last = self._rng.choice(NAMES), self._rng.choice(SURNAMES)
            insight = self._insight(kind, category, text)
            insight.script = (
                f"Hi {first}, we miss you. {insight.action[6:].capitalize()} is waiting."
            )
            made.append(
                network.CapturePatternRequest(
                    request_id=str(uuid4()),
                    account_id=account(category, who),
                    insight=insight,
                    outcome=insight_pb2.Outcome(
                        success=bool(self._rng.random() < SUCCESS), revenue_impact=90
                    ),
                    identifiers=insight_pb2.Identifiers(customer_names=[f"{first} {last}"]),
                )
            )
        return made

    def moves(self, number: int) -> list[network.SuggestMovesRequest]:
        """What to do now, by facts of a guest who is late."""
        facts = Struct()
        facts.update(
            {"customer": {"days_since_visit": 60, "avg_frequency": 28}, "review": {"rating": 2}}
        )
        return [
            network.SuggestMovesRequest(
                account_id=account(category, who), business_category=category, facts=facts
            )
            for _, category, who, _ in self._drawn(number)
        ]

    def reactions(self, given: Sequence[tuple[str, str]]) -> list[network.ReportReactionRequest]:
        """That enhancements, by account and id, were shown."""
        return [
            network.ReportReactionRequest(
                request_id=str(uuid4()),
                account_id=who,
                enhancement_id=which,
                reaction=adoption_pb2.REACTION_SHOWN,
            )
            for who, which in given
        ]

    def outcomes(self, given: Sequence[tuple[str, str]]) -> list[network.ReportOutcomeRequest]:
        """What came of enhancements, by account and id."""
        return [
            network.ReportOutcomeRequest(
                request_id=str(uuid4()),
                account_id=who,
                enhancement_id=which,
                outcome=insight_pb2.Outcome(success=True, revenue_impact=90),
            )
            for who, which in given
        ]

    def tasks(self, given: Sequence[tuple[str, str]]) -> list[network.GenerateTaskRequest]:
        """Tasks of enhancements, by account and id."""
        return [
            network.GenerateTaskRequest(account_id=who, enhancement_id=which)
            for who, which in given
        ]

    def patterns(self, ids: Sequence[str]) -> list[network.GetPatternRequest]:
        """Published patterns, one by one."""
        return [network.GetPatternRequest(pattern_id=one) for one in ids]

    def listings(self) -> list[network.ListPatternsRequest]:
        """The first ten patterns of each scope."""
        return [
            network.ListPatternsRequest(pattern_type=kind, business_category=category, page_size=10)
            for kind, category in SCOPES
        ]

    def metrics(self) -> list[network.GetNetworkMetricsRequest]:
        """The metrics of the whole network."""
        return [network.GetNetworkMetricsRequest()]

    def _drawn(self, number: int, *, new: bool = False) -> list[tuple[str, str, int, int]]:
        """Scope, account and text of so many requests."""
        scopes = self._rng.choice(len(SCOPES), size=number, p=shares())
        accounts = self._rng.integers(0, 1_000, size=number)
        texts = self._rng.integers(0, WORDINGS, size=number)
        return [
            (*SCOPES[scope], int(who), next(self._new) if new else int(text))
            for scope, who, text in zip(scopes, accounts, texts, strict=True)
        ]

    def _insight(self, kind: str, category: str, text: int) -> insight_pb2.Insight:
        facts = Struct()
        facts.update(conditions(text))
        return insight_pb2.Insight(
            type=kind,
            business_category=category,
            conditions=facts,
            action=action(text),
            confidence=0.6,
            potential_value=100,
        )


def wire(messages: Sequence[Message]) -> bytes:
    """Messages one after the other, each behind its length, as ghz reads them."""
    parts = []
    for message in messages:
        body = message.SerializeToString()
        parts += [_varint(len(body)), body]
    return b"".join(parts)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
