"""What `keeper uplift` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from keeper_grpc.storage.metrics.uplift import Measured

HOW_TO_READ = (
    "Uplift: every outcome counts in the arm that chance assigned (intention to treat). Where followed: the uplift "
    "divided by the share of\nadvice that was followed (as treated; assumes that advice changes nothing where it is not "
    "followed, and that the held out do not\nfollow it). The questions of one owner are one cluster. Each interval may be "
    "read every day. Of twenty rows one may miss: the proof is the\nrow of all."
)


def uplift_table(measured: Mapping[tuple[str, str], Measured]) -> Table:
    """Each business category and type, and all together, with the uplift as assigned and where advice is followed."""
    table = Table(
        "category",
        "type",
        "succeeded of advised",
        "of held out",
        "questions with an outcome",
        "owners",
        "uplift",
        "95% interval at every look",
        "followed",
        "where followed",
        "95% interval at every look",
    )
    for (category, kind), found in measured.items():
        shown = found.experiment
        if not category:
            table.add_section()
        table.add_row(
            category or "all",
            kind,
            f"{shown.advised.successes} of {shown.advised.trials}",
            f"{shown.held_out.successes} of {shown.held_out.trials}",
            f"{shown.advised.trials} of {found.advised_questions}, "
            f"{shown.held_out.trials} of {found.held_out_questions}",
            str(shown.owners),
            _points(shown.difference),
            _interval(shown.interval),
            f"{shown.followed.trials} of {shown.advised.trials}",
            _points(shown.as_treated.effect),
            _interval(shown.as_treated.interval),
        )
    return table


def uplift_json(measured: Mapping[tuple[str, str], Measured]) -> list[dict[str, Any]]:
    """The same for programs: rates and intervals as shares; null where nothing is known. All together comes last, with
    an empty category and type.
    """
    return [
        {
            "business_category": category,
            "pattern_type": kind,
            "advised_questions": found.advised_questions,
            "held_out_questions": found.held_out_questions,
            "advised_count": shown.advised.trials,
            "advised_success_count": shown.advised.successes,
            "held_out_count": shown.held_out.trials,
            "held_out_success_count": shown.held_out.successes,
            "owner_count": shown.owners,
            "difference": shown.difference,
            "difference_interval": shown.interval,
            "followed_count": shown.followed.trials,
            "as_treated": shown.as_treated.effect,
            "as_treated_interval": shown.as_treated.interval,
        }
        for (category, kind), found in measured.items()
        for shown in [found.experiment]
    ]


def _points(difference: float | None) -> str:
    return "-" if difference is None else f"{100 * difference:+.1f} points"


def _interval(interval: tuple[float, float]) -> str:
    return f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}"
