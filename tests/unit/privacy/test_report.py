"""The labelled set and the figures drawn from it."""

from __future__ import annotations

import functools
import json
import os

import pytest

from keeper_grpc.privacy.evaluation.labelled import (
    Split,
    foreign_texts,
    grids,
    labelled_sentences,
    phrases,
)
from keeper_grpc.privacy.evaluation.report import (
    GOALS,
    Measure,
    PrivacyReport,
    privacy_report,
    render,
)
from tests import program

PHRASES = ("trade", "front_desk_phrases", "place_services")


@functools.cache
def report_of(split: Split) -> PrivacyReport:
    """The report, measured once."""
    return privacy_report(split)


def test_the_sets_are_large_enough_and_their_halves_share_nothing() -> None:
    """Hundreds of sentences and phrases; nothing of a tuning half is held out."""
    assert len(labelled_sentences("all")) >= 300
    assert len(labelled_sentences("all", "front_desk")) >= 300
    assert len(foreign_texts()) >= 50
    for name in ("", "front_desk"):
        tuned = {sentence.text for sentence in labelled_sentences("tuning", name)}
        assert not tuned & {sentence.text for sentence in labelled_sentences("held_out", name)}
    for name in PHRASES:
        assert not set(phrases("tuning", name)) & set(phrases("held_out", name))
    tuned = {sentence.text for _, sentence in grids("tuning")}
    assert not tuned & {sentence.text for _, sentence in grids("held_out")}


def test_every_label_is_a_piece_of_its_sentence() -> None:
    """Spans are inside the text, whole words, and do not overlap."""
    sentences = (
        *labelled_sentences("all"),
        *labelled_sentences("all", "front_desk"),
        *(sentence for _, sentence in grids("all")),
    )
    for sentence in sentences:
        end_before = 0
        for _kind, start, end in sentence.spans:
            assert end_before <= start < end <= len(sentence.text)
            assert sentence.text[start:end] == sentence.text[start:end].strip()
            end_before = end


@pytest.mark.parametrize("split", ["tuning", "held_out"])
def test_no_figure_falls_below_what_was_published(split: Split) -> None:
    """The floors are the figures of docs/privacy.md; a change that loses names does not land."""
    report = report_of(split)
    share = {measure.name: measure.share for measure in report.masked}
    for name, floor in FLOORS.items():
        assert share[name] >= floor, name
    for measure in report.touched:
        assert measure.share <= MOST_TOUCHED[split], measure.name


MOST_TOUCHED = {"tuning": 0.05, "held_out": 0.1}

FLOORS = {name: 1.0 for name in GOALS if name.startswith("declared")} | {
    "person": 0.97,
    "address": 0.95,
    "phone": 1.0,
    "card": 1.0,
    "ssn": 1.0,
    "ip": 1.0,
}


def test_an_interval_holds_its_share_and_narrows_with_the_cases() -> None:
    """A figure of few cases says little, and the report shows it."""
    few, many = Measure("few", 9, 10), Measure("many", 900, 1_000)
    for measure in (few, many):
        low, high = measure.interval
        assert low <= measure.share <= high
    assert few.interval[1] - few.interval[0] > 4 * (many.interval[1] - many.interval[0])


def test_the_table_has_a_row_for_every_figure() -> None:
    """What an officer reads: what must go, what must stay, and each language."""
    report = report_of("tuning")
    rows = len(report.masked) + len(report.touched) + len(report.languages)
    assert render(report).row_count == rows


def test_other_languages_are_counted_whole() -> None:
    """Each text was dropped, or masked, or a name is left."""
    for language in report_of("tuning").languages:
        assert language.dropped + language.masked + language.leaked == language.texts


@pytest.mark.parametrize("split", ["tuning", "held_out"])
def test_the_command_prints_what_was_measured(split: Split) -> None:
    """`keeper privacy-report --json` gives the counts, and no sentence of the sets."""
    wanted = split.replace("_", "-")
    printed = program.run(["privacy-report", "--split", wanted, "--json"], env=os.environ).stdout
    told = json.loads(printed)
    measured = report_of(split)
    assert told["sentences"] == measured.sentences
    for part, measures in (("masked", measured.masked), ("touched", measured.touched)):
        assert {name: row["count"] for name, row in told[part].items()} == {
            measure.name: measure.count for measure in measures
        }
    assert not any(line.partition(": ")[2] in printed for line in measured.left)


def test_the_command_draws_a_table() -> None:
    """Without --json an officer reads a table with a row for every figure."""
    printed = program.run(
        ["privacy-report", "--split", "tuning"], env={**os.environ, "COLUMNS": "200"}
    ).stdout
    for measure in (*report_of("tuning").masked, *report_of("tuning").touched):
        assert measure.name in printed
