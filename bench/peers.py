"""What other stores answer for the search that an enhancement begins with: same vectors, filters, top ten.

    python -m bench.peers VECTORS.npz DSN RESULT.json

Runs in an environment of its own (bench/peers/requirements.lock), which `make bench-peers` makes; `python -m
bench.calls.peers` fills a network, starts this, and puts EnhanceInsight of the same run beside it. VECTORS.npz has
`vectors` (float32, n x 1536), `kinds`, `categories`, `rates` and `counts` of the patterns, and `questions` with
`asked_kinds` and `asked_categories`. Each peer answers 16 callers for some seconds, and only searches: no parsing, no
anonymizing, no ranking, no record.

    naive    the source design as it is written: one SELECT with the filters, ORDER BY distance LIMIT 1, asyncpg
    mem0     its pgvector store, which has the filters in a JSON column
    milvus   Milvus Lite, in this process
    chroma   Chroma's own server, over HTTP
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

CALLERS = 16
SECONDS = 4.0
TOP = 10
BATCH = 1_000


class Network:
    """The patterns and the questions."""

    def __init__(self, path: str) -> None:
        data = np.load(path)
        self.vectors = data["vectors"]
        self.kinds = [str(each) for each in data["kinds"]]
        self.categories = [str(each) for each in data["categories"]]
        self.rates = data["rates"]
        self.counts = data["counts"]
        self.questions = data["questions"]
        self.asked = list(
            zip(map(str, data["asked_kinds"]), map(str, data["asked_categories"]), strict=True)
        )

    def batches(self) -> Iterator[range]:
        """The patterns' places, some at a time."""
        for start in range(0, len(self.vectors), BATCH):
            yield range(start, min(start + BATCH, len(self.vectors)))

    def question(self, number: int) -> tuple[Any, str, str]:
        """One of the questions over and over: vector, type, category."""
        at = number % len(self.questions)
        return (self.questions[at], *self.asked[at])


Figures: TypeAlias = dict[str, float]
"""What a peer did: answers `per_second`, and the milliseconds of the median and of all but one in a hundred."""


def figures(times: Sequence[float], seconds: float) -> Figures:
    """The figures of answers that took these seconds each, in so many altogether."""
    p50, p99 = np.percentile(times, [50, 99]) * 1e3
    return {"per_second": len(times) / seconds, "p50": float(p50), "p99": float(p99)}


def by_threads(ask: Callable[[int], int]) -> Figures:
    """The figures of CALLERS threads. Each answer says how many patterns it found."""
    numbers = count()
    times: list[float] = []
    found: list[int] = []
    ask(0)
    end = time.perf_counter() + SECONDS

    def caller() -> None:
        while (asked := time.perf_counter()) < end:
            found.append(ask(next(numbers)))
            times.append(time.perf_counter() - asked)

    start = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as pool:
        for done in [pool.submit(caller) for _ in range(CALLERS)]:
            done.result()
    if not all(found):
        raise RuntimeError("a question found nothing: the filters do not fit the patterns")
    return figures(times, time.perf_counter() - start)


def naive(network: Network, dsn: str) -> Figures:
    """The table and the query of the source design."""
    import asyncpg  # noqa: PLC0415 - of this environment only
    from pgvector.asyncpg import register_vector  # noqa: PLC0415 - as above

    async def run() -> Figures:
        async with asyncpg.create_pool(dsn, max_size=10, init=register_vector) as pool:
            await pool.execute("DROP TABLE IF EXISTS naive_patterns")
            await pool.execute(
                "CREATE TABLE naive_patterns (id bigint PRIMARY KEY, pattern_type text, business_category text,"
                " embedding vector(1536), success_rate double precision, occurrence_count integer)"
            )
            for batch in network.batches():
                await pool.copy_records_to_table(
                    "naive_patterns",
                    records=[
                        (
                            at,
                            network.kinds[at],
                            network.categories[at],
                            network.vectors[at],
                            float(network.rates[at]),
                            int(network.counts[at]),
                        )
                        for at in batch
                    ],
                )
            await pool.execute("CREATE INDEX ON naive_patterns (pattern_type, business_category)")
            await pool.execute("ANALYZE naive_patterns")
            numbers = count()
            times: list[float] = []
            end = time.perf_counter() + SECONDS

            async def caller() -> None:
                while (asked := time.perf_counter()) < end:
                    vector, kind, category = network.question(next(numbers))
                    rows = await pool.fetch(
                        "SELECT id, 1 - (embedding <=> $1) FROM naive_patterns WHERE pattern_type = $2"
                        " AND business_category = $3 AND success_rate >= 0.6 AND occurrence_count >= 3"
                        " ORDER BY embedding <=> $1 LIMIT 1",
                        vector,
                        kind,
                        category,
                    )
                    if not rows:
                        raise RuntimeError("a question found nothing: the filters do not fit")
                    times.append(time.perf_counter() - asked)

            start = time.perf_counter()
            await asyncio.gather(*(caller() for _ in range(CALLERS)))
            return figures(times, time.perf_counter() - start)

    return asyncio.run(run())


