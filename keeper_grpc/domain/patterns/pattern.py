"""A pattern: many observations that say the same thing, and the rule by which they become one."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import NamedTuple
from uuid import UUID

from keeper_grpc.domain.authored.triggers import Trigger
from keeper_grpc.domain.evidence.evidence import CAUTIOUS, NO_EVIDENCE, UNIFORM, Evidence, Prior
from keeper_grpc.domain.evidence.guardrails import Harm
from keeper_grpc.domain.evidence.lifts import Lift, wording
from keeper_grpc.domain.evidence.off_policy import ByOwner, contrast
from keeper_grpc.domain.evidence.priors import Source
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.evidence.spreads import Spreads
from keeper_grpc.domain.insight import EmbeddedWords, JsonValue
from keeper_grpc.domain.patterns.claim import Claim
from keeper_grpc.domain.patterns.merging.action import says_enough
from keeper_grpc.domain.patterns.merging.agreement import agreement
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.domain.patterns.screen import objection


@dataclass(frozen=True, slots=True)
class Scope:
    """Where patterns can meet: one type, one category, one embedding model."""

    pattern_type: str
    business_category: str
    embedding_model: str

    @property
    def scope_id(self) -> int:
        """Its number in the database: of type and category alone, because a database has one model at a time."""
        return scope_id(self.pattern_type, self.business_category)


@functools.lru_cache(maxsize=4096)
def scope_id(pattern_type: str, business_category: str) -> int:
    """A signed number of 64 bits for one type of one line of business.

    It never changes: rows are stored under it. Two of a million scopes share one with a probability of 3e-8.
    """
    name = f"{pattern_type}\0{business_category}"
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)


class PatternKey(NamedTuple):
    """What the rows of one pattern are found by."""

    scope_id: int
    pattern_id: UUID


@dataclass(frozen=True, slots=True)
class Script:
    """One masked wording of an action, with its own evidence.

    `authored` scripts come with the catalog: they are nobody's words, so the publication rule does
    not bind them. `drawn` are the outcomes for which chance chose it, by owner. `lift` is what scripts that read alike
    did in other patterns; None where nothing was learned from them.
    """

    template: str
    evidence: Evidence
    authored: bool = False
    drawn: ByOwner = field(default_factory=dict)
    lift: Lift | None = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """What the network knows, as one reader may see it.

    `evidence` and `scripts` exclude the reader's own observations where the reader is an account.
    `conditions` and `action` are words that k owners share; empty where they share too little.
    What is expected of it is computed under `prior`, which comes from `prior_source`, learned from
    `prior_patterns` others where it was learned; what is certain of it under `cautious`. Where its author's claim is the
    prior, `unclaimed` is what would be believed without it.
    `crossed` are the guardrails for which it is not advised.
    `authored` patterns come with the catalog, with a `prior` of their own and their author's `claim`.
    A `fading` one works clearly less often of late than its evidence says (domain/evidence/fading.py).
    """

    pattern_id: UUID
    scope: Scope
    conditions: Mapping[str, JsonValue]
    action: str
    evidence: Evidence
    scripts: Sequence[Script]
    first_discovered: datetime | None
    last_validated: datetime | None
    prior: Prior
    authored: bool = False
    prior_source: Source = Source.DEFAULT
    prior_patterns: int = 0
    cautious: Prior = CAUTIOUS
    unclaimed: Prior = UNIFORM
    spreads: Spreads = field(default_factory=dict)
    claim: Claim | None = None
    retired: bool = False
    fading: bool = False
    crossed: tuple[Harm, ...] = ()

    @property
    def key(self) -> PatternKey:
        """What its rows are found by."""
        return PatternKey(self.scope.scope_id, self.pattern_id)

    @property
    def lower_bound(self) -> float:
        """The evidence's lower bound under this pattern's cautious prior."""
        return self.evidence.lower_bound(self.cautious)

    @property
    def proven_prior(self) -> Prior:
        """What proven advice is expected under: a claim is no evidence, and raises no rate that is said to be."""
        return self.unclaimed if self.prior_source is Source.AUTHOR else self.prior

    @property
    def applies(self) -> bool:
        """Whether it may be advised at all: neither taken back, nor one that works no longer or harms."""
        return not (self.retired or self.fading or self.crossed)

    @property
    def words(self) -> EmbeddedWords:
        """Its words as those of an insight are embedded."""
        return EmbeddedWords.of(
            self.scope.pattern_type, self.scope.business_category, self.conditions, self.action
        )

    def withheld(self, rule: PublicationRule) -> bool:
        """Whether too few owners stand behind it for its evidence to be shown, or behind every word of it.

        A `retired` pattern is withheld whatever stands behind it, also an authored one.
        """
        return self.retired or rule.withheld(self.evidence) or not self.action

    def without_evidence(self) -> Pattern:
        """An authored pattern as it may be shown while its evidence is withheld.

        Its words are nobody's; the counts beside them, and when they were counted, are.
        """
        return replace(
            self,
            evidence=NO_EVIDENCE,
            first_discovered=None,
            last_validated=None,
            fading=False,
            crossed=(),
        )

    def script_bound(self, script: Script) -> float:
        """The lower bound of one wording's success rate by age, under what is believed of the pattern.

        The wordings of a pattern are a choice of many, which only a prior that fits survives.
        """
        return script.evidence.recent_lower_bound(self.cautious)

    def proven_script(self, rule: PublicationRule) -> str:
        """The wording of which most is expected among those that may be shown, unless chance has shown better.

        What is expected goes by its outcomes and by its lift. Before lifts are learned it is the one with the best lower
        bound: then nobody knows how little wordings differ, and few outcomes must not win by luck.
        Who uses which wording is not by chance: good accounts may share a bad one. So where outcomes of wordings
        that were drawn show with 95% certainty that another succeeds more often, that one is proven.
        Before lifts are learned, or k owners tried it, the best authored one yields only where that exceeds what is
        expected of it, its author being believed: the claim, and its own outcomes where they may be shown.
        Empty when there is none. Ties go to what is most certain, then to the text that sorts first, so that the answer
        is stable.
        """
        shown = self.publishable_scripts(rule)
        if len(shown) == len(self.scripts) == 1:
            return shown[0].template
        believed = self.scripts_believed(shown)
        best = min(
            shown,
            key=lambda s: (
                -believed[s.template].mean if believed else 0.0,
                -self.script_bound(s),
                s.template,
            ),
            default=None,
        )
        if best is not None:
            best = _shown_better(best, shown, rule) or best
        authored = [script for script in self.scripts if script.authored]
        if best and (not authored or (believed and any(script.authored for script in shown))):
            return best.template
        if not authored:
            return ""
        liked = min(authored, key=lambda script: (-self._believed(script, shown), script.template))
        if best is None:
            return liked.template
        surely = best.evidence.recent_lower_bound(self.prior)
        return best.template if surely > self._believed(liked, shown) else liked.template

    def scripts_believed(self, shown: Sequence[Script]) -> Mapping[str, Prior]:
        """What is believed of each of these by its lift and the outcomes of its wording; empty where no lift is known.

        One that is new since lifts were learned is expected to add nothing, as surely as the least sure of the others.
        """
        known = [script.lift for script in shown if script.lift]
        if not known:
            return {}
        new = Lift(0.0, max(lift.deviation for lift in known))
        rate = self.prior.after(*self.evidence.recent).mean
        outcomes: dict[str, tuple[float, float]] = {}
        for script in shown:
            said, (trials, successes) = wording(script.template), script.evidence.recent
            before = outcomes.get(said, (0.0, 0.0))
            outcomes[said] = (before[0] + trials, before[1] + successes)
        return {
            script.template: (script.lift or new)
            .belief(rate)
            .after(*outcomes[wording(script.template)])
            for script in shown
        }

    def _believed(self, authored: Script, shown: Collection[Script]) -> float:
        """What is expected of an author's wording, if the author is believed; outcomes count where they may be shown."""
        own = authored.evidence if authored in shown else NO_EVIDENCE
        return self.prior.after(*own.recent).mean

    def may_hand_out(self, template: str, rule: PublicationRule) -> bool:
        """Whether these words may be shown as its script."""
        return any(
            script.authored and script.template == template for script in self.scripts
        ) or any(script.template == template for script in self.publishable_scripts(rule))

    def publishable_scripts(self, rule: PublicationRule) -> list[Script]:
        """The wordings that enough accounts used for their outcomes to be shown, and that pass the screen.

        The author's own passes in any case.
        """
        return [
            script
            for script in self.scripts
            if script.template
            and not rule.withheld(script.evidence)
            and (script.authored or objection(script.template) is None)
        ]


