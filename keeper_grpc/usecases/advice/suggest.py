"""SuggestMoves: which authored patterns apply to what an account knows now.

Evaluate the triggers of a category over an account's facts, rank what holds. Facts are used and forgotten:
they are neither stored nor logged. The account serves to leave its own evidence out, and is not registered:
a call that changes nothing must not tell which accounts the network knows, nor of which category.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.advice.learned_trigger import LearnedTrigger, best_of_each
from keeper_grpc.domain.advice.ranking import Candidate
from keeper_grpc.domain.authored.suggestions import (
    StoredTrigger,
    SuggestedMove,
    Triggered,
    rank_moves,
)
from keeper_grpc.domain.authored.triggers import conditions_of_facts, known_facts
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import Identifiers, Insight, JsonValue
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.usecases.accounts.resolver import AccountResolver
from keeper_grpc.usecases.advice.triggers import usable_trigger
from keeper_grpc.usecases.ports import Anonymizes

DEFAULT_MAX_MOVES = 5
MAX_MOVES = 50


@dataclass(frozen=True, slots=True)
class Occasion:
    """What the caller asks about.

    `max_moves` 0 means 5; more than 50 means 50.
    """

    account_id: str
    business_category: str
    facts: Mapping[str, JsonValue]
    max_moves: int = 0


class MoveStore(Protocol):
    """Where patterns with triggers are found."""

    async def triggers(self, business_category: str) -> Sequence[StoredTrigger]:
        """The triggers that authors gave to a category's patterns."""

    async def learned(self, business_category: str) -> Sequence[LearnedTrigger]:
        """The triggers that outcomes taught about a category's patterns."""

    async def candidates_without(
        self,
        account: Account,
        keys: Sequence[PatternKey],
        conditions: Mapping[str, JsonValue],
        rule: PublicationRule,
    ) -> Mapping[UUID, Candidate]:
        """These patterns in this situation, without the evidence of this account's owner; all that may be suggested."""


class SuggestMoves:
    """The use case. One instance serves all calls."""

    def __init__(
        self,
        *,
        accounts: AccountResolver,
        anonymizer: Anonymizes,
        store: MoveStore,
        rule: PublicationRule,
    ) -> None:
        self._accounts = accounts
        self._anonymizer = anonymizer
        self._store = store
        self._rule = rule

    async def __call__(self, occasion: Occasion) -> Sequence[SuggestedMove]:
        """The moves that apply, the most promising first.

        Raises StorageUnavailable.
        """
        account = await self._accounts.known_or_not(occasion.account_id)
        category = self._accounts.anonymous(occasion.business_category)
        facts = known_facts(occasion.facts)
        stored = await self._store.triggers(category)
        verdicts = {
            known.key: (trigger, trigger.verdict(facts))
            for known in stored
            if (trigger := usable_trigger(known.key.pattern_id, known.text)) is not None
        }
        authored = {key: trigger for key, (trigger, holds) in verdicts.items() if holds}
        learned = await self._store.learned(category)
        if not authored and not learned:
            return []
        situation = self._situation(occasion.facts, category)
        # What its author excludes is not done, whatever outcomes say.
        excluded = {key for key, (_, holds) in verdicts.items() if holds is False}
        taught = best_of_each(
            each for each in learned if each.key not in excluded and each.holds(situation)
        )
        holding = dict.fromkeys((*authored, *taught))
        if not holding:
            return []
        candidates = await self._store.candidates_without(
            account, list(holding), situation, self._rule
        )
        moves = rank_moves(
            (
                Triggered(candidate, authored.get(key), taught.get(key))
                for key in holding
                if (candidate := candidates.get(key.pattern_id)) and candidate.pattern.applies
            ),
            facts,
            self._rule,
        )
        return moves[: min(occasion.max_moves or DEFAULT_MAX_MOVES, MAX_MOVES)]

    def _situation(self, facts: Mapping[str, JsonValue], category: str) -> Mapping[str, JsonValue]:
        """The facts as outcomes are counted by them: anonymized conditions, in bands."""
        insight = Insight(
            insight_id="",
            type="",
            business_category=category,
            conditions=conditions_of_facts(facts),
            action="",
            script="",
            confidence=0.0,
        )
        return self._anonymizer.anonymize(insight, Identifiers()).insight.conditions
