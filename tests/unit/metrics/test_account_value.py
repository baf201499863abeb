from __future__ import annotations

from datetime import UTC, datetime

import pytest

from keeper_grpc.domain.metrics.account_value import (
    LEAST_PEERS,
    AccountValue,
    GatheredValue,
    Given,
    PeerMeasure,
    QuestionOutcomes,
    account_value,
)
from keeper_grpc.domain.metrics.uplift import EMPTY, Arm

NOW = datetime(2026, 3, 1, tzinfo=UTC)
K = 3


def value(gathered: GatheredValue, k: int = K) -> AccountValue:
    """The answer as of one day."""
    return account_value(gathered, k, NOW, NOW)


def of_peers(*arms: Arm, active: bool = True, own: Arm = EMPTY, k: int = K) -> AccountValue:
    """The answer beside these peers, in one measure."""
    measure = PeerMeasure.SUCCESS_RATE
    return value(GatheredValue(active=active, own={measure: own}, peers={measure: arms}), k)


def test_nine_peers_have_no_quartiles_and_ten_do() -> None:
    """Peers without enough outcomes of their own are none, however many they are."""
    peers = [Arm(10, number) for number in range(LEAST_PEERS)]
    assert not of_peers(*peers[1:]).quartiles
    assert not of_peers(*peers[1:], *[Arm(9, 9)] * 50).quartiles
    (found,) = of_peers(*peers, own=Arm(20, 15)).quartiles
    assert (found.lower, found.median, found.upper) == (0.2, 0.45, 0.7)
    assert (found.own, found.owners) == (Arm(20, 15), 10)


def test_a_larger_k_asks_for_more_peers() -> None:
    """A network that wants twenty behind each number wants twenty peers as well."""
    assert not of_peers(*[Arm(10, 5)] * 19, k=20).quartiles
    assert of_peers(*[Arm(10, 5)] * 20, k=20).quartiles


def test_one_outcome_of_one_peer_moves_no_quartile() -> None:
    """Rates count in steps of five points, so a hundredth more of one peer is not seen."""
    peers = [Arm(100, 40)] * LEAST_PEERS
    assert of_peers(*peers).quartiles == of_peers(*peers[1:], Arm(101, 41)).quartiles


@pytest.mark.parametrize(("owners", "shown"), [(0, 0), (4, 0), (5, 5), (9, 5), (14, 10)])
def test_helped_owners_are_told_in_steps(owners: int, shown: int) -> None:
    """At least so many: a poll never tells that one more was advised, nor that a few were."""
    assert value(GatheredValue(given=Given(3, 2, owners))).given == Given(3, 2, shown)


def test_fewer_than_k_helped_owners_are_told_as_none() -> None:
    """Where k is larger than the step, it is the step."""
    assert value(GatheredValue(given=Given(0, 1, 7)), k=8).given.helped_owners == 0


def test_an_account_without_doings_sees_no_peers() -> None:
    """It is answered like an account that does not exist, which has no line of business to have peers in."""
    assert not of_peers(*[Arm(10, 5)] * LEAST_PEERS, active=False).quartiles


def asked(question: int, *, advised: Arm = EMPTY, held_out: Arm = EMPTY) -> QuestionOutcomes:
    """The outcomes of one question."""
    return QuestionOutcomes(f"q{question}", 0.5, advised, held_out)


def test_advice_is_compared_with_the_accounts_own_held_out_questions() -> None:
    """Forty questions, half of them held out; those with advice succeed, the others do not."""
    outcomes = [asked(number, advised=Arm(5, 5)) for number in range(20)]
    outcomes += [asked(number, held_out=Arm(5, 0)) for number in range(20, 40)]
    found = value(GatheredValue(outcomes=outcomes))
    assert found.experiment is not None
    assert found.experiment.difference == 1.0
    assert found.experiment.interval[0] > 0.0
    assert found.questions == 40


def test_one_question_that_repeats_shows_nothing() -> None:
    """It stays in its arm: a hundred outcomes of it are one cluster, and what distinguishes it looks like an effect."""
    outcomes = [asked(1, advised=Arm(100, 100)), asked(2, held_out=Arm(100, 0))]
    found = value(GatheredValue(outcomes=outcomes))
    assert found.experiment is not None
    assert found.experiment.interval == (-1.0, 1.0)


def test_nothing_is_compared_while_an_arm_is_empty() -> None:
    """Without a holdout there is no telling what advice brought."""
    assert value(GatheredValue(outcomes=[asked(1, advised=Arm(9, 9))])).experiment is None
