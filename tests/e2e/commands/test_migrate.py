from __future__ import annotations

from pathlib import Path

import pytest

from keeper_grpc.storage.schema.migrate import packaged_migrations
from tests.conftest import PostgresServer
from tests.e2e.commands.running import keeper


async def test_a_deploy_hook_learns_what_is_pending(postgres_server: PostgresServer) -> None:
    """Exit code 4 and the names before, 0 after; looking changes nothing."""
    first = packaged_migrations()[0]
    async with postgres_server.database() as name:
        database = {"KEEPER_DATABASE_URL": postgres_server.url(name)}
        check = keeper("migrate", "--check", **database)
        assert (check.returncode, check.stderr) == (4, "")
        assert check.stdout.startswith(f"pending: {first.name}")
        plan = keeper("migrate", "--plan", **database)
        assert plan.returncode == 0
        assert plan.stdout.splitlines() == [
            file for migration in packaged_migrations() for file, _ in migration.files
        ]
        assert keeper("migrate", **database).returncode == 0
        assert keeper("migrate", "--check", **database).returncode == 0
        assert "nothing is pending" in keeper("migrate", "--plan", "--sql", **database).stdout


def test_a_plan_shows_the_statements_and_makes_no_database(tmp_path: Path) -> None:
    """Of a directory without a database everything is pending, and it stays without one."""
    plan = keeper("migrate", "--plan", "--sql", KEEPER_DATA_DIR=str(tmp_path / "data"))
    assert plan.returncode == 0
    assert "CREATE TABLE observations" in plan.stdout
    assert not (tmp_path / "data").exists()


def test_a_database_that_does_not_answer_is_not_current(tmp_path: Path) -> None:
    """One line, and the exit code of a failure rather than of pending migrations."""
    check = keeper(
        "migrate", "--check", KEEPER_DATABASE_URL="postgresql://keeper@127.0.0.1:1/keeper"
    )
    assert check.returncode == 1
    assert check.stderr.startswith("keeper: cannot connect to the database")
    assert len(check.stderr.splitlines()) == 1


@pytest.mark.one_server("it is about a database without the extension")
async def test_one_server_is_not_spread(postgres_server: PostgresServer) -> None:
    """Where there is no cluster, --distributed says so in one line, and nothing is migrated."""
    async with postgres_server.database() as name:
        database = {"KEEPER_DATABASE_URL": postgres_server.url(name)}
        refused = keeper("migrate", "--distributed", **database)
        assert refused.returncode == 1
        assert refused.stderr.startswith("keeper: the extension citus is not in the database")
        assert len(refused.stderr.splitlines()) == 1
        assert keeper("migrate", "--check", **database).returncode == 4
