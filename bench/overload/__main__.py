"""Does the service stay quick for those that it admits when more comes than it can do, and fair beside streams?

    python -m bench.overload
    python -m bench.overload --only CapturePattern --seconds 5

Capacity is measured in the same run: the most that 4 to 128 callers get done who wait for their answers. Each question has
new words, so that none is quicker because its like was asked before. Then calls come by chance, at one, two and
five times that, whatever became of those before (an open loop). `of unloaded` compares the time of those that were answered
with that of one caller alone. The rows of 4 and 8 callers tell what so many at once get done, and how long they wait for it: an
admission that keeps calls quick can do no more.

The load generator shares the machine's cores: what it took of them is printed. `floor` is what calls at the same rate take at a bare
service, which parses the same requests and sends the same reply (bench/calls/floor.py): gRPC and the generator alone. Then a few
callers are measured beside streams that always have more questions, and beside clients that read no answer. Machines differ and are
shared: read the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

# Before numpy is imported, as the server does.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from bench.calls.network import Network
from bench.calls.processes import Processes, directory, floor, service
from bench.calls.requests import Requests
from bench.overload.load import Client, Seen
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.schema.migrate import migrate

LOADS = (1, 2, 5)
CAPACITY_CALLERS = (4, 8, 16, 32, 64, 128)
WARM_UP_CALLERS = 16
OTHERS = 4
WARM_UP = 4.0
"""Seconds at a new load before it is measured, at least, """
WARM_UP_CALLS = 150
"""and as many times what one call takes alone: the slower the machine, the later it is clear that too much comes."""
PAUSE = 2.0
"""Seconds between two loads."""
METHODS = ("EnhanceInsight", "CapturePattern")
STREAMS = (2, 24)
UNREAD_CLIENTS, UNREAD = 50, 400
SEEDS = range(1, 9)
"""Of which each has some 8,000 questions with words of its own."""
QUESTIONS = 8_000
CAPTURES = 60_000
KNOWN = 3_000
"""Captures after which all texts of the others were seen."""


def main() -> None:
    """Serve a network of its own, load it, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.overload", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--patterns", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--only", nargs="+", choices=(*METHODS, "streams"), default=[])
    arguments = parser.parse_args()
    with directory() as place, asyncio.Runner() as runner:
        postgres = EmbeddedPostgres(place / "data")
        dsn = runner.run(postgres.start())
        try:
            runner.run(migrate(dsn))
            runner.run(Network(dsn).grow(arguments.patterns))
            with service(dsn, place, 1, {"KEEPER_LOG_LEVEL": "info"}) as served:
                runner.run(_measure(served, place, arguments.only, arguments.seconds))
        finally:
            runner.run(postgres.stop())


async def _measure(served: Processes, place: Path, only: Sequence[str], seconds: float) -> None:
    questions = [each for seed in SEEDS for each in Requests(seed).questions(QUESTIONS, new=True)]
    requests = {
        "EnhanceInsight": [each.SerializeToString() for each in questions],
        "CapturePattern": [
            each.SerializeToString() for each in Requests(SEEDS.stop).captures(CAPTURES)
        ],
        "EnhanceInsights": [
            network.EnhanceInsightsRequest(
                correlation_id=str(number), request=each
            ).SerializeToString()
            for number, each in enumerate(questions)
        ],
    }
    client = Client(served.port, requests, served.seconds)
    try:
        await client.closed("EnhanceInsight", WARM_UP_CALLERS, 4.0)
        if not only or "CapturePattern" in only:
            await client.times("CapturePattern", WARM_UP_CALLERS, KNOWN)
        answers = {method: await client.answer(method) for method in METHODS}
        for method in METHODS:
            if not only or method in only:
                with floor(answers, place, 1) as bare:
                    await _overload(
                        client, Client(bare.port, requests, bare.seconds), method, seconds
                    )
        if not only or "streams" in only:
            await _beside_streams(client, seconds)
    finally:
        await client.close()


