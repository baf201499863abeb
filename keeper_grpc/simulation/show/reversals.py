"""What became of advice when truths turned, as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from keeper_grpc.simulation.measures.averages import mean
from keeper_grpc.simulation.measures.reversals import SOON, Fall, Reversals
from keeper_grpc.simulation.measures.value import Reached, median
from keeper_grpc.simulation.show.sheet import NOTHING, Sheet, percent

_GROUPS: Sequence[tuple[str, Callable[[Fall], bool]]] = (
    ("all", lambda _: True),
    ("less than 0.25 outcomes a day", lambda fall: fall.a_day < 0.25),  # noqa: PLR2004 - the text says it
    ("0.25 to 0.5", lambda fall: 0.25 <= fall.a_day < 0.5),  # noqa: PLR2004 - the text says it
    ("0.5 to 1", lambda fall: 0.5 <= fall.a_day < 1),  # noqa: PLR2004 - the text says it
    ("1 and more", lambda fall: fall.a_day >= 1),
    ("worked in 60% or more", lambda fall: fall.worked >= 0.6),  # noqa: PLR2004 - the text says it
)


def reversals_sheets(measured: Reversals) -> list[Sheet]:
    """All tables: the patterns that stop working, the days around the turn, and the promises."""
    return [_falls(measured), _around(measured), _promises(measured)]


def reversals_of_worlds(worlds: Sequence[Reversals]) -> list[Sheet]:
    """The same of several worlds together, which count each pattern and each situation once."""
    together = replace(
        worlds[0],
        falls=[fall for world in worlds for fall in world.falls],
        found=[each for world in worlds for each in world.found],
        false_alarms=sum(world.false_alarms for world in worlds),
        worst=max(world.worst for world in worlds),
        pattern_years=sum(world.pattern_years for world in worlds),
    )
    return [
        replace(sheet, title=f"{sheet.title}, {len(worlds)} worlds")
        for sheet in (_falls(together), _promises(together))
    ]


def _falls(measured: Reversals) -> Sheet:
    """The patterns that stop working, how soon the network says so, and what else it says."""
    groups = [(name, [f for f in measured.falls if holds(f)]) for name, holds in _GROUPS]
    return Sheet(
        f"Patterns whose truth turns on day {measured.turn}",
        ["patterns that stop working", *(name for name, _ in groups)],
        [
            ["patterns", *(f"{len(falls)}" for _, falls in groups)],
            ["worked in", *(percent(mean(f.worked for f in falls)) for _, falls in groups)],
            [
                f"FADING within {SOON} days",
                *(_soon([f.faded for f in falls]) for _, falls in groups),
            ],
            ["median days until FADING", *(_days([f.faded for f in falls]) for _, falls in groups)],
            [
                "advised before the turn",
                *(f"{sum(f.silent is not None for f in falls)}" for _, falls in groups),
            ],
            [
                f"of these, failing advice stopped within {SOON} days",
                *(_soon(_silent(falls)) for _, falls in groups),
            ],
            ["median days until it stopped", *(_days(_silent(falls)) for _, falls in groups)],
        ],
    )


def _around(measured: Reversals) -> Sheet:
    """Success in the three arms before and after the turn."""
    spans = [span for span in measured.spans if span.begins >= -SOON]
    return Sheet(
        "Before and after the turn",
        ["days from the turn", *(f"{span.begins} to {span.ends - 1}" for span in spans)],
        [
            ["success with the network", *(percent(span.networked) for span in spans)],
            ["without it", *(percent(span.alone) for span in spans)],
            ["with the oracle", *(percent(span.oracle) for span in spans)],
            ["reached of what the oracle brings", *(percent(span.reached) for span in spans)],
            ["insights enhanced", *(percent(span.enhanced) for span in spans)],
            ["advice that worked and fails now", *(percent(span.stale) for span in spans)],
        ],
    )


def _promises(measured: Reversals) -> Sheet:
    """How soon advice follows the truth, and what is taken for a turn that is none."""
    years = measured.pattern_years
    alarms = f"{measured.false_alarms / years:.2f}" if years else NOTHING
    return Sheet(
        "How advice follows the truth",
        ["", "promised", "measured"],
        [
            [
                f"patterns that stop working: FADING within {SOON} days",
                "all",
                _soon([fall.faded for fall in measured.falls]),
            ],
            [
                "false alarms a pattern and year",
                "at most 1",
                f"{alarms} ({measured.false_alarms} in {years:.0f} pattern years)",
            ],
            ["most of them of one pattern", "", f"{measured.worst}"],
            [
                f"situations where something else works best now: advised within {SOON} days",
                "",
                _soon(measured.found),
            ],
            ["median days until it is first advised there", "", _days(measured.found)],
        ],
    )


def _silent(falls: Sequence[Fall]) -> list[Reached]:
    return [fall.silent for fall in falls if fall.silent]


def _soon(times: Sequence[Reached]) -> str:
    """How many of how many took no longer than is promised."""
    if not times:
        return NOTHING
    soon = sum(each.reached and each.days <= SOON for each in times)
    return f"{soon} of {len(times)}"


def _days(times: Sequence[Reached]) -> str:
    if not times:
        return NOTHING
    days = median(times)
    return (
        f"{days:.0f}" if days is not None else f"more than {max(each.days for each in times):.0f}"
    )
