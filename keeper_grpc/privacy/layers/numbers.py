# ruff: noqa: RUF001  # people type these dashes into numbers
"""Telephone, card and other numbers, however they are written, and codes behind what they open.

Digits and number words are read as one: `(415) five five five 0142`, `219 then 09 then 9999`. A run of
seven digits is a number, unless it is a menu (`30, 60 and 90 minutes`).
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

import phonenumbers

from keeper_grpc.privacy.text.matching import (
    NUMBER_WORDS,
    NUMBERED_AS,
    NUMBERED_ROLES,
    Match,
    Recognizer,
    compiled,
)
from keeper_grpc.privacy.text.word_lists import listed

_IBAN_DIGITS: Final = 6
"""An IBAN has at least this many; with fewer it is prose that begins like one."""
_ID_DIGITS: Final = 5
"""Shorter mixtures of letters and digits are spf50 and 2026q3."""
_LONG_DIGITS: Final = 7
"""The shortest subscriber number."""
_VANITY: Final = 7
"""Letters and digits after the area code: 1-800-FLOWERS."""

_COUNTED: Final = frozenset(
    listed(
        "minute minutes min mins hour hours hr hrs day days week weeks month months year years "
        "session sessions class classes visit visits client clients customer customers guest guests "
        "member members percent points point people miles steps reps calories followers reviews "
        "dollars usd"
    )
)
"""What a number of five or six digits may count."""

DURATIONS: Final = re.compile(r"(?:\d{1,2}[05]|0|5)(?:\D+(?:\d{1,2}[05]|0|5))+")
"""`60 90 120`: a menu of minutes or prices, not a telephone number."""
_THOUSANDS: Final = re.compile(r"\d{1,3}(?:,\d{3}){1,2}")
"""`1,250,000` is a sum, not a number of ten digits."""
_LISTED: Final = re.compile(r"[,/&]|\b(?:and|or|to|then)\b", re.IGNORECASE)

_DIGIT_WORDS: Final = {
    word: digits
    for digits, words in {
        1: "zero oh o one two three four five six seven eight nine double hundred",
        2: "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen "
        "twenty thirty forty fifty sixty seventy eighty ninety triple",
        3: "thousand",
    }.items()
    for word in words.split()
}
"""How many digits a word stands for: `double five` is two. Of `twenty two` the ones count nothing."""
_TENS: Final = frozenset(listed("twenty thirty forty fifty sixty seventy eighty ninety"))
_ONES: Final = frozenset(listed("one two three four five six seven eight nine"))
_PIECE: Final = re.compile(rf"\d+|\b(?:{NUMBER_WORDS}|oh|o)\b|(?:{NUMBER_WORDS})", re.IGNORECASE)

_UNIT: Final = r"(?:\d{1,7}|oh|o|" + NUMBER_WORDS + r")"
_BETWEEN: Final = (
    r"(?:[\s,.()\[\]\-–—‐‑−·•_/*~|x#+]{0,8}(?:(?:and then|then|and|dash|hyphen|dot|point|period|space|comma|slash|minus)\b"
    r"[\s,.-]{0,4})?)"
)


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _is_card(match: Match) -> bool:
    """Luhn's checksum over 12 to 19 digits (ISO/IEC 7812)."""
    digits = [int(digit) for digit in _digits(match[0])]
    if not 12 <= len(digits) <= 19:  # noqa: PLR2004  # ISO/IEC 7812 lengths
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_long_number(match: Match) -> bool:
    """At least seven digits, unless they are a menu of round figures."""
    return len(_digits(match[0])) >= _LONG_DIGITS and not DURATIONS.fullmatch(match[0])


def _is_spelled_number(match: Match) -> bool:
    """At least seven digits and number words, unless they are a list of quantities."""
    text = match[0]
    pieces = [piece.lower() for piece in _PIECE.findall(text)]
    count = 0
    for at, piece in enumerate(pieces):
        if piece.isdigit():
            count += len(piece)
        elif not (at and pieces[at - 1] in _TENS and piece in _ONES):
            count += _DIGIT_WORDS[piece]
    # Digits alone are for the expressions that can tell a card from a telephone.
    if count < _LONG_DIGITS or (not any(map(str.isalpha, text)) and "," not in text):
        return False
    if DURATIONS.fullmatch(text) or _THOUSANDS.fullmatch(text):
        return False
    return not _is_list(text, pieces)


