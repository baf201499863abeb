"""The timeline as a table, for a terminal and for Markdown."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Kpi, Metric, NetworkMetrics
from keeper_grpc.simulation.measures.ceilings import Reach
from keeper_grpc.simulation.measures.knowledge import MUCH
from keeper_grpc.simulation.measures.marginal import Marginal
from keeper_grpc.simulation.measures.report import Report, StageReport
from keeper_grpc.simulation.measures.value import DEFINITIONS, PRIMARY, Value
from keeper_grpc.simulation.show.reversals import reversals_of_worlds, reversals_sheets
from keeper_grpc.simulation.show.sheet import NOTHING, Sheet, percent, points

_UNKNOWN = "not enough data"
_DAY = 86_400
"""Seconds."""


def sheets(report: Report) -> list[Sheet]:
    """All tables of a run."""
    pages = [_timeline(report), _reach(report), _truth(report), _value(report), _own_words(report)]
    if report.claims:
        pages.append(_claims(report))
    if report.reversals:
        pages += reversals_sheets(report.reversals)
    return pages if report.marginal is None else [*pages, _marginal(report.marginal)]


def worlds_sheets(reports: Sequence[Report]) -> list[Sheet]:
    """All tables of several worlds together."""
    turned = [report.reversals for report in reports if report.reversals]
    return [_worlds_sheet(reports), *(reversals_of_worlds(turned) if turned else ())]


def _worlds_sheet(reports: Sequence[Report]) -> Sheet:
    """Several worlds at their last size, and their totals."""
    stages = [report.stages[-1] for report in reports]
    together = _together(stages)
    return Sheet(
        f"{len(reports)} worlds at {stages[0].stage.customers} customers",
        ["", "promised", *(f"seed {report.parameters.seed}" for report in reports), "together"],
        [
            ["newcomers", "", *(f"{each.newcomers:,}" for each in stages), together["newcomers"]],
            *(
                [name, aim, *(tell(each) for each in stages), together.get(name, "")]
                for name, aim, tell in (*_TIMELINE, *_REACH, *_TRUTH)
            ),
        ],
    )


def _together(stages: Sequence[StageReport]) -> Mapping[str, str]:
    """Totals over all worlds, each insight and each newcomer counted equally."""
    value = functools.reduce(Value.pooled, (stage.value[PRIMARY] for stage in stages))

    def pooled(share: Callable[[StageReport], float | None]) -> float | None:
        known = [(stage.growth.questions, share(stage)) for stage in stages]
        counted = [(count, each) for count, each in known if each is not None]
        asked = sum(count for count, _ in counted)
        return sum(count * each for count, each in counted) / asked if asked else None

    better, alone = pooled(lambda s: s.growth.success), pooled(lambda s: s.growth.success_alone)
    return {
        "newcomers": f"{sum(stage.newcomers for stage in stages):,}",
        "insights measured": f"{sum(stage.growth.questions for stage in stages):,}",
        "insights enhanced": percent(pooled(lambda s: s.growth.enhanced)),
        "success with the network": percent(better),
        "success of the same insights without it": percent(alone),
        "so much better, relatively": _relative(better, alone),
        "days to value without the network": _days(value.alone, value.watched),
        "days to value with it": _days(value.networked, None),
        "times sooner": _times(value),
    }


def _relative(better: float | None, base: float | None) -> str:
    return f"{better / base - 1:+.1%}" if better is not None and base else NOTHING


_Row = tuple[str, str, Callable[[StageReport], str]]

_TIMELINE: Sequence[_Row] = (
    (
        "patterns made",
        "10: ~100, 50: ~1,000, 200: ~10,000",
        lambda s: f"{s.knowledge.patterns:,}",
    ),
    (
        "distinct (category, action) that anyone had tried: the truth",
        "",
        lambda s: f"{s.knowledge.tried:,}",
    ),
    ("of these found, in a pattern of their own", "", lambda s: f"{s.knowledge.found:,}"),
    ("patterns published", "", lambda s: f"{s.knowledge.published:,}"),
    ("insights measured", "", lambda s: f"{s.growth.questions:,}"),
    ("insights enhanced", "200: 90%", lambda s: percent(s.growth.enhanced)),
    ("mean confidence of those", "50: 80%", lambda s: percent(s.growth.confidence)),
    ("insights answered by an author, untested", "", lambda s: percent(s.growth.authored)),
    (
        "of those enhanced, from another category",
        "50: some",
        lambda s: percent(s.growth.elsewhere),
    ),
    ("success with the network", "", lambda s: percent(s.growth.success)),
    ("success of the same insights without it", "", lambda s: percent(s.growth.success_alone)),
    (
        "so much better, relatively",
        "+20%",
        lambda s: _relative(s.growth.success, s.growth.success_alone),
    ),
    (
        "uplift of advice, followed or not, by the holdout",
        "",
        lambda s: (
            f"{points(s.growth.uplift.difference)} "
            f"({points(s.growth.uplift.interval[0])} to {points(s.growth.uplift.interval[1])})"
            if s.growth.uplift.difference is not None
            else NOTHING
        ),
    ),
    ("the same, in truth", "", lambda s: points(s.growth.true_uplift)),
    (
        "days to value without the network",
        "",
        lambda s: _days(s.value[PRIMARY].alone, s.value[PRIMARY].watched),
    ),
    ("days to value with it", "", lambda s: _days(s.value[PRIMARY].networked, None)),
    ("times sooner", "200: 3x", lambda s: _times(s.value[PRIMARY])),
)

_REACH: Sequence[_Row] = (
    (
        "of the insights, those that an oracle would enhance, and were",
        "200: 90%",
        lambda s: _reached(s.ceilings.enhanced, percent),
    ),
    (
        "the same, answered by proven or by an author's advice",
        "10: 80%",
        lambda s: _reached(s.ceilings.answered, percent),
    ),
    (
        "the same, in the first call of an account",
        "10: 80%",
        lambda s: _reached(s.ceilings.first, percent),
    ),
    (
        "advice where nothing truly works in 60% of the cases",
        "none",
        lambda s: percent(s.ceilings.in_vain),
    ),
    ("success of all insights", "", lambda s: _reached(s.ceilings.success, percent)),
    ("success so much better", "+20%", lambda s: _reached(s.ceilings.better, _more)),
    ("sooner than alone", "200: 3x", lambda s: _reached(s.ceilings.sooner, _factor)),
    ("mean confidence of advice", "50: 80%", lambda s: _reached(s.ceilings.confidence, percent)),
    ("true success rate of advice", "", lambda s: _reached(s.ceilings.advice, percent)),
    (
        "distinct truths that have a pattern of their own",
        "10: ~100, 50: ~1,000, 200: ~10,000 patterns",
        lambda s: _reached(s.ceilings.patterns, _count),
    ),
    (
        "the least share of a ceiling: enhanced, better, sooner",
        "85%",
        lambda s: NOTHING if s.ceilings.least is None else f"{s.ceilings.least:.0%}",
    ),
)

_TRUTH: Sequence[_Row] = (
    ("true success rate of advice", "", lambda s: percent(s.growth.advised_chance)),
    ("true success rate of authored advice", "", lambda s: percent(s.growth.authored_chance)),
    ("what authors claim is off by, on average", "0", lambda s: points(s.growth.claims_off)),
    ("of the best advice there could be", "", lambda s: percent(s.growth.best_chance)),
    ("advice is the best action of all", "", lambda s: percent(s.growth.best_found)),
    (
        "what accounts did was the best action of all",
        "",
        lambda s: percent(s.growth.own_best),
    ),
    (
        "its script says another action than its pattern",
        "0%",
        lambda s: percent(s.growth.script_differs),
    ),
    ("expected success rate is off by, on average", "0", lambda s: points(s.growth.bias)),
    ("and in absolute terms", "", lambda s: _plain_points(s.growth.error)),
    (
        "published success rates are off by, in absolute terms",
        "",
        lambda s: _plain_points(s.knowledge.rate_error),
    ),
    (
        "published lower bounds lie below the truth",
        "95%",
        lambda s: percent(s.knowledge.bound_holds),
    ),
    (
        "outcomes counted for a pattern of another action",
        "0%",
        lambda s: percent(s.knowledge.misplaced),
    ),
    (
        "proven scripts that are truly the best (33% by chance)",
        "",
        lambda s: (
            f"{percent(s.knowledge.best_script)} of {s.knowledge.scripts}"
            if s.knowledge.scripts
            else NOTHING
        ),
    ),
    (
        f"of patterns with {MUCH} outcomes, and what an oracle of allocation could expect",
        "75%",
        lambda s: (
            f"{percent(s.knowledge.best_tried)} of {s.knowledge.tried_scripts}, "
            f"{percent(s.knowledge.best_script_ceiling)}"
            if s.knowledge.tried_scripts
            else NOTHING
        ),
    ),
    (
        "success that exploring was expected to cost a question",
        "at most 2 points",
        lambda s: f"{100 * s.knowledge.exploration_loss:.2f} points",
    ),
)


_METRICS: Sequence[tuple[str, Callable[[NetworkMetrics], Metric]]] = (
    ("questions enhanced", lambda metrics: metrics.enhanced_rate),
    ("of those, from another category", lambda metrics: metrics.cross_pollination_rate),
    ("confidence added", lambda metrics: metrics.average_confidence_boost),
)


def _timeline(report: Report) -> Sheet:
    return _sheet("The network as it grows", "promised", _TIMELINE, report)


def _reach(report: Report) -> Sheet:
    return _sheet(
        "The promises, beside what an oracle could reach by the same rules",
        "promised",
        _REACH,
        report,
    )


def _claims(report: Report) -> Sheet:
    """What authored advice claimed, beside what it was worth."""
    return Sheet(
        "What authors claim, beside the truth",
        ["claimed success rate", "true success rate", "advice given"],
        [[percent(each.expected), percent(each.true), f"{each.count:,}"] for each in report.claims],
    )


def _marginal(marginal: Marginal) -> Sheet:
    """What one customer more is worth to all others."""
    low, high = marginal.interval
    return Sheet(
        f"The marginal customer, of {marginal.customers}",
        ["", "promised", "measured"],
        [
            ["stories replayed without one account each", "", f"{len(marginal.added)}"],
            [
                "what one account adds to what the network brings the others",
                "0.5%",
                f"{marginal.mean:+.2%} ({low:+.2%} to {high:+.2%})",
            ],
            ["an even share, if all accounts were alike", "", f"{1 / marginal.customers:.2%}"],
        ],
    )


def _truth(report: Report) -> Sheet:
    return _sheet("What it knows, beside the truth", "ideal", _TRUTH, report)


def _sheet(title: str, aim: str, rows: Sequence[_Row], report: Report) -> Sheet:
    headings = ["", aim, *(f"{each.stage.customers} customers" for each in report.stages)]
    return Sheet(
        title,
        headings,
        [[name, wanted, *(tell(each) for each in report.stages)] for name, wanted, tell in rows],
    )


def _value(report: Report) -> Sheet:
    stage = report.stages[-1]
    return Sheet(
        f"Time to value by definition, {stage.newcomers} newcomers on the way to "
        f"{stage.stage.customers} customers",
        ["value is reached when", "days without", "days with", "times sooner"],
        [
            [
                name,
                _days(stage.value[name].alone, stage.value[name].watched),
                _days(stage.value[name].networked, None),
                _times(stage.value[name]),
            ]
            for name in DEFINITIONS
        ],
    )


def _own_words(report: Report) -> Sheet:
    """GetNetworkMetrics' figures, for comparison with the simulation's own counts."""
    rows = [
        [name, "", *(_metric(tell(each.metrics)) for each in report.stages)]
        for name, tell in _METRICS
    ]
    for last in report.stages[-1].kpis:
        told = [_kpi(each, last.name) for each in report.stages]
        rows.append(
            [
                Kpi.Name.Name(last.name).removeprefix("NAME_").replace("_", " ").lower(),
                _FORMATS[last.metric.unit](last.target),
                *told,
            ]
        )
    return Sheet(
        "What GetNetworkMetrics says",
        ["", "target", *(f"{each.stage.customers} customers" for each in report.stages)],
        rows,
    )


def _kpi(report: StageReport, name: Kpi.Name.ValueType) -> str:
    """One KPI; a network of fewer than k accounts gets none."""
    return next((_metric(kpi.metric) for kpi in report.kpis if kpi.name == name), _UNKNOWN)


def _metric(metric: Metric) -> str:
    return _FORMATS[metric.unit](metric.value) if metric.HasField("value") else _UNKNOWN


_FORMATS: Mapping[Metric.Unit.ValueType, Callable[[float], str]] = {
    Metric.UNIT_COUNT: lambda value: f"{value:,.0f}",
    Metric.UNIT_SHARE: lambda value: f"{value:.1%}",
    Metric.UNIT_CURRENCY: lambda value: f"{value:,.0f}",
    Metric.UNIT_SECONDS: lambda value: f"{value / _DAY:.1f} days",
    Metric.UNIT_PER_WEEK: lambda value: f"{value:.1f} a week",
    Metric.UNIT_RATIO: lambda value: f"{value:.1f}x",
}


def _reached(reach: Reach, tell: Callable[[float], str]) -> str:
    """What was reached of the ceiling, and its share."""
    if reach.reached is None or reach.ceiling is None:
        return NOTHING
    share = "" if reach.share is None else f": {reach.share:.0%}"
    return f"{tell(reach.reached)} of {tell(reach.ceiling)}{share}"


def _more(share: float) -> str:
    return f"{share:+.1%}"


def _factor(times: float) -> str:
    return f"{times:.1f}x"


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _plain_points(difference: float | None) -> str:
    return NOTHING if difference is None else f"{100 * difference:.1f} points"


def _days(days: float | None, watched: float | None) -> str:
    if days is not None:
        return f"{days:.0f}"
    return "not reached" if watched is None else f"more than {watched:.0f}"


def _times(value: Value) -> str:
    times = value.acceleration
    if times is None:
        return NOTHING
    return f"{'more than ' if value.alone is None else ''}{times:.1f}x"
