"""The privacy promises, and the evidence that they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from nicegui import html

from keeper_grpc.dashboard.filters import words
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.markup import Cell, Column, Row, Table
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.sections.notice import Notice
from keeper_grpc.dashboard.upstream.feed import Fetched
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import AuditEvent
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern

_PROMISES = {
    "Only what several accounts share": (
        "Nothing is shown below k distinct accounts (3 unless the operator chose more): no "
        "pattern, no script, no emerging pattern, and no number of a window in which fewer were "
        "active."
    ),
    "Anonymous before it is stored": (
        "Names, numbers, addresses and links are taken out of every text before it is embedded, "
        "logged or kept. A text that cannot be vouched for is dropped."
    ),
    "No account here": (
        "Accounts are stored as keyed hashes. This page knows none of them and needs no account: "
        "what it shows of the network, the service answers to everyone."
    ),
    "To forget is possible": (
        "When an account leaves, what came from it is removed and everything it was part of is "
        "counted anew. That it was done is listed below; how much was removed is that account's own."
    ),
}


class PrivacyPanel:
    """The promises, the least support of anything published, and the audit events."""

    def __init__(self) -> None:
        with html.ul().classes("promises"):
            for title, text in _PROMISES.items():
                with html.li():
                    Text("h3", title)
                    Text("p", text)
        self._least = Text("p", "", "least")
        Text("h3", "What operators did")
        self._notice = Notice("The list of what operators did")
        self._table = Table(
            "What operators did, the latest first",
            [Column("When", "whole"), Column("What", "wide")],
            "Nothing has been done to accounts or patterns.",
        )

    def show_patterns(self, patterns: Sequence[Pattern]) -> None:
        """Show the smallest number of accounts behind anything published."""
        support = [p.evidence.account_count for p in patterns if p.evidence.account_count]
        self._least.text = (
            f"Of the {len(support):,} patterns read for this page, the one that the fewest accounts "
            f"support rests on {min(support):,} of them."
            if support
            else ""
        )

    def show_audit(self, feed: Fetched[Sequence[AuditEvent]]) -> None:
        """Show the latest audit events."""
        self._notice.show(feed.problem, known=feed.value is not None)
        if feed.value is not None:
            self._table.show(
                _row(list(alike)) for _, alike in groupby(feed.value, lambda event: event.action)
            )


def _row(alike: Sequence[AuditEvent]) -> Row:
    """Events of one kind in a row, the latest first, without their counts: those of a forgotten account describe it."""
    latest, earliest = alike[0], alike[-1]
    note = ""
    if len(alike) > 1:
        note = f"{len(alike)} times since {figures.at(earliest.event_time)}"
    return Row(
        latest.audit_event_id,
        [Cell(figures.at(latest.event_time)), Cell(words(latest.action), note)],
    )
