from __future__ import annotations

import pytest

from keeper_grpc.dashboard.sections.operator.calls import a_second, rates
from keeper_grpc.dashboard.upstream.processes import Process
from keeper_grpc.dashboard.upstream.scrape import Scrape

CALLS = "keeper_rpc_duration_seconds"


def exported(moment: float, *, good: float, bad: float = 0.0, spent: float = 0.0) -> Scrape:
    """What a process tells after so many calls of one method."""
    method = 'method="NetworkLearningService/GetPattern"'
    return Scrape.read(
        f"""# TYPE {CALLS} histogram
{CALLS}_bucket{{{method},code="OK",le="+Inf"}} {good}
{CALLS}_count{{{method},code="OK"}} {good}
{CALLS}_sum{{{method},code="OK"}} {spent}
{CALLS}_count{{{method},code="UNAVAILABLE"}} {bad}
{CALLS}_sum{{{method},code="UNAVAILABLE"}} 0
""",
        moment,
    )


def process(*scrapes: Scrape) -> Process:
    """A process that was looked at so often."""
    made = Process("http://127.0.0.1:9464/metrics")
    for scrape in scrapes:
        made.take(scrape)
    return made


def test_calls_a_second_are_counted_with_their_errors_and_times() -> None:
    """Of all processes together; an error is in the sum and on its own."""
    one = process(exported(0, good=10), exported(10, good=30, bad=10, spent=4))
    two = process(exported(0, good=0), exported(10, good=10, spent=1))
    found = rates([one, two])["GetPattern"]
    assert found.calls == pytest.approx(4)
    assert found.failed == {"UNAVAILABLE": pytest.approx(1)}
    assert found.spent == pytest.approx(0.5)


def test_one_look_makes_no_rate() -> None:
    """A counter alone says nothing of the present."""
    assert rates([process(exported(0, good=10))]) == {}


def test_a_process_that_was_started_anew_counts_from_zero() -> None:
    """A counter that fell was reset: no rate is negative."""
    found = rates([process(exported(0, good=1_000), exported(10, good=20))])
    assert found["GetPattern"].calls == pytest.approx(2)


def test_rates_are_of_the_last_minute() -> None:
    """What happened before that is not in them."""
    looks = [exported(10.0 * n, good=1_000 if n else 0) for n in range(20)]
    assert rates([process(*looks)])["GetPattern"].calls == 0


def test_what_a_lost_process_counted_is_forgotten() -> None:
    """When it answers again, nobody knows what went on meanwhile."""
    lost = process(exported(0, good=10), exported(10, good=20))
    lost.lost("it does not answer")
    lost.take(exported(500, good=30))
    assert list(lost.rates(f"{CALLS}_count")) == []
    assert lost.problem == ""


@pytest.mark.parametrize(
    ("rate", "words"),
    [(0.0, "0"), (0.004, "0.00"), (0.25, "0.25"), (3.14, "3.1"), (1234.5, "1,234")],
)
def test_a_rate_has_three_digits_at_most(rate: float, words: str) -> None:
    """And nothing is a plain zero, which a rare call is not."""
    assert a_second(rate) == words
