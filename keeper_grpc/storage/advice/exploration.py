"""What exploration has shown, and what it was expected to cost: read from the ledger, for the operator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from keeper_grpc.domain.evidence.off_policy import Choice, OwnChoices, Value, value
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Pattern
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.patterns.keys import pattern_keys
from keeper_grpc.storage.patterns.view import see_patterns

# Reported outcomes only: what was done instead of advice says nothing about the advice.
_OUTCOMES = """
    SELECT o.pattern_id, a.owner_key, o.success, o.script, e.script_propensity, e.expected_success_rate,
           e.contenders, e.pattern_id AS advised_id, d.inverse IS NOT NULL AS script_drawn
      FROM observations o
      JOIN accounts a ON a.account_key = o.account_key AND a.qualified
      JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id AND NOT e.holdout
      LEFT JOIN drawn_scripts d ON d.scope_id = e.scope_id AND d.enhancement_id = e.id
     WHERE o.counted AND o.pattern_id IS NOT NULL AND (d.inverse IS NOT NULL OR e.contenders IS NOT NULL)
"""

_ARCHIVED = """
    SELECT c.pattern_id, a.owner_key, c.script, c.choices, c.weight, c.squares, c.good, c.excess, c.expected, c.chosen
      FROM archived_choices c JOIN accounts a USING (account_key) WHERE a.qualified
"""
"""The same, summed up by account."""

_COST = """
    SELECT coalesce(sum(advised), 0)::bigint AS advised, coalesce(sum(patterns), 0)::bigint AS patterns,
           coalesce(sum(scripts), 0)::bigint AS scripts,
           coalesce(sum(lost) / nullif(sum(advised), 0), 0)::float8 AS mean_loss, coalesce(max(most_lost), 0) AS most_loss
      FROM (SELECT count(*) AS advised, count(contenders) AS patterns,
                   count(*) FILTER (WHERE script_propensity < 1) AS scripts, sum(exploration_loss) AS lost,
                   max(exploration_loss) AS most_lost
              FROM enhancements WHERE no_match_reason IS NULL AND pattern_propensity IS NOT NULL
            UNION ALL
            SELECT explored, pattern_choices, script_choices, lost, most_lost FROM rolled_accounts) asked
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of the questions that were `advised`: in how many there was a choice of `patterns` and of `scripts`, and the
    success that was expected to be lost by drawing, of one on the average and at most.
    """

    advised: int
    patterns: int
    scripts: int
    mean_loss: float
    most_loss: float


@dataclass(frozen=True, slots=True)
class Explored:
    """The worth of one pattern and of its scripts where chance chose them; None where too few owners tried it."""

    pattern: Pattern
    proven: str
    own: Value | None
    scripts: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Exploring:
    """Everything that exploration has shown, and its cost."""

    cost: Cost
    patterns: Sequence[Explored]


class PostgresExploration:
    """What chance chose, and what became of it: every owner counts."""

    def __init__(self, database: Database, rule: PublicationRule) -> None:
        self._database = database
        self._rule = rule

    async def exploring(self) -> Exploring:
        """The published patterns of which anything is known, in the order of category, type and action."""
        async with self._database.transaction(read_only=True) as connection:
            (cost,) = await connection.fetch(_COST)
            scripts, patterns = await _choices(connection)
            keys = await pattern_keys(connection, {*scripts, *patterns})
            seen = await see_patterns(connection, keys.values(), self._rule)
        found = [
            explored
            for pattern in seen.values()
            if not pattern.withheld(self._rule)
            and (
                explored := self._explored(
                    pattern, scripts[pattern.pattern_id], patterns[pattern.pattern_id]
                )
            )
        ]
        return Exploring(Cost(*cost), sorted(found, key=_order))

    def _explored(
        self, pattern: Pattern, drawn: Sequence[_Drawn], choices: Sequence[Choice | OwnChoices]
    ) -> Explored | None:
        k = self._rule.k
        values = {
            script.template: found
            for script in pattern.publishable_scripts(self._rule)
            if (found := value([each.choice(script.template) for each in drawn], k))
        }
        own = value(choices, k)
        if not own and not values:
            return None
        return Explored(pattern, pattern.proven_script(self._rule), own, values)


@dataclass(frozen=True, slots=True)
class _ArchivedScript:
    """Archived outcomes of a script that was drawn, of one account."""

    template: str
    choices: OwnChoices

    def choice(self, template: str) -> OwnChoices:
        """The same, as choices of this script or of another."""
        return self.choices if template == self.template else self.choices.unchosen()


@dataclass(frozen=True, slots=True)
class _DrawnScript:
    """One outcome of a script that was drawn."""

    template: str
    owner: str
    expected: float
    propensity: float
    success: bool

    def choice(self, template: str) -> Choice:
        """The same, as a choice of this script or of another."""
        chosen = template == self.template
        return Choice(self.owner, self.expected, self.propensity, chosen, self.success)


_Drawn: TypeAlias = _DrawnScript | _ArchivedScript


async def _choices(
    connection: Connection,
) -> tuple[Mapping[UUID, list[_Drawn]], Mapping[UUID, list[Choice | OwnChoices]]]:
    """The outcomes of drawn scripts and the choices of patterns, by pattern."""
    scripts: dict[UUID, list[_Drawn]] = defaultdict(list)
    patterns: dict[UUID, list[Choice | OwnChoices]] = defaultdict(list)
    for row in await connection.fetch(_ARCHIVED):
        pattern_id, owner, script, *sums = row
        if script is None:
            patterns[pattern_id].append(OwnChoices(owner, *sums))
        else:
            scripts[pattern_id].append(_ArchivedScript(script, OwnChoices(owner, *sums)))
    async for row in connection.cursor(_OUTCOMES, prefetch=1000):
        owner, success = row["owner_key"], row["success"]
        if row["script_drawn"]:
            scripts[row["pattern_id"]].append(
                _DrawnScript(
                    row["script"],
                    owner,
                    row["expected_success_rate"],
                    row["script_propensity"],
                    success,
                )
            )
        for contender, (propensity, expected) in (row["contenders"] or {}).items():
            chosen = contender == str(row["advised_id"])
            patterns[UUID(contender)].append(Choice(owner, expected, propensity, chosen, success))
    return scripts, patterns


def _order(explored: Explored) -> tuple[str, str, str, UUID]:
    pattern = explored.pattern
    scope = pattern.scope
    return scope.business_category, scope.pattern_type, pattern.action, pattern.pattern_id
