"""Triggers: conditions over an account's facts, in the Common Expression Language (https://cel.dev).

The language is a part of CEL, given by `VOCABULARY` (what there is to speak of) and by the operators
below: comparison, arithmetic, logic, `? :`, `in` and `size`. Integers and doubles mix, which CEL
itself allows in comparisons only: facts are doubles, and people write `* 2`.

Evaluation is bounded by what a trigger cannot say. There are no macros, hence no loops; no matching,
no conversion and no concatenation. Each operator runs at most once and reads its operands at most
once, so the work is at most the length of the text (`MAX_LENGTH`) times the size of the facts.
"""

from __future__ import annotations

import math
import operator
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any, TypeAlias

from cel_expr_python import cel  # type: ignore[import-untyped]  # has stubs, but no py.typed

from keeper_grpc.domain.insight import JsonValue

MAX_LENGTH = 1000
"""Characters of a trigger: a condition that people can read is far shorter."""

FactValue: TypeAlias = float | bool | str | list[str]
KnownFacts: TypeAlias = Mapping[str, FactValue]
"""Facts of the vocabulary by dotted name, each of its declared kind."""


class Kind(Enum):
    """What a fact is."""

    NUMBER = "number"
    FLAG = "true or false"
    TEXT = "text"
    TEXTS = "list of texts"


VOCABULARY: Mapping[str, Kind] = {
    "customer.avg_frequency": Kind.NUMBER,  # mean days between visits
    "customer.days_since_visit": Kind.NUMBER,
    "customer.days_until_renewal": Kind.NUMBER,
    "customer.favorite_services": Kind.TEXTS,
    "customer.frequency_declining": Kind.FLAG,
    "customer.ltv": Kind.NUMBER,  # lifetime value in the account's currency
    "customer.membership_tier": Kind.TEXT,
    "customer.no_show_count": Kind.NUMBER,
    "customer.visit_count": Kind.NUMBER,
    "employee.modifier_rate": Kind.NUMBER,  # share of visits with an add-on, in [0, 1]
    "employee.rebooking_rate": Kind.NUMBER,  # share of visits that end with the next booked, in [0, 1]
    "review.days_unanswered": Kind.NUMBER,
    "review.rating": Kind.NUMBER,  # stars, 1 to 5
    "team_average": Kind.NUMBER,  # the team's mean of the employee's rate that is looked at
    "visit.day_of_week": Kind.TEXT,  # "monday" to "sunday"
    "visit.first": Kind.FLAG,
    "visit.modifier_count": Kind.NUMBER,
    "visit.time_of_day": Kind.TEXT,  # "morning", "afternoon" or "evening"
}
"""Every fact that a trigger may name. A name that goes makes the triggers that use it invalid."""


class TriggerInvalid(ValueError):
    """Not a trigger. `line` and `column` count from 1; None where the fault has no place."""

    def __init__(self, reason: str, line: int | None = None, column: int | None = None) -> None:
        place = "" if line is None else f"line {line}, column {column}: "
        super().__init__(place + reason)
        self.reason = reason
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Trigger:
    """A type-checked condition. `parse_trigger` makes them; `names` are the facts it speaks of."""

    text: str
    names: tuple[str, ...]
    _program: Any = field(repr=False, compare=False)

    def holds(self, facts: KnownFacts) -> bool:
        """Whether it is true of the facts; False where a fact that it depends on is missing.

        As in CEL, `a || b` holds when `a` does, whether or not `b` can be told.
        """
        try:
            answer = self._program.eval(data=facts)
        except RuntimeError:  # a text that is not Unicode
            return False
        return answer.type() == cel.Type.BOOL and bool(answer.value())


