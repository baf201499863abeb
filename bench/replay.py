"""Does the advice come true? A replay of real contacts, asked and answered through the real API.

The data is "Bank Marketing" (Moro, Cortez and Rita, Decision Support Systems 62, 2014; UCI Machine
Learning Repository, CC BY 4.0): real telephone contacts of a bank, 11% successful. It is not part of the
project: `python -m bench.replay bank_marketing.csv`. An insight is (situation, contact approach), accounts
are the job groups. Neither the outcome nor the call's duration reaches the asking side. Success is rare, so
min_success_rate is 0. Calls by mobile phone and by landline are two actions: a question says which one was
made, and advice that names the other one is counted.

Without `--in-order`, 70% of the rows, by a hash of the row, are captured, and the network is asked about the
others. With it, time passes: the rows come by their number, which is their order; of each day's, all are asked
about first and captured then. The file has months and no days, so a month's rows are spread over it evenly.

A run may be interrupted and continued with `--state DIRECTORY`, which holds the database and the answers so
far. Calls that a busy machine refuses are repeated.

Prints calibration by decile of the expected rate, the lift of the best decile, and coverage, with 95%
intervals. The floor is a constant: always expecting the average.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import hashlib
import json
import math
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import grpc
from rich.console import Console
from rich.table import Table

from keeper_grpc import logs
from keeper_grpc.app import application
from keeper_grpc.gen.keeper.network.v1 import insight_pb2, network_service_pb2
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import EnhanceInsightResponse
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from keeper_grpc.settings import Settings

if TYPE_CHECKING:
    # The generator types stubs of aio channels so; they exist in the .pyi files only.
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

T = TypeVar("T")

CAPTURED_SHARE = 70
"""Percent of the rows that the network learns from."""

DECILES = 10
IN_FLIGHT = 16
PATIENCE = timedelta(minutes=5)
"""For a call, and for how long one that is refused is repeated."""

PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
"""What a busy server answers; request ids make repeating harmless."""

APPROACH = {
    "cellular": "Call the customer on the mobile phone about the term deposit",
    "telephone": "Call the customer on the landline about the term deposit",
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
FIRST_YEAR = 2022
"""The contacts begin in May 2008, and are replayed as if 14 years later: too old outcomes are not judged to fade."""


@dataclass(frozen=True)
class Row:
    """One contact: its place in the file, when it was, and its columns."""

    number: int
    day: datetime
    columns: dict[str, str]

    @property
    def success(self) -> bool:
        return self.columns["y"] == "yes"


@dataclass(frozen=True)
class Answer:
    """What was expected of one row or why nothing was, whether by its own channel, and what happened."""

    number: int
    expected: float | None
    same_channel: bool
    success: bool
    reason: str


def read(path: Path, limit: int | None, every: int) -> list[Row]:
    """The rows in their order, each with its day. The file names months only: another name begins a new one."""
    with path.open(newline="") as file:
        columns = sorted(csv.DictReader(file), key=lambda row: int(row.get("") or 0))
    rows: list[Row] = []
    year, before = FIRST_YEAR, -1
    for name, month in groupby(columns[:limit:every], key=lambda row: row["month"]):
        contacts = list(month)
        number = MONTHS.index(name)
        year += number < before
        before = number
        begin = datetime(year, number + 1, 1, 9, tzinfo=UTC)
        for place, contact in enumerate(contacts):
            day = begin + timedelta(days=28 * place // len(contacts))
            rows.append(Row(len(rows), max(day, rows[-1].day) if rows else day, contact))
    return rows


def insight(row: Row) -> insight_pb2.Insight:
    """The situation and the approach. Nothing that is known only afterwards."""
    message = insight_pb2.Insight(
        type="campaign_contact",
        business_category="bank",
        action=APPROACH[row.columns["contact"]],
        confidence=0.5,
    )
    message.conditions.update(
        {
            "month": row.columns["month"],
            "previous_outcome": row.columns["poutcome"],
            "channel": row.columns["contact"],
        }
    )
    return message


def is_captured(row: Row) -> bool:
    """The split: by content, so that anyone gets the same."""
    digest = hashlib.sha256(repr(sorted(row.columns.items())).encode()).digest()
    return int.from_bytes(digest[:8]) % 100 < CAPTURED_SHARE


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The answer of a call, which is repeated for as long as the server is busy."""
    end, pause = time.monotonic() + PATIENCE.total_seconds(), 0.1
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code() not in PASSING or time.monotonic() > end:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, 10.0)


