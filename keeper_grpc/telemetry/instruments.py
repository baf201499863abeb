"""The instruments: every counter and histogram, each named once.

docs/operations.md lists them under their Prometheus names; tests/rpc/telemetry/test_metrics.py holds the list to
what a server exports. Labels have few values, all of this program's or its operator's making: a type,
a category, a key of conditions is a caller's and would be a series each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from keeper_grpc.admission.kinds import Kind

CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds. An enhancement with a cached vector takes 5 ms; the longest call takes 30 s by default."""

WORK_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0)
"""Seconds, for parts of a call: anonymizing 500 characters takes 3 ms, a free connection none."""

TEXTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 2048.0)
"""A capture embeds two texts, a full batch holds 256, a request of OpenAI's at most 2,048."""

LOST_SHARES = (0.0, 0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.05, 0.1)
"""Shares of success. A question may lose a point (0.01) by the choice of the pattern and one by that of the script, by
default; most have no choice and lose nothing."""

CIRCUIT_STATES = ("closed", "open", "half_open")

OURS = "/keeper.network.v1."
"""Health and reflection are not counted, because probes would dominate the figures."""


class Instruments:
    """The instruments of one process, behind one method for each event."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._calls = meter.create_histogram(
            "keeper.rpc.duration",
            unit="s",
            description="Duration of unary calls, by method and code",
            explicit_bucket_boundaries_advisory=CALL_SECONDS,
        )
        self._streams = meter.create_counter(
            "keeper.rpc.streams.ended",
            description="Streams that ended, by method and code",
        )
        self._questions = meter.create_histogram(
            "keeper.rpc.question.duration",
            unit="s",
            description="Time to answer a question of an EnhanceInsights stream, by code",
            explicit_bucket_boundaries_advisory=CALL_SECONDS,
        )
        self._captures = meter.create_counter(
            "keeper.captures",
            description="Captures, by what became of them: created, merged, withheld, replayed",
        )
        self._stopped_scripts = meter.create_counter(
            "keeper.scripts.stopped",
            description="Captured scripts that are kept and shown to no one, by what speaks against them",
        )
        self._enhancements = meter.create_counter(
            "keeper.enhancements",
            description="Insights asked about, by result: enhanced, or why not",
        )
        self._exploration_loss = meter.create_histogram(
            "keeper.exploration.loss",
            description="Success that drawing advice was expected to cost an enhanced question, as a share",
            explicit_bucket_boundaries_advisory=LOST_SHARES,
        )
        self._reactions = meter.create_counter(
            "keeper.reactions",
            description="Reported reactions to advice: shown, accepted, dismissed, done, replayed",
        )
        self._anonymizing = meter.create_histogram(
            "keeper.anonymizer.duration",
            unit="s",
            description="Time to anonymize an insight; nothing else runs meanwhile",
            explicit_bucket_boundaries_advisory=WORK_SECONDS,
        )
        self._drops = meter.create_counter(
            "keeper.anonymizer.drops",
            description="Fields that the anonymizer removed whole, by reason",
        )
        self._embedding = meter.create_histogram(
            "keeper.embedding.duration",
            unit="s",
            description="Duration of calls of the embedding model, by model and result",
            explicit_bucket_boundaries_advisory=CALL_SECONDS,
        )
        self._batches = meter.create_histogram(
            "keeper.embedding.batch.size",
            unit="{text}",
            description="Texts in a call of the embedding model",
            explicit_bucket_boundaries_advisory=TEXTS,
        )
        self._failed_attempts = meter.create_counter(
            "keeper.embedding.attempts.failed",
            description="Requests to the embeddings API that failed, by reason, also if retried",
        )
        self._circuit_open = meter.create_gauge(
            "keeper.embedding.circuit.open",
            description="1 from when the embeddings API is left alone because it fails until it answers again, else 0",
        )
        self._circuit_changes = meter.create_counter(
            "keeper.embedding.circuit.changes",
            description="Changes of the circuit of the embeddings API, by its new state",
        )
        self._circuit_refusals = meter.create_counter(
            "keeper.embedding.circuit.refusals",
            description="Calls that were refused because the circuit was open, without a request",
        )
        self._waits = meter.create_histogram(
            "keeper.database.wait",
            unit="s",
            description="Time that a user of the pool waited for a connection, also in vain",
            explicit_bucket_boundaries_advisory=WORK_SECONDS,
        )

        self._turn_waits = meter.create_histogram(
            "keeper.admission.wait",
            unit="s",
            description="Time that work waited for its turn, if it had to, also in vain",
            explicit_bucket_boundaries_advisory=CALL_SECONDS,
        )
        self._writer_waits = meter.create_histogram(
            "keeper.writer.wait",
            unit="s",
            description="Time that the first of each group of writes waited for a writer",
            explicit_bucket_boundaries_advisory=CALL_SECONDS,
        )

    def call_ended(self, method: str, code: str, *, streaming: bool, seconds: float) -> None:
        """Count a call. A stream's duration is not measured: its client decides when it ends."""
        if not method.startswith(OURS):
            return
        labels = {"method": method.removeprefix(OURS), "code": code}
        if streaming:
            self._streams.add(1, labels)
        else:
            self._calls.record(seconds, labels)

    def question_answered(self, code: str, seconds: float) -> None:
        """Count a question of an EnhanceInsights stream."""
        self._questions.record(seconds, {"code": code})

    def captured(self, disposition: str) -> None:
        """Count a capture."""
        self._captures.add(1, {"disposition": disposition})

    def script_stopped(self, reason: str) -> None:
        """Count a captured script that is kept and shown to no one."""
        self._stopped_scripts.add(1, {"reason": reason})

    def enhanced(self, result: str) -> None:
        """Count an enhancement."""
        self._enhancements.add(1, {"result": result})

    def explored(self, loss: float) -> None:
        """Measure what drawing the advice of one question was expected to cost.

        An expected gain counts as no loss: a sum that falls would be a restart to whoever reads it.
        """
        self._exploration_loss.record(max(loss, 0.0))

    def reacted(self, reaction: str) -> None:
        """Count a reported reaction to advice."""
        self._reactions.add(1, {"reaction": reaction})

    def anonymized(self, seconds: float) -> None:
        """Measure a use of the anonymizer."""
        self._anonymizing.record(seconds)

    def dropped(self, reason: str) -> None:
        """Count a field that was removed."""
        self._drops.add(1, {"reason": reason})

    def embedded(self, model: str, result: str, seconds: float, texts: int) -> None:
        """Count a call of the embedding model."""
        self._embedding.record(seconds, {"model": model, "result": result})
        self._batches.record(texts)

    def attempt_failed(self, reason: str) -> None:
        """Count a failed request to the embeddings API."""
        self._failed_attempts.add(1, {"reason": reason})

    def circuit_made(self) -> None:
        """Export the circuit of an embeddings API, which begins closed."""
        self._circuit_open.set(0)
        self._circuit_refusals.add(0)
        for state in CIRCUIT_STATES:
            self._circuit_changes.add(0, {"state": state})

    def circuit_changed(self, state: str) -> None:
        """Count a change of the circuit to one of CIRCUIT_STATES."""
        self._circuit_open.set(int(state != "closed"))
        self._circuit_changes.add(1, {"state": state})

    def circuit_refused(self) -> None:
        """Count a call that the open circuit refused."""
        self._circuit_refusals.add(1)

    def waited(self, seconds: float) -> None:
        """Measure a wait for a connection."""
        self._waits.record(seconds)

    def waited_for_turn(self, kind: Kind, seconds: float) -> None:
        """Measure a wait for a turn."""
        self._turn_waits.record(seconds, {"kind": kind.value})

    def waited_for_writer(self, writer: str, seconds: float) -> None:
        """Measure the longest wait of a group for its writer."""
        self._writer_waits.record(seconds, {"writer": writer})

    def watch(
        self,
        name: str,
        description: str,
        *readings: tuple[dict[str, str], Callable[[], float]],
        counts: bool = False,
    ) -> None:
        """Export numbers that other parts keep, each with its labels, read at collection.

        `counts`: they only grow. Another thread reads them, so reading must be thread-safe.
        """

        def read(_: CallbackOptions) -> list[Observation]:
            return [Observation(value(), labels) for labels, value in readings]

        if counts:
            self._meter.create_observable_counter(name, [read], description=description)
        else:
            self._meter.create_observable_gauge(name, [read], description=description)

    def watch_each(
        self,
        name: str,
        description: str,
        label: str,
        read: Callable[[], Mapping[str, float]],
        *,
        counts: bool = False,
    ) -> None:
        """As `watch`, one number for each of the things that another part keeps, by their names under `label`."""

        def observe(_: CallbackOptions) -> list[Observation]:
            return [Observation(value, {label: each}) for each, value in read().items()]

        if counts:
            self._meter.create_observable_counter(name, [observe], description=description)
        else:
            self._meter.create_observable_gauge(name, [observe], description=description)
