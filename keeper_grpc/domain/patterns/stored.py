"""A pattern with all that its owners contributed, of which each reader sees what the others did.

Evidence, scripts, situations, harms and words are kept by owner, so that the asking owner's own can be left out. What
every reader sees alike is in `stated`. Weights of outcomes by age are as they are stored: sums under
`recency_weight`, which the weight of an outcome of now turns into weights by age.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from keeper_grpc.domain.evidence.evidence import (
    RECENCY_EPOCH,
    Share,
    Shares,
    heaviest,
    recency_weight,
    weigh,
)
from keeper_grpc.domain.evidence.expectation import NOWHERE, SituationEvidence, situate
from keeper_grpc.domain.evidence.guardrails import HARM_HALF_LIFE, OwnHarms, crossed
from keeper_grpc.domain.evidence.lifts import Lift
from keeper_grpc.domain.evidence.off_policy import Drawn
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.patterns.pattern import Pattern, Script
from keeper_grpc.domain.patterns.shown_words import Wording, shown_action, shown_conditions
from keeper_grpc.domain.patterns.situation import fact_key


@dataclass(frozen=True, slots=True)
class StoredScript:
    """One wording, and what each owner that used it contributed; `drawn` are the outcomes that chance chose,
    `lift` is what scripts that read alike are known to add.
    """

    template: str
    authored: bool
    shares: Shares
    drawn: Mapping[str, Drawn]
    lift: Lift | None = None


@dataclass(frozen=True, slots=True)
class StoredPattern:
    """One pattern, by owner. `stated` has no evidence, scripts and harms: they follow from what is here.

    `facets` are those that at least k owners know something of; fewer are withheld from everyone. `wordings` are the
    actions that owners captured, from which the words of `stated` follow where it is `worded` by them; None where there
    are too many to keep. `accounts` are the shares of single accounts, of a pattern of the catalog only.
    """

    stated: Pattern
    shares: Shares
    scripts: Sequence[StoredScript] = ()
    facets: Mapping[str, Shares] = field(default_factory=dict)
    harms: Mapping[str, OwnHarms] = field(default_factory=dict)
    wordings: Sequence[Wording] | None = ()
    worded: bool = False
    trigger: str | None = None
    accounts: Shares = field(default_factory=dict)

    def words_kept_for(self, owner: str) -> bool:
        """Whether the words that this owner may be shown follow from what is kept."""
        return self.wordings is not None or not self._supports(owner)

    def seen_by(self, owner: str, rule: PublicationRule, now_weight: float | None) -> Pattern:
        """The pattern as this owner sees it: with the evidence of the others, in words that k of them share.

        `now_weight` is the recency weight of an outcome that occurs now; without it all outcomes weigh alike.
        """
        shares = seen(self.shares, owner, now_weight)
        action, conditions = self.stated.action, self.stated.conditions
        if self._supports(owner):
            action, conditions = self._words_of_others(owner, rule.k)
        last = recency_weight(self.stated.last_validated or RECENCY_EPOCH, HARM_HALF_LIFE)
        harms = {other: harm.aged(last) for other, harm in self.harms.items() if other != owner}
        return replace(
            self.stated,
            action=action,
            conditions=conditions,
            evidence=weigh(shares.values(), rule.k),
            scripts=tuple(self._scripts(shares, owner, rule, now_weight)),
            crossed=crossed(harms, shares, rule.limits, rule.k),
        )

    def situation(
        self,
        entire: str,
        facts: Iterable[str],
        owner: str,
        rule: PublicationRule,
        now_weight: float | None,
    ) -> SituationEvidence:
        """The others' evidence cut at a situation: the facet of its whole, and those of its single facts."""
        here = seen(self.facets.get(entire, {}), owner, now_weight)
        known = {
            fact_key(fact): shares
            for fact in facts
            if fact in self.facets and (shares := seen(self.facets[fact], owner, now_weight))
        }
        if not here and not known:
            return NOWHERE
        return situate(seen(self.shares, owner, now_weight), here, known, rule)

    def _supports(self, owner: str) -> bool:
        return self.worded and owner in self.shares

    def _words_of_others(self, owner: str, k: int) -> tuple[str, Mapping[str, JsonValue]]:
        said = [
            Wording(wording.action, others)
            for wording in self.wordings or ()
            if (others := wording.owners - {owner})
        ]
        known = {facet: len(shares.keys() - {owner}) for facet, shares in self.facets.items()}
        return shown_action(said, k), shown_conditions(known, k)

    def _scripts(
        self, shares: Shares, owner: str, rule: PublicationRule, now_weight: float | None
    ) -> Iterable[Script]:
        # No owner weighs more in a script than in the pattern.
        most = heaviest([share.trials for share in shares.values()], rule.k)
        for script in self.scripts:
            others = seen(script.shares, owner, now_weight)
            drawn = {other: draws for other, draws in script.drawn.items() if other != owner}
            yield Script(
                script.template,
                weigh(others.values(), rule.k, most),
                script.authored,
                drawn,
                script.lift,
            )


def seen(shares: Shares, owner: str, now_weight: float | None) -> Shares:
    """The others' shares, with their stored weights as weights by age; None weighs all outcomes alike."""
    return {
        other: Share(
            share.trials,
            share.successes,
            now_weight and (share.recent_trials or 0.0) / now_weight,
            now_weight and (share.recent_successes or 0.0) / now_weight,
            share.revenue_total,
            share.revenue_count,
        )
        for other, share in shares.items()
        if other != owner
    }
