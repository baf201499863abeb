"""Gauges and counters that the service's parts keep themselves, read at collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from keeper_grpc.admission.gate import Gate
from keeper_grpc.admission.kinds import Kind
from keeper_grpc.admission.shed import Reason
from keeper_grpc.telemetry.instruments import Instruments


class Pool(Protocol):
    """Connections to the database: open, idle, and the maximum."""

    @property
    def size(self) -> int: ...

    @property
    def idle(self) -> int: ...

    @property
    def max_size(self) -> int: ...


class Cache(Protocol):
    """Texts by the source of their vectors, and failures of the store."""

    @property
    def hits(self) -> int: ...

    @property
    def store_hits(self) -> int: ...

    @property
    def misses(self) -> int: ...

    @property
    def store_failures(self) -> int: ...


class Feed(Protocol):
    """A stream's subscribers: current ones, and those cut off as too slow."""

    @property
    def cut_offs(self) -> int: ...

    @property
    def subscribers(self) -> int: ...


class QueueingFeed(Feed, Protocol):
    """A stream with a queue for each subscriber."""

    @property
    def longest_queue(self) -> int: ...


class Detector(Protocol):
    """The emerging-pattern detector."""

    @property
    def leads(self) -> bool: ...

    @property
    def steps(self) -> int: ...

    @property
    def errors(self) -> int: ...

    @property
    def step_age(self) -> float: ...

    @property
    def step_seconds(self) -> float: ...


class Standby(Protocol):
    """The standby to read from."""

    @property
    def is_configured(self) -> bool: ...

    @property
    def is_used(self) -> bool: ...

    @property
    def lag(self) -> float: ...


class Places(Protocol):
    """Where patterns lie, in the memory of their writers."""

    @property
    def nbytes(self) -> int: ...


class Published(Protocol):
    """The published patterns in memory: how many, their bytes, how far behind, and what became of scopes."""

    @property
    def patterns(self) -> int: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def lag(self) -> float: ...

    @property
    def loads(self) -> int: ...

    @property
    def failed_loads(self) -> int: ...

    @property
    def evictions(self) -> int: ...


class Answering(Protocol):
    """Searches by what answered them."""

    @property
    def answers(self) -> Mapping[str, int]: ...


class Server(Protocol):
    """The gRPC server."""

    @property
    def is_ready(self) -> bool: ...

    @property
    def calls_in_flight(self) -> int: ...


class Sizes(Protocol):
    """Bytes of the tables."""

    @property
    def bytes_by_table(self) -> Mapping[str, int]: ...

    @property
    def archived_observations(self) -> int: ...

    @property
    def archived_bytes(self) -> int: ...


class Bounds(Protocol):
    """Rows that were taken, by what they are."""

    @property
    def rows(self) -> Mapping[str, int]: ...


class Memory(Protocol):
    """Answers from memory, and those that had to be made."""

    @property
    def hits(self) -> int: ...

    @property
    def misses(self) -> int: ...


class Writer(Protocol):
    """A writer of groups: what waits for it, and what it refused."""

    @property
    def waiting(self) -> int: ...

    @property
    def refused(self) -> int: ...


def watch_memories(instruments: Instruments, **memories: Memory) -> None:
    """Export how often each memory had the answer."""

    def readings(
        name: str, memory: Memory
    ) -> tuple[tuple[dict[str, str], Callable[[], float]], ...]:
        return (
            ({"memory": name, "result": "hit"}, lambda: memory.hits),
            ({"memory": name, "result": "miss"}, lambda: memory.misses),
        )

    instruments.watch(
        "keeper.memory.lookups",
        "Looks into what a process remembers, by memory and whether it had the answer",
        *(reading for name, memory in memories.items() for reading in readings(name, memory)),
        counts=True,
    )


