from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import asyncpg

from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from tests.e2e.commands.running import keeper


def test_a_bundled_database_is_backed_up_and_restored_by_command(
    make_directory: Callable[[], Path], tmp_path: Path
) -> None:
    """Both say what they did, and that the keys are apart; a database that is not there is not backed up."""
    data_dir = make_directory() / "data"
    settings = {"KEEPER_DATA_DIR": str(data_dir)}
    missing = keeper("backup", str(tmp_path / "backup"), **settings)
    assert missing.returncode == 1
    assert "holds no database yet" in missing.stderr
    assert not data_dir.exists()

    assert keeper("migrate", **settings).returncode == 0
    done = keeper("backup", str(tmp_path / "backup"), **settings)
    assert done.returncode == 0, done.stderr
    assert f"keep {data_dir}/pseudonym.key apart" in done.stdout
    assert done.stderr == ""
    assert asyncio.run(audited(data_dir)) == ["backup"]
    shutil.rmtree(data_dir)
    done = keeper("restore", str(tmp_path / "backup"), **settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("restored ")
    assert asyncio.run(audited(data_dir)) == ["restore"]


async def audited(data_dir: Path) -> list[str]:
    """What the audit log says was done, in order."""
    async with EmbeddedPostgres(data_dir, durable=False) as server:
        connection = await asyncpg.connect(server.dsn)
        try:
            rows = await connection.fetch("SELECT action FROM audit_events ORDER BY created_at")
        finally:
            await connection.close()
    return [row["action"] for row in rows]