async def each(rows: Iterable[Row], work: Callable[[Row], Awaitable[None]]) -> None:
    """Do the work for every row, a few at a time."""
    waiting = iter(rows)

    async def worker() -> None:
        for row in waiting:
            await work(row)

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


class Journal:
    """The answers so far and the captures made, in a file that a later run continues."""

    def __init__(self, path: Path) -> None:
        self.answers: dict[int, Answer] = {}
        self.captured: set[int] = set()
        if path.exists():
            for line in path.read_text().splitlines():
                self._read(line)
        self._file = path.open("a")

    def answered(self, answer: Answer) -> None:
        self.answers[answer.number] = answer
        self._write(vars(answer))

    def captures(self, row: Row) -> None:
        self.captured.add(row.number)
        self._write({"captured": row.number})

    def _write(self, entry: dict[str, object]) -> None:
        self._file.write(f"{json.dumps(entry)}\n")
        self._file.flush()

    def _read(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            return  # the last line of an interrupted run
        if "captured" in entry:
            self.captured.add(entry["captured"])
        else:
            self.answers[entry["number"]] = Answer(**entry)


class Replay:
    """The calls of one run against one server."""

    def __init__(self, network: NetworkLearningServiceAsyncStub, journal: Journal) -> None:
        self._network = network
        self._journal = journal

    async def capture(self, row: Row) -> None:
        if row.number in self._journal.captured:
            return
        request = network_service_pb2.CapturePatternRequest(
            request_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"replay {row.number}")),
            account_id=f"job {row.columns['job']}",
            insight=insight(row),
            outcome=insight_pb2.Outcome(success=row.success),
        )
        request.occurred_time.FromDatetime(row.day)
        await patiently(lambda: self._network.CapturePattern(request))
        self._journal.captures(row)

    async def ask(self, row: Row) -> None:
        if row.number in self._journal.answers:
            return
        request = network_service_pb2.EnhanceInsightRequest(
            account_id=f"job {row.columns['job']}", insight=insight(row), min_success_rate=0
        )
        response = await patiently(lambda: self._network.EnhanceInsight(request))
        enhanced = response.enhanced_insight
        word = APPROACH[row.columns["contact"]].split()[5]
        self._journal.answered(
            Answer(
                row.number,
                enhanced.expected_success_rate if enhanced.network_enhanced else None,
                word in enhanced.suggested_approach,
                row.success,
                EnhanceInsightResponse.NoMatchReason.Name(response.no_match_reason),
            )
        )


async def replay(
    rows: Sequence[Row], settings: Settings, journal: Journal, *, in_order: bool
) -> list[Answer]:
    """Ask about the rows, and learn from them; the answers in the order of the rows."""
    now = rows[-1].day
    start = time.perf_counter()
    async with (
        application(settings, lambda: now) as app,
        grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel,
    ):
        run = Replay(NetworkLearningServiceStub(channel), journal)
        if in_order:
            for day, contacts in groupby(rows, key=lambda row: row.day):
                now, of_day = day, list(contacts)
                await each(of_day, run.ask)
                await each(of_day, run.capture)
        else:
            await each((row for row in rows if is_captured(row)), run.capture)
            await each((row for row in rows if not is_captured(row)), run.ask)
        listing = await NetworkLearningServiceStub(channel).ListPatterns(
            network_service_pb2.ListPatternsRequest()
        )
    print(f"{len(rows)} rows in {time.perf_counter() - start:.0f} s")
    for pattern in listing.patterns:
        print(f"pattern: {pattern.action} ({pattern.evidence.success_rate:.1%})")
    return [journal.answers[number] for number in sorted(journal.answers)]


def rate(answers: Sequence[Answer]) -> tuple[float, float]:
    """The share of successes, and half of its 95% interval (normal approximation)."""
    share = sum(answer.success for answer in answers) / len(answers)
    return share, 1.96 * math.sqrt(share * (1 - share) / len(answers))


def expectation(answers: Sequence[Answer]) -> float:
    """The mean of what was expected."""
    return sum(answer.expected or 0.0 for answer in answers) / len(answers)


