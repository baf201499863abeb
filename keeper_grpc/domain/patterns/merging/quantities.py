"""The quantities that an action names: a discount, a delay, an hour of the day, a number of calls."""

from __future__ import annotations

import re
from typing import Final

Quantity = tuple[str, float]
"""(unit, number): ("%", 20), ("minute", 2880), ("o'clock", 17), ("reminder", 2)."""

SPAN: Final = "minute"
"""The unit of every span of time, so that 24 hours are a day and two hours are not two days."""

_MINUTES: Final = {
    "minute": 1,
    "min": 1,
    "hour": 60,
    "hr": 60,
    "day": 1_440,
    "week": 10_080,
    "month": 43_200,
    "year": 525_600,
}
_NUMBERS: Final = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
)
_NUMBER_WORD: Final = re.compile(rf"\b(?:{'|'.join(_NUMBERS)})\b")
_FIXED: Final = (
    (re.compile(r"\bhalf[- ](?:price\w*|off)\b"), " 50% "),
    (re.compile(r"\b(?:per ?cent)\b"), "%"),
    (re.compile(r"\bquarter (?:off\b|of (?:the|her|his|their|your)\b)"), " 25% "),
    (
        re.compile(
            r"\bhalf (?:of )?(?:the|her|his|their|your) (?=price|fee|cost|amount|sum|money|deposit|bill)"
        ),
        " 50% ",
    ),
    (re.compile(r"\bthird of (?:the|her|his|their|your)\b"), " 33% "),
    (
        re.compile(
            r"\b(?:full|whole|entire) (?=price|fee|cost|amount|sum|money|refund|deposit|bill)"
        ),
        " 100% ",
    ),
    (re.compile(r"\b(?:thirty)\b"), "30"),
    (re.compile(r"\b(?:fifty)\b"), "50"),
    # "A day ahead" and "the day before" are one day; "a day" alone may be any.
    (
        re.compile(
            r"\b(?:an?|the) (hour|day|week|month|year) (?=before|ahead|after|prior|earli|lat)"
        ),
        r"1 \1 ",
    ),
    (
        re.compile(r"\b(first|within|in|after|for|every) (?:an? )?(hour|day|week|month|year)\b"),
        r"\1 1 \2",
    ),
    (
        re.compile(r"\bsame[- ]day\b|\bright away\b|\bat once\b|\bimmediately\b|\binstantly\b"),
        "0 day",
    ),
    (re.compile(r"\b(\d{1,3}) ?h(?:rs?)?\b"), r"\1 hour"),
)
# One word may stand between a number and what it counts: "two guest passes".
_COUNTED: Final = re.compile(
    r"(?<![\d.:$€£])(\d{1,6}(?:\.\d{1,3})?)[\s-]{0,2}(?:%|(?:[a-z]{1,20} )??"
    r"(minute|min|hour|hr|day|week|month|year|point|visit|session|star|time|reminder|text|message"
    r"|e-?mail|call|pass|class|treatment|massage|facial|friend|credit|slot|dollar|euro|pound)"
    r"(?:s|es)?\b)"
)
_ORDINALS: Final = (
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
)
_ORDINAL: Final = re.compile(rf"\b({'|'.join(_ORDINALS)})\b(?![- ](?:time|of|thing))")
_FACTORS: Final = {"double": 2, "twice": 2, "triple": 3, "threefold": 3, "quadruple": 4}
_FACTOR: Final = re.compile(rf"\b({'|'.join(_FACTORS)})\b")
_MONEY: Final = re.compile(r"[$€£] ?(\d{1,6}(?:\.\d{1,2})?)")
# What the anonymizer makes of a sum: `[low_amount_10_14]` is one amount to whoever compares.
_STEP: Final = re.compile(r"\[(?:low|medium|high)_amount_(under_)?(\d{1,6})[a-z0-9_]{0,20}\]")
_CLOCK: Final = re.compile(r"\b(\d{1,2})(?::(\d{2}))? ?([ap])\.?m\b")
_CURRENCIES: Final = frozenset({"dollar", "euro", "pound"})
MONEY: Final = "money"
STEP: Final = "step of money"


def quantities(text: str) -> frozenset[Quantity]:
    """The quantities in a text of lower-case words, one space apart."""
    for pattern, replacement in _FIXED:
        text = pattern.sub(replacement, text)
    text = _NUMBER_WORD.sub(lambda match: str(_NUMBERS.index(match[0])), text)
    found = {_counted(match) for match in _COUNTED.finditer(text)}
    found |= {(MONEY, float(match[1])) for match in _MONEY.finditer(text)}
    found |= {(STEP, 0.0 if match[1] else float(match[2])) for match in _STEP.finditer(text)}
    found |= {("o'clock", _hour(match)) for match in _CLOCK.finditer(text)}
    found |= {
        ("ordinal", float(_ORDINALS.index(match[1]) + 1)) for match in _ORDINAL.finditer(text)
    }
    found |= {("times as much", float(_FACTORS[match[1]])) for match in _FACTOR.finditer(text)}
    return frozenset(found)


def agree(left: frozenset[Quantity], right: frozenset[Quantity]) -> bool:
    """Whether two actions may be one as far as their quantities go. Symmetric and reflexive.

    A unit that only one of them names decides nothing. A unit that both name must have the same
    numbers; of spans of time one may name more, because they measure different things ("call after
    two days and offer a 60 minute massage").
    """
    units = {unit for unit, _ in left} & {unit for unit, _ in right}
    for unit in units:
        here = {number for name, number in left if name == unit}
        there = {number for name, number in right if name == unit}
        if here != there and not (unit == SPAN and (here < there or there < here)):
            return False
    return True


def _counted(match: re.Match[str]) -> Quantity:
    number, word = float(match[1]), match[2]
    if word is None:
        return "%", number
    if word in _CURRENCIES:
        return MONEY, number
    if word in _MINUTES:
        return SPAN, number * _MINUTES[word]
    return word.replace("-", ""), number


def _hour(match: re.Match[str]) -> float:
    """Hours since midnight; noon is 12 p.m."""
    return int(match[1]) % 12 + int(match[2] or 0) / 60 + (12 if match[3] == "p" else 0)
