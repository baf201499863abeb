"""Layer 1: which conditions may be shared at all, and how exactly.

Only keys of the allow-list pass, each with the way in which its value is made coarse. A forbidden
key (a person, a business, an address, a contact) is dropped, and its value becomes one more
declared identifier, so that it is scrubbed from the texts as well. An unknown key is dropped and
counted: its name may itself be a name, so the report does not repeat it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, TypeAlias

from keeper_grpc.domain.insight import DroppedField, Identifiers, JsonValue
from keeper_grpc.privacy.conditions import bands
from keeper_grpc.privacy.conditions.forbidden_keys import FORBIDDEN_KEYS, IdentifierKind
from keeper_grpc.privacy.conditions.shared_keys import SHARED_KEYS, Coarse
from keeper_grpc.privacy.text.word_lists import listed

_MONEY_WORDS: Final = frozenset(
    listed(
        "ltv revenue price spend spent amount value cost fee fees ticket balance budget payment paid "
        "dollar dollars usd eur gbp income salary invoice deposit refund tip tips worth sales"
    )
)
"""A key with one of these words holds money, whatever else an operator's setting says of it."""

MAXIMUM_DEPTH: Final = 4
"""What nests deeper is not shared; the domain's deepest sensible value is a list in a group. A
request may nest deeper (rpc/convert/fields.py), and forbidden values are found down there, too."""
MAXIMUM_ITEMS: Final = 64
"""Keys of one mapping, and items of one list, that are shared."""
MAXIMUM_IDENTIFIERS: Final = 256
"""Forbidden values that are scrubbed from the texts. With more of them no text is vouched for."""

LARGEST_SCORE: Final = 10
"""Ratings, probabilities and scores go to 10; what is larger is a percentage or a total."""
LARGEST_CALENDAR_NUMBER: Final = 53
"""Weeks of a year are the finest coarse time; a larger number is a timestamp."""

_BANDS: Final[Mapping[str, Callable[[float], str]]] = {
    "money": bands.money,
    "days": bands.days,
    "weeks": bands.weeks,
    "months": bands.months,
    "age": bands.age,
}

_CAMEL: Final = re.compile(r"([a-z0-9])([A-Z])")
_SEPARATORS: Final = re.compile(r"[^a-z0-9]+")
_ISO_DATE: Final = re.compile(
    r"\s*\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}[0-9:.]{0,16}(?:Z|[+-]\d{2}:?\d{2})?)?\s*"
)
_ISO_TIME: Final = re.compile(r"\s*(\d{1,2}):\d{2}(?::\d{2})?\s*")
_PLAIN_NUMBER: Final = re.compile(r"\s*[$€£]?\s?(-?\d{1,9}(?:,\d{3}){0,3}(?:\.\d{1,6})?)\s*")

MaskText: TypeAlias = Callable[[str, str], str | None]
"""(field, text) -> what may stay of it, or None when nothing may."""


@dataclass(frozen=True, slots=True)
class Harvest:
    """What the conditions give away about people: more identifiers, and the customer's worth.

    complete: whether every forbidden value is among the identifiers; a text may hold what is not.
    """

    identifiers: Identifiers
    high_value: bool
    complete: bool


def key_words(key: str) -> list[str]:
    """`customerName`, `Customer-Name` and `customer name` are all [customer, name]."""
    spaced = _CAMEL.sub(r"\1_\2", key).lower()
    return [word for word in _SEPARATORS.split(spaced) if word]


