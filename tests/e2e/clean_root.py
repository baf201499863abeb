"""A Dockerfile, executed without a container engine: each stage is a directory, each RUN a chroot.

Does what an engine would with the instructions that ours has, and knows no others. The base image
cannot be pulled: a debootstrap of the same release of Debian stands for it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_PASSED_ON = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""What an engine hands to a build as predefined arguments."""

_CA = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Image:
    """A stage as far as it is built: its root, and what a container of it starts with."""

    root: Path
    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": PATH})
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: Sequence[str] = ()
    healthcheck: Sequence[str] = ()

    def command(self, program: Sequence[str], *mounts: str) -> list[str]:
        """A command line that runs `program` within the root, as the user, after some mounts.

        In namespaces of its own: the mounts and whatever it leaves running end with it.
        """
        user, _, group = self.user.partition(":")
        within = [
            *("chroot", f"--userspec={user}:{group or user}", str(self.root)),
            *("env", "-i", *(f"{name}={value}" for name, value in self.environment.items())),
            *("sh", "-c", f'cd {shlex.quote(self.workdir)} && exec "$@"', "sh", *program),
        ]
        setup = [f"mount --bind {self.root} {self.root}", *mounts, f"exec {shlex.join(within)}"]
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
            *("sh", "-ec", "\n".join(setup)),
        ]

    def mounts(self) -> list[str]:
        """What an engine mounts into every container."""
        return [
            f"mount -t proc proc {self.root}/proc",
            f"mount --rbind /dev {self.root}/dev",
        ]


def execute(dockerfile: Path, base: Path, scratch: Path) -> dict[str, Image]:
    """Build every stage: by name. They are left in `scratch`. `base` is the root of every image.

    Raises ValueError for an instruction that is not known here, CalledProcessError for one that fails.
    """
    stages: dict[str, Image] = {}
    current = Image(base)
    name = ""
    for instruction, rest in _instructions(dockerfile):
        if instruction == "FROM":
            source, _, name = rest.partition(" AS ")
            current = _from(stages.get(source, Image(base)), scratch / name)
        elif instruction == "RUN":
            _run(current, rest)
        elif instruction == "COPY":
            _copy(current, rest, dockerfile.parent, stages)
        else:
            current = replace(current, **_configuration(current, instruction, rest))
        stages[name] = current
    return stages


def _configuration(image: Image, instruction: str, rest: str) -> dict[str, Any]:
    """The fields of an image that an instruction changes, without a change to its files."""
    match instruction:
        case "ENV":
            pairs = dict(word.split("=", 1) for word in shlex.split(rest))
            path = image.environment["PATH"]
            known = {key: value.replace("$PATH", path) for key, value in pairs.items()}
            return {"environment": {**image.environment, **known}}
        case "WORKDIR":
            (image.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            return {"workdir": rest}
        case "USER":
            return {"user": rest}
        case "ENTRYPOINT":
            return {"entrypoint": json.loads(rest)}
        case "HEALTHCHECK":
            return {"healthcheck": json.loads(rest.partition("CMD ")[2])}
        case "EXPOSE" | "VOLUME" | "STOPSIGNAL":
            return {}
    raise ValueError(f"{instruction} is not known here")


def _instructions(dockerfile: Path) -> Iterator[tuple[str, str]]:
    text = re.sub(r"(?m)^\s*#.*\n", "", dockerfile.read_text())
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            instruction, _, rest = line.partition(" ")
            yield instruction, " ".join(rest.split())


def _from(source: Image, root: Path) -> Image:
    subprocess.run(["cp", "--archive", "--reflink=auto", source.root, root], check=True)
    return replace(source, root=root)


def _run(image: Image, command: str) -> None:
    # An engine lends a build the host's names and, where it is behind a proxy, its certificates.
    lent = [Path("/etc/resolv.conf"), Path("/etc/hosts")]
    mounts = [f"cat {path} > {image.root}{path}" for path in lent]
    mounts += [f"touch {image.root}/.ca.crt", f"mount --bind {_CA} {image.root}/.ca.crt"]
    certificates = dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"), "/.ca.crt")
    proxies = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    during = replace(image, environment={**image.environment, **certificates, **proxies})
    subprocess.run(during.command(["/bin/sh", "-c", command], *image.mounts(), *mounts), check=True)
    (image.root / ".ca.crt").unlink()


def _copy(image: Image, rest: str, context: Path, stages: Mapping[str, Image]) -> None:
    words = rest.split()
    source = context
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")].root
    *names, destination = words
    goal = image.root / (
        destination if destination.startswith("/") else f"{image.workdir}/{destination}"
    ).lstrip("/")
    for name in names:
        if source == context and f"!{name}" not in _allowed(context) and not name.endswith(".lock"):
            raise ValueError(f"COPY {name}: .dockerignore keeps it out")
        path = source / name.lstrip("/")
        place = goal / path.name if destination.endswith("/") else goal
        if path.is_dir():
            shutil.copytree(
                path,
                place,
                symlinks=True,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("__pycache__") if source == context else None,
            )
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)


def _allowed(context: Path) -> set[str]:
    return set((context / ".dockerignore").read_text().splitlines())
