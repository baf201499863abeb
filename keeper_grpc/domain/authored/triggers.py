"""Triggers: conditions over an account's facts, in the Common Expression Language (https://cel.dev).

The language is a subset of CEL: the facts of `VOCABULARY` and the operators below (comparison, arithmetic,
logic, `? :`, `in` and `size`). Every number is a double, also one that is written as an integer; a size may be
compared with one.

`unless` is ours: `customer.visit_count == 1 unless customer.has_booking` holds where the first condition does and
the second is not known to. A condition that excludes must not ask for facts that few callers state, and in CEL
`&& !customer.has_booking` would.

The subset bounds evaluation: it has no macros, hence no loops, and no matching, conversion or concatenation. Each operator runs at most once and reads its operands at most
once, so the work is at most the length of the text (`MAX_LENGTH`) times the size of the facts.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
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
    """The type of a fact."""

    NUMBER = "number"
    FLAG = "true or false"
    TEXT = "text"
    TEXTS = "list of texts"


VOCABULARY: Mapping[str, Kind] = {
    # Shares of the appointments at that time of day that have an add-on, in [0, 1].
    "appointments.afternoon_modifier_rate": Kind.NUMBER,
    "appointments.morning_modifier_rate": Kind.NUMBER,
    "customer.avg_frequency": Kind.NUMBER,  # mean days between visits
    "customer.cancellation_requested": Kind.FLAG,  # of the membership
    "customer.days_since_retail_purchase": Kind.NUMBER,
    "customer.days_since_visit": Kind.NUMBER,
    "customer.days_until_birthday": Kind.NUMBER,
    "customer.days_until_package_expiry": Kind.NUMBER,
    "customer.days_until_renewal": Kind.NUMBER,
    "customer.favorite_services": Kind.TEXTS,
    "customer.flexible_hours": Kind.FLAG,  # can come when it is quiet
    "customer.former_member": Kind.FLAG,
    "customer.frequency_declining": Kind.FLAG,
    "customer.gift_card_balance": Kind.NUMBER,  # in the account's currency
    "customer.has_booking": Kind.FLAG,  # a visit to come is booked
    "customer.ltv": Kind.NUMBER,  # lifetime value in the account's currency
    "customer.membership_tier": Kind.TEXT,
    "customer.no_show_count": Kind.NUMBER,
    "customer.open_complaint": Kind.FLAG,
    "customer.opted_out": Kind.FLAG,  # of messages that advertise
    "customer.package_visits_left": Kind.NUMBER,
    "customer.referral_count": Kind.NUMBER,  # friends that it brought
    "customer.tenure_days": Kind.NUMBER,  # since the customer's first visit or joining
    "customer.usual_staff_left": Kind.FLAG,
    "customer.visit_count": Kind.NUMBER,
    "employee.modifier_rate": Kind.NUMBER,  # share of visits with an add-on, in [0, 1]
    "employee.rebooking_rate": Kind.NUMBER,  # share of visits that end with the next booked, in [0, 1]
    "review.days_unanswered": Kind.NUMBER,
    "review.rating": Kind.NUMBER,  # stars, 1 to 5
    "schedule.occupancy": Kind.NUMBER,  # share of the places that are booked, in [0, 1]
    "schedule.open_slots": Kind.NUMBER,
    "schedule.waitlist_length": Kind.NUMBER,
    "team_average": Kind.NUMBER,  # the team's mean of the employee's rate that is looked at
    "visit.cancelled": Kind.FLAG,
    "visit.day_of_week": Kind.TEXT,  # "monday" to "sunday"
    "visit.first": Kind.FLAG,
    "visit.lead_time_days": Kind.NUMBER,  # between booking and visit
    "visit.minutes_late": Kind.NUMBER,
    "visit.modifier_count": Kind.NUMBER,
    "visit.retail_count": Kind.NUMBER,  # products bought
    "visit.satisfaction": Kind.NUMBER,  # of 10
    "visit.time_of_day": Kind.TEXT,  # "morning", "afternoon" or "evening"
}
"""Every fact that a trigger may name. Removing a name makes the triggers that use it invalid."""


class TriggerInvalid(ValueError):
    """The text is no trigger. `line` and `column` count from 1; None for a fault without a place."""

    def __init__(self, reason: str, line: int | None = None, column: int | None = None) -> None:
        place = "" if line is None else f"line {line}, column {column}: "
        super().__init__(place + reason)
        self.reason = reason
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Trigger:
    """A type-checked condition, made by `parse_trigger`. `names` are its facts, also those after `unless`."""

    text: str
    names: tuple[str, ...]
    _program: Any = field(repr=False, compare=False)
    _exception: Any = field(repr=False, compare=False, default=None)

    def holds(self, facts: KnownFacts) -> bool:
        """Whether the condition is true of the facts; False where it depends on a missing fact.

        As in CEL, `a || b` holds when `a` does, even if the facts of `b` are missing.
        """
        return self.verdict(facts) is True

    def verdict(self, facts: KnownFacts) -> bool | None:
        """Whether the condition is true of the facts; None where that depends on a missing fact.

        What is known to be true after `unless` decides, whatever is missing before it.
        """
        if self._exception is not None and _verdict(self._exception, facts):
            return False
        return _verdict(self._program, facts)


def _verdict(program: Any, facts: KnownFacts) -> bool | None:
    try:
        answer = program.eval(data=facts)
    except RuntimeError:  # a text that is not Unicode
        return None
    return bool(answer.value()) if answer.type() == cel.Type.BOOL else None


@lru_cache(maxsize=1024)
def parse_trigger(text: str) -> Trigger:
    """Parse and check a condition: declared facts only, operands of matching types, a boolean result.

    Raises TriggerInvalid with the place of the first fault. Cached, because every call parses stored
    triggers, and compiling one (0.07 ms) takes ten times as long as evaluating it.
    """
    if len(text) > MAX_LENGTH:
        raise TriggerInvalid(f"longer than {MAX_LENGTH} characters")
    at = next((token for token in _TOKEN.finditer(text) if token["path"] == _UNLESS), None)
    condition = text if at is None else text[: at.start()]
    program = _compiled(condition)
    names = _names(condition)
    if not names:
        raise TriggerInvalid("names no fact, so that it would always hold or never", 1, 1)
    if at is None:
        return Trigger(text, names, program)
    # What comes before is blanked, so that faults are reported where they are.
    exception = re.sub(r"[^\n]", " ", text[: at.end()]) + text[at.end() :]
    excluding = _compiled(exception)
    excluded = _names(exception)
    if not excluded:
        raise _at_offset(text, at.start(), "names no fact after unless")
    return Trigger(text, tuple(dict.fromkeys((*names, *excluded))), program, excluding)


def _compiled(text: str) -> Any:
    written, inserted = _as_doubles(text)
    try:
        program = _LANGUAGE.compile(written)
    except TypeError as error:
        raise TriggerInvalid("not Unicode text") from error
    except RuntimeError as error:
        raise _explained(str(error), text, written, inserted) from error
    if program.return_type() != cel.Type.BOOL:
        kind = program.return_type().name().lower()
        begin = len(text) - len(text.lstrip())
        raise _at_offset(text, begin, f"yields {kind}; a trigger is true or false")
    return program


def known_facts(facts: Mapping[str, JsonValue]) -> KnownFacts:
    """The facts of the vocabulary in nested facts: {"customer": {"ltv": 1200}} is `customer.ltv`.

    A fact that is not declared, or not of its declared kind, is left out: no trigger can use it.
    """
    known: dict[str, FactValue] = {}
    for name, kind in VOCABULARY.items():
        value = _read(_at(facts, name), kind)
        if value is not None:
            known[name] = value
    return known


def conditions_of_facts(facts: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """The facts as an insight states them in its conditions: {"customer": {"ltv": 1200}} is `ltv`.

    Of two subjects with a fact of one name, the first by name states it.
    """
    conditions: dict[str, JsonValue] = {}
    for name in sorted(facts):
        value = facts[name]
        stated = conditions_of_facts(value) if isinstance(value, dict) else {name: value}
        conditions = {**stated, **conditions}
    return conditions


def facts_of_conditions(conditions: Mapping[str, JsonValue]) -> KnownFacts:
    """The facts of the vocabulary that an insight's conditions state.

    A condition states a fact whose name is its key: as a whole (`customer.ltv`), without the subject (`ltv`), or
    with it as one word (`customer_ltv`). Engines also write the subjects as nested conditions, numbers as texts and
    texts in capitals; people write "early morning".
    """
    keyed = {_SEPARATORS.sub("_", key).lower(): value for key, value in conditions.items()}
    known = dict(known_facts(conditions))
    for name, kind in VOCABULARY.items():
        if name in known:
            continue
        for key in _KEYS[name]:
            if key not in keyed:
                continue
            value = _read(_as_kind(keyed[key], kind), kind)
            if value is not None:
                known[name] = value
                break
    for name, words in _CLOSED.items():
        if isinstance(said := known.get(name), str):
            named = {word for word in re.findall(r"[a-z]+", said.lower()) if word in words}
            known[name] = named.pop() if len(named) == 1 else said
    return known


_KEYS: Mapping[str, tuple[str, str]] = {
    name: (name.replace(".", "_"), name.rpartition(".")[2]) for name in VOCABULARY
}
"""How a condition names a fact: with its subject as one word, or without."""


_CLOSED: Mapping[str, frozenset[str]] = {
    "visit.day_of_week": frozenset(
        ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    ),
    "visit.time_of_day": frozenset(["morning", "afternoon", "evening"]),
}
"""Texts that are one of a few words."""


_SEPARATORS = re.compile(r"[.\-\s]+")


def _as_kind(value: JsonValue, kind: Kind) -> JsonValue:
    """The value as an engine means it that writes all values as texts."""
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if kind is Kind.NUMBER and _WRITTEN_NUMBER.fullmatch(text):
        return float(text)
    if kind is Kind.FLAG:
        return {"true": True, "yes": True, "false": False, "no": False}.get(text, value)
    return text if kind is Kind.TEXT else value


_WRITTEN_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?")


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
        # In Python True is an int, but it is no number of the caller's.
        case Kind.NUMBER, int() | float() if not isinstance(value, bool):
            return float(value) if abs(value) <= sys.float_info.max else None
        case Kind.TEXT, str():
            return value
        case Kind.TEXTS, list():
            texts = [item for item in value if isinstance(item, str)]
            return texts if len(texts) == len(value) else None
        case _:
            return None


def _as_doubles(text: str) -> tuple[str, Sequence[int]]:
    """The text with integers written as doubles, and the offsets of the insertions in it.

    Facts are doubles, and CEL does not multiply a double by an integer literal.
    """
    written, inserted, start = "", [], 0
    for token in _TOKEN.finditer(text):
        if token["brace"]:
            # The content of a map or a message would be type-checked only during evaluation.
            raise _at_offset(text, token.start(), "maps and messages are not allowed in a trigger")
        if token["integer"]:
            written += text[start : token.end()]
            start = token.end()
            inserted.append(len(written))
            written += _AS_DOUBLE
    return written + text[start:], inserted


def _explained(message: str, text: str, written: str, inserted: Sequence[int]) -> TriggerInvalid:
    """The first fault of the library's message, at its place in the original text."""
    placed = _FAULT.search(message)
    if placed is None:
        return TriggerInvalid(_STATUS.sub("", message.partition("\n")[0]))
    line, column = int(placed["line"]), int(placed["column"])
    reason = _STATUS.sub("", placed["reason"]).removesuffix(" (in container '')")
    if line < 1:
        return TriggerInvalid(reason)
    offset = sum(len(before) + 1 for before in written.split("\n")[: line - 1]) + column - 1
    offset -= len(_AS_DOUBLE) * sum(place < offset for place in inserted)
    return _at_offset(text, offset, reason)


