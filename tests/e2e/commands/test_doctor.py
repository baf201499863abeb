from __future__ import annotations

import json

from tests.e2e.commands.running import keeper
from tests.e2e.server_process import ServerProcess


async def test_a_server_that_serves_has_no_problem(server: ServerProcess) -> None:
    """Beside a running server with the bundled database: exit code 0, as a table and as JSON."""
    settings = {"KEEPER_DATA_DIR": server.data_dir, "KEEPER_PORT": str(server.port)}
    done = keeper("doctor", "--json", **settings)
    assert done.returncode == 0, done.stdout
    by_check = {each["check"]: each for each in json.loads(done.stdout)["findings"]}
    assert by_check["server"]["verdict"] == "ok"
    assert "detects emerging patterns" in by_check["leader"]["found"]
    table = keeper("doctor", **settings)
    assert table.returncode == 0
    assert by_check["program"]["found"].split(",")[0] in table.stdout


def test_a_bad_setting_is_a_finding() -> None:
    """No settings, no other look: each bad one has its line, without its value."""
    done = keeper("doctor", "--json", KEEPER_MIN_ACCOUNTS="hunter2", KEEPER_DRAIN_GRACE="soon")
    assert done.returncode == 1
    findings = json.loads(done.stdout)["findings"]
    assert [each["verdict"] for each in findings] == ["problem", "problem"]
    assert "hunter2" not in done.stdout
