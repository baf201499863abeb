# ruff: noqa: RUF001  # people type these dashes, quotes and primes into numbers and addresses
"""Layer 3: identifiers that have a form: e-mail, phone, card, SSN, URL, handle, IP, address.

Every expression runs in RE2, which is linear in the text whatever the text is, and only when a
character that it needs is there at all. What only looks like an identifier (a run of seven digits
that is no phone number) is masked as well, as `number`.
"""

from __future__ import annotations

import re
from typing import Final

import phonenumbers

from keeper_grpc.privacy.layers.figures import FIGURES
from keeper_grpc.privacy.text.draft import Draft
from keeper_grpc.privacy.text.matching import Match, Recognizer, compiled
from keeper_grpc.privacy.text.word_lists import listed


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _is_card(match: Match) -> bool:
    """Luhn's checksum over 12 to 19 digits (ISO/IEC 7812)."""
    digits = [int(digit) for digit in _digits(match[0])]
    if not 12 <= len(digits) <= 19:  # noqa: PLR2004  # ISO/IEC 7812 lengths
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


_IBAN_DIGITS: Final = 6
"""An IBAN has at least this many; with fewer it is prose that begins like one."""
_ID_DIGITS: Final = 5
"""Shorter mixtures of letters and digits are spf50 and 2026q3."""
_MAC_DASHES: Final = 5
_CLOCK_COLONS: Final = 2
"""12:30:00 is a time; an address of a network has more colons."""

DURATIONS: Final = re.compile(r"(?:\d{1,2}[05]|0|5)(?:\D+(?:\d{1,2}[05]|0|5))+")
"""`60 90 120`: a menu of minutes or prices, not a telephone number."""


def _is_long_number(match: Match) -> bool:
    """At least seven digits, unless they are a menu of round figures."""
    return len(_digits(match[0])) >= 7 and not DURATIONS.fullmatch(match[0])  # noqa: PLR2004  # the shortest subscriber number


def _phone_or_number(match: Match) -> str:
    """What to call a long number; masked it is either way."""
    try:
        parsed = phonenumbers.parse(match[0], "US")
    except phonenumbers.NumberParseException:
        return "number"
    return "phone" if phonenumbers.is_possible_number(parsed) else "number"


_STATES: Final = (
    "A[LKZR]|C[AOT]|D[EC]|FL|GA|HI|I[DLNA]|K[SY]|LA|M[EDAINSOT]|N[EVHJMYCD]|O[HKR]|PA|RI|S[CD]|"
    "T[NX]|UT|V[TA]|W[AVIY]|PR|GU|VI|AS|MP|FM|MH|PW|A[AEP]|"
    "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|"
    "Hawaii|Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|"
    "Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|New Hampshire|New Jersey|"
    "New Mexico|New York|North Carolina|North Dakota|Ohio|Oklahoma|Oregon|Pennsylvania|"
    "Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia|Washington|"
    "West Virginia|Wisconsin|Wyoming"
)