def _at_offset(text: str, offset: int, reason: str) -> TriggerInvalid:
    before = text[:offset]
    return TriggerInvalid(reason, before.count("\n") + 1, offset - before.rfind("\n"))


def _names(text: str) -> tuple[str, ...]:
    """The declared facts in a text that compiled: its identifiers outside of strings and comments."""
    found: dict[str, None] = {}
    for token in _TOKEN.finditer(text):
        path = re.sub(r"\s", "", token["path"] or "")
        # `customer.favorite_services.size()` names the fact customer.favorite_services.
        found.update(dict.fromkeys(n for n in VOCABULARY if path == n or path.startswith(f"{n}.")))
    return tuple(found)


_NUMBER, _INTEGER, _TEXT, _FLAG = cel.Type.DOUBLE, cel.Type.INT, cel.Type.STRING, cel.Type.BOOL
_TYPES = {
    Kind.NUMBER: _NUMBER,
    Kind.FLAG: _FLAG,
    Kind.TEXT: _TEXT,
    Kind.TEXTS: cel.Type.List(_TEXT),
}
_NUMBERS = [(left, right) for left in (_NUMBER, _INTEGER) for right in (_NUMBER, _INTEGER)]
_EQUALS = [*_NUMBERS, (_TEXT, _TEXT), (_FLAG, _FLAG)]
_LISTED = [(_TEXT, cel.Type.List(_TEXT)), (_NUMBER, cel.Type.List(_NUMBER))]