@lru_cache(maxsize=1024)
def parse_trigger(text: str) -> Trigger:
    """Check a condition: it parses, names declared facts only, compares like with like, is a bool.

    Raises TriggerInvalid with the place of the first fault. Cached, because stored triggers are read
    at every call and compiling one (0.1 ms) costs twenty times as much as evaluating it.
    """
    if len(text) > MAX_LENGTH:
        raise TriggerInvalid(f"longer than {MAX_LENGTH} characters")
    try:
        program = _LANGUAGE.compile(text)
    except TypeError as error:
        raise TriggerInvalid("not Unicode text") from error
    except RuntimeError as error:
        raise _explained(str(error)) from error
    if program.return_type() != cel.Type.BOOL:
        kind = program.return_type().name().lower()
        raise TriggerInvalid(f"yields {kind}; a trigger is true or false", 1, 1)
    return Trigger(text, _names(text), program)


def known_facts(facts: Mapping[str, JsonValue]) -> KnownFacts:
    """What the vocabulary knows of nested facts: {"customer": {"ltv": 1200}} is `customer.ltv`.

    A fact that is not declared, or not of its declared kind, is left out: no trigger can use it.
    """
    known: dict[str, FactValue] = {}
    for name, kind in VOCABULARY.items():
        value = _read(_at(facts, name), kind)
        if value is not None:
            known[name] = value
    return known


def _at(facts: JsonValue | Mapping[str, JsonValue], name: str) -> JsonValue:
    value: Any = facts
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    found: JsonValue = value
    return found


def _read(value: JsonValue, kind: Kind) -> FactValue | None:
    match kind, value:
        case Kind.FLAG, bool():
            return value
        # True is an int to Python, but 1 is not what was meant.
        case Kind.NUMBER, int() | float() if not isinstance(value, bool):
            return float(value) if abs(value) <= sys.float_info.max else None
        case Kind.TEXT, str():
            return value
        case Kind.TEXTS, list():
            texts = [item for item in value if isinstance(item, str)]
            return texts if len(texts) == len(value) else None
        case _:
            return None


def _explained(message: str) -> TriggerInvalid:
    """The first fault in the library's message, without its status code and source excerpt."""
    placed = _FAULT.search(message)
    if placed is None:
        return TriggerInvalid(message.removeprefix("CANCELLED: ").partition(" [")[0])
    line, column = int(placed["line"]), int(placed["column"])
    reason = placed["reason"].removesuffix(" (in container '')")
    return TriggerInvalid(reason, line, column) if line > 0 else TriggerInvalid(reason)


def _names(text: str) -> tuple[str, ...]:
    """The declared facts in a text that compiled: its identifiers outside of strings and comments."""
    found: dict[str, None] = {}
    for token in _TOKEN.finditer(text):
        path = re.sub(r"\s", "", token["path"] or "")
        # `customer.favorite_services.size()` speaks of customer.favorite_services.
        found.update(dict.fromkeys(n for n in VOCABULARY if path == n or path.startswith(f"{n}.")))
    return tuple(found)


def _divide(dividend: float, divisor: float) -> float:
    """Division as doubles do it everywhere but in Python."""
    if divisor:
        return dividend / divisor
    return math.copysign(math.inf, dividend) if dividend else math.nan


def _operator(
    name: str,
    overload: str,
    operands: Sequence[tuple[Any, Any]],
    result: Any,
    implementation: Callable[..., object] | None = None,
) -> Any:
    """One operator, declared for these pairs of operands. Without implementation it is the library's.

    `result` None means the type of the operands.
    """
    return cel.FunctionDecl(
        name,
        [
            cel.Overload(
                f"{overload}_{left.name().lower()}_{right.name().lower()}",
                return_type=result or left,
                parameters=[left, right],
                **({"impl": implementation} if implementation else {}),
            )
            for left, right in operands
        ],
    )


def _language() -> Any:
    """The environment that triggers are compiled in."""
    number, integer = cel.Type.DOUBLE, cel.Type.INT
    text, flag = cel.Type.STRING, cel.Type.BOOL
    return None, number, integer, text, flag


_FAULT = re.compile(r"ERROR: <input>:(?P<line>-?\d+):(?P<column>-?\d+): (?P<reason>[^\n]*)")
_TOKEN = re.compile(
    r"""'''(?s:.*?)'''|\"\"\"(?s:.*?)\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|//[^\n]*"""
    r"""|(?P<path>[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)"""
)
