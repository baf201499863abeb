"""Does the advice come true? A replay of real contacts, asked and answered through the real API.

The data is "Bank Marketing" (Moro, Cortez and Rita, Decision Support Systems 62, 2014; UCI Machine
Learning Repository, CC BY 4.0): real telephone contacts of a bank, 11% successful. It is not part of the
project: `python bench/replay.py bank_marketing.csv`. 70% of the rows, by a hash of the row, are captured as (situation, contact approach, outcome) by accounts that are the job groups.
For each other row the network is asked, and what it expects is held against what happened. Neither the
outcome nor the call's duration reaches the asking side. Success is rare, so min_success_rate is 0.

Prints calibration by decile of the expected rate, the lift of the best decile, and coverage, with 95%
intervals. The floor is a constant: always expecting the average.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import hashlib
import math
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from rich.console import Console
from rich.table import Table

from keeper_grpc import logs
from keeper_grpc.app import application
from keeper_grpc.gen.keeper.network.v1 import insight_pb2, network_service_pb2
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from keeper_grpc.settings import Settings

CAPTURED_SHARE = 70
"""Percent of the rows that the network learns from."""

DECILES = 10
IN_FLIGHT = 16
APPROACH = {
    "cellular": "Call the customer on the mobile phone about the term deposit",
    "telephone": "Call the customer on the landline about the term deposit",
}


@dataclass(frozen=True)
class Answer:
    """What was expected of one row, and what happened."""

    expected: float
    success: bool


def insight(row: dict[str, str]) -> insight_pb2.Insight:
    """The situation and the approach. Nothing that is known only afterwards."""
    message = insight_pb2.Insight(
        type="campaign_contact",
        business_category="bank",
        action=APPROACH[row["contact"]],
        confidence=0.5,
    )
    message.conditions.update(
        {
            "month": row["month"],
            "previous_outcome": row["poutcome"],
            "channel": row["contact"],
        }
    )
    return message


def is_captured(row: dict[str, str]) -> bool:
    """The split: by content, so that anyone gets the same."""
    digest = hashlib.sha256(repr(sorted(row.items())).encode()).digest()
    return int.from_bytes(digest[:8]) % 100 < CAPTURED_SHARE


async def each(
    rows: Sequence[dict[str, str]], work: Callable[[int, dict[str, str]], Awaitable[None]]
) -> float:
    """Do the work for every row, a few at a time; rows per second."""
    start = time.perf_counter()
    waiting = iter(enumerate(rows))

    async def worker() -> None:
        for number, row in waiting:
            await work(number, row)

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return len(rows) / (time.perf_counter() - start)


async def replay(rows: Sequence[dict[str, str]], settings: Settings) -> tuple[list[Answer], int]:
    """Capture one part, ask about the other; the answers, and how many questions there were."""
    captured = [row for row in rows if is_captured(row)]
    asked = [row for row in rows if not is_captured(row)]
    answers: list[Answer] = []
    async with (
        application(settings) as app,
        grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel,
    ):
        network = NetworkLearningServiceStub(channel)

        async def capture(number: int, row: dict[str, str]) -> None:
            await network.CapturePattern(
                network_service_pb2.CapturePatternRequest(
                    request_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"replay {number}")),
                    account_id=f"job {row['job']}",
                    insight=insight(row),
                    outcome=insight_pb2.Outcome(success=row["y"] == "yes"),
                )
            )

        async def ask(_: int, row: dict[str, str]) -> None:
            response = await network.EnhanceInsight(
                network_service_pb2.EnhanceInsightRequest(
                    account_id=f"job {row['job']}", insight=insight(row), min_success_rate=0
                )
            )
            if response.enhanced_insight.network_enhanced:
                expected = response.enhanced_insight.expected_success_rate
                answers.append(Answer(expected, row["y"] == "yes"))

        print(f"captured {len(captured)} rows at {await each(captured, capture):.0f}/s")
        print(f"asked about {len(asked)} rows at {await each(asked, ask):.0f}/s")
        listing = await network.ListPatterns(network_service_pb2.ListPatternsRequest())
        print(f"{len(listing.patterns)} published patterns")
    return answers, len(asked)


def rate(answers: Iterable[Answer]) -> tuple[float, float]:
    """The share of successes, and half of its 95% interval (normal approximation)."""
    outcomes = [answer.success for answer in answers]
    share = sum(outcomes) / len(outcomes)
    return share, 1.96 * math.sqrt(share * (1 - share) / len(outcomes))


def report(answers: list[Answer], asked: int) -> None:
    """Print calibration, lift and coverage."""
    ordered = sorted(answers, key=lambda answer: answer.expected)
    average, _ = rate(ordered)
    table = Table(title="expected against what happened, by decile of the expected rate")
    for heading in ("decile", "rows", "expected", "happened", "off by", "the constant is off by"):
        table.add_column(heading, justify="right")
    worst = 0.0
    for decile in range(DECILES):
        part = ordered[decile * len(ordered) // DECILES : (decile + 1) * len(ordered) // DECILES]
        expected = sum(answer.expected for answer in part) / len(part)
        happened, margin = rate(part)
        worst = max(worst, abs(expected - happened))
        table.add_row(
            str(decile + 1),
            str(len(part)),
            f"{expected:.1%}",
            f"{happened:.1%} ± {margin:.1%}",
            f"{100 * abs(expected - happened):.1f} points",
            f"{100 * abs(average - happened):.1f} points",
        )
    Console().print(table)
    best, margin = rate(ordered[-(len(ordered) // DECILES) :])
    print(f"largest calibration error: {100 * worst:.1f} points")
    print(
        f"best decile: {best:.1%} ± {margin:.1%} succeed, "
        f"{best / average:.2f} (± {margin / average:.2f}) times the average of {average:.1%}"
    )
    print(f"coverage: {len(answers)} of {asked} questions enhanced ({len(answers) / asked:.1%})")


def main() -> None:
    """Replay a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path, help="bank_marketing.csv")
    parser.add_argument("--rows", type=int, help="only so many, from the beginning")
    arguments = parser.parse_args()
    with arguments.file.open(newline="") as file:
        rows = list(csv.DictReader(file))[: arguments.rows]
    logs.configure("warning", "console")
    with tempfile.TemporaryDirectory(prefix="keeper-replay-") as directory:
        settings = Settings(port=0, data_dir=Path(directory), seed_catalog=False)
        answers, asked = asyncio.run(replay(rows, settings))
    report(answers, asked)


if __name__ == "__main__":
    main()