_AS_THEY_ARE = """
stdlib:
  disable_macros: true
  include_functions: [{name: "_&&_"}, {name: "_||_"}, {name: "!_"}, {name: "-_"},
                      {name: "_?_:_"}, {name: "size"}]
"""
"""The library's own declarations that triggers use. Those of the other operators allow too much
(concatenation) or too little (comparing a count with a number), so `_operators` replaces them."""


def _operators() -> list[Any]:
    """The other operators, declared for these operands only. The library implements them."""
    operands: dict[str, tuple[list[tuple[Any, Any]], Any]] = {
        **dict.fromkeys(("_<_", "_<=_", "_>_", "_>=_"), (_NUMBERS, _FLAG)),
        **dict.fromkeys(("_==_", "_!=_"), (_EQUALS, _FLAG)),
        **dict.fromkeys(("_+_", "_-_", "_*_", "_/_"), ([(_NUMBER, _NUMBER)], _NUMBER)),
        "@in": (_LISTED, _FLAG),
    }
    return [
        cel.FunctionDecl(
            name,
            [
                cel.Overload(
                    f"{name}({left.name()},{right.name()})".lower(),
                    return_type=result,
                    parameters=[left, right],
                )
                for left, right in pairs
            ],
        )
        for name, (pairs, result) in operands.items()
    ]


_LANGUAGE = cel.NewEnv(
    config=cel.NewEnvConfigFromYaml(_AS_THEY_ARE),
    variables={name: _TYPES[kind] for name, kind in VOCABULARY.items()},
    functions=_operators(),
)

_AS_DOUBLE = ".0"
_UNLESS = "unless"
_STATUS = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_FAULT = re.compile(r"ERROR: <input>:(?P<line>-?\d+):(?P<column>-?\d+): (?P<reason>[^\n]*)")
_TOKEN = re.compile(
    r"'''(?s:.*?)'''|\"\"\"(?s:.*?)\"\"\"|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|//[^\n]*"
    r"|(?P<brace>\{)|(?P<integer>\d+(?![\w.]))|\d[\w.]*|(?P<path>[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)"
)