def _is_list(text: str, pieces: list[str]) -> bool:
    """`3, 6, 9, 12 or 18 months`, `10-2, 3-6 and 7-9`: quantities, which no long group is among."""
    if not _LISTED.search(text) or not all(piece.isdigit() for piece in pieces):
        return False
    if any(len(piece) > 1 and piece[0] == "0" for piece in pieces) or max(map(len, pieces)) > 3:  # noqa: PLR2004  # 1999 is no quantity here
        return False
    values = [int(piece) for piece in pieces]
    rises = all(low < high for low, high in pairwise(values))
    falls = all(low > high for low, high in pairwise(values))
    return rises or falls or max(map(len, pieces)) == 2  # noqa: PLR2004  # hours and minutes


def _phone_or_number(match: Match) -> str:
    """What to call a long number; masked it is either way."""
    try:
        parsed = phonenumbers.parse(match[0], "US")
    except phonenumbers.NumberParseException:
        return "number"
    return "phone" if phonenumbers.is_possible_number(parsed) else "number"


def _is_vanity(match: Match) -> bool:
    """`1-800-FLOWERS`, `800 GOT JUNK`: not `800 clients`."""
    letters = "".join(filter(str.isalnum, match[2]))
    if len(letters) < _VANITY or not any(map(str.isalpha, letters)):
        return False
    return bool(match[1]) or letters.isupper()


_NO_CODES: Final = re.compile(
    r"\b(?:area|zip|promo|dress|discount|coupon|referral|use|color|qr)\s$", re.IGNORECASE
)


def _opens_something(match: Match) -> bool:
    """Not an area code, and not the code of a promotion."""
    start = match.span()[0]
    return _NO_CODES.search(match.string[max(start - 10, 0) : start]) is None


_MEASURES: Final = _COUNTED | frozenset(
    listed("inch inches in cm mm g gr gram grams oz ml k off month mo wk wks d pack packs x")
)
"""What a number behind `extension` measures: hair and lashes are extended as well as calls."""


def _is_dialled(match: Match) -> bool:
    """`extension 317`: not `extension 18 inch`, and not `extension 20%`."""
    end = match.span()[1]
    return (match[2] or "").lower() not in _MEASURES and match.string[end : end + 1] not in {
        "%",
        '"',
        "\u201d",
    }


def _is_no_year(number: str) -> bool:
    """Whether a number of four digits is none of the years that a campaign is named for."""
    return len(number) != len("2026") or number[:2] not in {"19", "20"}


def _is_numbered_one(match: Match) -> bool:
    """`client 4471`: not `client 2026 goals`, and not `user 5000 points`."""
    return (match[2] or "").lower() not in _COUNTED and _is_no_year(match[1])


SPELLED: Final[tuple[Recognizer, ...]] = (
    Recognizer(
        "number",
        compiled(r"[+(\[]{0,2}\b" + _UNIT + r"(?:" + _BETWEEN + _UNIT + r"){3,40}\b"),
        ("spelled",),
        accept=_is_spelled_number,
    ),
    Recognizer(
        "number",
        compiled(r"[+(\[]{0,2}\b\d{1,7}(?:" + _BETWEEN + r"\d{1,7}){1,40}\b"),
        ("sequence",),
        accept=_is_spelled_number,
    ),
)
"""Numbers in words, or with words between their digits. They are read before a part of one is taken
for a declared number."""

