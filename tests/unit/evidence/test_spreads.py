from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.evidence import Evidence, Prior
from keeper_grpc.domain.evidence.expectation import FactEvidence, SituationEvidence, expect
from keeper_grpc.domain.evidence.spreads import (
    SPREAD,
    FactContrast,
    Spreads,
    learn_spreads,
    spread_of,
)

REST = Evidence(40, 20, 5)


def contrasts(key: str, spread: float, count: int, trials: int = 20) -> list[FactContrast]:
    """Contrasts of patterns whose true effects have this variance."""
    chance = np.random.default_rng([count, trials, int(100 * spread)])
    found = []
    for effect in chance.normal(0, spread**0.5, count):
        shared, others = 1 / (1 + np.exp([-effect, 0.0]))
        found.append(
            FactContrast(
                "type",
                key,
                (trials, float(chance.binomial(trials, shared))),
                (2 * trials, float(chance.binomial(2 * trials, others))),
            )
        )
    return found


@pytest.mark.parametrize("spread", [0.0, 0.25, 1.0])
def test_the_spread_of_many_contrasts_is_found(spread: float) -> None:
    """However much of what is seen is chance."""
    learned = learn_spreads(contrasts("day", spread, 2000))["type"]["day"]
    assert learned == pytest.approx(spread, abs=0.1 + 0.2 * spread)


def test_little_is_believed_of_few_contrasts() -> None:
    """One that is as large as chance makes them says next to nothing."""
    (one,) = contrasts("day", 0.0, 1)
    assert learn_spreads([one])["type"]["day"] == pytest.approx(SPREAD, abs=0.15)


def test_types_and_conditions_are_told_apart() -> None:
    """What is unknown of one is not taken from another."""
    learned = learn_spreads([*contrasts("day", 0.0, 200), *contrasts("time", 2.0, 200)])
    assert learned["type"]["day"] < 0.1
    assert learned["type"]["time"] > 1
    assert spread_of("service", learned["type"]) == SPREAD
    assert "another" not in learned


def rate(spreads: Spreads, *keys: str) -> float:
    """Expected where facts of these conditions say that it works here nearly always."""
    facts = tuple(FactEvidence(Evidence(20, 18, 4), Evidence(40, 12, 5), key) for key in keys)
    situation = SituationEvidence(elsewhere=REST, facts=facts)
    return expect(REST, Prior(), situation, spreads=spreads).rate


def test_a_condition_that_says_nothing_moves_and_dilutes_nothing() -> None:
    """The rate is as if nothing were known of it."""
    known = {"day": 0.0, "time": 1.0}
    assert rate(known, "day") == pytest.approx(rate(known))
    assert rate(known, "day", "time") == pytest.approx(rate(known, "time"))
    assert rate(known, "time") > rate({}, "time") > rate(known)


@given(st.floats(0, 4), st.floats(0.01, 1))
def test_the_more_a_condition_matters_the_further_it_moves(spread: float, more: float) -> None:
    """And never the other way."""
    assert rate({"day": spread + more}, "day") >= rate({"day": spread}, "day") >= rate({})