_SUFFIXES: Final = "|".join(
    listed(
        "Street St Str Avenue Ave Av Aven Road Rd Boulevard Blvd Boul Drive Dr Drv Lane Ln Court Ct "
        "Courts Place Pl Square Sq Terrace Terr Ter Parkway Pkwy Pky Circle Cir Circles Highway Hwy "
        "Way Ways Wy Trail Trails Trl Alley Aly Annex Anx Arcade Arc Bayou Beach Bch Bend Bnd Bluff "
        "Bluffs Blf Bottom Branch Br Bridge Brg Brook Brooks Bypass Byp Camp Canyon Cyn Cape "
        "Causeway Cswy Center Centers Centre Ctr Cliff Cliffs Clf Club Clb Common Commons Corner "
        "Corners Cor Course Cove Coves Cv Creek Crk Crescent Cres Crest Crossing Xing Crossroad "
        "Crossroads Curve Dale Dam Divide Estate Estates Est Expressway Expy Extension Extensions "
        "Ext Fall Falls Ferry Fry Field Fields Fld Flat Flats Ford Fords Forest Forge Forges Fork "
        "Forks Fort Ft Freeway Fwy Garden Gardens Gdn Gdns Gateway Gtwy Glen Glens Gln Green Greens "
        "Grn Grove Groves Grv Harbor Harbors Hbr Haven Hvn Heights Hts Hill Hills Hl Hls Hollow "
        "Holw Inlet Island Islands Isle Junction Junctions Jct Key Keys Knoll Knolls Lake Lakes "
        "Land Landing Lndg Light Lights Loaf Lock Locks Lodge Loop Mall Manor Manors Mnr Meadow "
        "Meadows Mdw Mews Mill Mills Mission Motorway Mount Mt Mountain Mountains Mtn Neck Orchard "
        "Oval Overpass Park Parks Parkways Pass Passage Path Pike Pine Pines Plain Plains Plaza Plz "
        "Point Points Port Ports Prairie Radial Ramp Ranch Rapid Rapids Rest Ridge Ridges Rdg River "
        "Riv Roads Route Rte Row Rue Run Shoal Shoals Shore Shores Skyway Spring Springs Spg Spgs "
        "Spur Spurs Squares Station Sta Stravenue Stream Streets Summit Throughway Trace Track "
        "Trafficway Tunnel Turnpike Tpke Underpass Union Unions Valley Valleys Vly Viaduct View "
        "Views Village Villages Ville Vista Walk Walks Wall Well Wells Close Gate Broadway Burg Burgs Drives Via Missions Esplanade "
        "Promenade Quay Yard"
    )
)
"""USPS Publication 28's street suffixes, spelled out and abbreviated, and a few British ones."""

_UNITS: Final = frozenset(
    listed(
        "minute minutes min mins hour hours hr hrs day days week weeks wk wks month months mo year "
        "years yr session sessions class classes visit visits client clients customer customers "
        "guest guests member members percent off point points pack package packages people new "
        "point free step steps easy times time more of out to or and in for the a mile miles lap "
        "laps pound pounds stars star key quick simple more great best top second seconds point "
        "am pm rep reps set sets part full half extra hot deep usd dollar dollars x"
    )
)
"""What is counted in this trade. `30 day pass` and `2 hour park visit` have no street in them."""

_UNIT: Final = (
    r"(?:(?:apt|apartment|suite|ste|unit|fl|floor|rm|room|bldg|building|lot|spc|trlr|dept|no)\.?"
    r"\s{0,3}#?\s{0,3}[a-z0-9-]{1,6}|#\s{0,2}[a-z0-9-]{1,6})"
)
_TAIL: Final = (
    r"(?:,?\s{1,3}" + _UNIT + r")?"
    r"(?:(?:\s{0,2},\s{0,3}|\s{1,3})(?:[\pL.'’-]+\s{1,2}){0,3}[\pL.'’-]+,?\s{1,3}"
    r"(?:" + _STATES + r")(?:,?\s{1,3}\d{5}(?:-\d{4})?)?\b)?"
)
"""Unit, city, state and ZIP code, as far as they are there."""

_STREET_WORD: Final = r"(?:\pL{1,3}\.|[\pL\pN'’-]+)"
"""A full stop ends an abbreviation (`St. James`), or else the sentence and with it the street."""

_DIRECTION: Final = r"(?:(?:n|s|e|w|ne|nw|se|sw|north|south|east|west)\.?\s{1,2})?"


_NO_STREETS: Final = frozenset(
    listed("into on at is was were are he she it they we you and but from by with again")
)
"""What follows a number in prose: `typed 5119 into the field`."""


def _is_street(match: Match) -> bool:
    """Not a count of something: the word after the number is no unit."""
    after = match[0].lstrip("0123456789-/ ").split(maxsplit=1)
    first = after[0].lower().strip(".,") if after else ""
    return first not in _UNITS and first not in _NO_STREETS


