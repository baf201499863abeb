from __future__ import annotations

import pytest

from keeper_grpc.operations.backup.programs import Connection


@pytest.mark.parametrize(
    ("dsn", "bare"),
    [
        ("postgresql://me:s3%2Fcret@db:5432/keeper", "postgresql://me@db:5432/keeper"),
        (
            "postgresql://me@db/keeper?password=s3/cret&sslmode=require",
            "postgresql://me@db/keeper?sslmode=require",
        ),
        (
            "postgresql://me:s3%2Fcret@/keeper?host=/run/db",
            "postgresql://me@/keeper?host=%2Frun%2Fdb",
        ),
    ],
)
def test_a_password_is_no_argument(dsn: str, bare: str) -> None:
    """Everybody may read a process's arguments, its owner alone its environment."""
    connection = Connection.of(dsn)
    assert connection.dsn == bare
    assert connection.environment["PGPASSWORD"] == "s3/cret"


def test_settings_of_the_session_become_options() -> None:
    """Our driver takes what libpq does not know for a setting of the session."""
    connection = Connection.of("postgresql://me@db/keeper?role=a%20b&connect_timeout=3")
    assert connection.dsn == "postgresql://me@db/keeper?connect_timeout=3"
    assert connection.environment["PGOPTIONS"].endswith("-c role=a\\ b")
