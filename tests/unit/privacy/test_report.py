"""The labelled set and the figures drawn from it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from keeper_grpc.privacy.evaluation.report import (
    Split,
    labelled_sentences,
    privacy_report,
    render,
    trade_phrases,
)


def test_the_set_is_large_enough_and_its_halves_share_nothing() -> None:
    """At least 300 sentences and 100 phrases a half; nothing of the tuning half is held out."""
    assert len(labelled_sentences("all")) >= 300
    assert len(trade_phrases("held_out")) >= 100
    tuned = {sentence.text for sentence in labelled_sentences("tuning")}
    assert not tuned & {sentence.text for sentence in labelled_sentences("held_out")}
    assert not set(trade_phrases("tuning")) & set(trade_phrases("held_out"))


def test_every_label_is_a_piece_of_its_sentence() -> None:
    """Spans are inside the text, whole words, and do not overlap."""
    for sentence in labelled_sentences("all"):
        end_before = 0
        for _kind, start, end in sentence.spans:
            assert end_before <= start < end <= len(sentence.text)
            assert sentence.text[start:end] == sentence.text[start:end].strip()
            end_before = end


@pytest.mark.parametrize("split", ["tuning", "held_out"])
def test_recall_does_not_fall_below_what_was_published(split: Split) -> None:
    """The floors are the figures of docs/privacy.md; a change that loses names does not land."""
    report = privacy_report(split)
    recall = {kind.kind: kind.recall for kind in report.kinds}
    assert recall["person"] >= 0.97
    assert recall["declared"] == 1.0
    assert recall["address"] >= 0.95
    assert min(recall[kind] for kind in ("phone", "card", "ssn", "ip")) == 1.0
    assert len(report.touched) <= report.phrases * 0.05


def test_the_table_names_every_kind() -> None:
    """What an officer reads has a row for each kind and one for over-masking."""
    report = privacy_report("tuning")
    assert render(report).row_count == len(report.kinds) + 1


@pytest.mark.parametrize("split", ["tuning", "held_out", "all"])
def test_the_command_prints_what_was_measured(split: Split) -> None:
    """`keeper privacy-report --json` gives the counts, and no sentence of the set."""
    wanted = split.replace("_", "-")
    printed = subprocess.run(
        [sys.executable, "-m", "keeper_grpc.cli", "privacy-report", "--split", wanted, "--json"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    told = json.loads(printed)
    measured = privacy_report(split)
    assert told["sentences"] == measured.sentences
    assert told["phrases_touched"] == len(measured.touched)
    assert {kind: row["masked"] for kind, row in told["kinds"].items()} == {
        kind.kind: kind.masked for kind in measured.kinds
    }
    assert not any(line.partition(": ")[2] in printed for line in measured.left)


def test_the_command_draws_a_table() -> None:
    """Without --json an officer reads a table with a row a kind."""
    printed = subprocess.run(
        [sys.executable, "-m", "keeper_grpc.cli", "privacy-report"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for kind in privacy_report("all").kinds:
        assert kind.kind in printed
    assert "trade phrases touched" in printed
