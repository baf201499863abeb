from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from tests.access.certificates import Authority
from tests.e2e.calls import question
from tests.e2e.clean_root import Image, execute
from tests.postgres_over_tcp import free_port
from tests.rpc.access.identities import entry, write

ROOT = Path(__file__).parents[3]

SCRATCH = os.environ.get("KEEPER_TEST_IMAGE")

pytestmark = [
    pytest.mark.skipif(
        SCRATCH is None,
        reason="takes minutes: KEEPER_TEST_IMAGE names a directory with room for 4 GB",
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="chroot is root's"),
    pytest.mark.skipif(shutil.which("debootstrap") is None, reason="debootstrap is not installed"),
    pytest.mark.timeout(1800),
]

LARGEST = 1_000
"""MB of the server's root: 860, of which 550 are /opt/keeper and 310 a base that is larger than slim's."""

_START = 180.0
"""Seconds for a first start, with initdb and without compiled code of its own, on a busy machine."""


TOKEN = "keeper_of-the-containers-callers"
CA = Authority("containers")


@pytest.fixture(scope="module")
def images() -> Iterator[dict[str, Image]]:
    """Every stage of the Dockerfile, built in a clean root."""
    assert SCRATCH is not None
    scratch = Path(SCRATCH)
    base = scratch / "base"
    if not base.exists():
        # Not under its final name until it is whole.
        partial = scratch / "base.partial"
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", partial], check=True)
        partial.rename(base)
    stages = scratch / "stages"
    shutil.rmtree(stages, ignore_errors=True)
    stages.mkdir()
    yield execute(ROOT / "Dockerfile", base, stages)
    shutil.rmtree(stages)


@pytest.fixture
def image(images: dict[str, Image]) -> Image:
    """The server's."""
    return images["server"]


def read_only(image: Image, *mounts: str) -> list[str]:
    """The mounts of a container that writes to its volume and to /tmp only, after some others."""
    return [
        *image.mounts(),
        f"mount -t tmpfs -o mode=1777 tmpfs {image.root / 'tmp'}",
        f"mount -t tmpfs -o uid=10001,gid=10001,mode=0700 tmpfs {image.root}/var/lib/keeper",
        *mounts,
        f"mount -o remount,bind,ro {image.root}",
    ]


@contextmanager
def healthy(image: Image, mounts: Sequence[str], *probed: str) -> Iterator[None]:
    """A container that has become healthy, until the block ends. Its probe sees the mounts `probed`."""
    probe = image.command(image.healthcheck, *image.mounts(), *probed)
    with subprocess.Popen(
        image.command(image.entrypoint, *mounts), start_new_session=True
    ) as container:
        try:
            give_up = time.monotonic() + _START
            while subprocess.run(probe, capture_output=True, check=False).returncode != 0:
                assert container.poll() is None
                assert time.monotonic() < give_up
            yield
        finally:
            # unshare's own --kill-child is lost when chroot changes the user.
            os.killpg(container.pid, signal.SIGTERM)


def test_the_image_is_small_and_holds_no_build_tools(image: Image) -> None:
    """The stages that build are left behind."""
    done = subprocess.run(
        ["du", "--summarize", "--block-size=MB", image.root, image.root / "opt/keeper"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout.split("MB")[0]) < LARGEST
    assert not (image.root / "build").exists()
    assert not (image.root / "opt/keeper/bin/pip").exists()


def test_a_container_on_a_read_only_root_becomes_healthy(image: Image) -> None:
    """As the unprivileged user, with the bundled database, writing to its volume and /tmp only."""
    assert image.user == "10001:10001"
    ours = replace(
        image,
        environment={
            **image.environment,
            "KEEPER_PORT": str(free_port()),
            # Without it the image does not start before it is told who may call.
            "KEEPER_ALLOW_UNAUTHENTICATED": "true",
        },
    )
    mounts = read_only(image)
    written = subprocess.run(
        image.command(["sh", "-c", "touch /x /opt/keeper/x"], *mounts), check=False
    )
    assert written.returncode != 0
    probe = ours.command(ours.healthcheck, *image.mounts())
    assert subprocess.run(probe, check=False).returncode == 1

    with healthy(ours, mounts):
        assert ask(grpc.insecure_channel(f"127.0.0.1:{ours.environment['KEEPER_PORT']}"))


def test_a_container_with_tls_and_tokens_serves_those_who_have_one(
    image: Image, tmp_path: Path
) -> None:
    """Its own health check speaks TLS by its settings; a call needs a token."""
    CA.server().write(tmp_path, "server")
    write(tmp_path / "identities.yaml", entry("engine", "enhance", token=TOKEN, accounts="all"))
    for file in tmp_path.iterdir():
        shutil.chown(file, 10001, 10001)
    secrets = image.root / "etc/keeper"
    secrets.mkdir(exist_ok=True)
    # pytest's own directories let no other user in, but a mounted one is entered at its own permissions.
    tmp_path.chmod(0o755)
    mount = f"mount --bind {tmp_path} {secrets}"
    ours = replace(
        image,
        environment={
            **image.environment,
            "KEEPER_PORT": str(free_port()),
            "KEEPER_TLS_CERTIFICATE": "/etc/keeper/server.pem",
            "KEEPER_TLS_KEY": "/etc/keeper/server.key",
            "KEEPER_IDENTITIES_FILE": "/etc/keeper/identities.yaml",
        },
    )
    address = f"localhost:{ours.environment['KEEPER_PORT']}"
    tls = grpc.ssl_channel_credentials(CA.certificate)
    token = grpc.access_token_call_credentials(TOKEN)

    with healthy(ours, read_only(image, mount), mount):
        assert ask(grpc.secure_channel(address, grpc.composite_channel_credentials(tls, token)))
        with pytest.raises(grpc.RpcError) as refused:
            ask(grpc.secure_channel(address, tls))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_the_dashboards_container_becomes_healthy(images: dict[str, Image]) -> None:
    """Also before it has found a server; its user and its root are as confined as the server's."""
    image = images["dashboard"]
    assert image.user == "10001:10001"
    port = str(free_port())
    # The port of a container is its own, and this machine's is not.
    *ask_port, page = image.healthcheck
    ours = replace(
        image,
        entrypoint=[*image.entrypoint, "--port", port],
        healthcheck=[*ask_port, page.replace(":8080", f":{port}")],
    )
    with healthy(ours, read_only(image)):
        pass


def ask(channel: grpc.Channel) -> str:
    """Ask for advice, on a channel that is closed then: the id of the question."""
    with channel:
        asked = question("a", "Offer a late opening", insight_type="churn_prevention")
        return str(NetworkLearningServiceStub(channel).EnhanceInsight(asked).enhancement_id)
