"""Latency of the anonymizer and of each of its layers, on one core.

    python bench/privacy.py

Prints CPU milliseconds (median and 99th percentile) for an insight whose action has 120 and 500
characters, with four declared identifiers; the share of every layer; and the slowest of a set of
hostile texts of 16 KB. CPU time, because the machine may be shared.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial

from rich.console import Console
from rich.table import Table

from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.privacy.anonymizer import MAXIMUM_TEXT, Anonymizer
from keeper_grpc.privacy.text.draft import Draft, Layer

RUNS = 500
PROSE = (
    "Text clients who lapsed 8 weeks ago with 20% off a 60 minute massage, and ask Grace Young to "
    "call Jane before Friday. Offer the hot stone upgrade for $25 on weekdays. "
) * 5
DECLARED = Identifiers(
    customer_names=("Jane Doe",),
    employee_names=("Rose Núñez",),
    business_names=("Serenity Spa & Wellness",),
    customer_phones=("+1 512-555-0134",),
)
HOSTILE = {
    "a@a@": "a@",
    "a.a.": "a.",
    "digits": "1",
    "addresses": "12 a a a a st ",
    "braces": "{a}",
    "names": "Will Rose ",
    "handles": "ig is ",
    "dates": "1/1/11 ",
}


def insight(action: str) -> Insight:
    """An insight with this action."""
    return Insight(
        "", "churn_prevention", "spa", {"ltv": 900, "service": "massage"}, action, "", 0.8
    )


def cpu_ms(run: Callable[[], object]) -> float:
    """CPU milliseconds of one run."""
    started = time.thread_time()
    run()
    return (time.thread_time() - started) * 1e3


def timed(layer: Layer, spent: list[float]) -> Layer:
    """The layer, with the CPU milliseconds of each call appended to `spent`."""

    def call(draft: Draft) -> None:
        spent.append(cpu_ms(lambda: layer(draft)))

    return call


def main() -> None:
    """Measures and prints the three tables."""
    anonymizer = Anonymizer.default()
    console = Console()

    whole = Table("characters", "median ms", "p99 ms", "target ms", title="One insight")
    for size, target in ((120, 1.0), (500, 3.0)):
        subject = insight(PROSE[:size])
        runs = [cpu_ms(partial(anonymizer.anonymize, subject, DECLARED)) for _ in range(RUNS)]
        p99 = statistics.quantiles(runs, n=100)[98]
        whole.add_row(str(size), f"{statistics.median(runs):.2f}", f"{p99:.2f}", f"{target:.1f}")
    console.print(whole)

    spent: defaultdict[str, list[float]] = defaultdict(list)
    plain = dict(anonymizer.layers)
    for name, layer in plain.items():
        anonymizer.layers[name] = timed(layer, spent[name])
    subject = insight(PROSE[:500])
    for _ in range(RUNS):
        anonymizer.anonymize(subject, DECLARED)
    anonymizer.layers.update(plain)
    layers = Table("layer", "ms an insight", title="Layers, 500 characters")
    for name, values in spent.items():
        layers.add_row(name, f"{sum(values) / RUNS:.3f}")
    console.print(layers)

    hostile = Table("text", "8 KB, masked ms", "16 KB, refused ms", title="Hostile texts")
    for name, unit in HOSTILE.items():
        row = [name]
        for size in (MAXIMUM_TEXT, 2 * MAXIMUM_TEXT):
            subject = insight((unit * size)[:size])
            run = partial(anonymizer.anonymize, subject, DECLARED)
            row.append(f"{min(cpu_ms(run) for _ in range(3)):.1f}")
        hostile.add_row(*row)
    console.print(hostile)


if __name__ == "__main__":
    main()