def watch_sizes(instruments: Instruments, sizes: Sizes, bounds: Bounds) -> None:
    """Export how large the tables and the archives are, and what keeps the tables from growing."""
    instruments.watch(
        "keeper.archive.observations",
        "Observations that are in archives instead of the ledger",
        ({}, lambda: sizes.archived_observations),
    )
    instruments.watch(
        "keeper.archive.size",
        "Bytes of the archives' files",
        ({}, lambda: sizes.archived_bytes),
    )
    instruments.watch_each(
        "keeper.retention.rows",
        "Rows that were deleted, rolled up or passed over because of their age or number",
        "kind",
        lambda: bounds.rows,
        counts=True,
    )
    instruments.watch_each(
        "keeper.database.table.size",
        "Bytes of a table with its indexes, looked up every five minutes",
        "table",
        lambda: sizes.bytes_by_table,
    )


def watch_pool(instruments: Instruments, pool: Pool) -> None:
    """Export the use of the connection pool."""
    instruments.watch(
        "keeper.database.connections",
        "Open connections of the pool, by state",
        ({"state": "used"}, lambda: pool.size - pool.idle),
        ({"state": "idle"}, lambda: pool.idle),
    )
    instruments.watch(
        "keeper.database.connections.limit",
        "Most connections that the pool may open",
        ({}, lambda: pool.max_size),
    )


def watch_cache(instruments: Instruments, cache: Cache) -> None:
    """Export the sources of vectors."""
    instruments.watch(
        "keeper.embedding.texts",
        "Texts whose vectors were asked for, by where they came from",
        ({"source": "memory"}, lambda: cache.hits),
        ({"source": "database"}, lambda: cache.store_hits),
        ({"source": "model"}, lambda: cache.misses),
        counts=True,
    )
    instruments.watch(
        "keeper.embedding.store.failures",
        "Looks into the vectors kept in the database, or writes to them, that failed",
        ({}, lambda: cache.store_failures),
        counts=True,
    )


def watch_feeds(instruments: Instruments, emerging: QueueingFeed, metrics: Feed) -> None:
    """Export the subscribers, and those cut off."""
    of_emerging, of_metrics = {"stream": "emerging_patterns"}, {"stream": "network_metrics"}
    instruments.watch(
        "keeper.feed.subscribers",
        "Open streams, by what they tell of",
        (of_emerging, lambda: emerging.subscribers),
        (of_metrics, lambda: metrics.subscribers),
    )
    instruments.watch(
        "keeper.feed.queue.longest",
        "Changes that wait for the subscriber to emerging patterns who is the farthest behind",
        ({}, lambda: emerging.longest_queue),
    )
    instruments.watch(
        "keeper.feed.cut.offs",
        "Subscribers that were cut off because they did not read",
        (of_emerging, lambda: emerging.cut_offs),
        (of_metrics, lambda: metrics.cut_offs),
        counts=True,
    )


def watch_detector(instruments: Instruments, detector: Detector) -> None:
    """Export whether this process leads, and its progress."""
    instruments.watch(
        "keeper.detector.leader",
        "1 in the process that detects emerging patterns, else 0",
        ({}, lambda: int(detector.leads)),
    )
    instruments.watch(
        "keeper.detector.steps",
        "Steps that the detector has finished while this process led",
        ({}, lambda: detector.steps),
        counts=True,
    )
    instruments.watch(
        "keeper.detector.errors",
        "Errors at which the detector started over",
        ({}, lambda: detector.errors),
        counts=True,
    )
    instruments.watch(
        "keeper.detector.step.age",
        "Seconds since the detector finished a step in this process, while it leads",
        ({}, lambda: detector.step_age),
    )
    instruments.watch(
        "keeper.detector.step.duration",
        "Seconds that the last step took",
        ({}, lambda: detector.step_seconds),
    )


def watch_replica(instruments: Instruments, replica: Standby) -> None:
    """Export whether reads go to a replica, and how far it is behind."""
    instruments.watch(
        "keeper.replica.configured",
        "1 where a replica is configured, else 0",
        ({}, lambda: int(replica.is_configured)),
    )
    instruments.watch(
        "keeper.replica.used",
        "1 while reads go to the replica, else 0",
        ({}, lambda: int(replica.is_used)),
    )
    instruments.watch(
        "keeper.replica.lag",
        "Seconds by which the replica is behind at most, while reads go there",
        # Infinite where it was never seen, which no collector wants.
        ({}, lambda: replica.lag if replica.is_used else 0.0),
    )


