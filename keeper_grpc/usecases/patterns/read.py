"""GetPattern and ListPatterns: the published patterns, for people and dashboards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.advice.adoption import Adoption, OwnReactions, adoption
from keeper_grpc.domain.advice.learned_trigger import LearnedTrigger
from keeper_grpc.domain.errors import PatternNotFound
from keeper_grpc.domain.evidence.evidence import Shares
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.by_fact import FactEvidence, by_fact
from keeper_grpc.domain.patterns.history import Period, WeekShare, periods
from keeper_grpc.domain.patterns.listing import Cursor, PatternFilter
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey, Script

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500


@dataclass(frozen=True, slots=True)
class Page:
    """Some patterns, and where the next page starts, if there is one."""

    patterns: Sequence[Pattern]
    next: Cursor | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A pattern, and what became of its advice; None where too few owners reacted."""

    pattern: Pattern
    adoption: Adoption | None


@dataclass(frozen=True, slots=True)
class History:
    """A pattern, its published scripts (best lower bound first), and its evidence over time.

    `adoption` is of all its advice, `script_adoption` of the advice in each wording; `facts` say where it works, and the
    triggers when it is suggested: by its author, empty for none, and as outcomes taught, the surest first.
    """

    pattern: Pattern
    scripts: Sequence[Script]
    periods: Sequence[Period]
    adoption: Adoption | None
    script_adoption: Mapping[str, Adoption | None]
    facts: Sequence[FactEvidence] = ()
    authored_trigger: str = ""
    learned_triggers: Sequence[LearnedTrigger] = ()


class PatternStore(Protocol):
    """The patterns in storage."""

    async def find_pattern(self, pattern_id: UUID, rule: PublicationRule) -> Pattern | None: ...

    async def find_history(
        self, pattern_id: UUID, rule: PublicationRule
    ) -> tuple[Pattern, Sequence[WeekShare]] | None:
        """A pattern, and its evidence by owner and week."""

    async def find_reactions(self, key: PatternKey) -> Sequence[OwnReactions]:
        """What each owner that counts did with the pattern's advice."""

    async def find_script_reactions(self, key: PatternKey) -> Mapping[str, Sequence[OwnReactions]]:
        """The same by the wording that was handed out."""

    async def find_facts(self, key: PatternKey) -> tuple[Shares, Mapping[str, Shares]]:
        """What each owner that counts observed of the pattern, and the same by the facet of each single fact."""

    async def find_triggers(self, key: PatternKey) -> tuple[str, Sequence[LearnedTrigger]]:
        """The author's trigger of the pattern, empty for none, and those that outcomes taught."""

    async def list_patterns(
        self, where: PatternFilter, rule: PublicationRule, after: Cursor | None, limit: int
    ) -> Sequence[Pattern]:
        """Up to `limit` published or authored patterns, in listing order, that come after `after`."""


class PublishedPatterns:
    """The use cases. One instance serves all calls."""

    def __init__(self, *, store: PatternStore, rule: PublicationRule) -> None:
        self._store = store
        self._rule = rule

    async def get(self, pattern_id: UUID) -> Shown:
        """One pattern. Raises PatternNotFound also when it exists but may not be shown."""
        pattern = await self._store.find_pattern(pattern_id, self._rule)
        if pattern is None or not self._visible(pattern):
            raise PatternNotFound
        return Shown(self._shown(pattern), await self._adoption(pattern.key))

    async def history(self, pattern_id: UUID) -> History:
        """One pattern with its scripts and its evidence over time. Raises PatternNotFound as `get`."""
        found = await self._store.find_history(pattern_id, self._rule)
        if found is None:
            raise PatternNotFound
        pattern, shares = found
        if not pattern.withheld(self._rule):
            scripts = sorted(
                pattern.publishable_scripts(self._rule),
                key=lambda script: (-pattern.script_bound(script), script.template),
            )
            reactions = await self._store.find_script_reactions(pattern.key)
            authored, learned = await self._store.find_triggers(pattern.key)
            return History(
                pattern,
                scripts,
                periods(shares, self._rule),
                await self._adoption(pattern.key),
                {template: adoption(owners, self._rule) for template, owners in reactions.items()},
                await self._facts(pattern.key),
                authored,
                learned,
            )
        if not self._visible(pattern):
            raise PatternNotFound
        # What outcomes taught is evidence, and withheld with it.
        authored, _ = await self._store.find_triggers(pattern.key)
        return History(
            self._shown(pattern),
            [],
            [],
            await self._adoption(pattern.key),
            {},
            authored_trigger=authored,
        )

    async def page(self, where: PatternFilter, after: Cursor | None, size: int) -> Page:
        """A page of patterns, the highest lower bound first. `size` 0 means 50; more than 500 means 500."""
        limit = min(size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        found = await self._store.list_patterns(where, self._rule, after, limit + 1)
        patterns = [self._shown(pattern) for pattern in found[:limit]]
        more = len(found) > limit
        return Page(
            patterns=patterns,
            next=Cursor(patterns[-1].lower_bound, patterns[-1].pattern_id) if more else None,
        )

    async def _facts(self, key: PatternKey) -> Sequence[FactEvidence]:
        whole, facts = await self._store.find_facts(key)
        return by_fact(facts, whole, self._rule)

    async def _adoption(self, key: PatternKey) -> Adoption | None:
        return adoption(await self._store.find_reactions(key), self._rule)

    def _visible(self, pattern: Pattern) -> bool:
        """Whether it may be shown, with its evidence or, of the catalog, without."""
        return not pattern.withheld(self._rule) or (pattern.authored and not pattern.retired)

    def _shown(self, pattern: Pattern) -> Pattern:
        """The pattern as it may be shown: an authored one without its evidence where that is withheld."""
        if pattern.withheld(self._rule):
            return pattern.without_evidence()
        return pattern
