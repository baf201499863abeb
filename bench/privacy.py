"""CPU time of the anonymizer, as a multiple of a fixed piece of work in the same run.

    python bench/privacy.py [--check]

Machines differ, and a shared one differs from itself; what the interpreter needs for a known loop
(`reference`) differs along. Prints, for an insight whose action has 120 and 500 characters and with 0,
4, 8 and 64 declared identifiers, CPU milliseconds and their ratio to the reference; the time of every
layer; and hostile texts of 4 and 8 KB, whose ratio shows that time is linear. With --check the exit
code is 1 when a ratio is above its goal.
"""

from __future__ import annotations

import argparse
import statistics
import sys
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
ROUNDS = 20
"""The reference is measured between rounds, so that both meet the same neighbours."""
PROSE = (
    "Text clients who lapsed 8 weeks ago with 20% off a 60 minute massage, and ask Grace Young to "
    "call Jane before Friday. Offer the hot stone upgrade for $25 on weekdays. "
) * 5
WORDS = PROSE.split() * 10
DECLARED = {
    0: Identifiers(),
    4: Identifiers(
        customer_names=("Jane Doe",),
        employee_names=("Rose Núñez",),
        business_names=("Serenity Spa & Wellness",),
        customer_phones=("+1 512-555-0134",),
    ),
    8: Identifiers(
        customer_names=("Jane Doe", "Will Long"),
        employee_names=("Rose Núñez", "Priya Rao"),
        business_names=("Serenity Spa & Wellness",),
        customer_phones=("+1 512-555-0134",),
        customer_emails=("jdoe99@example.com",),
        addresses=("742 Evergreen Terrace, Springfield",),
    ),
    64: Identifiers(
        customer_names=("Jane Doe", *(f"Zo{chr(97 + i)}l Quint{chr(97 + i)}x" for i in range(19))),
        business_names=tuple(f"Glow {chr(97 + i)}spa Lounge" for i in range(10)),
        customer_emails=tuple(f"box{i}mail@example.com" for i in range(11)),
        customer_phones=tuple(f"512-555-01{i:02d}" for i in range(11)),
        addresses=tuple(f"{100 + i} Oak Street Apt {i}, Springfield" for i in range(12)),
    ),
}
GOALS = {(120, 0): 4.0, (120, 4): 4.0, (120, 8): 4.0, (120, 64): 8.0} | {
    (500, 0): 8.8,
    (500, 4): 8.8,
    (500, 8): 8.8,
    (500, 64): 17.6,
}
"""Ratios. With 8 declared, the first version took 7.9 and 18.5, which was 0.6 and 2.1 ms on a quiet
core; these are 0.3 and 1 ms there, and twice that for 64."""
HOSTILE = {
    "a@a@": "a@",
    "a.a.": "a.",
    "digits": "1",
    "addresses": "12 a a a a st ",
    "braces": "{a}",
    "names": "Will Rose ",
    "handles": "ig is ",
    "dates": "1/1/11 ",
    "houses": "4 at 5 of ",
    "spelled": "one two ",
    "entities": "&#65;",
    "declared": "jane doe will ",
    "phrases": "hot stone long hair ",
}
NOISE = 1.1
"""Ratios of one version differ by this much between runs on a shared machine."""
MOST_TIMES = 3.0
"""What is linear doubles with the text; the third is for the noise of a shared machine."""


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


def reference() -> int:
    """A thousand steps of the interpreter: what words are looked up and counted by."""
    counts: dict[str, int] = {}
    for word in WORDS:
        counts[word] = counts.get(word, 0) + len(word)
    return len(counts)


def against_reference(run: Callable[[], object]) -> tuple[float, float]:
    """CPU milliseconds of one run, and their ratio to the reference: medians of the rounds' best."""
    own: list[float] = []
    ratios: list[float] = []
    for _ in range(ROUNDS):
        known = min(cpu_ms(reference) for _ in range(RUNS // ROUNDS))
        own.append(min(cpu_ms(run) for _ in range(RUNS // ROUNDS)))
        ratios.append(own[-1] / known)
    return statistics.median(own), statistics.median(ratios)


def insights(anonymizer: Anonymizer, console: Console) -> bool:
    """Prints the first table; whether every goal is met."""
    table = Table("characters", "declared", "ms", "ratio", "goal", title="One insight")
    met = True
    for size in (120, 500):
        for count, declared in DECLARED.items():
            subject = insight(PROSE[:size])
            ms, ratio = against_reference(partial(anonymizer.anonymize, subject, declared))
            goal = GOALS.get((size, count))
            met &= goal is None or ratio <= goal * NOISE
            shown = "" if goal is None else f"{goal:.1f}"
            table.add_row(str(size), str(count), f"{ms:.2f}", f"{ratio:.1f}", shown)
    console.print(table)
    return met


def layers(anonymizer: Anonymizer, console: Console) -> None:
    """Prints what each layer takes."""
    spent: defaultdict[str, list[float]] = defaultdict(list)
    plain = dict(anonymizer.layers)
    for name, layer in plain.items():
        anonymizer.layers[name] = timed(layer, spent[name])
    subject = insight(PROSE[:500])
    for _ in range(RUNS):
        anonymizer.anonymize(subject, DECLARED[8])
    anonymizer.layers.update(plain)
    table = Table("layer", "ms an insight", title="Layers, 500 characters, 8 declared")
    for name, values in spent.items():
        table.add_row(name, f"{sum(values) / RUNS:.3f}")
    console.print(table)


def hostile(anonymizer: Anonymizer, console: Console) -> bool:
    """Prints the hostile texts; whether doubling each at most triples its time."""
    table = Table("text", "4 KB, ms", "8 KB, ms", "times", "16 KB, refused", title="Hostile texts")
    linear = True
    for name, unit in HOSTILE.items():
        row: list[float] = []
        for size in (MAXIMUM_TEXT // 2, MAXIMUM_TEXT, 2 * MAXIMUM_TEXT):
            run = partial(anonymizer.anonymize, insight((unit * size)[:size]), DECLARED[8])
            row.append(min(cpu_ms(run) for _ in range(5)))
        linear &= row[1] <= MOST_TIMES * row[0]
        table.add_row(
            name, *(f"{ms:.1f}" for ms in row[:2]), f"{row[1] / row[0]:.1f}", f"{row[2]:.1f}"
        )
    console.print(table)
    return linear


def main() -> int:
    """Measures and prints the three tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    anonymizer, console = Anonymizer.default(), Console()
    met = insights(anonymizer, console)
    layers(anonymizer, console)
    linear = hostile(anonymizer, console)
    return int(check and not (met and linear))


if __name__ == "__main__":
    sys.exit(main())
