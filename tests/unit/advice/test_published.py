"""One scope's patterns in memory: what is kept of earlier questions changes no answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.advice.enhancement import Asked
from keeper_grpc.domain.advice.published import MOST_NEAREST, Published, PublishedScope, View
from keeper_grpc.domain.advice.ranking import Candidate, Requirements, rank
from keeper_grpc.domain.evidence.evidence import NO_EVIDENCE, Prior, Share
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Pattern, Scope
from keeper_grpc.domain.patterns.situation import whole
from keeper_grpc.domain.patterns.stored import StoredPattern

SCOPE = Scope("churn_prevention", "spa", "model")
RULE = PublicationRule(k=2)
USUAL = Requirements(min_similarity=-1.0, rule=RULE)
STRICT = Requirements(min_similarity=0.2, rule=RULE, min_success_rate=0.8)
OWNERS = ("anna", "berta", "clara", "dora")
SITUATIONS: Sequence[dict[str, str]] = ({"day": "monday"}, {"day": "friday"})
WIDTH = 8
LIMIT = 3

_RNG = np.random.default_rng(7)
PLACES = _RNG.standard_normal((12, WIDTH)).astype(np.float32)
TEXTS = _RNG.standard_normal((4, WIDTH)).astype(np.float32)
TEXTS /= np.linalg.norm(TEXTS, axis=1, keepdims=True)


@dataclass(frozen=True)
class Put:
    """A pattern lies at a place, and so many outcomes of each of its owners were successes."""

    number: int
    moved: bool
    owners: tuple[str, ...]
    successes: int


@dataclass(frozen=True)
class Drop:
    """A pattern goes."""

    number: int


@dataclass(frozen=True)
class Ask:
    """An owner asks, of whom there may be nothing in any pattern, at a time."""

    owner: str
    text: int
    situation: int
    strict: bool
    older: bool


STEPS = st.one_of(
    st.builds(
        Put,
        st.integers(0, 5),
        st.booleans(),
        st.lists(st.sampled_from(OWNERS), min_size=2, max_size=4, unique=True).map(tuple),
        st.integers(0, 6),
    ),
    st.builds(Drop, st.integers(0, 5)),
    st.builds(
        Ask,
        st.sampled_from([*OWNERS, "nobody"]),
        st.integers(0, 3),
        st.integers(0, 1),
        st.booleans(),
        st.booleans(),
    ),
)


def published(put: Put) -> Published:
    """As it is read from the database."""
    return Published(
        pattern_id=UUID(int=put.number),
        vector=PLACES[put.number + 6 * put.moved],
        packed=json.dumps([put.number, put.successes]).encode(),
        published=True,
        authored=False,
        trials=6 * len(put.owners),
        likely=1.0,
        owners=put.owners,
        facets={whole(SITUATIONS[0]): 1.0},
    )


def unpack(packed: bytes, owners: Sequence[str]) -> StoredPattern:
    """What `published` packed: outcomes of which half are of the first situation."""
    number, successes = json.loads(packed)
    half = Share(3, successes // 2)
    return StoredPattern(
        stated=Pattern(
            pattern_id=UUID(int=number),
            scope=SCOPE,
            conditions={},
            action="offer tea",
            evidence=NO_EVIDENCE,
            scripts=(),
            first_discovered=None,
            last_validated=datetime(2026, 1, 1, tzinfo=UTC),
            prior=Prior(2, 2),
        ),
        shares={owner: Share(6, successes) for owner in owners},
        facets={whole(SITUATIONS[0]): dict.fromkeys(owners, half)},
    )


def answer(scope: PublishedScope, ask: Ask) -> Sequence[Candidate]:
    """The candidates, in an order that does not depend on where they lie."""
    asked = Asked(SCOPE, TEXTS[ask.text], ask.owner, ask.owner, SITUATIONS[ask.situation])
    view = View.of(ask.owner, asked.conditions, RULE, 2.0 if ask.older else 1.0)
    found = scope.candidates(asked, view, STRICT if ask.strict else USUAL, LIMIT)
    return sorted(found, key=lambda one: one.pattern.pattern_id)


def rounded(candidate: Candidate) -> Candidate:
    """With a similarity that does not depend on how many others were computed at once."""
    return replace(candidate, similarity=round(candidate.similarity, 5))


@given(st.lists(STEPS, max_size=40))
def test_what_is_kept_of_earlier_questions_changes_no_answer(
    steps: Sequence[Put | Drop | Ask],
) -> None:
    """A scope that was asked before answers, and ranks, as one that has just been read, whatever changed meanwhile."""
    scope = PublishedScope(WIDTH, unpack)
    held: dict[int, Put] = {}
    for step in steps:
        match step:
            case Put():
                held[step.number] = step
                scope.put(published(step))
            case Drop():
                held.pop(step.number, None)
                scope.drop(UUID(int=step.number))
            case Ask():
                new = PublishedScope(WIDTH, unpack)
                for put in held.values():
                    new.put(published(put))
                requirements = STRICT if step.strict else USUAL
                kept, fresh = answer(scope, step), answer(new, step)
                assert [rounded(one) for one in kept] == [rounded(one) for one in fresh]
                ranked, ranked_fresh = rank(kept, requirements), rank(fresh, requirements)
                assert ranked.no_match == ranked_fresh.no_match
                assert [rounded(one.candidate) for one in ranked.fit] == [
                    rounded(one.candidate) for one in ranked_fresh.fit
                ]


def test_of_many_texts_the_last_ones_are_kept() -> None:
    """However many texts are asked about, a scope takes no more memory than for so many."""
    scope = PublishedScope(WIDTH, unpack)
    scope.put(published(Put(0, False, OWNERS[:2], 4)))
    view = View.of("nobody", SITUATIONS[0], RULE, 1.0)
    texts = np.random.default_rng(1).standard_normal((MOST_NEAREST + 50, WIDTH)).astype(np.float32)
    sizes = []
    for text in texts:
        asked = Asked(SCOPE, text / np.linalg.norm(text), "nobody", "nobody", SITUATIONS[0])
        scope.candidates(asked, view, USUAL, LIMIT)
        sizes.append(scope.nbytes)

    assert sizes[-1] == max(sizes) == sizes[MOST_NEAREST]
    scope.forget_views()
    assert scope.nbytes < sizes[0]