def report(answers: Sequence[Answer], *, in_order: bool) -> None:
    """Print calibration, lift, coverage, and how often advice names the other channel."""
    told = [answer for answer in answers if answer.expected is not None]
    ordered = sorted(told, key=lambda answer: answer.expected or 0.0)
    average, _ = rate(ordered)
    table = Table(title="expected against what happened, by decile of the expected rate")
    for heading in ("decile", "rows", "expected", "happened", "off by", "the constant is off by"):
        table.add_column(heading, justify="right")
    for decile, part in enumerate(deciles(ordered)):
        expected = expectation(part)
        happened, margin = rate(part)
        table.add_row(
            str(decile + 1),
            str(len(part)),
            f"{expected:.1%}",
            f"{happened:.1%} ± {margin:.1%}",
            f"{100 * abs(expected - happened):.1f} points",
            f"{100 * abs(average - happened):.1f} points",
        )
    Console().print(table)
    done = [answer for answer in ordered if answer.same_channel]
    best, margin = rate(ordered[-(len(ordered) // DECILES) :])
    print(f"largest calibration error of a decile: {100 * largest_error(ordered):.1f} points")
    print(f"the same where what was advised was done: {100 * largest_error(done):.1f} points")
    if in_order:
        for name, third in zip(("first", "second", "last"), thirds(told), strict=True):
            print(f"{name} third in time: {against(third)}")
            followed = [answer for answer in third if answer.same_channel]
            print(f"  where what was advised was done: {against(followed)}")
    print(
        f"best decile: {best:.1%} ± {margin:.1%} succeed, "
        f"{best / average:.2f} (± {margin / average:.2f}) times the average of {average:.1%}"
    )
    print(
        f"coverage: {len(told)} of {len(answers)} questions enhanced ({len(told) / len(answers):.1%})"
    )
    reasons = Counter(answer.reason for answer in answers if answer.expected is None)
    for reason, count in reasons.most_common():
        print(f"not enhanced, {reason}: {count}")
    other = sum(not answer.same_channel for answer in told) / len(told)
    print(f"advice that names the other channel: {other:.1%}")


def against(answers: Sequence[Answer]) -> str:
    """The mean of what was expected against what happened."""
    if not answers:
        return "no answer"
    expected, (happened, _) = expectation(answers), rate(answers)
    off = 100 * abs(expected - happened)
    return f"{expected:.1%} expected, {happened:.1%} happened, off by {off:.1f} points"


def deciles(ordered: Sequence[Answer]) -> list[Sequence[Answer]]:
    """The answers in ten parts of one length."""
    ends = [part * len(ordered) // DECILES for part in range(DECILES + 1)]
    return [ordered[begin:end] for begin, end in pairwise(ends)]


def largest_error(ordered: Sequence[Answer]) -> float:
    """How far off the worst decile is; of fewer than ten answers some are empty."""
    parts = [part for part in deciles(ordered) if part]
    return max((abs(expectation(part) - rate(part)[0]) for part in parts), default=0.0)


def thirds(answers: Sequence[Answer]) -> list[Sequence[Answer]]:
    """The answers in three parts of one length."""
    ends = [part * len(answers) // 3 for part in range(4)]
    return [answers[begin:end] for begin, end in pairwise(ends)]


def main() -> None:
    """Replay a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path, help="bank_marketing.csv")
    parser.add_argument("--rows", type=int, help="only so many, from the beginning")
    parser.add_argument("--every", type=int, default=1, help="only every so many-th of them (1)")
    parser.add_argument("--in-order", action="store_true", help="ask first, then learn, day by day")
    parser.add_argument("--state", type=Path, help="where an interrupted run is continued")
    parser.add_argument("--half-life", type=float, help="days (the service's default)")
    arguments = parser.parse_args()
    rows = read(arguments.file, arguments.rows, arguments.every)
    logs.configure("error", "console")
    with ExitStack() as stack:
        state = arguments.state or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="keeper-replay-"))
        )
        state.mkdir(parents=True, exist_ok=True)
        default: timedelta = Settings.model_fields["evidence_half_life"].default
        settings = Settings(
            port=0,
            data_dir=state,
            seed_catalog=False,
            open_accounts=True,
            max_call_duration=PATIENCE,
            acquire_timeout=PATIENCE,
            statement_timeout=PATIENCE,
            evidence_half_life=timedelta(days=arguments.half_life)
            if arguments.half_life
            else default,
        )
        journal = Journal(state / "replay.jsonl")
        answers = asyncio.run(replay(rows, settings, journal, in_order=arguments.in_order))
    report(answers, in_order=arguments.in_order)


if __name__ == "__main__":
    main()
