"""Calls a second, calls at a time, and how many identities are remembered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.access.jwt_tokens import Verified
from keeper_grpc.access.verified_tokens import VerifiedTokens
from keeper_grpc.domain.access.identity import ALL_ROLES, Identity
from keeper_grpc.domain.access.limits import Limits, TokenBucket
from keeper_grpc.domain.access.meter import Meter
from keeper_grpc.domain.errors import ConcurrencyExceeded, RateExceeded


def named(name: str, limits: Limits) -> Identity:
    """An identity with these limits."""
    return Identity(name, ALL_ROLES, None, limits=limits)


@given(
    rate=st.floats(0.1, 1_000),
    burst=st.floats(1, 100),
    pauses=st.lists(st.floats(0, 10), min_size=1, max_size=60),
)
def test_a_bucket_never_gives_more_than_rate_and_burst(
    rate: float, burst: float, pauses: list[float]
) -> None:
    """Whenever calls come; and the wait that it names is enough."""
    now = 0.0
    bucket = TokenBucket(rate, burst, now)
    for taken, pause in enumerate(pauses, start=1):
        now += pause
        wait = bucket.take(now)
        if wait:
            now += wait + 1e-6
            assert bucket.take(now) == 0.0
        assert taken <= burst + rate * now + 1e-6


def test_calls_beyond_the_rate_are_told_when_to_come_back() -> None:
    """Another identity is not concerned."""
    meter = Meter()
    busy, calm = named("busy", Limits(rate=2, burst=2)), named("calm", Limits(rate=2, burst=2))
    for _ in range(2):
        assert meter.begin(busy, 0.0)
    with pytest.raises(RateExceeded) as caught:
        meter.begin(busy, 0.0)
    assert caught.value.retry_after == pytest.approx(0.5)
    assert meter.begin(calm, 0.0)
    assert meter.begin(busy, 0.5)
    with pytest.raises(RateExceeded):
        meter.question(busy, 0.5)


def test_calls_beyond_the_concurrency_wait_for_an_end() -> None:
    """A call that was refused for that takes nothing of the rate."""
    meter = Meter()
    identity = named("one", Limits(rate=1, burst=2, concurrency=1))
    assert meter.begin(identity, 0.0)
    for _ in range(5):
        with pytest.raises(ConcurrencyExceeded):
            meter.begin(identity, 0.0)
    meter.end(identity)
    assert meter.begin(identity, 0.0)


def test_without_limits_nothing_is_counted() -> None:
    """Nor remembered."""
    meter = Meter()
    assert not meter.begin(named("free", Limits()), 0.0)
    assert len(meter) == 0


def test_new_limits_hold_at_once() -> None:
    """Those of a file that was changed."""
    meter = Meter()
    assert meter.begin(named("one", Limits(concurrency=1)), 0.0)
    assert meter.begin(named("one", Limits(concurrency=2)), 0.0)
    with pytest.raises(ConcurrencyExceeded):
        meter.begin(named("one", Limits(concurrency=2)), 0.0)


def test_memory_is_bounded() -> None:
    """Whoever called longest ago is forgotten, but for those whose calls run."""
    meter = Meter(most=3)
    running = named("running", Limits(rate=1, burst=1))
    meter.begin(running, 0.0)
    for number in range(10):
        identity = named(str(number), Limits(rate=1, burst=1))
        meter.begin(identity, 0.0)
        meter.end(identity)
    assert len(meter) == 3
    with pytest.raises(RateExceeded):
        meter.begin(running, 0.0)


def test_verified_tokens_are_forgotten_at_their_end_and_beyond_the_bound() -> None:
    """The one that was used longest ago goes first."""
    tokens = VerifiedTokens(most=2)
    one, two, three = (tokens.mark(name) for name in ("one", "two", "three"))
    identity = named("x", Limits())
    tokens.remember(one, Verified(identity, 10.0))
    tokens.remember(two, Verified(identity, None))
    assert tokens.find(one, 9.9)
    tokens.remember(three, Verified(identity, None))
    assert tokens.find(two, 0.0) is None
    assert tokens.find(one, 10.0) is None
    assert len(tokens) == 1
    assert b"one" not in one
