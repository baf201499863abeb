from __future__ import annotations

import os
from pathlib import Path

import pytest

from keeper_grpc.operations.backup.programs import Connection, run
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


async def test_the_password_of_a_client_key_is_no_argument(tmp_path: Path) -> None:
    """It is in a service file, which its owner alone can read, for as long as the program runs."""
    connection = Connection.of("postgresql://me@db/keeper?sslkey=/k&sslpassword=s3%2Fcret")
    assert "cret" not in connection.dsn
    assert "cret" not in str(connection.environment)
    assert read_parameters(connection.dsn)["service"] == "keeper"

    shown = tmp_path / "shown"
    shown.write_text(
        '#!/bin/sh\nstat -c %a "$PGSERVICEFILE"; echo "$PGSERVICEFILE"; cat "$PGSERVICEFILE"\n'
    )
    shown.chmod(0o755)
    mode, name, *text = (await run(str(shown), connection=connection)).splitlines()
    assert (mode, text) == ("600", ["[keeper]", "sslpassword=s3/cret"])
    assert name not in [each.path for each in os.scandir(Path(name).parent)]


def test_settings_of_the_session_become_options() -> None:
    """Our driver takes what libpq does not know for a setting of the session."""
    connection = Connection.of("postgresql://me@db/keeper?role=a%20b&connect_timeout=3")
    assert read_parameters(connection.dsn) == read_parameters(
        "postgresql://me@db/keeper?connect_timeout=3"
    )
    assert connection.environment["PGOPTIONS"].endswith("-c role=a\\ b")
