"""What the chart starts, started: its pods' own commands, variables, mounts, probes and hooks."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import yaml

from tests.access.certificates import Authority
from tests.conftest import PostgresServer
from tests.e2e.calls import capture, network
from tests.e2e.conftest import MakeDirectory
from tests.e2e.deliverables.chart import SMALLEST, Values, needs_helm, one, rendered
from tests.e2e.deliverables.kubelet import Container, project
from tests.e2e.server_process import PSEUDONYM_KEYS
from tests.e2e.waiting import SOON, until
from tests.rpc.access.identities import entry

CA = Authority("cluster")
TOKEN = "keeper_of-the-callers"

IDENTITIES = yaml.safe_dump(
    {"identities": [entry("engine", "capture", "enhance", token=TOKEN, accounts="all")]}
).encode()

pytestmark = needs_helm


@pytest.fixture
def containers(make_directory: MakeDirectory) -> Iterator[list[Container]]:
    """Those that a test has started; they end with it."""
    made: list[Container] = []
    yield made
    for container in made:
        container.end()


def container(
    manifest: dict[str, object], secrets: dict[str, dict[str, bytes]], directory: Path
) -> Container:
    """The only container of a deployment or a job."""
    pod = manifest["spec"]["template"]["spec"]  # type: ignore[index]
    (spec,) = pod["containers"]
    return Container(spec, pod, secrets, directory)


def secret(dsn: str) -> dict[str, bytes]:
    """The Secret that the operator makes."""
    return {"database-url": dsn.encode(), "pseudonym-keys": PSEUDONYM_KEYS.encode()}


async def test_a_release_migrates_serves_and_drains(
    postgres_server: PostgresServer,
    make_directory: MakeDirectory,
    tmp_path: Path,
    containers: list[Container],
) -> None:
    """The hook on an empty database; the server until its probes are good; a call; the kubelet's stop."""
    values: Values = SMALLEST | {"drainDelay": 0, "settings": {"KEEPER_SEED_CATALOG": False}}
    manifests = rendered(tmp_path, values)
    async with postgres_server.database() as name:
        secrets = {"keeper": secret(postgres_server.url(name))}
        migration = container(one(manifests, "Job", "keeper-migrate"), secrets, make_directory())
        containers.append(migration)
        assert migration.run() == 0, migration.log

        server = container(one(manifests, "Deployment"), secrets, make_directory())
        containers.append(server)
        server.start()
        await server.started()
        await server.probed("livenessProbe")
        await server.probed("readinessProbe")
        assert '"migrations_applied"' not in server.log

        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.ports['grpc']}") as channel:
            answer = await network(channel).CapturePattern(capture("a", "Offer a late opening"))
            assert answer.disposition

        assert await server.stop() == 0, server.log
        assert not server.probe("readinessProbe")


async def test_a_secured_release_follows_its_secrets(
    database_of_its_own: str,
    make_directory: MakeDirectory,
    tmp_path: Path,
    containers: list[Container],
) -> None:
    """TLS and tokens from mounted Secrets; a renewed certificate is served without a restart."""
    first, renewed = CA.server("first"), CA.server("renewed")
    secrets = {
        "keeper": secret(database_of_its_own),
        "keeper-tls": {"tls.crt": first.certificate, "tls.key": first.key},
        "keeper-identities": {"identities.yaml": IDENTITIES},
    }
    values: Values = {
        "secret": {"name": "keeper"},
        "tls": {"secretName": "keeper-tls"},
        "identities": {"secretName": "keeper-identities"},
        "settings": {"KEEPER_SEED_CATALOG": False},
        "http": {"enabled": True},
        "admin": {"enabled": True},
    }
    manifests = rendered(tmp_path, values)
    server = container(one(manifests, "Deployment"), secrets, make_directory())
    containers.append(server)
    server.start()
    await server.started()

    channel_credentials = grpc.ssl_channel_credentials(CA.certificate)
    address = f"localhost:{server.ports['grpc']}"
    async with grpc.aio.secure_channel(address, channel_credentials) as channel:
        ask = network(channel).CapturePattern
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(capture("a", "Offer a late opening"))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        answer = await ask(
            capture("a", "Offer a late opening"),
            metadata=(("authorization", f"Bearer {TOKEN}"),),
        )
        assert answer.disposition

    def served() -> str:
        return ssl.get_server_certificate(("127.0.0.1", server.ports["http"]))

    assert served().encode() == first.certificate
    project(
        {"tls.crt": renewed.certificate, "tls.key": renewed.key},
        server.mounts["/etc/keeper/tls"],
    )
    await until(
        lambda: served().encode() == renewed.certificate,
        within=SOON,
        what="the renewed certificate is served",
    )
    await server.probed("readinessProbe")