def watch_patterns(
    instruments: Instruments, memory: Published, searches: Answering, places: Places
) -> None:
    """Export the patterns in memory, and what questions are answered from."""
    instruments.watch(
        "keeper.places.memory",
        "Bytes that the places of patterns take in the memory of their writers",
        ({}, lambda: places.nbytes),
    )
    instruments.watch(
        "keeper.published.patterns",
        "Published patterns that are held in memory",
        ({}, lambda: memory.patterns),
    )
    instruments.watch(
        "keeper.published.memory",
        "Bytes that the published patterns in memory take",
        ({}, lambda: memory.nbytes),
    )
    instruments.watch(
        "keeper.published.lag",
        "Seconds since the patterns in memory were last seen to be those of the database",
        ({}, lambda: memory.lag),
    )
    instruments.watch(
        "keeper.published.scopes",
        "Scopes by what became of them in memory",
        ({"result": "loaded"}, lambda: memory.loads),
        ({"result": "failed"}, lambda: memory.failed_loads),
        ({"result": "evicted"}, lambda: memory.evictions),
        counts=True,
    )
    instruments.watch(
        "keeper.searches",
        "Searches for patterns, by what answered them",
        *(
            ({"source": source}, partial(searches.answers.__getitem__, source))
            for source in searches.answers
        ),
        counts=True,
    )


def watch_server(instruments: Instruments, server: Server) -> None:
    """Export the serving status and the calls in flight."""
    instruments.watch(
        "keeper.ready",
        "1 while health says SERVING, else 0",
        ({}, lambda: int(server.is_ready)),
    )
    instruments.watch(
        "keeper.rpc.in.flight",
        "Calls and streams that have not ended",
        ({}, lambda: server.calls_in_flight),
    )


def watch_gate(instruments: Instruments, gate: Gate) -> None:
    """Export what the process works on, what waits, what it refuses, and the limit that it keeps under pressure."""

    def of_each(value: Callable[[Kind], float]) -> list[tuple[dict[str, str], Callable[[], float]]]:
        return [({"kind": kind.value}, partial(value, kind)) for kind in Kind]

    instruments.watch(
        "keeper.admission.admitted",
        "Work that was begun, by kind",
        *of_each(gate.admitted),
        counts=True,
    )
    instruments.watch(
        "keeper.admission.shed",
        "Work that was refused before it was begun, by kind and reason",
        *(
            ({"kind": kind.value, "reason": reason.value}, partial(gate.shed, kind, reason))
            for kind in Kind
            for reason in Reason
        ),
        counts=True,
    )
    instruments.watch(
        "keeper.admission.in.progress", "Work in progress, by kind", *of_each(gate.running)
    )
    instruments.watch(
        "keeper.admission.waiting", "Work that waits for its turn, by kind", *of_each(gate.waiting)
    )
    instruments.watch(
        "keeper.admission.pressure",
        "1 while more of a kind comes than is done, else 0",
        # A bool is no number to OTLP's encoder, which drops the whole export over it.
        *of_each(lambda kind: int(gate.under_pressure(kind))),
    )
    instruments.watch(
        "keeper.admission.limit",
        "Work that may be in progress at once under pressure, of the kinds that share the process",
        ({}, lambda: gate.limit),
    )


def watch_writers(instruments: Instruments, **writers: Writer) -> None:
    """Export the queues of the writers."""
    instruments.watch(
        "keeper.writer.waiting",
        "Writes that no writer has taken yet",
        *(({"writer": name}, partial(_waiting, writer)) for name, writer in writers.items()),
    )
    instruments.watch(
        "keeper.writer.refused",
        "Writes that were refused because as many waited as may",
        *(({"writer": name}, partial(_refused, writer)) for name, writer in writers.items()),
        counts=True,
    )


def _waiting(writer: Writer) -> int:
    return writer.waiting


def _refused(writer: Writer) -> int:
    return writer.refused
