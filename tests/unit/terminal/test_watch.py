from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
from grpc import StatusCode

from keeper_grpc.client import Alive, Changed, Interrupted, Reported, SnapshotComplete, Unavailable
from keeper_grpc.client.errors import Detail
from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Kpi, Metric
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse
from keeper_grpc.terminal.output.emerging import change_line
from keeper_grpc.terminal.output.screen import Screen
from keeper_grpc.terminal.watch.lines import Lines
from keeper_grpc.terminal.watch.live import Page
from tests.unit.terminal.rendered import console, rendered

NOW = datetime(2026, 11, 25, 21, 3, 4, tzinfo=UTC)
GONE_AWAY = Interrupted(Unavailable(StatusCode.UNAVAILABLE, "connection refused", Detail()))
SNAPSHOT = SnapshotComplete(count=0, resume_token_expired=False, resume_token="")


def change(
    number: int, what: EmergingPattern.Change.ValueType = EmergingPattern.CHANGE_NEW
) -> Changed:
    """A change of an emerging pattern; those of a higher number are seen by more accounts."""
    pattern = EmergingPattern(
        emerging_pattern_id=str(number),
        change=what,
        pattern_type="review_response",
        business_categories=["spa", "salon"],
        common_pattern=f"Offer number {number}",
        account_count=3 + number,
        sighting_count=10,
        growth_rate=0.5,
        novelty=0.3,
    )
    return Changed(pattern, "")


def reported(discovered: int) -> Reported:
    """A report with one KPI."""
    metric = Metric(unit=Metric.UNIT_PER_WEEK, value=discovered, sample_size=discovered)
    kpi = Kpi(name=Kpi.NAME_DISCOVERY_RATE, target=10, status=Kpi.STATUS_MET, metric=metric)
    return Reported(GetNetworkMetricsResponse(kpis=[kpi]))


def drawn(page: Page, width: int = 100, height: int = 24) -> list[str]:
    """The page on a screen of this size."""
    return rendered(page.drawn(console(width, height)), width)


def test_a_change_is_printed_with_its_label_and_never_empty() -> None:
    """An old change has no label, and insights may share no words."""
    pattern = change(1).pattern
    assert change_line(pattern).endswith(": Offer number 1")
    pattern.label = "Offer a number"
    assert change_line(pattern).endswith(": Offer a number")
    pattern.label = pattern.common_pattern = ""
    assert change_line(pattern).endswith(": insights that share no words")


def test_the_page_shows_what_is_emerging_and_forgets_what_is_gone() -> None:
    """Patterns of most accounts first; a promoted one leaves the table and is the latest news."""
    page = Page("keeper:50051", "")
    for number in (1, 2, 3):
        page.emerging(change(number), NOW)
    page.emerging(SNAPSHOT, NOW)
    page.metrics(reported(12), NOW)
    page.emerging(change(2, EmergingPattern.CHANGE_PROMOTED), NOW)

    lines = drawn(page)

    table = [
        line.split()[-1] for line in lines if "Offer number" in line and "PROMOTED" not in line
    ]
    assert table == ["3", "1"]
    assert any(line.startswith("21:03:04 PROMOTED review_response (spa, salon)") for line in lines)
    assert any(line.startswith("discovery rate  12 a week") for line in lines)


@pytest.mark.parametrize("width", [40, 79, 100, 200])
@pytest.mark.parametrize("height", [24, 40])
def test_the_page_fits_the_screen(width: int, height: int) -> None:
    """However many patterns emerge, the rest is counted."""
    page = Page("keeper:50051", "")
    page.metrics(reported(12), NOW)
    for number in range(100):
        page.emerging(change(number), NOW)
    page.emerging(SNAPSHOT, NOW)
    page.emerging(change(0, EmergingPattern.CHANGE_UPDATED), NOW)

    lines = drawn(page, width, height)

    assert len(lines) == height
    assert max(map(len, lines)) <= width
    rows = sum("Offer" in line for line in lines[:-2])
    assert lines[-2] == f"and {100 - rows} more"


def test_a_page_without_connection_says_since_when() -> None:
    """What is shown stays, marked as what may be stale, until the server is back."""
    page = Page("keeper:50051", "")
    page.metrics(reported(12), NOW)
    page.metrics(GONE_AWAY, NOW)
    page.metrics(GONE_AWAY, NOW.replace(hour=22))

    away = drawn(page, 200)
    page.metrics(Alive(), NOW)
    back = drawn(page, 200)

    assert any(line.startswith("no connection since 21:03:04 UTC") for line in away)
    assert any("12 a week" in line for line in away)
    assert not any("no connection" in line for line in back)


def test_only_changes_get_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """An equal report is silent, a changed number is one line, a lost connection is told once."""
    out = StringIO()
    monkeypatch.setattr("sys.stdout", out)
    lines = Lines(Screen())
    lines.metrics(reported(12))
    told = len(out.getvalue().splitlines())
    for event in (reported(12), Alive(), reported(13), GONE_AWAY, GONE_AWAY, Alive(), change(1)):
        if isinstance(event, Changed):
            lines.emerging(event)
        else:
            lines.metrics(event)

    news = [line.partition("Z ")[2] for line in out.getvalue().splitlines()[told:]]

    assert news == [
        "KPI discovery rate: 13 a week, sample 13, target >= 10 a week: met",
        "interrupted: UNAVAILABLE: connection refused",
        "connected again",
        f"emerging {change_line(change(1).pattern)}",
    ]
