"""A server process with TLS and tokens, as an operator runs it."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import program
from tests.access.certificates import Authority
from tests.e2e.conftest import StartServer
from tests.e2e.server_process import ServerProcess, environment
from tests.e2e.waiting import SOON, until

TOKEN = "keeper_of-the-secured-server"
CA = Authority("secured")


def keeper(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command, with the token in its environment."""
    return program.run(arguments, env=environment(**settings))


def identities(*names: str) -> str:
    """A file in which the token is of the last one of these."""
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    entries: list[dict[str, Any]] = [{"name": name, "roles": ["observe"]} for name in names]
    entries[-1]["tokens"] = [{"sha256": digest}]
    return yaml.safe_dump({"identities": entries})


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The files that the settings name."""
    CA.server().write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(CA.certificate)
    (tmp_path / "identities.yaml").write_text(identities("first"))
    return tmp_path


async def test_a_secured_server_serves_its_operators(
    start_server: StartServer, database_of_its_own: str, files: Path
) -> None:
    """Commands by TLS and token, the health check by the server's own settings, and SIGHUP instead of a restart."""
    settings: dict[str, Any] = {
        "KEEPER_TLS_CERTIFICATE": str(files / "server.pem"),
        "KEEPER_TLS_KEY": str(files / "server.key"),
        "KEEPER_IDENTITIES_FILE": str(files / "identities.yaml"),
    }
    server = await start_server(database_url=database_of_its_own, fresh=True, **settings)
    target = ("--target", f"localhost:{server.port}", "--tls-ca", str(files / "ca.pem"))

    done = keeper("metrics", *target, "--json", KEEPER_TOKEN=TOKEN)
    assert (done.returncode, done.stderr) == (0, "")
    done = keeper("metrics", *target)
    assert done.returncode == 1
    assert "CREDENTIALS_MISSING" in done.stderr
    done = keeper("metrics", "--target", "192.0.2.1:1", KEEPER_TOKEN=TOKEN)
    assert done.returncode == 1
    assert "over TLS only" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    done = keeper("health", "--timeout", "30", KEEPER_PORT=str(server.port), **settings)
    assert (done.returncode, done.stdout) == (0, "SERVING\n")

    (files / "identities.yaml").write_text(identities("first", "second"))
    server.send(signal.SIGHUP)
    await until(
        lambda: server.events("file_read_again"), within=SOON, what="the file is read again"
    )
    assert keeper("metrics", *target, "--json", KEEPER_TOKEN=TOKEN).returncode == 0
    names = [event.get("identity") for event in server.events("call")]
    assert "first" in names
    assert names[-1] == "second"
    assert nowhere(TOKEN, server)


def nowhere(secret: str, server: ServerProcess) -> bool:
    """Whether it is in no line of the log, and in no argument or variable of the process."""
    process = Path(f"/proc/{server.process.pid}")
    seen = server.log.read_bytes() + (process / "cmdline").read_bytes()
    return os.fsencode(secret) not in seen + (process / "environ").read_bytes()