def mem0(network: Network, dsn: str) -> Figures:
    """mem0's store, as its `Memory.search` calls it once it has a vector."""
    from mem0.vector_stores.pgvector import PGVector  # noqa: PLC0415 - of this environment only

    store = PGVector(
        dbname="",
        collection_name="mem0_patterns",
        embedding_model_dims=1536,
        user="",
        password="",
        host="",
        port=0,
        diskann=False,
        hnsw=False,
        minconn=1,
        maxconn=CALLERS,
        connection_string=dsn,
    )
    for batch in network.batches():
        store.insert(
            [network.vectors[at].tolist() for at in batch],
            [
                {"user_id": network.kinds[at], "agent_id": network.categories[at], "data": "text"}
                for at in batch
            ],
            [f"00000000-0000-0000-0000-{at:012d}" for at in batch],
        )

    def ask(number: int) -> int:
        vector, kind, category = network.question(number)
        return len(
            store.search(
                "", vector.tolist(), top_k=TOP, filters={"user_id": kind, "agent_id": category}
            )
        )

    return by_threads(ask)


def milvus(network: Network, _: str) -> Figures:
    """Milvus Lite on a file."""
    from pymilvus import MilvusClient  # noqa: PLC0415 - of this environment only

    with tempfile.TemporaryDirectory() as directory:
        client = MilvusClient(f"{directory}/milvus.db")
        client.create_collection("patterns", dimension=1536, metric_type="COSINE")
        for batch in network.batches():
            client.insert(
                "patterns",
                [
                    {
                        "id": at,
                        "vector": network.vectors[at].tolist(),
                        "kind": network.kinds[at],
                        "category": network.categories[at],
                    }
                    for at in batch
                ],
            )

        def ask(number: int) -> int:
            vector, kind, category = network.question(number)
            return len(
                client.search(
                    "patterns",
                    [vector.tolist()],
                    limit=TOP,
                    filter=f'kind == "{kind}" and category == "{category}"',
                )[0]
            )

        return by_threads(ask)


def chroma(network: Network, _: str) -> Figures:
    """Chroma's server, a process of its own."""
    import chromadb  # noqa: PLC0415 - of this environment only

    with tempfile.TemporaryDirectory() as directory, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        server = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("chroma")),
                "run",
                "--path",
                directory,
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            client = None
            while client is None:
                if server.poll() is not None:
                    raise RuntimeError("Chroma's server ended")
                with contextlib.suppress(Exception):  # until it listens
                    client = chromadb.HttpClient("127.0.0.1", port)
                time.sleep(0.2)
            collection = client.create_collection(
                "patterns", metadata={"hnsw:space": "cosine"}, embedding_function=None
            )
            for batch in network.batches():
                collection.add(
                    ids=[str(at) for at in batch],
                    embeddings=network.vectors[batch.start : batch.stop],
                    metadatas=[
                        {"kind": network.kinds[at], "category": network.categories[at]}
                        for at in batch
                    ],
                )

            def ask(number: int) -> int:
                vector, kind, category = network.question(number)
                answer = collection.query(
                    query_embeddings=vector[None, :],
                    n_results=TOP,
                    where={"$and": [{"kind": kind}, {"category": category}]},
                    include=["distances"],
                )
                return len(answer["ids"][0])

            return by_threads(ask)
        finally:
            server.terminate()
            server.wait()


PEERS: dict[str, Callable[[Network, str], Figures]] = {
    "naive": naive,
    "mem0": mem0,
    "milvus": milvus,
    "chroma": chroma,
}


def main(vectors: str, dsn: str, result: str) -> None:
    """Measure every peer; one that fails is named with its error, and the others go on."""
    os.environ["ANONYMIZED_TELEMETRY"] = os.environ["MEM0_TELEMETRY"] = "False"
    network = Network(vectors)
    found: dict[str, Figures | str] = {}
    for name, peer in PEERS.items():
        try:
            found[name] = peer(network, dsn)
        except Exception as error:  # noqa: BLE001 - whatever ails a peer is no reason to lose the others
            found[name] = f"{type(error).__name__}: {error}"
        print(f"{name}: {found[name]}", flush=True)
    Path(result).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
