from __future__ import annotations

import asyncpg
from structlog.testing import capture_logs

from keeper_grpc.storage.connections.unfit import DatabaseUnreachable
from keeper_grpc.storage.failures import LOG_INTERVAL, FailureLog

SECRET = "hunter2"


def test_a_failure_is_logged_by_class_and_sqlstate() -> None:
    """Never by its message, which may quote a row; of a failed login what the driver said."""
    login = DatabaseUnreachable(SECRET)
    login.__cause__ = asyncpg.InvalidPasswordError(SECRET)
    with capture_logs() as lines:
        log = FailureLog()
        for error in (asyncpg.DiskFullError(SECRET), ConnectionRefusedError(SECRET), login):
            log(error)
    assert [(line["error"], line["sqlstate"]) for line in lines] == [
        ("DiskFullError", "53100"),
        ("ConnectionRefusedError", None),
        ("InvalidPasswordError", "28P01"),
    ]
    assert SECRET not in str(lines)


def test_an_outage_writes_a_line_a_second_and_counts_the_rest() -> None:
    """Every call fails in it, and would write as much again as the calls' own lines."""
    now = 0.0
    log = FailureLog(lambda: now)
    with capture_logs() as lines:
        for _ in range(5):
            log(ConnectionRefusedError())
        log(asyncpg.DiskFullError())
        now = LOG_INTERVAL
        log(ConnectionRefusedError())
    assert [line["error"] for line in lines] == [
        "ConnectionRefusedError",
        "DiskFullError",
        "ConnectionRefusedError",
    ]
    assert lines[2]["as_well"] == 4