def _shown_better(best: Script, shown: Sequence[Script], rule: PublicationRule) -> Script | None:
    """The wording that has surpassed this one by most for certain where chance chose; None where none has."""
    found = []
    for script in shown:
        compared = contrast(script.drawn, best.drawn, rule.k) if script is not best else None
        if compared is not None and compared.interval[0] > 0:
            found.append((-compared.interval[0], script.template, script))
    return min(found, key=lambda each: each[:2])[-1] if found else None


@dataclass(frozen=True, slots=True)
class AuthoredPattern:
    """A pattern of the catalog, for one category: nobody's observation, and no evidence.

    `key` and `version` identify it across releases. `action_since` is the version from which it has
    meant this action: what accounts observed of an earlier version's action is not evidence for it.
    """

    key: str
    version: int
    action_since: int
    pattern_type: str
    business_category: str
    conditions: Mapping[str, JsonValue]
    action: str
    scripts: tuple[str, ...]
    claim: Claim
    trigger: Trigger


class Seeded(Enum):
    """What became of one authored pattern when the catalog was seeded."""

    ADDED = "added"
    UPGRADED = "upgraded"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A known pattern near a new observation: cosines of their sentences and of their actions."""

    pattern_id: UUID
    action: str
    similarity: float
    action_similarity: float


def merge_target(
    action: str, neighbours: Sequence[Neighbour], thresholds: Thresholds
) -> Neighbour | None:
    """The pattern that an observation belongs to, or None when it starts a new one.

    `neighbours` come from the observation's scope, in any order. Of those whose sentences and actions
    are similar enough for how far their words agree, the one with the most similar action takes it.
    An action that is mostly masks belongs to none.
    """
    if not says_enough(action):
        return None
    nearest_action_first = sorted(
        neighbours,
        key=lambda neighbour: (neighbour.action_similarity, neighbour.similarity),
        reverse=True,
    )
    for neighbour in nearest_action_first:
        # Words are compared last: that takes longer.
        if thresholds.near(neighbour.similarity) and thresholds.same(
            neighbour.similarity, neighbour.action_similarity, agreement(action, neighbour.action)
        ):
            return neighbour
    return None
