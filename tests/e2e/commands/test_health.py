from __future__ import annotations

import socket
import subprocess
import sys

from tests.e2e.server_process import ServerProcess


def health(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `keeper health` as a probe does."""
    return subprocess.run(
        [sys.executable, "-m", "keeper_grpc.cli", "health", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_server_that_serves_is_healthy(server: ServerProcess) -> None:
    """By --target, and without one by the port of the settings, as in a container."""
    done = health("--target", f"127.0.0.1:{server.port}", "--timeout", "30")
    assert (done.returncode, done.stdout) == (0, "SERVING\n")
    assert health("--timeout", "30", KEEPER_PORT=str(server.port)).returncode == 0


async def test_a_service_that_it_has_not_is_unhealthy(server: ServerProcess) -> None:
    """One line says why."""
    done = health("--target", f"127.0.0.1:{server.port}", "--service", "nobody", "--timeout", "30")
    assert done.returncode == 1
    assert done.stderr.endswith(": NOT_FOUND\n")


def test_no_server_is_unhealthy() -> None:
    """A port that takes no connections, or takes them and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        done = health("--target", f"127.0.0.1:{port}", "--timeout", "0.5")
        assert done.returncode == 1
    done = health("--target", f"127.0.0.1:{port}", "--timeout", "5")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
