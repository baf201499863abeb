"""Amounts, dates and ages in a text, made coarse as bands.py says.

`$120` becomes `[medium_amount_100_149]`, `March 14, 2024` becomes `March`, `45 years old` becomes
`[age_45_54] years old`. Discounts (`20% off`) and durations (`60 minute`, `8 weeks`) are what an insight is
about: no expression here reads a number that a percent sign or a unit follows.
"""

from __future__ import annotations

from typing import Final

from keeper_grpc.privacy.conditions import bands
from keeper_grpc.privacy.text.matching import Match, Recognizer, compiled

_NUMBER: Final = r"\d+(?:,\d{3})*(?:\.\d+)?"
_MULTIPLES: Final = {"k": 1_000.0, "m": 1_000_000.0}

_MONTH: Final = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY: Final = r"(?:3[01]|[12]\d|0?[1-9])"
_YEAR: Final = r"(?:19|20)\d{2}"
_ONES: Final = "one|two|three|four|five|six|seven|eight|nine"
_TEENS: Final = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS: Final = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_SPOKEN_YEAR: Final = (
    rf"(?:nineteen[\s-](?:hundred[\s-](?:and[\s-])?)?(?:(?:{_TENS})\b(?:[\s-](?:{_ONES})\b)?|oh?[\s-](?:{_ONES})\b|(?:{_TEENS})\b)"
    rf"|two[\s-]thousand\b(?:[\s-]and)?(?:[\s-](?:(?:{_TEENS}|{_ONES})\b|(?:{_TENS})\b(?:[\s-](?:{_ONES})\b)?))?"
    rf"|twenty[\s-](?:(?:{_TEENS})\b|(?:{_TENS})\b(?:[\s-](?:{_ONES})\b)?))"
)
_ORDINAL: Final = (
    r"(?:(?:twenty|thirty)[\s-])?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)"
    r"|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth"
    r"|twentieth|thirtieth"
)
_OF_YEAR: Final = rf"(?:,?\s(?:in\s)?(?:{_YEAR}\b|{_SPOKEN_YEAR}|['\x{{2019}}]?\d\d\b))?"
_CLOCK: Final = (
    r"(?:(?:\s|T|,\s|\sat\s){1,2}\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s?(?:am|pm)\b|z)?)?"
)

_COUNTED: Final = (
    r"(\s?%|\s?percent|[-\s]?(?:min|hour|hr|day|week|wk|month|mo\b|year|yr|session|visit|class|client|"
    r"customer|guest|member|people|time|point|star|of\b|out\b|x\b|st\b|nd\b|rd\b|th\b))?"
)
"""What shows that the number before it is no sum of money. RE2 has no lookahead, so it is a group."""


def _amount(number: str, multiple: str) -> str:
    value = float(number.replace(",", "")) * _MULTIPLES.get(multiple.lower(), 1.0)
    return f"[{bands.amount(value)}]"


def _month(name: str) -> str:
    return next(month for month in bands.MONTHS if month[:3].lower() == name[:3].lower())


def _numeric_month(first: str, second: str) -> str:
    """American order, unless the first number can be no month."""
    month = int(first) if int(first) <= len(bands.MONTHS) else int(second)
    return bands.MONTHS[month - 1] if 1 <= month <= len(bands.MONTHS) else "[date]"


def _age(match: Match) -> str:
    band = bands.age(float(match[1])).replace("+", " and over")
    return f"[age_{band.replace('-', '_').replace(' ', '_')}]"


def _is_written_date(match: Match) -> bool:
    """`10 May` and `the 10th of may`, but not `10 may rebook`; `May 10`, but not `may 10 clients`."""
    month = match[1]
    return (
        month[0].isupper()
        or month.lower() not in _MONTH_WORDS
        or _DATED.search(match[0]) is not None
    )


def _is_spoken_date(match: Match) -> bool:
    """`the third of May`, `May the fourth`: not the holiday, nor `May the second guest come free`."""
    month, text = match[1], match[0].lower()
    if (
        "fourth" in text
        and month.lower().startswith("jul")
        and len(text) <= len("the fourth of july")
    ):
        return False
    if month.lower() not in _MONTH_WORDS or " of " in text:
        return True
    end = match.span()[1]
    goes_on = match.string[end : end + 1] == " " and match.string[end + 1 : end + 2].isalpha()
    return month[0].isupper() and (not text.startswith(month.lower()) or not goes_on)


_MONTH_WORDS: Final = frozenset({"may", "march", "mar", "dec", "sep"})
_DATED: Final = compiled(r"\dst\b|\dnd\b|\drd\b|\dth\b|\bof\b|\d{4}")


