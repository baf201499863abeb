from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.embedding.retry_after import LONGEST, retry_after_seconds

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "Mon, 02 Mar 2026 10:00:12 GMT"}, 12.0),
        ({"retry-after": "Mon, 02 Mar 2026 10:00:12 -0000"}, 12.0),
        ({"retry-after": "Mon, 02 Mar 2026 09:00:00 GMT"}, 0.0),
        ({"retry-after": "86400"}, LONGEST),
        ({"retry-after": "inf"}, LONGEST),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "tomorrow"}, None),
    ],
)
def test_the_header_is_read(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds and dates are read; a day is cut short; garbage is no wish at all."""
    assert retry_after_seconds(headers, now=NOW) == seconds


@given(value=st.text())
def test_no_header_value_breaks_it(value: str) -> None:
    """Whatever a server sends, the answer is None or a bounded wait."""
    seconds = retry_after_seconds({"retry-after": value}, now=NOW)
    assert seconds is None or 0 <= seconds <= LONGEST
