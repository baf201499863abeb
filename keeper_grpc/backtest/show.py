"""A backtest as tables for people, or as figures for a program."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from keeper_grpc.backtest.figures import Figures
from keeper_grpc.backtest.run import Backtest
from keeper_grpc.domain.metrics.uplift import Arm

NO_PROOF = (
    "Nobody drew lots here: these rows differ in more than the advice, so the difference is no effect. "
    "What advice brings, only a holdout shows (KEEPER_HOLDOUT_SHARE)."
)


def as_json(found: Backtest) -> dict[str, Any]:
    """The figures; rates are shares, times are UTC."""
    shown = found.figures
    return {
        "learned_rows": found.learned,
        "left_out_rows": found.left_out,
        "accounts": found.accounts,
        "split_time": found.split.isoformat(),
        "later_rows": found.later,
        "asked_rows": shown.asked,
        "advised_rows": shown.proven,
        "authored_rows": shown.authored,
        "not_advised": dict(shown.reasons),
        "advice": [
            {
                "action": each.action,
                "times": each.times,
                "expected_success_rate": each.expected,
                "done": _arm(each.done),
            }
            for each in shown.advice
        ],
        "advice_not_listed": shown.others,
        "done_as_advised": _arm(shown.agreement.advised),
        "done_otherwise": _arm(shown.agreement.held_out),
        "calibration": [
            {"expected_success_rate": each.expected, "happened": _arm(each.happened)}
            for each in shown.bins
        ],
        "judged": _arm(shown.judged),
        "brier": shown.brier,
        "brier_of_average": shown.brier_of_average,
        "lift": shown.lift,
    }


def show(found: Backtest, console: Console) -> None:
    """Print the tables."""
    shown = found.figures
    console.print(
        f"learned from {found.learned:,} rows of {found.accounts:,} accounts until {found.split:%Y-%m-%d}, "
        f"asked about {shown.asked:,} of the {found.later:,} rows after it"
    )
    if found.left_out:
        console.print(
            f"left out: {found.left_out:,} rows that cannot be captured or have no time (keeper import --check says why)"
        )
    if found.accounts <= found.k:
        console.print(
            f"nothing is advised that fewer than {found.k} other owners support, and these are {found.accounts:,} accounts: "
            "add the histories of others with --known"
        )
    console.print(_coverage(shown))
    if shown.advice:
        console.print(_advice(shown))
    if shown.agreement.advised.trials and shown.agreement.held_out.trials:
        low, high = shown.agreement.interval()
        console.print(
            f"done as advised: {_rate(shown.agreement.advised)} succeeded; done otherwise: "
            f"{_rate(shown.agreement.held_out)}; difference {100 * shown.agreement.difference:+.1f} points, "
            f"95% interval {100 * low:+.1f} to {100 * high:+.1f}. {NO_PROOF}"
        )
    if shown.bins:
        console.print(_calibration(shown))
    elif shown.judged.trials:
        console.print(
            f"calibration: {shown.judged.trials:,} rows have an expectation, too few for a table"
        )


def _coverage(shown: Figures) -> Table:
    table = _table("", "")
    table.add_row("rows with proven advice", _part(shown.proven, shown.asked))
    table.add_row("rows with an author's advice, untested", _part(shown.authored, shown.asked))
    for reason, count in shown.reasons:
        table.add_row(f"  nothing proven: {reason.lower().replace('_', ' ')}", f"{count:,}")
    return table


def _advice(shown: Figures) -> Table:
    table = _table(
        "what the network would have advised", "times", "expected", "done", "of these succeeded"
    )
    for each in shown.advice:
        table.add_row(
            each.action,
            f"{each.times:,}",
            f"{each.expected:.0%}",
            f"{each.done.trials:,}",
            _rate(each.done) if each.done.trials else "",
        )
    if shown.others:
        table.add_row(f"and {shown.others:,} others", "", "", "", "")
    return table


def _calibration(shown: Figures) -> Table:
    table = _table(
        "where the network answers with what was done",
        "rows",
        "expected",
        "happened",
        "95% interval",
    )
    for number, each in enumerate(shown.bins, 1):
        low, high = each.happened.interval()
        table.add_row(
            f"part {number} of {len(shown.bins)}",
            f"{each.happened.trials:,}",
            f"{each.expected:.1%}",
            f"{each.happened.rate:.1%}",
            f"{low:.1%} to {high:.1%}",
        )
    if shown.lift is not None:
        table.add_row("best part over the average", "", "", f"{shown.lift:.2f} times", "")
    if shown.brier is not None and shown.brier_of_average is not None:
        table.add_row("mean squared error", "", f"{shown.brier:.3f}", "", "")
        table.add_row(
            "  of always expecting the average", "", f"{shown.brier_of_average:.3f}", "", ""
        )
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first)
    for heading in others:
        table.add_column(heading, justify="right")
    table.show_header = any((first, *others))
    return table


def _part(count: int, whole: int) -> str:
    return f"{count:,} ({count / whole:.0%})" if whole else "0"


def _rate(arm: Arm) -> str:
    return f"{arm.rate:.0%} of {arm.trials:,}"


def _arm(arm: Arm) -> dict[str, int]:
    return {"rows": arm.trials, "successes": arm.successes}