FIGURES: Final[tuple[Recognizer, ...]] = (
    Recognizer(
        "amount",
        compiled(
            r"(?:(?:us|ca|au)?[$€£¥₹]|\b(?:usd|eur|gbp|cad|aud)\s?[$€£]?)\s?(" + _NUMBER + r")"
            r"([km]\b)?(?:\s?(?:usd|dollars?|bucks)\b)?"
        ),
        ("digit", "money"),
        coarse=lambda match: _amount(match[1], match[2] or ""),
    ),
    Recognizer(
        "amount",
        compiled(
            r"\b("
            + _NUMBER
            + r")([km])?\s?(?:[$€£¥₹]|(?:dollars?|bucks|usd|euros?|eur|gbp|pounds sterling|quid)\b)"
        ),
        ("digit", "money"),
        coarse=lambda match: _amount(match[1], match[2] or ""),
    ),
    Recognizer(
        "amount",
        compiled(
            r"\b(?:spent|spends?|spending|paid|pays?|paying|worth|costs?|costing|prices?|priced|charged?|charges|"
            r"ltv|clv|lifetime value|revenue|budget|balance|average ticket|tipped|owes?|invoiced?|refund(?:ed)?)"
            r"(?:\s(?:of|is|was|at|about|around|over|under|nearly|almost|roughly|approximately|to|up to|more than|less than)|:|=){0,3}"
            r"\s?(" + _NUMBER + r")([km]\b)?" + _COUNTED
        ),
        ("digit", "paid"),
        accept=lambda match: not match[3],
        group=1,
        coarse=lambda match: _amount(match[1], match[2] or ""),
    ),
    Recognizer(
        "date",
        compiled(
            r"\b" + _YEAR + r"[-/.](\d{1,2})[-/.](\d{1,2})" + _CLOCK + r"(?:[+-]\d{2}:?\d{2})?"
        ),
        ("/",),
        coarse=lambda match: _numeric_month(match[1], match[2]),
    ),
    Recognizer(
        "date",
        compiled(
            r"(?:^|[^\d./-])((\d{1,2})[/.-](\d{1,2})[/.-](?:" + _YEAR + r"|\d{2})\b" + _CLOCK + r")"
            r"([./-]\d)?"
        ),
        ("/",),
        # A fourth group of digits makes it a telephone number or an IP address.
        accept=lambda match: (
            not match[4] and min(int(match[2]), int(match[3])) <= len(bands.MONTHS)
        ),
        group=1,
        coarse=lambda match: _numeric_month(match[2], match[3]),
    ),
    Recognizer(
        "date",
        compiled(
            r"\b(?:on|by|since|until|till|before|after|from|due|dated?|dob|born|birthday(?: is| on)?)\s"
            r"((1[0-2]|0?[1-9])/(" + _DAY + r"))\b"
        ),
        ("/",),
        group=1,
        coarse=lambda match: _numeric_month(match[2], match[3]),
    ),
    Recognizer(
        "date",
        compiled(
            r"\b"
            + _MONTH
            + r"\.?\s(?:the\s)?"
            + _DAY
            + r"(?:st|nd|rd|th)?\b(?:,?\s"
            + _YEAR
            + r"\b)?"
            + _CLOCK
            + _COUNTED
        ),
        ("month",),
        accept=lambda match: not match[2] and _is_written_date(match),
        coarse=lambda match: _month(match[1]),
    ),
    Recognizer(
        "date",
        compiled(
            r"\b"
            + _DAY
            + r"(?:(?:st|nd|rd|th)(?:\sof)?|\sof)?[\s-]"
            + _MONTH
            + r"\b\.?(?:,?[\s-]"
            + _YEAR
            + r"\b)?"
            + _CLOCK
        ),
        ("month",),
        accept=_is_written_date,
        coarse=lambda match: _month(match[1]),
    ),
    Recognizer(
        "date",
        compiled(rf"\b(?:the\s)?(?:{_ORDINAL})\s(?:day\s)?(?:of\s)?{_MONTH}\b\.?{_OF_YEAR}"),
        ("ordinal",),
        accept=_is_spoken_date,
        coarse=lambda match: _month(match[1]),
    ),
    Recognizer(
        "date",
        compiled(rf"\b{_MONTH}\.?\s(?:the\s)?(?:{_ORDINAL})\b{_OF_YEAR}"),
        ("ordinal",),
        accept=_is_spoken_date,
        coarse=lambda match: _month(match[1]),
    ),
    Recognizer(
        "date",
        compiled(
            r"\b(?:born|birth|birth(?:day|date|year)|dob|d\.o\.b\.?|class of)\b[^.\n]{0,30}?"
            rf"({_YEAR}\b|{_SPOKEN_YEAR}|['\x{{2019}}]\d\d\b)"
        ),
        ("born",),
        group=1,
    ),
    Recognizer(
        "age",
        compiled(r"\b(1[01]\d|\d{1,2})[-\s]?(?:(?:years?|yrs?)[-\s]?olds?|y/?o)\b"),
        ("age",),
        group=1,
        coarse=_age,
    ),
    Recognizer(
        "age",
        compiled(r"\b(?:aged?|turn(?:s|ed|ing))(?:\sof|:)?\s(1[01]\d|\d{1,2})\b" + _COUNTED),
        ("age",),
        accept=lambda match: not match[2],
        group=1,
        coarse=_age,
    ),
)
"""In this order. The replacements hold nothing that any of them would read again as something finer."""
