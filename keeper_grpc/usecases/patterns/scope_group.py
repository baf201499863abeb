"""Captures and reports, written as a group: the same as if each were written by itself.

Whoever waits is written in one transaction that owns the scopes: retries are found, each entry is placed in arrival
order among the patterns of its scope, and all is counted at once. A revision owns its account, and is a transaction
of its own. What a caller is told of a pattern is as it stands at the commit, without the evidence of the caller's owner.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from keeper_grpc.domain.errors import KeeperError
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.observation import Disposition, Vectors
from keeper_grpc.domain.patterns.group import Asking, GroupWrites
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey, Scope
from keeper_grpc.usecases.patterns.group_answers import Placed, published
from keeper_grpc.usecases.patterns.group_entries import (
    AlreadyAnswered,
    CaptureEntry,
    Entry,
    ReportEntry,
    Written,
)
from keeper_grpc.usecases.patterns.group_placing import Ledger, Placing
from keeper_grpc.usecases.patterns.group_ports import GroupStore, GroupTransaction, PlacesOfScope
from keeper_grpc.usecases.ports import NewId

Answer: TypeAlias = Written | AlreadyAnswered | KeeperError
"""What an entry gets; an error is of its entry alone."""

_Outcome: TypeAlias = Placed | AlreadyAnswered | KeeperError


class WriteGroup:
    """The use case. One instance serves all scopes."""

    def __init__(self, *, store: GroupStore, rule: PublicationRule, new_id: NewId) -> None:
        self._store = store
        self._rule = rule
        self._new_id = new_id

    def home(self, scope: Scope) -> Hashable:
        """What scopes have in common that one transaction writes together; a guess as long as it has written none."""
        return self._store.home(scope)

    async def __call__(
        self, entries: Mapping[Scope, Sequence[Entry]]
    ) -> Mapping[Scope, Sequence[Answer]]:
        """Write the entries, all or none; but scopes after the first are left out that somebody else owns, or that have
        another home.

        Raises StorageUnavailable, and what the database objects to.
        """
        async with self._store.group() as transaction:
            current = await transaction.enter(list(entries))
            owned = {scope: entries[scope] for scope in current}
            ledger = Ledger(await transaction.known(_asking(owned)))
            places = await self._places(transaction, ledger, owned)
            outcomes: dict[Scope, Sequence[_Outcome]] = {}
            for scope, own in owned.items():
                placing = Placing(
                    transaction,
                    ledger,
                    scope,
                    places[scope],
                    current=current[scope],
                    new_id=self._new_id,
                )
                outcomes[scope] = await placing.place(own)
            await transaction.count(ledger.writes)
            shown = await transaction.patterns(_spoken_of(outcomes))
            self._withhold(ledger.writes, shown)
            await transaction.write(ledger.writes)
        return {
            scope: [
                each.told(shown, self._rule) if isinstance(each, Placed) else each for each in own
            ]
            for scope, own in outcomes.items()
        }

    async def _places(
        self,
        transaction: GroupTransaction,
        ledger: Ledger,
        entries: Mapping[Scope, Sequence[Entry]],
    ) -> Mapping[Scope, PlacesOfScope]:
        """Where the scopes' patterns lie, with the positions of those that entries will join, as far as can be seen."""
        searched = {scope: _searched(own, ledger) for scope, own in entries.items()}
        places = await transaction.places(
            {scope: [vectors for _, vectors in own] for scope, own in searched.items()}
        )
        unknown = {
            scope: places[scope].likely(
                [(entry.insight.action, vectors) for entry, vectors in joining],
                joining[0][0].thresholds,
            )
            for scope, own in searched.items()
            if (joining := [(e, v) for e, v in own if isinstance(e, CaptureEntry)])
        }
        keys = [PatternKey(scope.scope_id, each) for scope, ids in unknown.items() for each in ids]
        if keys:
            positions = await transaction.positions(keys)
            for scope, ids in unknown.items():
                places[scope].know({each: positions[each] for each in ids if each in positions})
        return places

    def _withhold(
        self, writes: GroupWrites, shown: Mapping[tuple[PatternKey, str], Pattern]
    ) -> None:
        """Keep no similarity to a pattern that the account is not shown: a retry tells what was told."""
        writes.observations = [
            each
            if each.disposition is not Disposition.MERGED
            or published(shown, self._rule, each.pattern_key, each.account_key)
            else replace(each, similarity=0.0)
            for each in writes.observations
        ]


def _spoken_of(outcomes: Mapping[Scope, Sequence[_Outcome]]) -> set[tuple[PatternKey, str]]:
    """The patterns that answers speak of, each with the account that is answered."""
    return {
        (each.pattern, each.account_key)
        for own in outcomes.values()
        for each in own
        if isinstance(each, Placed) and each.pattern is not None
    }


def _searched(entries: Sequence[Entry], ledger: Ledger) -> list[tuple[Entry, Vectors]]:
    """Those that are compared with the patterns of their scope."""
    return [
        (entry, entry.vectors)
        for entry in entries
        if entry.vectors is not None
        and (entry.account_key, entry.request_id) not in ledger.recorded
    ]


def _asking(entries: Mapping[Scope, Sequence[Entry]]) -> Asking:
    """What must be known of all entries."""
    every = [(scope, entry) for scope, own in entries.items() for entry in own]
    reports = [entry for _, entry in every if isinstance(entry, ReportEntry)]
    return Asking(
        accounts={entry.account_key for _, entry in every},
        requests={(entry.account_key, entry.request_id) for _, entry in every},
        not_followed={
            (entry.account_key, entry.instead_of, scope.pattern_type)
            for scope, entry in every
            if isinstance(entry, CaptureEntry) and entry.instead_of
        },
        reported={entry.given.enhancement_id for entry in reports},
        reporting={entry.account_key for entry in reports},
        advised={entry.given.pattern.key for entry in reports if entry.given.pattern},
    )
