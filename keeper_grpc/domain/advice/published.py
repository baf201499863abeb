"""One scope's published patterns in memory, and the candidates among them for a question.

The answer is that of the searches in the database (storage/advice/candidates.py), which a property test holds it to.
What depends on nobody's question is computed when a pattern is taken in; what depends on the situation and on the
owner that asks is computed once and kept, until the pattern changes: questions repeat themselves in both.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import merge
from itertools import islice
from sys import intern
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.advice.authored import StoredAuthored
from keeper_grpc.domain.advice.enhancement import Asked
from keeper_grpc.domain.advice.ranking import JUDGED, Candidate, Requirements, hurdle
from keeper_grpc.domain.evidence.evidence import NO_SHARE, Prior, Shares
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.patterns.situation import facts, whole
from keeper_grpc.domain.patterns.stored import StoredPattern
from keeper_grpc.domain.patterns.vector_block import Floats, VectorBlock

ROUNDING = 1e-9
"""By which a rate computed in another order may fall below itself."""

CANDIDATE_BYTES = 2_500
"""What a candidate that is kept takes, about."""

STORED_BYTES = 6_000
"""What a pattern that is unpacked takes, about: most of it are the shares of its owners."""

MOST_VIEWS = 64
"""Candidates that are kept of one pattern: it is asked about in as many situations, by as many of its owners."""

MOST_NEAREST = 512
"""Texts of a scope whose nearest patterns are kept: engines ask in the same words again and again."""

MOST_SHOWN = 256
"""Texts, each in a situation, whose nearest patterns are kept as those see them who have no part in them."""

SHOWN_BYTES = 400
"""What a pattern takes in one of these, about, beside the candidate that it is made of."""

_NO_ROWS: frozenset[int] = frozenset()


class WordsNotKept(Exception):
    """An owner asks whose words the others' must be told from, of a pattern with too many wordings to keep."""


@dataclass(frozen=True, slots=True)
class Published:
    """One pattern as it is taken in: its vector, itself in few bytes, and what decides whether it may fit a question.

    `likely` is the highest rate by which it may meet a requirement in some situation or in all: of its totals, under
    its prior, or by age; `facets` are such rates of what k owners know under one facet. `owners` contributed to it.
    `published` says that at least k owners stand behind it and its words; a pattern of the catalog that is not, is
    its author's advice only.
    """

    pattern_id: UUID
    vector: Floats
    packed: bytes
    published: bool
    authored: bool
    trials: int
    likely: float
    owners: Sequence[str]
    facets: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class View:
    """Who asks, about what situation, and by which rule and age: all that a pattern's candidate depends on."""

    owner: str
    entire: str
    facts: Sequence[str]
    rule: PublicationRule
    now_weight: float

    @classmethod
    def of(
        cls,
        owner: str,
        conditions: Mapping[str, JsonValue],
        rule: PublicationRule,
        now_weight: float,
    ) -> View:
        """That of an owner in the situation that these conditions are."""
        return cls(owner, whole(conditions), facts(conditions), rule, now_weight)


@dataclass(frozen=True, slots=True)
class _Row:
    """What is kept of one pattern. `views` are its candidates by owner, where that has a part in it, and facets; `stored` is
    what they are made of, once one was.
    """

    pattern_id: UUID
    packed: bytes
    owners: Sequence[str]
    facets: Sequence[str]
    views: dict[tuple[str, ...], _Seen] = field(default_factory=dict)
    stored: list[StoredPattern] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A pattern as an owner sees it in a situation, before its similarity, and its `likely` rate without the owner's."""

    candidate: Candidate
    likely: float


@dataclass(frozen=True, slots=True)
class _Near:
    """The rows nearest to a text, the nearest first, and their cosines."""

    rows: Sequence[int]
    cosines: Sequence[float]