CONTAINERS: Final[tuple[Recognizer, ...]] = (
    Recognizer(
        "email",
        compiled(r"[\pL\pN._%+'-]+\s?@\s?[\pL\pN-]+(?:\s?\.\s?[\pL\pN-]+){1,6}"),
        "@",
    ),
    Recognizer(
        "email",
        compiled(
            r"(?:[\pL\pN_%+-]+\s{1,2}(?:dot|underscore|dash|hyphen)\s{1,2}){0,3}"
            r"[\pL\pN._%+-]+\s{0,2}(?:\(|\[|\{|\s|<|_|-)\s{0,2}at\s{0,2}(?:\)|\]|\}|\s|>|_|-)\s{0,2}"
            r"[\pL\pN-]+(?:\s{0,2}(?:\.|\(dot\)|\[dot\]|\{dot\}|<dot>|\sdot\s)\s{0,2}[\pL\pN-]+){0,3}"
            r"\s{0,2}(?:\.|\(dot\)|\[dot\]|\{dot\}|<dot>|\sdot\s)\s{0,2}(?:com|net|org|edu|gov|io|co|us|info|biz|me|uk|ca|de|fr|es|it|mx)\b(?:[/?#][^\s<>]*)?"
        ),
        "",
    ),
    Recognizer(
        "url",
        compiled(r"\b(?:[a-z][a-z0-9+.-]{1,15}://|www\d?\.)[^\s<>\"')\]}]+"),
        ".:",
    ),
    Recognizer(
        "url",
        compiled(
            r"\b[a-z0-9][a-z0-9-]+(?:\.[a-z0-9-]{2,63}){0,4}\.[a-z]{2,24}\b(?:[:/?#][^\s<>\"')\]}]*)?"
        ),
        ".",
        accept=lambda match: match[0] == match[0].lower() or "/" in match[0],
    ),
    Recognizer(
        "url",
        compiled(
            r"\b(?:[a-z0-9][a-z0-9-]*\.){1,5}(?:com|net|org|edu|gov|mil|io|co|us|uk|ca|"
            r"info|biz|me|app|dev|ai|ly|tv|shop|store|online|site|spa|salon|fitness|health|beauty|"
            r"xyz|club|live|life|studio|gym|yoga|page|link|to|gl|de|fr|es|it|nl|eu|au|in|jp|br|mx|"
            r"ru|ch|se|no|fi|dk|pl|cn|kr|za|nz|ie|at|be|pt)\b(?:[:/?#][^\s<>\"')\]}]*)?"
        ),
        ".:",
    ),
    Recognizer("id", compiled(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b"), "0"),
    Recognizer(
        "ip",
        compiled(
            r"\b(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}\b(?:/\d{1,2})?(\.\d)?"
        ),
        ".",
        accept=lambda match: not match[1],  # five groups are a telephone number
    ),
    Recognizer(
        "ip",
        compiled(
            r"(?:[0-9a-f]{1,4}:){2,7}[0-9a-f]{1,4}(?:/\d{1,3})?|(?:[0-9a-f]{1,4}:){1,7}:(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?(?:/\d{1,3})?"
            r"|::(?:[0-9a-f]{1,4}:){0,6}[0-9a-f]{1,4}|\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b"
        ),
        ":-",
        accept=lambda match: _is_network(match[0]),
    ),
    Recognizer("handle", compiled(r"(?:^|[^\pL\pN])(@\s?[\pL\pN_][\pL\pN_.-]*)"), "@", group=1),
    Recognizer(
        "handle",
        compiled(
            r"\b(?:instagram|insta|ig|snapchat|snap|tiktok|twitter|facebook|fb|telegram|venmo|cashapp|cash app|"
            r"zelle|linkedin|discord|skype|wechat|line id|username|user name|user id|login)\s{0,2}(?:handle|user|name|id|account)?"
            r"\s{0,2}(?::|=|\bis\b|@)\s{0,2}([\pL\pN_][\pL\pN_.-]+)"
        ),
        ":=@i",
        group=1,
    ),
    Recognizer(
        "coordinates",
        compiled(
            r"[-+]?\d{1,3}\.\d{3,12}\s{0,2}°?\s?[ns]?\s{0,2}[,;/ ]\s{0,3}[-+]?\d{1,3}\.\d{3,12}\s{0,2}°?(?:\s?[ew]\b)?"
            r"|\d{1,3}\s?[°º]\s?\d{1,2}(?:\.\d{1,8})?\s?['′’]\s?(?:\d{1,2}(?:\.\d{1,8})?\s?(?:\"|″|”|''))?\s?[nsew]?"
            r"(?:[\s,]{1,3}\d{1,3}\s?[°º]\s?\d{1,2}(?:\.\d{1,8})?\s?['′’]\s?(?:\d{1,2}(?:\.\d{1,8})?\s?(?:\"|″|”|''))?\s?[nsew]?)?"
            r"|-?\d{1,3}\.\d{2,12}\s?[°º]\s?[nsew]?"
        ),
        "0",
    ),
)
"""What may contain other kinds, in this order: an e-mail address holds a domain name."""

NUMBERED: Final[tuple[Recognizer, ...]] = (
    Recognizer(
        "address",
        compiled(r"\b(?:p\.?\s?o\.?\s?|post office )\s?box\s{0,2}#?\s{0,2}\d{1,8}" + _TAIL),
        "0",
    ),
    Recognizer(
        "address",
        compiled(
            r"\b(?:(?:psc|cmr|unit|usns|uss|uscgc|usnv)\.?\s{1,2}[\pL\pN]+,?\s{1,2}(?:box\s{1,2}\d{1,6},?\s{1,2})?"
            r"(?:[apfd]po)\s{1,2}a[aep]\s{1,2}\d{5}(?:-\d{4})?)\b"
        ),
        "0",
    ),
    Recognizer(
        "address",
        compiled(
            r"\b\d{1,6}(?:[-/]\d{1,4})?[a-d]?\s{1,3}"
            + _DIRECTION
            + r"(?:"
            + _STREET_WORD
            + r"\s{1,3}){0,4}?"
            + _STREET_WORD
            + r"\s{1,3}(?:"
            + _SUFFIXES
            + r")\b\.?(?:\s{1,2}(?:"
            + _SUFFIXES
            + r")\b\.?){0,3}"
            r"(?:\s{1,2}(?:ne|nw|se|sw|n|s|e|w|north|south|east|west)\b\.?)?" + _TAIL
        ),
        "0",
        accept=_is_street,
    ),
    Recognizer(
        "address",
        compiled(
            r"\b\d{1,6}\s{1,3}"
            + _DIRECTION
            + r"(?:broadway|highway\s\d{1,4}|hwy\s\d{1,4}|route\s\d{1,4}|county (?:road|rd|route)\s\d{1,5}|cr\s\d{1,5}|"
            r"(?:state|farm|ranch|rural) (?:road|rd|route|hwy|highway)\s(?:to market\s)?\d{1,5}|fm\s\d{1,5}|interstate\s\d{1,4}|avenue\s[a-z]\b|\d{1,3}(?:st|nd|rd|th)\b(?:\s(?:st|ave|street|avenue))?)"
            + _TAIL
        ),
        "0",
    ),
    Recognizer(
        "address",
        compiled(
            r"(?:[\pL.'’-]+\s{1,2}){0,3}[\pL.'’-]+,\s{0,3}(?:"
            + _STATES
            + r"),?\s{1,3}\d{5}(?:-\d{4})?\b"
            r"|\b(?:" + _STATES + r"),?\s{1,3}\d{5}(?:-\d{4})?\b|\b\d{5}-\d{4}\b"
            r"|\bzip(?:\s?code)?\s{0,2}(?:is|:|#)?\s{0,2}\d{5}\b"
            r"|\b[a-z]{1,2}\d[a-z\d]?\s?\d[a-z]{2}\b|\b[abceghj-nprstvxy]\d[a-z]\s?\d[a-z]\d\b"
        ),
        "0",
    ),
    Recognizer("ssn", compiled(r"\b\d{3}[-. ]\d{2}[-. ]\d{4}\b"), "0"),
    Recognizer(
        "id",
        compiled(
            r"\b(?:ssn|social|social security(?: number| no\.?| #)?|itin|ein|tax id|passport|license|licence|dl|mrn|"
            r"account|acct|policy|member(?:ship)?|id|invoice|order|booking|confirmation|ticket)"
            r"\s{0,2}(?:number|num|no|nr|id|code)?\.?\s{0,2}(?:is|:|#|=|-)?\s{0,2}#?\s{0,2}([a-z]{0,4}-?\d[\d-]{3,20}[a-z]?)\b"
        ),
        "0",
        group=1,
    ),
    Recognizer("card", compiled(r"\b\d(?:[ .\-–—/]{0,2}\d){11,18}\b"), "0", accept=_is_card),
    Recognizer(
        "card",
        compiled(
            r"\b(?:card|visa|mastercard|amex|discover|debit|credit)\b[\pL ]{0,20}?(?:ending|ends|end|last (?:four|4))[\pL ]{0,12}?[:# ]{0,3}(\d{4})\b"
        ),
        "0",
        group=1,
    ),
    Recognizer(
        "id",
        compiled(r"\b[a-z]{2}\d{2}(?:\s?[a-z0-9]{4}){2,7}(?:\s?[a-z0-9]{1,4})?\b"),
        "0",
        accept=lambda match: len(_digits(match[0])) >= _IBAN_DIGITS,
    ),  # an IBAN without digits is prose
    Recognizer(
        "number",
        compiled(
            r"(?:\+|\b00)?[(\[]{0,2}\d(?:[\s().\-–—‐‑−·•_/*~\[\]x#+]{0,3}\d){6,40}(?:\s{0,2}(?:x|ext\.?|extension|#)\s{0,2}\d{1,6})?"
        ),
        "0",
        accept=_is_long_number,
        name=_phone_or_number,
    ),
    Recognizer(
        "id",
        compiled(
            r"\b(?:[a-z]{1,5}[-#]?\d{5,12}[a-z]?|\d{4,12}-?[a-z]{1,3}\d{0,6}|[a-z]{1,3}\d{1,4}-\d{2,6}(?:-\d{1,6}){0,3})\b"
        ),
        "0",
        accept=lambda match: len(_digits(match[0])) >= _ID_DIGITS,
    ),
    Recognizer(
        "phone",
        compiled(
            r"(?:\b(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple)\b[\s,.-]{1,3}){6,30}"
            r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)\b"
        ),
        "",
    ),
    Recognizer(
        "phone",
        compiled(
            r"\b(?:phone|cell|mobile|tel|call|text|fax|number|ext|extension|x)\b\.?\s{0,2}(?:is|at|:|#|no\.?)?\s{0,2}(\d{3}[-. ]\d{4})\b"
        ),
        "0",
        group=1,
    ),
    Recognizer(
        "address",
        compiled(r"\b(?:apt|apartment|suite|ste)\b\.?\s{0,2}#?\s?\d{1,5}[a-z]?\b"),
        "0",
    ),
    Recognizer(
        "number",
        compiled(r"\b\d{5,6}\b(?:[\s-]?([\pL]+))?"),
        "0",
        accept=lambda match: (match[1] or "").lower() not in _UNITS,
        group=0,
    ),
)
"""What is told by its digits, the most particular first."""


def _is_network(text: str) -> bool:
    """An IPv6 or MAC address, not a time (12:30:00) or a score."""
    colons = text.count(":")
    return (
        colons > _CLOCK_COLONS
        or "::" in text
        or text.count("-") == _MAC_DASHES
        or any(c in "abcdefABCDEF" for c in text)
    )


class Patterns:
    """Masks every span that a recognizer knows, and makes figures coarse on the way.

    Figures come in between: after what may contain a date (a URL), before what a date may be
    mistaken for (a telephone number).
    """

    def __call__(self, draft: Draft) -> None:
        for recognizer in (*CONTAINERS, *FIGURES, *NUMBERED):
            recognizer.mask(draft)


def recognized(text: str) -> str | None:
    """The kind of the first identifier that is still in `text`, if any: the second look."""
    for recognizer in (*CONTAINERS, *NUMBERED):
        if recognizer.may_match(text):
            for span in recognizer.spans(text):
                return span.kind
    return None
