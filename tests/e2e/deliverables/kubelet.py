"""A container of a rendered pod, run as a kubelet runs it, but as a process of this machine.

Its command, variables, mounts, probes and hooks are taken from the manifest. What cannot be had without a container
is mapped: the image's entrypoint to this checkout's program, mounted directories to directories of the test, ports that
are taken here to free ones.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.server_process import START, environment
from tests.e2e.waiting import SOON, until
from tests.postgres_over_tcp import free_port

IMAGE = {"KEEPER_HOST": "0.0.0.0", "KEEPER_METRICS_HOST": "0.0.0.0"}  # noqa: S104 - the Dockerfile's
ENTRYPOINT = ("serve",)

Secrets = Mapping[str, Mapping[str, bytes]]


def project(secret: Mapping[str, bytes], mount: Path) -> None:
    """Write a Secret into a mounted directory as the kubelet does: all at once, by turning a link.

    Each name is a link to ..data/name, and ..data one to a directory of the version.
    """
    version = mount / f"..{len(list(mount.iterdir()))}"
    version.mkdir(mode=0o755)
    for name, content in secret.items():
        (version / name).write_bytes(content)
        if not (mount / name).is_symlink():
            (mount / name).symlink_to(Path("..data") / name)
    turned = mount / "..data_tmp"
    turned.symlink_to(version.name)
    turned.rename(mount / "..data")


@dataclass
class Container:
    """One container of a pod. `mounts` has where its volumes are on this machine."""

    spec: Mapping[str, Any]
    pod: Mapping[str, Any]
    secrets: Secrets
    directory: Path
    mounts: dict[str, Path] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        volumes = {volume["name"]: volume for volume in self.pod["volumes"]}
        for mount in self.spec["volumeMounts"]:
            here = self.directory / mount["name"]
            here.mkdir()
            self.mounts[mount["mountPath"]] = here
            if "secret" in volumes[mount["name"]]:
                project(self.secrets[volumes[mount["name"]]["secret"]["secretName"]], here)
        for port in self.spec.get("ports", ()):
            self.ports[port["name"]] = free_port()

    @property
    def log(self) -> str:
        """What the container has written."""
        return (self.directory / "log").read_text()

    def environment(self) -> dict[str, str]:
        """The variables of the container, and none of this machine's that are settings."""
        given = dict(IMAGE)
        for variable in self.spec["env"]:
            if "valueFrom" in variable:
                reference = variable["valueFrom"]["secretKeyRef"]
                given[variable["name"]] = self.secrets[reference["name"]][reference["key"]].decode()
            else:
                given[variable["name"]] = self._here(variable["value"])
        ours = environment()
        return {name: v for name, v in ours.items() if not name.startswith("KEEPER_")} | given

    def _here(self, value: str) -> str:
        for path, directory in self.mounts.items():
            if value == path or value.startswith(f"{path}/"):
                return str(directory) + value.removeprefix(path)
        for port in self.spec.get("ports", ()):
            number = str(port["containerPort"])
            if value == number or value.endswith(f":{number}"):
                return value.removesuffix(number) + str(self.ports[port["name"]])
        return value

    def arguments(self) -> list[str]:
        """What is run: the image's entrypoint with the arguments, or the command in its place."""
        command: Sequence[str] = self.spec.get("command", ("keeper", *ENTRYPOINT))
        assert command[0] == "keeper"
        words = [*command[1:], *self.spec.get("args", ())]
        return [sys.executable, "-m", "keeper_grpc.cli", *map(self._here, words)]

    def start(self) -> None:
        """Start it; it may not serve yet."""
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.arguments(),
                env=self.environment(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def run(self) -> int:
        """Run it to its end: the exit code, as of a Job's container."""
        self.start()
        assert self.process is not None
        return self.process.wait()

    def probe(self, name: str) -> bool:
        """Whether one of the container's probes succeeds."""
        asked = self.spec[name]["httpGet"]
        address = f"http://127.0.0.1:{self.ports[asked['port']]}{asked['path']}"
        try:
            with urllib.request.urlopen(address, timeout=60):
                return True
        except (urllib.error.URLError, ConnectionError):
            return False

    async def started(self) -> None:
        """Wait until its start probe succeeds, after which the others count."""
        await self._succeeds("startupProbe", START)

    async def probed(self, name: str) -> None:
        """Wait until another probe succeeds: one failure is nothing to a kubelet either."""
        await self._succeeds(name, SOON)

    async def _succeeds(self, name: str, within: float) -> None:
        def good() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log
            return self.probe(name)

        await until(good, within=within, what=f"the {name} succeeds")

    async def stop(self) -> int:
        """Stop it as a kubelet does, but without its SIGKILL: the exit code."""
        assert self.process is not None
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait)

    def end(self) -> None:
        """Whatever has become of it, leave nothing behind."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
