"""A long history through `keeper import` and a server of its own.

    python -m bench.imports [--rows 1000000] [--minutes 600] [--concurrency 256] [--interrupt 0.1 0.5] [--plain 20]
    python -m bench.imports --bare

Every ten seconds it notes how many rows are done, and the resident memory of the import, of the server and of
PostgreSQL (what its processes share counted once). At each share of `--interrupt` the import is interrupted as an
operator would, with SIGINT; as many callers then send captures of the same kind that are ready beforehand, for `--plain` seconds:
what the capture path allows with the database as it is. Then the same command goes on with the import. At the end
the ledger must have every row once. An import that takes longer than `--minutes` ends there.

`--bare` puts a service without any work in the server's place: what the import itself can send, and what it holds in
memory over all rows. A bare service remembers nothing, so nothing is interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from signal import SIGINT, default_int_handler, signal

import asyncpg

from bench.calls.filled import filled
from bench.calls.processes import directory, floor, service
from bench.imports.history import MAPPING, write_history
from bench.imports.plain import plain
from bench.imports.usage import Roots, Sample
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import CapturePatternResponse

EVERY = 10.0
LATELY = 12
"""Samples before an interruption that are compared with plain captures: two minutes."""
MARKS = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Shares of the rows whose memory is compared."""


class Import:
    """The same command, as often as it is interrupted."""

    def __init__(self, arguments: argparse.Namespace, work: Path, port: int, roots: Roots) -> None:
        self.rows = arguments.rows
        self.samples: list[Sample] = []
        self._roots = roots
        self._state = work / "state.json"
        self._until = time.monotonic() + arguments.minutes * 60
        self._began = time.monotonic()
        self._command = (
            *(sys.executable, "-m", "keeper_grpc.cli", "import", str(work / "history.csv")),
            *("--mapping", str(work / "mapping.yaml"), "--state", str(self._state)),
            *("--target", f"127.0.0.1:{port}", "--concurrency", str(arguments.concurrency)),
        )

    def go(self, share: float) -> bool:
        """Import until this share of the rows is done. Whether there is more, and time for it."""
        process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
        roots, tick = self._roots.importer(process.pid), time.monotonic()
        while True:
            tick += EVERY
            try:
                process.wait(max(0.0, tick - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._note(roots.sample(self.done))
            else:
                print(f"exit code {process.returncode}", flush=True)
                return False
            late = time.monotonic() >= self._until
            if late or (share < 1 and self.done >= share * self.rows):
                process.send_signal(SIGINT)
                process.wait()
                return not late

    @property
    def done(self) -> int:
        """The rows that the import's state file says are done; 0 before there is one."""
        try:
            return int(json.loads(self._state.read_text(encoding="utf-8"))["rows"])
        except (OSError, ValueError, KeyError):
            return 0

    def _note(self, sample: Sample) -> None:
        self.samples.append(sample)
        importing, serving, database = astuple(sample.megabytes)
        print(
            f"{sample.time - self._began:7.0f} s {sample.rows:9,} rows  import {importing:4.0f} MB"
            f"  server {serving:5.0f} MB  PostgreSQL {database:6.0f} MB",
            flush=True,
        )

    def pace(self) -> str:
        """Rows a second in the last two minutes, and each side's processor time for a row."""
        moving = [
            sample
            for before, sample in zip(self.samples, self.samples[1:], strict=False)
            if sample.rows > before.rows > 0
        ][-LATELY:]
        if len(moving) < 2:  # noqa: PLR2004 - a pace needs two
            return "too short to say"
        return pace(moving[0], moving[-1])

    def memory(self) -> str:
        """What was resident at some shares of all rows."""
        said = []
        for mark in MARKS:
            there = [one for one in self.samples if one.rows <= mark * self.rows]
            if there and there[-1].rows >= 0.9 * mark * self.rows:
                importing, serving, database = astuple(there[-1].megabytes)
                said.append(
                    f"{mark:.0%}: import {importing:.0f}, server {serving:.0f}, PostgreSQL {database:.0f} MB"
                )
        return "; ".join(said)


def pace(before: Sample, after: Sample) -> str:
    """Rows a second between two samples, and each side's processor time for a row."""
    rows = after.rows - before.rows
    used = astuple(after.seconds.since(before.seconds))
    importing, serving, database = (1000 * each / rows for each in used)
    return (
        f"{rows / (after.time - before.time):.0f} rows/s; CPU ms a row: import or caller {importing:.2f}, "
        f"server {serving:.2f}, PostgreSQL {database:.2f}"
    )


@contextmanager
def serving(bare: bool) -> Iterator[tuple[Path, int, Roots, str | None]]:
    """A directory, the port of a server, its processes and its database."""
    if bare:
        answer = CapturePatternResponse(disposition=CapturePatternResponse.DISPOSITION_RECORDED)
        with (
            directory() as work,
            floor({"CapturePattern": answer.SerializeToString()}, work, 1) as one,
        ):
            yield work, one.port, Roots(0, one.roots[0], 0), None
        return
    with filled(0) as (dsn, work), service(dsn, work, 1, {}) as one:
        (file,) = work.rglob("postmaster.pid")
        yield work, one.port, Roots(0, one.roots[0], int(file.read_text().split()[0])), dsn


async def recorded(dsn: str) -> int:
    """The rows of the ledger."""
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM observations"))
    finally:
        await connection.close()


def plainly(arguments: argparse.Namespace, port: int, roots: Roots, seed: int) -> int:
    """Send plain captures, print their pace, and return how many there were."""
    own = roots.importer(os.getpid())
    before = own.sample(0)
    answered, seconds = asyncio.run(plain(port, arguments.concurrency, arguments.plain, seed))
    after = own.sample(answered)
    print(f"plain captures, {seconds:.0f} s: {pace(before, after)}", flush=True)
    return answered


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=600.0)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--interrupt", type=float, nargs="*", default=[0.1, 0.5])
    parser.add_argument("--plain", type=float, default=20.0)
    parser.add_argument("--bare", action="store_true")
    arguments = parser.parse_args()
    # A shell's jobs in the background ignore it, and so would the import that is to be interrupted.
    signal(SIGINT, default_int_handler)
    with serving(arguments.bare) as (work, port, roots, dsn):
        write_history(work / "history.csv", arguments.rows)
        (work / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
        run, others = Import(arguments, work, port, roots), 0
        for seed, share in enumerate([] if arguments.bare else arguments.interrupt):
            if not run.go(share):
                break
            print(f"interrupted at {run.done:,} rows, lately: {run.pace()}")
            others += plainly(arguments, port, roots, seed)
        else:
            run.go(1.0)
        print(f"lately: {run.pace()}")
        print(f"memory at {run.memory()}")
        if dsn is not None:
            done = run.done or run.rows
            found = asyncio.run(recorded(dsn)) - others
            print(f"{done:,} rows done by the import's count, {found:,} of them in the ledger")


if __name__ == "__main__":
    main()