async def _overload(client: Client, bare: Client, method: str, seconds: float) -> None:
    await client.closed(method, 1, 2.0)
    alone = await client.closed(method, 1, seconds)
    busy = {}
    for callers in CAPACITY_CALLERS:
        busy[callers] = await client.closed(method, callers, seconds / 2)
        await asyncio.sleep(PAUSE)
    best = max(busy, key=lambda callers: busy[callers].per_second)
    full = busy[best]
    print(f"\n{method}: {full.per_second:,.0f} a second with {best} callers", flush=True)
    print(
        f"{'load':>11} {'sent/s':>7} {'ok/s':>7} {'of most':>8} {'shed':>6}  p50 ms   p99 ms   of unloaded   "
        "refused after p50, p99 ms   cores of service, load   floor p50, p99 ms"
    )
    _row("one caller", alone, alone, full)
    for callers, seen in busy.items():
        _row(f"{callers} callers", seen, alone, full)
    warm_up = max(WARM_UP, WARM_UP_CALLS * alone.at(0.5) / 1_000)
    for load in LOADS:
        # In turns, so that both meet the same machine.
        at_floor = await bare.open(method, load * full.per_second, seconds / 2, 1.0)
        seen = await client.open(method, load * full.per_second, seconds, warm_up)
        _row(f"{load}x", seen, alone, full, at_floor)
        await asyncio.sleep(PAUSE)
    await bare.close()


def _row(name: str, seen: Seen, alone: Seen, full: Seen, bare: Seen | None = None) -> None:
    shed = seen.codes["RESOURCE_EXHAUSTED"] / max(1, seen.sent)
    p50, p99 = seen.at(0.5), seen.at(0.99)
    late = sorted(seen.late)[int(0.99 * len(seen.late))] * 1_000 if seen.late else 0.0
    failed = {
        code: number
        for code, number in seen.codes.items()
        if code not in ("OK", "RESOURCE_EXHAUSTED")
    }
    print(
        f"{name:>11} {seen.sent / seen.lasted:>7,.0f} {seen.per_second:>7,.0f} {seen.per_second / full.per_second:>8.0%} {shed:>6.0%} "
        f"{p50:>7.1f} {p99:>8.1f}   {p50 / alone.at(0.5):.1f} / {p99 / alone.at(0.99):.1f}"
        f"   {seen.refused_at(0.5):.0f}, {seen.refused_at(0.99):.0f}   {seen.cores[0]:.2f}, {seen.cores[1]:.2f}"
        + ("" if bare is None else f"   {bare.at(0.5):.1f}, {bare.at(0.99):.1f}")
        + (f"   sent {late:.0f} ms late" if late > 1 else "")
        + (f"   {failed}" if failed else ""),
        flush=True,
    )


async def _beside_streams(client: Client, seconds: float) -> None:
    print(f"\nEnhanceInsight, {OTHERS} callers beside streams of questions")
    print(
        f"{'beside':>16} {'ok/s':>7} {'streams/s':>10}  p50 ms   p99 ms   of p50 just before   other codes"
    )

    def row(name: str, seen: Seen, answers: float, alone: Seen) -> None:
        others = {code: number for code, number in seen.codes.items() if code != "OK"}
        print(
            f"{name:>16} {seen.per_second:>7,.0f} {answers:>10,.0f} {seen.at(0.5):>7.1f} {seen.at(0.99):>8.1f}"
            f"   {seen.at(0.5) / alone.at(0.5):.1f}   {others or ''}",
            flush=True,
        )

    for number, unread, name in (
        *((number, None, f"{number} streams") for number in STREAMS),
        (UNREAD_CLIENTS, UNREAD, f"{UNREAD_CLIENTS} that read not"),
    ):
        # In turns, for the machine may be another a minute later.
        alone = await client.closed("EnhanceInsight", OTHERS, seconds)
        row("none", alone, 0, alone)
        async with client.streams(number, unread) as answered:
            await asyncio.sleep(WARM_UP)
            before = answered()
            seen = await client.closed("EnhanceInsight", OTHERS, seconds)
            row(name, seen, (answered() - before) / seen.lasted, alone)
        await asyncio.sleep(1.0)


if __name__ == "__main__":
    main()
