"""The load generator: ghz, a process of its own, whose processor time is measured too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message

from bench.calls.floor import SERVICE
from bench.calls.requests import wire

CONNECTIONS = 8
"""At most: as many as clients with a channel each, so that several workers of a server get some."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run brought: calls, calls a second, milliseconds by percentile, and ghz's processor seconds."""

    calls: int
    per_second: float
    p50: float
    p99: float
    failed: int
    generator_seconds: float


class Ghz:
    """Runs ghz against a server; its files go into `directory`."""

    def __init__(self, directory: Path) -> None:
        found = os.environ.get("KEEPER_GHZ") or shutil.which("ghz")
        if found is None:
            raise SystemExit("ghz is missing: run `make bench`, or name it in KEEPER_GHZ")
        self._program = found
        self._directory = directory
        directory.mkdir(exist_ok=True)
        self._protoset = directory / "service.protoset"
        self._protoset.write_bytes(_descriptors(SERVICE.file).SerializeToString())

    def run(
        self,
        port: int,
        method: str,
        messages: Sequence[Message],
        callers: int,
        *,
        seconds: float | None = None,
    ) -> Load:
        """Call for `seconds`, taking the messages in turn; without, each message once."""
        data = self._directory / "messages.bin"
        data.write_bytes(wire(messages))
        length = ["-n", str(len(messages))] if seconds is None else ["-z", f"{seconds}s"]
        command = [
            self._program,
            "--insecure",
            "--protoset",
            str(self._protoset),
            "--call",
            f"{SERVICE.full_name}/{method}",
            "--binary-file",
            str(data),
            *length,
            "--duration-stop",
            "wait",
            "-c",
            str(callers),
            "--connections",
            str(min(callers, CONNECTIONS)),
            "--disable-template-functions",
            "--disable-template-data",
            "-O",
            "json",
            f"127.0.0.1:{port}",
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        output = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"ghz failed: {process.returncode}")
        report = json.loads(output)
        times = np.array(
            [each["latency"] for each in report["details"] or () if each["status"] == "OK"]
        )
        good = len(times)
        span = report["total"] / 1e9
        p50, p99 = np.percentile(times, [50, 99]) / 1e6 if good else (float("nan"),) * 2
        return Load(
            calls=good,
            per_second=good / span,
            p50=float(p50),
            p99=float(p99),
            failed=report["count"] - good,
            generator_seconds=used.ru_utime + used.ru_stime,
        )


def _descriptors(file: FileDescriptor) -> FileDescriptorSet:
    """The file and all that it needs, each after those that it imports."""
    found: dict[str, FileDescriptor] = {}

    def add(one: FileDescriptor) -> None:
        for needed in one.dependencies:
            add(needed)
        found.setdefault(one.name, one)

    add(file)
    files = FileDescriptorSet()
    for each in found.values():
        each.CopyToProto(files.file.add())
    return files
