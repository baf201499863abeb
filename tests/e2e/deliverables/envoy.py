"""Envoy with the repository's configuration, in front of replicas on this machine."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.access.certificates import Authority
from tests.e2e.deliverables.chart import PROGRAMS
from tests.e2e.server_process import REPOSITORY
from tests.e2e.waiting import SOON, until
from tests.postgres_over_tcp import free_port

ENVOY = PROGRAMS / "envoy"
CONFIGURATION = REPOSITORY / "deploy/envoy"
INSTALLED = "/etc/envoy/"
"""Where the configuration looks for its files."""

REPLICA = "keeper.internal"
"""The name that the configuration wants in the replicas' certificates."""


@dataclass(frozen=True)
class Proxy:
    """A running Envoy."""

    port: int
    admin: int
    log: Path

    def number(self, stat: str) -> int:
        """One of Envoy's statistics."""
        address = f"http://127.0.0.1:{self.admin}/stats?filter=^{stat}$&usedonly"
        with urllib.request.urlopen(address) as answer:
            text = answer.read().decode()
        return int(text.rpartition(":")[2] or 0)

    async def healthy(self, replicas: int) -> None:
        """Wait until so many replicas are healthy."""

        def looks() -> bool:
            try:
                return self.number("cluster.keeper.membership_healthy") == replicas
            except OSError:
                return False  # it does not listen yet

        await until(looks, within=SOON, what=f"{replicas} replicas are healthy")


def configure(directory: Path, ports: Sequence[int], *, port: int, admin: int) -> Path:
    """Write the repository's configuration for these ports, with the files that it names in `directory`.

    Everything else is left as it is.
    """
    for file in CONFIGURATION.glob("*-certificate.yaml"):
        text = file.read_text().replace(INSTALLED, f"{directory}/")
        (directory / file.name).write_text(text)
    text = (CONFIGURATION / "envoy.yaml").read_text().replace(INSTALLED, f"{directory}/")
    bootstrap = yaml.safe_load(text)
    bootstrap["admin"]["address"]["socket_address"]["port_value"] = admin
    resources = bootstrap["static_resources"]
    (listener,) = resources["listeners"]
    listener["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": port}
    (cluster,) = resources["clusters"]
    (locality,) = cluster["load_assignment"]["endpoints"]
    assert len(locality["lb_endpoints"]) == len(ports)
    for endpoint, replica in zip(locality["lb_endpoints"], ports, strict=True):
        endpoint["endpoint"]["address"]["socket_address"] = {
            "address": "127.0.0.1",
            "port_value": replica,
        }
    made = directory / "envoy.yaml"
    made.write_text(yaml.safe_dump(bootstrap))
    return made


@contextmanager
def proxy(
    directory: Path, ports: Sequence[int], *, callers: Authority, replicas: Authority
) -> Iterator[Proxy]:
    """An Envoy in front of the replicas on these ports, until the block ends."""
    for name, issued in {
        "server": callers.server("balancer"),
        "client": replicas.issue("balancer"),
    }.items():
        (directory / name).mkdir()
        (directory / name / "tls.crt").write_bytes(issued.certificate)
        (directory / name / "tls.key").write_bytes(issued.key)
    for name, authority in {"callers": callers, "replicas": replicas}.items():
        (directory / name).mkdir()
        (directory / name / "ca.crt").write_bytes(authority.certificate)
    ours = Proxy(free_port(), free_port(), directory / "envoy.log")
    configuration = configure(directory, ports, port=ours.port, admin=ours.admin)
    with ours.log.open("wb") as log:
        process = subprocess.Popen(
            [
                *(ENVOY, "--config-path", configuration, "--disable-hot-restart"),
                *("--concurrency", "1", "--log-level", "warning"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield ours
        assert process.poll() is None, ours.log.read_text()
    finally:
        process.terminate()
        process.wait()
