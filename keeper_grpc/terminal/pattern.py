"""`keeper pattern ID`: one pattern's evidence, scripts and history, or with `--support` who stands behind it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC

from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from keeper_grpc.client import KeeperClient
from keeper_grpc.client.basis import IN_ALL_SITUATIONS
from keeper_grpc.client.harms import harms
from keeper_grpc.client.triggers import AUTHORED, LEARNED, lead_time, lift, precision
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import GetPatternSupportResponse
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetPatternResponse
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Evidence, Pattern
from keeper_grpc.terminal.client_command import declare_client_command
from keeper_grpc.terminal.output.adoption import TOO_FEW, dismissed_because, funnel
from keeper_grpc.terminal.output.as_json import document, history_json, message_json
from keeper_grpc.terminal.output.claim import claimed
from keeper_grpc.terminal.output.evidence import (
    accounts,
    at_least,
    belief,
    cases,
    known,
    revenue,
    sentence,
    success,
)
from keeper_grpc.terminal.output.plain import plain
from keeper_grpc.terminal.output.quantities import NOT_ENOUGH_DATA
from keeper_grpc.terminal.output.screen import Screen


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    declare_client_command(command, _pattern)
    command.add_argument("pattern_id", metavar="ID", help="as `keeper patterns` shows it")
    command.add_argument(
        "--support",
        action="store_true",
        help="for operators: how many owners and accounts stand behind it, published or not",
    )


async def _pattern(client: KeeperClient, parsed: argparse.Namespace) -> None:
    if parsed.support:
        support = await client.get_pattern_support(parsed.pattern_id)
        print(document(message_json(support)) if parsed.json else supported(support))
        return
    answer = await client.get_pattern_history(parsed.pattern_id)
    if parsed.json:
        print(document(history_json(answer)))
    else:
        Screen().print(shown(answer))


def shown(answer: GetPatternResponse) -> RenderableType:
    """Print the pattern, its scripts and its history."""
    pattern = answer.pattern
    return Group(
        Text(plain(pattern.action), style="bold"),
        Text(),
        _facts(pattern),
        Text(),
        Text("what became of its advice", style="bold"),
        _adoption(answer),
        Text(),
        Text("scripts", style="bold"),
        _scripts(answer.scripts),
        Text(),
        Text("when it is suggested", style="bold"),
        _triggers(answer),
        Text(),
        Text("where it works", style="bold"),
        _where(answer.facts),
        Text(),
        Text("history", style="bold"),
        _history(answer.history),
    )


def supported(support: GetPatternSupportResponse) -> str:
    """The counts in one line; accounts that do not count yet only where there are any."""
    parts = [
        "published" if support.published else "not published",
        f"{_counted(support.owner_count, 'owner')}, {_counted(support.account_count, 'account')}",
    ]
    if support.waiting_account_count:
        parts.append(f"{_counted(support.waiting_account_count, 'more account')} waiting to count")
    return "; ".join(parts)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _facts(pattern: Pattern) -> RenderableType:
    facts = Table(box=None, pad_edge=False, show_header=False)
    facts.add_row("id", plain(pattern.pattern_id))
    facts.add_row("type", plain(pattern.pattern_type))
    facts.add_row("category", plain(pattern.business_category))
    facts.add_row("when", _conditions(pattern) or "always")
    facts.add_row("evidence", sentence(pattern.evidence))
    if known(pattern.evidence):
        facts.add_row("basis", IN_ALL_SITUATIONS)
    facts.add_row("state", _state(pattern))
    if pattern.crossed_guardrails:
        facts.add_row("not advised", harms(pattern))
    facts.add_row("revenue", revenue(pattern.evidence))
    facts.add_row("prior", belief(pattern.prior))
    if pattern.HasField("author_claim"):
        facts.add_row("author claims", claimed(pattern.author_claim) or "no figures")
    if pattern.author_claim.follow_up_action:
        facts.add_row("afterwards", plain(pattern.author_claim.follow_up_action))
    if pattern.author_claim.reason:
        facts.add_row("reason", plain(pattern.author_claim.reason))
    for guardrail in pattern.author_claim.guardrails:
        facts.add_row("guardrail", plain(guardrail))
    told = known(pattern.evidence)
    facts.add_row("discovered", _date(pattern.first_discovered_time) if told else NOT_ENOUGH_DATA)
    facts.add_row("validated", _date(pattern.last_validated_time) if told else NOT_ENOUGH_DATA)
    return facts


def _state(pattern: Pattern) -> str:
    if pattern.HasField("author_claim") and not known(pattern.evidence):
        return "authored, untested here: offered where nothing proven fits"
    if pattern.state != Pattern.STATE_FADING:
        return "active"
    return "fading: works less often of late, and is not applied until it recovers"


def _adoption(answer: GetPatternResponse) -> RenderableType:
    """The funnel in one line, and below it why advice was dismissed."""
    if not answer.HasField("adoption"):
        return Text(TOO_FEW)
    lines = funnel(answer.adoption), dismissed_because(answer.adoption)
    return Text("\n".join(line for line in lines if line))


def _scripts(scripts: Sequence[GetPatternResponse.Script]) -> RenderableType:
    if not scripts:
        return Text("no wording was used by enough accounts")
    return _by_evidence("wording", [(each.evidence, each.template) for each in scripts])


def _triggers(answer: GetPatternResponse) -> RenderableType:
    """The author's condition and those that outcomes taught, each with who says it."""
    if not answer.authored_trigger and not answer.learned_triggers:
        return Text("no author wrote a condition, and outcomes have taught none")
    table = _table("by", "precision", "lift", "lead time", "cases", "accounts", "where")
    if answer.authored_trigger:
        table.add_row(AUTHORED, "", "", "", "", "", plain(answer.authored_trigger))
    for trigger in answer.learned_triggers:
        table.add_row(
            LEARNED,
            precision(trigger),
            lift(trigger),
            lead_time(trigger),
            f"{trigger.case_count:,}",
            f"{trigger.account_count:,}",
            plain(trigger.condition),
        )
    return table


