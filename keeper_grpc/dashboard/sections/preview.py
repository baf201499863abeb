"""The steps of a preview: masked, found, answered."""

from __future__ import annotations

from nicegui import html

from keeper_grpc.dashboard.filters import words
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.markup import Cell, Column, Row, Table
from keeper_grpc.dashboard.look.masks import plainly
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import AnonymizationReport
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightResponse,
    PreviewInsightResponse,
)

_WHY = {
    EnhanceInsightResponse.NO_MATCH_REASON_UNSPECIFIED: "",
    EnhanceInsightResponse.NO_MATCH_REASON_NO_PATTERNS: "no pattern of this type and line of business is published",
    EnhanceInsightResponse.NO_MATCH_REASON_NOTHING_SIMILAR: "about something else",
    EnhanceInsightResponse.NO_MATCH_REASON_TOO_FEW_OCCURRENCES: "too few cases",
    EnhanceInsightResponse.NO_MATCH_REASON_SUCCESS_RATE_TOO_LOW: "succeeds too rarely here",
    EnhanceInsightResponse.NO_MATCH_REASON_PATTERN_FADING: "works less often of late",
    EnhanceInsightResponse.NO_MATCH_REASON_HARMFUL: "does harm",
}


class Preview:
    """Hidden until there is something to show."""

    def __init__(self) -> None:
        with html.ol().classes("steps") as self._steps:
            with html.li().classes("card"):
                Text("h2", "Masked")
                Text("p", "What the network reads, and all that it would ever keep.", "meaning")
                self._read = Text("blockquote")
                self._facts = Text("p")
                self._masked = Text("p", "", "basis")
            with html.li().classes("card"):
                Text("h2", "Found")
                Text("p", "Published patterns that were considered, the best first.", "meaning")
                self._found = Table(
                    "Patterns that were considered",
                    [
                        Column("Pattern", "wide"),
                        Column("Similarity", "number"),
                        Column("Expected here", "number"),
                        Column("Score", "number"),
                    ],
                    "None.",
                )
            with html.li().classes("card"):
                Text("h2", "Answered")
                self._answer = Text("blockquote")
                self._why = Text("p")
                self._sure = Text("p", "", "basis")
        self._steps.set_visibility(False)

    def hide(self) -> None:
        """Show nothing."""
        self._steps.set_visibility(False)

    def show(self, found: PreviewInsightResponse) -> None:
        """Show one preview."""
        enhanced = found.enhanced_insight
        read = enhanced.insight
        self._read.text = read.action or "No action: the network is asked for one."
        facts = "; ".join(
            f"{words(name)}: {figures.fact(value)}"
            for name, value in sorted(read.conditions.items())
        )
        self._facts.text = f"When {facts}" if facts else "No condition is kept."
        self._masked.text = _masked(found.anonymization)
        self._found.show(map(_row, found.candidates))
        self._answer.text = plainly(enhanced.suggested_approach) or "No advice"
        self._why.text = _explained(found)
        self._sure.text = (
            f"Confidence rises from {figures.share(enhanced.base_confidence)} to {figures.share(enhanced.confidence)}."
            if enhanced.network_enhanced
            else ""
        )
        self._steps.set_visibility(True)


def _row(candidate: PreviewInsightResponse.Candidate) -> Row:
    failed = _WHY.get(candidate.failed, "")
    return Row(
        candidate.pattern_id,
        [
            Cell(
                plainly(candidate.action),
                words(candidate.business_category),
                f"patterns/{candidate.pattern_id}",
            ),
            Cell(f"{candidate.similarity:.2f}"),
            Cell(
                figures.share(candidate.expected_success_rate),
                f"at least {figures.share(candidate.lower_bound)}",
            ),
            Cell(figures.NOTHING, failed) if failed else Cell(f"{candidate.score:.2f}"),
        ],
    )


def _explained(found: PreviewInsightResponse) -> str:
    enhanced = found.enhanced_insight
    if enhanced.network_enhanced or enhanced.HasField("authored_advice"):
        return " ".join(
            map(_sentence, filter(None, (enhanced.network_context, enhanced.explanation)))
        )
    return f"Nothing is advised: {_WHY.get(found.no_match_reason, '')}."


def _sentence(text: str) -> str:
    """The text with a full stop: the service's own lines have none, and stand beside each other here."""
    whole = text[0].upper() + text[1:]
    return whole if whole.endswith((".", "!", "?")) else f"{whole}."


def _masked(report: AnonymizationReport) -> str:
    """What was replaced and removed, in a sentence."""
    parts = [
        f"{count} \N{MULTIPLICATION SIGN} {words(kind)}"
        for kind, count in sorted(report.masked.items())
    ]
    dropped = [f"{each.field} ({words(each.reason.lower())})" for each in report.dropped]
    if not parts and not dropped:
        return "Nothing had to be masked."
    masked = f"Masked: {', '.join(parts)}. " if parts else ""
    return f"{masked}{'Left out: ' + ', '.join(dropped) + '.' if dropped else ''}".strip()