class PublishedScope:
    """The patterns of one scope. Not safe for threads."""

    def __init__(
        self,
        width: int,
        unpack: Callable[[bytes, Sequence[str]], StoredPattern],
        patterns: int = 64,
    ) -> None:
        """`width` is that of the vectors, without what is zero in all of them; `unpack` reads `Published.packed`."""
        self._unpack = unpack
        self._block = VectorBlock(width, patterns)
        self._rows: list[_Row | None] = []
        self._at: dict[UUID, int] = {}
        self._authored: dict[UUID, Published] = {}
        self._trials: NDArray[np.int64] = np.zeros(patterns, np.int64)
        self._likely: NDArray[np.float64] = np.zeros(patterns, np.float64)
        self._of_owner: dict[str, set[int]] = {}
        self._knowing: dict[str, dict[int, float]] = {}
        self._width = width
        self._now_weight = 0.0
        self._views = 0
        self._unpacked = 0
        self._packed_bytes = 0
        self._near: OrderedDict[tuple[bytes, int], _Near] = OrderedDict()
        self._shown: OrderedDict[tuple[object, ...], list[Candidate | None]] = OrderedDict()
        """By text and situation; a candidate is made when it is first needed."""
        self._shown_rows = 0

    def __len__(self) -> int:
        """Published patterns."""
        return len(self._at)

    @property
    def nbytes(self) -> int:
        """Bytes of memory, as far as they can be told."""
        arrays = self._block.nbytes + self._trials.nbytes + self._likely.nbytes
        again = self._views * CANDIDATE_BYTES + self._unpacked * STORED_BYTES
        return arrays + self._packed_bytes + again + self._shown_rows * SHOWN_BYTES

    @property
    def width(self) -> int:
        """Numbers of a vector that are kept."""
        return self._width

    def __contains__(self, pattern_id: UUID) -> bool:
        """Whether this pattern is held and published."""
        return pattern_id in self._at

    def stored(self, pattern_id: UUID) -> StoredPattern | None:
        """All that is kept of a published pattern, or of one of the catalog with a trigger; None where it is not held."""
        at = self._at.get(pattern_id)
        if at is not None:
            row = self._rows[at]
            assert row is not None  # noqa: S101 - what is found by its id is held
            return self._stored(row)
        authored = self._authored.get(pattern_id)
        return None if authored is None else self._unpack(authored.packed, authored.owners)

    def candidate(self, pattern_id: UUID, view: View) -> Candidate | None:
        """A published pattern as a view shows it, without a similarity; None where it is not held as one.

        Raises WordsNotKept.
        """
        at = self._at.get(pattern_id)
        return None if at is None else self._views_of(view)(at).candidate

    def prepare(self) -> None:
        """Make searches fast, once many patterns were taken in."""
        self._block.prepare()

    def put(self, pattern: Published) -> None:
        """Take a pattern in, or take it in again as it is now."""
        vector = pattern.vector[: self._width]
        at = self._at.get(pattern.pattern_id)
        # Most of what changes is evidence: then every text is as near to it as before.
        stays = at is not None and pattern.published and self._block.holds(at, vector)
        self._let_go(pattern.pattern_id, of_vector=not stays)
        if pattern.authored:
            self._authored[pattern.pattern_id] = pattern
            self._packed_bytes += len(pattern.packed) + pattern.vector.nbytes
        if not pattern.published:
            return
        if at is None or not stays:
            at = self._block.add(vector)
            self._near.clear()
        if at >= len(self._trials):
            more = max(at + 1 - len(self._trials), len(self._trials) // 4)
            self._trials = np.concatenate([self._trials, np.zeros(more, np.int64)])
            self._likely = np.concatenate([self._likely, np.zeros(more)])
        while at >= len(self._rows):
            self._rows.append(None)
        self._trials[at], self._likely[at] = pattern.trials, pattern.likely
        row = _Row(
            pattern.pattern_id,
            pattern.packed,
            tuple(map(intern, pattern.owners)),
            tuple(map(intern, pattern.facets)),
        )
        self._rows[at] = row
        self._at[pattern.pattern_id] = at
        self._packed_bytes += len(row.packed)
        for owner in row.owners:
            self._of_owner.setdefault(owner, set()).add(at)
        for facet, rate in pattern.facets.items():
            self._knowing.setdefault(intern(facet), {})[at] = rate

    def drop(self, pattern_id: UUID) -> None:
        """Let go of a pattern: nothing of it stays in memory."""
        self._let_go(pattern_id, of_vector=True)

    def _let_go(self, pattern_id: UUID, *, of_vector: bool) -> None:
        self._forget_shown()
        authored = self._authored.pop(pattern_id, None)
        if authored is not None:
            self._packed_bytes -= len(authored.packed) + authored.vector.nbytes
        at = self._at.pop(pattern_id, None)
        if at is None:
            return
        row = self._rows[at]
        assert row is not None  # noqa: S101 - what is found by its id is held
        self._rows[at] = None
        if of_vector:
            self._block.clear(at)
            self._near.clear()
        self._trials[at] = self._likely[at] = 0
        self._packed_bytes -= len(row.packed)
        self._views -= len(row.views)
        self._unpacked -= len(row.stored)
        for owner in row.owners:
            _discard(self._of_owner, owner, at)
        for facet in row.facets:
            _discard(self._knowing, facet, at)

    def forget_views(self) -> None:
        """Let go of what can be computed again."""
        for row in self._rows:
            if row is not None:
                row.views.clear()
                row.stored.clear()
        self._views = self._unpacked = 0
        self._forget_shown()

    def candidates(
        self, asked: Asked, view: View, requirements: Requirements, limit: int
    ) -> Sequence[Candidate]:
        """The nearest patterns. When none of them meets the requirements, also the nearest ones that do, however far.

        Raises WordsNotKept.
        """
        found = self._nearest(asked, view, limit)
        if len(found) < limit or any(hurdle(one, requirements) is None for one in found):
            return found
        known = {candidate.pattern.pattern_id for candidate in found}
        fit = fitting(self.promising(asked, view, requirements), requirements, limit)
        return [*found, *(one for one in fit if one.pattern.pattern_id not in known)]

    def _nearest(self, asked: Asked, view: View, limit: int) -> list[Candidate]:
        text, near = self._near_to(asked.vector, limit)
        seen = self._views_of(view)
        shown = self._shown_of((text, view.entire, *view.facts), len(near.rows))
        own = self._of_owner.get(view.owner, _NO_ROWS)
        found = []
        for place, at in enumerate(near.rows):
            if at in own:
                found.append(seen(at).candidate.at(near.cosines[place]))
                continue
            candidate = shown[place]
            if candidate is None:
                candidate = shown[place] = seen(at).candidate.at(near.cosines[place])
            found.append(candidate)
        return found

    def _near_to(self, vector: Floats, limit: int) -> tuple[tuple[bytes, int], _Near]:
        """The nearest rows, and the key under which they are kept."""
        # What is kept is no vector: a digest tells as much of a text as the cache of vectors does.
        text = blake2b(vector[: self._width].tobytes(), digest_size=16).digest(), limit
        near = self._near.get(text)
        if near is None:
            rows, cosines = self._block.nearest(vector, limit)
            near = self._near[text] = _Near(rows.tolist(), cosines.tolist())
            if len(self._near) > MOST_NEAREST:
                self._near.popitem(last=False)
        else:
            self._near.move_to_end(text)
        return text, near

    def _forget_shown(self) -> None:
        self._shown.clear()
        self._shown_rows = 0

    def _shown_of(self, question: tuple[object, ...], size: int) -> list[Candidate | None]:
        """What is kept of a text in a situation."""
        shown = self._shown.get(question)
        if shown is None:
            shown = self._shown[question] = [None] * size
            self._shown_rows += size
            if len(self._shown) > MOST_SHOWN:
                _, least = self._shown.popitem(last=False)
                self._shown_rows -= len(least)
        else:
            self._shown.move_to_end(question)
        return shown

    def promising(
        self, asked: Asked, view: View, requirements: Requirements, transfer: float = 1.0
    ) -> Iterator[Candidate]:
        """The similar patterns that may meet the requirements by their rates, the nearest first.

        A little more than do is let through: `hurdle` decides. Raises WordsNotKept.
        """
        least = requirements.min_success_rate - ROUNDING
        size = self._block.rows
        tried = self._trials[:size] >= requirements.min_occurrences
        among = tried & (self._likely[:size] >= least)
        for facet in (view.entire, *view.facts):
            for at, rate in self._knowing.get(facet, {}).items():
                if rate >= least and tried[at]:
                    among[at] = True
        own = self._of_owner.get(view.owner, set())
        if own:
            among[list(own)] = True
        rows, cosines = self._block.at_least(asked.vector, requirements.min_similarity, among)
        views = self._views_of(view)
        for at, cosine in zip(rows.tolist(), cosines.tolist(), strict=True):
            seen = views(at)
            evidence = seen.candidate.pattern.evidence
            if at in own and not (
                evidence.accounts >= view.rule.k
                and evidence.trials >= requirements.min_occurrences
                and seen.likely >= least
            ):
                continue
            yield seen.candidate.at(cosine, transfer)

    def authored(self, asked: Asked, view: View) -> Sequence[StoredAuthored]:
        """The catalog's patterns as the asking account may see them."""
        return [
            self._as_authored(pattern, asked, view)
            for pattern in sorted(self._authored.values(), key=lambda each: each.pattern_id)
        ]

    def _as_authored(self, pattern: Published, asked: Asked, view: View) -> StoredAuthored:
        stored = self._unpack(pattern.packed, pattern.owners)
        cosine = float(np.clip(pattern.vector @ asked.vector, -1.0, 1.0))
        return StoredAuthored(
            Candidate(
                stored.seen_by(view.owner, view.rule, view.now_weight),
                cosine,
                stored.situation(view.entire, view.facts, view.owner, view.rule, view.now_weight),
            ),
            stored.trigger or "",
            stored.accounts.get(asked.account_key, NO_SHARE),
        )

    def _views_of(self, view: View) -> Callable[[int], _Seen]:
        """What this view shows of the pattern in a row."""
        if view.now_weight != self._now_weight:  # outcomes are a step older
            self.forget_views()
            self._now_weight = view.now_weight
        rows, own = self._rows, self._of_owner.get(view.owner, _NO_ROWS)
        knowing = [
            (facet, known)
            for facet in (view.entire, *view.facts)
            if (known := self._knowing.get(facet))
        ]

        def seen(at: int) -> _Seen:
            row = rows[at]
            assert row is not None  # noqa: S101 - what the block finds is held
            contributed = at in own
            key = (
                view.owner if contributed else "",
                *[facet for facet, known in knowing if at in known],
            )
            found = row.views.get(key)
            if found is None:
                if len(row.views) >= MOST_VIEWS:
                    self._views -= len(row.views)
                    row.views.clear()
                found = row.views[key] = self._see(row, view, contributed=contributed)
                self._views += 1
            return found

        return seen

    def _stored(self, row: _Row) -> StoredPattern:
        if not row.stored:
            row.stored.append(self._unpack(row.packed, row.owners))
            self._unpacked += 1
        return row.stored[0]

    def _see(self, row: _Row, view: View, *, contributed: bool) -> _Seen:
        stored = self._stored(row)
        if not stored.words_kept_for(view.owner):
            raise WordsNotKept
        pattern = stored.seen_by(view.owner, view.rule, view.now_weight)
        situation = stored.situation(
            view.entire, view.facts, view.owner, view.rule, view.now_weight
        )
        likely = 0.0
        if contributed:
            rates = facet_rates(stored.facets, view.rule.k, view.owner)
            others = [share for owner, share in stored.shares.items() if owner != view.owner]
            recent = (
                sum(share.recent_trials or 0.0 for share in others),
                sum(share.recent_successes or 0.0 for share in others),
            )
            evidence = pattern.evidence
            likely = max(
                likely_rate(
                    evidence.trials, evidence.successes, pattern.prior, recent if others else None
                ),
                *(rates.get(facet, 0.0) for facet in (view.entire, *view.facts)),
            )
        return _Seen(Candidate(pattern, 0.0, situation), likely)


def elsewhere(
    scopes: Sequence[tuple[PublishedScope, float]],
    asked: Asked,
    view: View,
    requirements: Requirements,
    limit: int,
) -> Sequence[Candidate]:
    """The nearest patterns of other scopes that meet the requirements, with each scope's transfer.

    Raises WordsNotKept.
    """
    found = [
        scope.promising(asked, view, requirements, transfer) for scope, transfer in scopes if scope
    ]
    nearest = merge(*found, key=lambda candidate: -candidate.similarity)
    return fitting(nearest, requirements, limit)


def fitting(
    candidates: Iterable[Candidate], requirements: Requirements, limit: int
) -> Sequence[Candidate]:
    """The first that meet the requirements, of no more than the database would judge."""
    judged = islice(candidates, JUDGED)
    return list(islice((one for one in judged if hurdle(one, requirements) is None), limit))


def likely_rate(
    trials: int, successes: int, prior: Prior, recent: tuple[float, float] | None
) -> float:
    """The highest rate by which a pattern may meet a requirement in all situations together.

    `trials` and `successes` are as they are weighed, `recent` those by age of the owners that count, as they are
    stored; None where there are none.
    """
    rates = [(prior.successes + successes) / (prior.successes + prior.failures + trials)]
    if trials:
        rates.append(successes / trials)
    if recent is not None:
        rates.append(recent[1] / recent[0] if recent[0] > 0 else 1.0)
    return max(rates)


def facet_rates(facets: Mapping[str, Shares], k: int, owner: str = "") -> Mapping[str, float]:
    """By facet that at least k others know, the higher of their rate and of the mean of their rates."""
    rates = {}
    for facet, shares in facets.items():
        others = [share for other, share in shares.items() if other != owner and share.trials > 0]
        if len(others) >= k:
            trials = sum(share.trials for share in others)
            mean = sum(share.successes / share.trials for share in others) / len(others)
            rates[facet] = max(sum(share.successes for share in others) / trials, mean)
    return rates


def _discard(index: dict[str, set[int]] | dict[str, dict[int, float]], key: str, at: int) -> None:
    rows = index[key]
    if isinstance(rows, set):
        rows.discard(at)
    else:
        rows.pop(at, None)
    if not rows:
        del index[key]
