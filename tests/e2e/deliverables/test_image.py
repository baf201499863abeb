from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.clean_root import Image, execute

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


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The server's stage, built in a clean root."""
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
    yield execute(ROOT / "Dockerfile", "server", base, stages)
    shutil.rmtree(stages)


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
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    ours = replace(
        image,
        environment={
            **image.environment,
            "KEEPER_PORT": port,
            # Without it the image does not start before it is told who may call.
            "KEEPER_ALLOW_UNAUTHENTICATED": "true",
        },
    )
    read_only = [
        *image.mounts(),
        f"mount -t tmpfs -o mode=1777 tmpfs {image.root / 'tmp'}",
        f"mount -t tmpfs -o uid=10001,gid=10001,mode=0700 tmpfs {image.root}/var/lib/keeper",
        f"mount -o remount,bind,ro {image.root}",
    ]
    written = subprocess.run(
        image.command(["sh", "-c", "touch /x /opt/keeper/x"], *read_only), check=False
    )
    assert written.returncode != 0
    probe = ours.command(ours.healthcheck, *image.mounts())
    assert subprocess.run(probe, check=False).returncode == 1

    with subprocess.Popen(
        ours.command(ours.entrypoint, *read_only), start_new_session=True
    ) as container:
        try:
            give_up = time.monotonic() + _START
            while subprocess.run(probe, capture_output=True, check=False).returncode != 0:
                assert container.poll() is None
                assert time.monotonic() < give_up
        finally:
            # unshare's own --kill-child is lost when chroot changes the user.
            os.killpg(container.pid, signal.SIGTERM)
