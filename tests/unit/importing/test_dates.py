"""Dates and times as files write them."""

from __future__ import annotations

import pytest

from keeper_grpc.importing.mapping.dates import advice, moment


@pytest.mark.parametrize(
    ("cell", "written", "means"),
    [
        ("2025-03-04 24:00", "iso", "2025-03-05T00:00:00"),
        ("2025-03-04T10:00:00+02:00", "iso", "2025-03-04T10:00:00+02:00"),
        ("2025-04-03", "%Y-%d-%m", "2025-03-04T00:00:00"),
        ("45721,604", "excel", "2025-03-05T14:29:46"),
        ("1741012812123", "unix_ms", "2025-03-03T14:40:12.123000+00:00"),
        ("3 mars 2026", "%d %B %Y", "2026-03-03T00:00:00"),
        ("3. M\u00e4rz 2026", "%d. %B %Y", "2026-03-03T00:00:00"),
        ("3 de marzo de 2026", "%d de %B de %Y", "2026-03-03T00:00:00"),
        ("3 Mar 2026 2:05\u202fp. m.", "%d %b %Y %I:%M %p", "2026-03-03T14:05:00"),
    ],
)
def test_a_time_is_read_by_its_format(cell: str, written: str, means: str) -> None:
    """Months in other languages, the end of a day, a decimal comma and milliseconds."""
    assert moment(cell, written).isoformat() == means


@pytest.mark.parametrize(
    ("cell", "written", "said"),
    [
        ("1741012812123", "iso", "unix_ms"),
        ("1741012812123", "unix", "unix_ms"),
        ("1741012812", "iso", "format: unix"),
        ("2025-02-30", "iso", "no such day"),
        ("03/04/2025", "iso", "order"),
        ("3 Mar 2026", "iso", "%b"),
    ],
)
def test_a_time_of_another_format_is_refused_with_the_one_to_write(
    cell: str, written: str, said: str
) -> None:
    """Milliseconds are no night of the year 1741."""
    with pytest.raises(ValueError):  # noqa: PT011 - what the row's reason says is `advice`
        moment(cell, written)

    assert said in advice(cell, written)