NUMBERS: Final[tuple[Recognizer, ...]] = (
    *SPELLED,
    Recognizer("ssn", compiled(r"\b\d{3}[-. ]\d{2}[-. ]\d{4}\b"), ("number",)),
    Recognizer(
        "id",
        compiled(
            r"\b(?:ssn|social|social security(?: number| no\.?| #)?|itin|ein|tax id|passport|license|licence|dl|mrn|"
            r"account|acct|policy|member(?:ship)?|id|invoice|order|booking|confirmation|ticket)"
            r"\s{0,2}(?:number|num|no|nr|id|code)?\.?\s{0,2}(?:is|:|#|=|-)?\s{0,2}#?\s{0,2}([a-z]{0,4}-?\d[\d-]{3,20}[a-z]?(?:\s\d{4}){0,4})\b"
        ),
        ("digits",),
        group=1,
    ),
    # The UK's national insurance number. In pairs, as it is printed, it is written in capitals: `at 10 15 20 a day` is none.
    Recognizer(
        "id",
        compiled(r"\b(?-i:[A-Z]{2})\s?\d{2}\s\d{2}\s\d{2}\s?(?-i:[A-D])\b|\b[a-z]{2}\d{6}[a-d]\b"),
        ("run",),
    ),
    Recognizer(
        "card", compiled(r"\b\d(?:[ .\-–—/]{0,2}\d){11,18}\b"), ("number",), accept=_is_card
    ),
    Recognizer(
        "card",
        compiled(
            r"\b(?:card|visa|mastercard|amex|discover|debit|credit|social|ssn|phone|cell|number|last)\b[\pL ]{0,20}?"
            r"(?:ending|ends|end|last (?:four|4)|four|4)[\pL ]{0,16}?[:# ]{0,3}(\d{4})\b"
        ),
        ("digits",),
        group=1,
    ),
    Recognizer(
        "id",
        compiled(r"\b[a-z]{2}\d{2}(?:\s?[a-z0-9]{4}){2,7}(?:\s?[a-z0-9]{1,4})?\b"),
        ("digits",),
        accept=lambda match: len(_digits(match[0])) >= _IBAN_DIGITS,
    ),  # an IBAN without digits is prose
    Recognizer(
        "number",
        compiled(
            r"(?:\+|\b00)?[(\[]{0,2}\d(?:[\s().\-–—‐‑−·•_/*~|\[\]x#+]{0,8}\d){6,40}(?:\s{0,2}(?:x|ext\.?|extension|#)\s{0,2}\d{1,6})?"
        ),
        ("number",),
        accept=_is_long_number,
        name=_phone_or_number,
    ),
    Recognizer(
        "id",
        compiled(
            NUMBERED_AS
            + r"(?:\b|_)?\.?[\"'’”]?\s{0,2}(?:is\b|:|=|#)?\s{0,2}[\"'“’#]{0,2}([a-z0-9_-]*\d[a-z0-9_-]*)"
        ),
        ("digit", "numbered"),
        accept=lambda match: len(match[1]) > 1,
        group=1,
    ),
    Recognizer(
        "id",
        compiled(r"\bid[\"'’”]?\s{0,2}[:=]\s{0,2}[\"'“’]?([a-z0-9_-]*\d[a-z0-9_-]*)"),
        ("digit", "numbered"),
        group=1,
    ),
    Recognizer(
        "id",
        compiled(rf"\b(?:{NUMBERED_ROLES})\s#?(\d{{4,12}})\b(?:[\s-]?([\pL]+))?"),
        ("numbered one",),
        accept=_is_numbered_one,
        group=1,
    ),
    Recognizer(
        "id",
        compiled(r"\b[a-z]{1,14}_(\d{4,12})[a-z]?\b"),
        ("underscored",),
        accept=lambda match: _is_no_year(match[1]),
    ),
    Recognizer(
        "number",
        compiled(
            r"\b(?:ext|extn|xtn|extension)\b\.?(?:\s(?:no\.?|number))?[\s:#]{0,3}(\d{2,6})\b(?:[\s-]?([\pL]+))?"
        ),
        ("digit", "extension"),
        accept=_is_dialled,
        group=1,
    ),
    Recognizer(
        "phone",
        compiled(
            r"\b(1[\s.-]{0,2})?\(?8(?:00|88|77|66|55|44|33)\)?[\s.-]{1,3}([a-z0-9]{2,10}(?:[\s.-][a-z0-9]{2,7}){0,2})\b"
        ),
        ("800",),
        accept=_is_vanity,
    ),
    Recognizer(
        "phone",
        compiled(
            r"\(?\b[2-9]\d{2}(?:\)\s?|[.-])\d{3}[\s.-]{0,2}[a-z]{4}\b|\b[2-9]\d{2}[\s.-]\d{3}[\s.-]{0,2}(?-i:[A-Z]{4})\b"
            r"|\b[2-9]\d{2}-(?-i:[A-Z]{4})\b|\b(?:call|text|dial|ring|phone)\s[2-9]\d{2}-[a-z]{4}\b"
        ),
        ("800",),
    ),
    Recognizer(
        "phone",
        compiled(r"\b[\dliogqsbz]{3}[-. ][\dliogqsbz]{3}[-. ][\dliogqsbz]{4}\b"),
        ("lookalike",),
        accept=lambda match: len(_digits(match[0])) >= _ID_DIGITS,
    ),
    Recognizer(
        "id",
        compiled(
            r"\b(?:[a-z]{1,5}[-#]?\d{5,12}[a-z]?|\d{4,12}-?[a-z]{1,3}\d{0,6}|[a-z]{1,3}\d{1,4}-\d{2,6}(?:-\d{1,6}){0,3})\b"
        ),
        ("digits",),
        accept=lambda match: len(_digits(match[0])) >= _ID_DIGITS,
    ),
    Recognizer(
        "phone",
        compiled(
            r"\b(?:phone|cell|mobile|tel|call|text|fax|number|ext|extension|x)\b\.?\s{0,2}(?:is|at|:|#|no\.?)?\s{0,2}(\d{3}[-. ]\d{4})\b"
        ),
        ("number",),
        group=1,
    ),
    Recognizer(
        "code",
        compiled(
            r"\b(?:(?:gate|door|alarm|entry|access|garage|building|bldg|keypad|lock|lockbox|safe|wi-?fi|guest|network)\s"
            r"(?:code|combo|combination|pin|password|passcode|pw|key)|combo|combination|passcode|password|pw|pin|"
            r"locker|cubby|fob|badge|keycard|plates?|license plate|tag|vin|serial|"
            r"(?:confirmation|appt|appointment|booking|reservation|reference|ref)(?:\s(?:code|number|no\.?|#))?)\b"
            r"(?:\s(?:number|no\.?|is|was|for|the|her|his|their|to|back|front|side|door|gate|code|combo|now|changed)\b){0,5}"
            r"[\s:=#-]{1,3}((?:(?-i:[A-Z]{1,4})[\s-]){0,2}[a-z0-9!@#$*._-]*\d[a-z0-9!@#$*_-]*)"
        ),
        ("digit", "opens"),
        accept=lambda match: len(match[1]) > 2,  # noqa: PLR2004  # locker 12 is one of many
        group=1,
    ),
    Recognizer(
        "code",
        compiled(
            r"\bcode\b(?:\s(?:is|was|now)\b)?[\s:=#-]{1,3}(#?\d{3,8}[#*]?)|\b(?:room|rm|suite)\s#?(\d{3,5}|\d{1,3}[a-z])\b"
        ),
        ("digit", "opens"),
        accept=_opens_something,
    ),
    Recognizer(
        "code",
        compiled(
            r"\b(?:(?:gate|door|alarm|buzzer|keypad|lockbox|garage|safe)(?:\s(?:is|was|now|changed to))?[\s:=#]{1,3}"
            r"|(?:punch|key|type)\s(?:in\s)?|code\sfor\s(?:the\s|her\s|his\s)?\pL{2,12}(?:\sis)?[\s:=#]{1,3}|(?:cvv|cvc|csc)[\s:=#]{0,3})"
            r"(#?(?:\d{3,8}|\d{1,3}[a-z])[#*]?)\b"
        ),
        ("digit", "opens"),
        accept=_opens_something,
        group=1,
    ),
    Recognizer(
        "code",
        compiled(
            r"\b(?:combo|combination|pin|passcode|code)\b(?:\s(?:is|was|now)\b)?[\s:=#-]{1,3}"
            r"(\d{1,2}(?:[\s-]\d{1,2}){2,3}|(?:oh|"
            + NUMBER_WORDS
            + r")(?:[\s-](?:oh|"
            + NUMBER_WORDS
            + r")){2,7})\b"
        ),
        ("opens",),
        group=1,
    ),
    Recognizer(
        "number",
        compiled(r"\b\d{5,6}\b(?:[\s-]?([\pL]+))?"),
        ("zip",),
        accept=lambda match: (match[1] or "").lower() not in _COUNTED,
    ),
)
"""What is told by its digits, the most particular first."""