class Structured:
    """The conditions' gate. `extra_keys` are an operator's additions to SHARED_KEYS.

    An extra key is shared as text; its numbers are treated as money when it sounds like money, and
    are otherwise banded as counts. A forbidden key stays forbidden.
    """

    def __init__(self, extra_keys: Iterable[str] = ()) -> None:
        self._shared: dict[str, Coarse] = dict(SHARED_KEYS)
        for key in extra_keys:
            self._shared.setdefault("_".join(key_words(key)), "count")

    def harvest(self, conditions: Mapping[str, JsonValue], declared: Identifiers) -> Harvest:
        """Finds forbidden values, however deep, and whether the customer is worth much."""
        found: dict[IdentifierKind, list[str]] = {}
        high = self._collect(conditions, found)
        complete = sum(map(len, found.values())) <= MAXIMUM_IDENTIFIERS
        kept = found if complete else {}
        identifiers = replace(
            declared,
            **{kind: (*getattr(declared, kind), *values) for kind, values in kept.items()},
        )
        return Harvest(identifiers, high, complete)

    def share(
        self, conditions: Mapping[str, JsonValue], mask: MaskText
    ) -> tuple[dict[str, JsonValue], list[DroppedField]]:
        """The conditions that may be shared, made coarse, and what was dropped."""
        dropped: list[DroppedField] = []
        return self._share_group(conditions, mask, dropped, depth=0), dropped

    def _collect(
        self, value: JsonValue | Mapping[str, JsonValue], found: dict[IdentifierKind, list[str]]
    ) -> bool:
        """Puts every forbidden value into `found`; whether the customer is worth much.

        It looks at all of the conditions, however wide and deep: their size is capped at the edge
        (rpc/convert), and a name that was skipped here would stay in the texts.
        """
        high = False
        if isinstance(value, list):
            for item in value:
                high |= self._collect(item, found)
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                words = key_words(key)
                kind = _forbidden_kind(words)
                if kind is not None:
                    found.setdefault(kind, []).extend(_strings(inner))
                elif isinstance(inner, dict | list):
                    high |= self._collect(inner, found)
                elif "ltv" in words or "lifetime" in words:
                    amount = _as_number(inner)
                    high |= inner == "high" or (
                        amount is not None and bands.money(amount) == "high"
                    )
        return high

    def _share_group(
        self,
        group: Mapping[str, JsonValue],
        mask: MaskText,
        dropped: list[DroppedField],
        depth: int,
    ) -> dict[str, JsonValue]:
        shared: dict[str, JsonValue] = {}
        items = sorted(group.items())
        for key, value in items[:MAXIMUM_ITEMS]:
            words = key_words(key)
            name = "_".join(words)
            kind = _forbidden_kind(words)
            if kind is not None:
                dropped.append(DroppedField(f"conditions.{kind}", "FORBIDDEN_KEY"))
                continue
            coarse = self._shared.get(name)
            if coarse is None:
                dropped.append(DroppedField("conditions", "UNKNOWN_KEY"))
                continue
            if _MONEY_WORDS.intersection(words):
                coarse = "money"
            field = f"conditions.{name}"
            kept = self._share_value(field, value, coarse, mask, dropped, depth)
            if kept is not None:
                shared[name] = kept
        dropped += [DroppedField("conditions", "TOO_MANY_KEYS")] * len(items[MAXIMUM_ITEMS:])
        return shared

    def _share_value(  # noqa: PLR0917  # the walk's state, passed down once
        self,
        field: str,
        value: JsonValue,
        coarse: Coarse,
        mask: MaskText,
        dropped: list[DroppedField],
        depth: int,
    ) -> JsonValue:
        if depth >= MAXIMUM_DEPTH:
            dropped.append(DroppedField(field, "TOO_DEEP"))
            return None
        match value:
            case None | bool():
                return value
            case int() | float():
                return _coarse_number(field, float(value), coarse, dropped)
            case str():
                return _coarse_text(field, value, coarse, mask, dropped)
            case list():
                kept = [
                    self._share_value(field, item, coarse, mask, dropped, depth + 1)
                    for item in value[:MAXIMUM_ITEMS]
                ]
                dropped += [DroppedField(field, "TOO_MANY_ITEMS")] * len(value[MAXIMUM_ITEMS:])
                return [item for item in kept if item is not None] or None
            case dict():
                return self._share_group(value, mask, dropped, depth + 1) or None


def _forbidden_kind(words: list[str]) -> IdentifierKind | None:
    return FORBIDDEN_KEYS.get("".join(words))


def _strings(value: JsonValue) -> list[str]:
    match value:
        case str():
            return [value]
        case bool() | None:
            return []
        case int() | float():
            return [str(int(value))] if math.isfinite(value) else []
        case list():
            return [text for item in value for text in _strings(item)]
        case dict():
            return [text for item in value.values() for text in _strings(item)]


def _as_number(value: JsonValue) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and (match := _PLAIN_NUMBER.fullmatch(value)):
        return float(match[1].replace(",", ""))
    return None


def _coarse_number(
    field: str, value: float, coarse: Coarse, dropped: list[DroppedField]
) -> JsonValue:
    exact_time = coarse == "time" and not 0 <= value <= LARGEST_CALENDAR_NUMBER
    if exact_time or not math.isfinite(value):
        dropped.append(DroppedField(field, "EXACT_TIME" if exact_time else "NOT_A_NUMBER"))
        return None
    if coarse in _BANDS:
        return _BANDS[coarse](value)
    match coarse:
        case "time":
            return value
        case "ratio" if abs(value) <= LARGEST_SCORE:
            return bands.ratio(value)
        case "count" | "text" if value >= 0:
            return bands.count(value)
        case _:
            return bands.two_digits(value)


def _coarse_text(
    field: str, value: str, coarse: Coarse, mask: MaskText, dropped: list[DroppedField]
) -> JsonValue:
    number = _as_number(value)
    if number is not None:
        return _coarse_number(field, number, coarse, dropped)
    if _ISO_DATE.fullmatch(value):
        try:
            return bands.month_of(date.fromisoformat(value.strip()[:10]))
        except ValueError:
            dropped.append(DroppedField(field, "NOT_A_DATE"))
            return None
    if coarse == "time" and (clock := _ISO_TIME.fullmatch(value)):
        hour = int(clock[1])
        return bands.part_of_day(datetime(2000, 1, 1, hour % 24))  # noqa: DTZ001  # only the hour matters
    return mask(field, value)
