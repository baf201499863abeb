from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

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
    shutil.rmtree(data_dir)
    done = keeper("restore", str(tmp_path / "backup"), **settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("restored ")
