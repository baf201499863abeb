"""The files in deploy/ that ask for metrics: alert rules and a dashboard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from tests.rpc.telemetry.exported import PAGE, documented
from tests.rpc.telemetry.label_values import VALUES
from tests.rpc.telemetry.scraped import Scraped

REPOSITORY = Path(__file__).parents[3]
RULES = REPOSITORY / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = REPOSITORY / "deploy" / "grafana" / "keeper.json"

ADDED_BY_PROMETHEUS = {"job", "instance"}


def rules() -> list[dict[str, Any]]:
    """The alert rules."""
    return [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels that show something."""
    board = json.loads(DASHBOARD.read_text())
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def parsed(expression: str) -> Any:
    """An expression as PromQL, with Grafana's variables filled in. Raises ValueError."""
    return promql.parse(expression.replace("$__rate_interval", "5m"))


def nodes(expression: str) -> list[Any]:
    """Every part of an expression. What the parser's walk goes past, a range's selector, is added."""
    found: list[Any] = []
    promql.walk(parsed(expression), found.append)
    found += [node.vector_selector for node in found if isinstance(node, promql.MatrixSelector)]
    return found


def expressions() -> Iterator[Any]:
    """Every expression of both files."""
    for rule in rules():
        yield pytest.param(rule["expr"], id=rule["alert"])
    for panel in panels():
        for target in panel["targets"]:
            yield pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")


@pytest.mark.parametrize("expression", list(expressions()))
async def test_an_expression_asks_for_what_is_exported(scraped: Scraped, expression: str) -> None:
    """It parses; its metrics and labels are a server's; what it compares labels with can be."""
    exported = scraped.exported
    selectors = {str(n): n for n in nodes(expression) if isinstance(n, promql.VectorSelector)}
    assert selectors
    known = set(ADDED_BY_PROMETHEUS)
    for selector in selectors.values():
        assert selector.name in exported.series
        labels = exported.labels(selector.name) | ADDED_BY_PROMETHEUS
        known |= labels
        for matcher in selector.matchers.matchers:
            assert matcher.name in labels
            if matcher.name not in ADDED_BY_PROMETHEUS:
                assert compares_with_something(matcher)
    for node in nodes(expression):
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            assert set(node.modifier.labels) <= known


def compares_with_something(matcher: Any) -> bool:
    """Whether each value that a matcher names is one that the label may have."""
    values = VALUES[matcher.name]
    if matcher.op in (promql.MatchOp.Equal, promql.MatchOp.NotEqual):
        return matcher.value in values
    return all(
        any(re.fullmatch(choice, value) for value in values) for choice in matcher.value.split("|")
    )


def test_the_parser_finds_what_is_wrong() -> None:
    """The checks above rest on these: an expression with an error, and the parts of a good one."""
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        parsed("sum(rate(keeper_captures_total[5m])")
    names = {
        node.name
        for node in nodes("sum by (le) (rate(a_bucket[5m])) / on () b > 1 or absent(c == 1)")
        if isinstance(node, promql.VectorSelector)
    }
    assert names == {"a_bucket", "b", "c"}


def test_every_metric_is_on_the_dashboard() -> None:
    """What is not looked at need not be measured."""
    shown = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    assert [name for name in documented() if name not in shown] == []


def test_the_dashboards_panels_stand_beside_each_other() -> None:
    """Every panel has an id and a place of its own, within Grafana's 24 columns."""
    board = json.loads(DASHBOARD.read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        grid = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
    variables = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)\}?", DASHBOARD.read_text())) - {"__rate_interval"}
    assert used == variables


def anchors() -> set[str]:
    """The headings of the page as links to them end."""
    headings = re.findall(r"^#+ (.+)$", PAGE.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in rules()])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    """Well-formed, with a severity, a summary whose labels exist, and a runbook that is there."""
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Keeper[A-Za-z]+", rule["alert"])
    assert promql.parse_duration(rule.get("for", "1s"))
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"].keys() == {"summary", "runbook"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert REPOSITORY / page == PAGE
    assert anchor == rule["alert"].lower()
    assert anchor in anchors()
    summary = rule["annotations"]["summary"]
    assert summary.endswith(".")
    # A label that the expression aggregates away would be an empty word.
    kept = [
        set(node.modifier.labels if node.modifier else ())
        for node in nodes(rule["expr"])
        if isinstance(node, promql.AggregateExpr)
    ]
    for label in re.findall(r"\$labels\.(\w+)", summary):
        assert all(label in labels for labels in kept)


def coded() -> list[str]:
    """The series by the code with which calls, streams and questions ended."""
    return [
        f"{name}_count" if kind == "histogram" else name
        for name, (kind, labels) in documented().items()
        if "code" in labels
    ]


@pytest.mark.parametrize("series", coded())
def test_a_defect_is_seen_wherever_it_ends_something(series: str) -> None:
    """Its increase, and where the series begins with it, that it is there and was not."""
    (rule,) = [rule for rule in rules() if rule["alert"] == "KeeperDefect"]
    found = nodes(rule["expr"])
    increases = [node.vector_selector for node in found if isinstance(node, promql.MatrixSelector)]
    begins: list[tuple[Any, Any]] = [
        (node.lhs, node.rhs)
        for node in found
        if isinstance(node, promql.BinaryExpr) and str(node.op) == "unless"
    ]
    assert [selector.name for selector in increases].count(series) == 1
    assert [(lhs.name, rhs.name) for lhs, rhs in begins].count((series, series)) == 1
    assert all(rhs.offset and not lhs.offset for lhs, rhs in begins)
    for selector in (*increases, *(side for pair in begins for side in pair)):
        assert [(m.name, m.value) for m in selector.matchers.matchers] == [
            ("code", "UNKNOWN|INTERNAL")
        ]


def test_alerts_have_names_of_their_own() -> None:
    """Two alerts of one name would be one to whoever silences it."""
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
