from __future__ import annotations

import pytest

from keeper_grpc.operations.backup.programs import Connection
from keeper_grpc.storage.connections.parameters import read_parameters


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
        ("host=db dbname=keeper user=me password='s3/cret'", "postgresql://me@db/keeper"),
    ],
)
def test_a_password_is_no_argument(dsn: str, bare: str) -> None:
    """Everybody may read a process's arguments, its owner alone its environment."""
    connection = Connection.of(dsn)
    assert read_parameters(connection.dsn) == read_parameters(bare)
    assert "cret" not in connection.dsn
    assert connection.environment["PGPASSWORD"] == "s3/cret"


def test_settings_of_the_session_become_options() -> None:
    """Our driver takes what libpq does not know for a setting of the session."""
    connection = Connection.of("postgresql://me@db/keeper?role=a%20b&connect_timeout=3")
    assert read_parameters(connection.dsn) == read_parameters(
        "postgresql://me@db/keeper?connect_timeout=3"
    )
    assert connection.environment["PGOPTIONS"].endswith("-c role=a\\ b")