def _where(facts: Sequence[GetPatternResponse.Fact]) -> RenderableType:
    if not facts:
        return Text("no condition was observed by enough accounts")
    return _by_evidence(
        "when", [(each.evidence, f"{each.key}: {MessageToDict(each.value)}") for each in facts]
    )


def _by_evidence(what: str, rows: Sequence[tuple[Evidence, str]]) -> Table:
    table = _table("success", "at least", "cases", "accounts", what)
    for evidence, text in rows:
        table.add_row(
            success(evidence), at_least(evidence), cases(evidence), accounts(evidence), plain(text)
        )
    return table


def _history(periods: Sequence[GetPatternResponse.Period]) -> RenderableType:
    if not periods:
        return Text(f"{NOT_ENOUGH_DATA} for any period")
    table = _table("from", "until", "cases", "succeeded", "success")
    for period in periods:
        rate = (
            f"{period.success_count / period.occurrence_count:.0%}"
            if period.occurrence_count
            else NOT_ENOUGH_DATA
        )
        table.add_row(
            _date(period.start_time),
            _date(period.end_time),
            f"{period.occurrence_count:,}",
            f"{period.success_count:,}",
            rate,
        )
    return table


def _conditions(pattern: Pattern) -> str:
    conditions = MessageToDict(pattern.conditions)
    return ", ".join(plain(f"{name}: {value}") for name, value in sorted(conditions.items()))


def _date(time: Timestamp) -> str:
    return f"{time.ToDatetime(UTC):%Y-%m-%d}"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        words = column in {"wording", "when", "where", "by", "from", "until"}
        table.add_column(column, justify="left" if words else "right")
    return table
