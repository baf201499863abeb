"""The writers of this process: each scope's captures, reports and revisions, in the order in which they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from keeper_grpc.domain.errors import KeeperError
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.usecases.advice.revise_outcome import Revised, ReviseOutcome, RevisionEntry
from keeper_grpc.usecases.group_writer import GroupWriter
from keeper_grpc.usecases.patterns.group_entries import (
    AlreadyAnswered,
    CaptureEntry,
    Entry,
    ReportEntry,
    Written,
)
from keeper_grpc.usecases.patterns.scope_group import WriteGroup

LARGEST_GROUP = 64
"""Entries of one transaction: beyond, a group costs what its entries cost, and all of them wait for its end."""

GROUPS_AT_ONCE = 2
"""While the database works on one, the process works on the other. More would be smaller ones, of which each costs about
as much as five entries."""

MOST_WAITING = 2_000
"""Entries that may wait: some 15 KB each with their vectors, and seconds of work."""

_Item: TypeAlias = "Entry | RevisionEntry"
_Answer: TypeAlias = Written | AlreadyAnswered | Revised

AnswerT = TypeVar("AnswerT", Written, Revised)


class ScopeWriter:
    """Takes entries, and answers each once its group is committed."""

    def __init__(
        self,
        group: WriteGroup,
        revise: ReviseOutcome,
        *,
        at_once: int = GROUPS_AT_ONCE,
        on_wait: Callable[[float], None] = lambda seconds: None,  # noqa: ARG005 - the default ignores it
    ) -> None:
        """`at_once` groups are under way. `on_wait` as in GroupWriter."""
        self._group = group
        self._revise = revise
        self._writer = GroupWriter[Scope, _Item, _Answer](
            self._write,
            at_once=at_once,
            largest=LARGEST_GROUP,
            most_waiting=MOST_WAITING,
            on_wait=on_wait,
            # It owns its account, where a group shares many: two of both kinds could wait for each other.
            alone=lambda item: isinstance(item, RevisionEntry),
            home=group.home,
        )

    @property
    def waiting(self) -> int:
        """Entries that no writer has taken yet."""
        return self._writer.waiting

    @property
    def refused(self) -> int:
        """Entries that were refused because as many waited as may."""
        return self._writer.refused

    async def capture(self, scope: Scope, entry: CaptureEntry) -> Written:
        """Write a capture, or find what an earlier attempt of the same request did."""
        return _only(await self._writer.submit(scope, entry), Written)

    async def report(self, scope: Scope, entry: ReportEntry) -> Written | AlreadyAnswered:
        """Write a first outcome, or find what stands in its place."""
        answer = await self._writer.submit(scope, entry)
        return answer if isinstance(answer, AlreadyAnswered) else _only(answer, Written)

    async def revise(self, scope: Scope, entry: RevisionEntry) -> Revised:
        """Replace the outcome that stands, or find what an earlier attempt of the same request did."""
        return _only(await self._writer.submit(scope, entry), Revised)

    async def close(self) -> None:
        """Take nothing more, and wait until all that waits is written."""
        await self._writer.close()

    async def _write(
        self, items: Mapping[Scope, Sequence[_Item]]
    ) -> Mapping[Scope, Sequence[_Answer | KeeperError]]:
        entries: dict[Scope, list[Entry]] = {}
        owned: set[int] = set()
        for scope, waiting in items.items():
            if scope.scope_id in owned:  # under another model: a turn of its own
                continue
            owned.add(scope.scope_id)
            entries[scope] = []
            for item in waiting:
                if isinstance(item, RevisionEntry):
                    return {scope: [await self._revise(scope, item)]}
                entries[scope].append(item)
        return await self._group(entries)


def _only(answer: _Answer, kind: type[AnswerT]) -> AnswerT:
    """The answer, which is of the kind that its entry gets."""
    assert isinstance(answer, kind)  # noqa: S101 - `_write` answers each kind of entry by one kind
    return answer
