from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from keeper_grpc.cli import main
from keeper_grpc.client.days import MOST_DAYS
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import NetworkDay
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse
from keeper_grpc.terminal.output.dates import dates_json, lines
from keeper_grpc.terminal.output.report import WITHHELD

FIRST, LAST = date(2026, 10, 1), date(2026, 10, 3)


def report(days: int, begin: date = date(2026, 9, 30)) -> GetNetworkMetricsResponse:
    """A report with so many days, each with a question more than the day before."""
    made = GetNetworkMetricsResponse()
    for number in range(days):
        day = NetworkDay(
            patterns_discovered=1,
            question_count=10 + number,
            enhanced_count=8,
            advised_count=1,
            advised_success_count=1,
            held_out_count=2,
            held_out_success_count=1,
        )
        moment = datetime(begin.year, begin.month, begin.day, tzinfo=UTC) + timedelta(days=number)
        day.start_time.FromDatetime(moment)
        made.days.append(day)
    return made


def test_dates_that_are_over_are_told_by_the_sums_of_their_days() -> None:
    """Both ends included and nothing around them, with the counts behind each rate; below five there is no rate."""
    told = list(lines(report(6), "spa", FIRST, LAST))
    assert told[:5] == [
        "spa, 2026-10-01 to 2026-10-03, both included, UTC",
        "new patterns: 3",
        "questions answered: 66.7%, 24 of 36",
        "success with advice: not enough data, 3 of 3",
        "success held out: 50.0%, 3 of 6",
    ]
    assert "measured up to now" in told[5]
    counts = dates_json(report(6), FIRST, LAST)
    assert (counts["first"], counts["last"], counts["question_count"]) == (
        "2026-10-01",
        "2026-10-03",
        36,
    )


def test_what_a_report_withholds_no_dates_tell() -> None:
    """Neither to people nor to programs."""
    withheld = GetNetworkMetricsResponse(withheld=True)
    assert list(lines(withheld, "", FIRST, LAST))[1:] == [WITHHELD]
    assert dates_json(withheld, FIRST, LAST) == {
        "first": "2026-10-01",
        "last": "2026-10-03",
        "withheld": True,
    }


def test_days_that_a_report_no_longer_lists_are_not_counted_as_nothing() -> None:
    """Of a long window it lists the newest: of the others nothing is known."""
    newest = report(MOST_DAYS, begin=FIRST + timedelta(days=1))
    assert list(lines(newest, "", FIRST, LAST))[1].startswith("too long ago")
    assert "question_count" not in dates_json(newest, FIRST, LAST)
    assert list(lines(report(MOST_DAYS, begin=FIRST), "", FIRST, LAST))[1] == "new patterns: 3"


@pytest.mark.parametrize(
    "dates",
    [
        "2026-10-01",
        "2026-10-03..2026-10-01",
        "2026-10-01..2999-01-01",
        "1999-01-01..2026-01-01",
        "a..b",
    ],
)
def test_dates_that_are_none_are_refused(dates: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what is wrong; and a window besides is one period too many."""
    for arguments in (["--dates", dates], ["--dates", "2026-10-01..2026-10-03", "--window", "7"]):
        with pytest.raises(SystemExit):
            main(["metrics", *arguments])
        assert "--dates" in capsys.readouterr().err
