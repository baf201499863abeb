# ruff: noqa: RUF001  # people type these dashes, quotes and primes into addresses
"""US street and postal addresses, Canadian and British postcodes.

A number in front of words that end in a street's suffix is an address, unless the words between are
those of a sentence, or the number counts something. Suffixes that are everyday words (Park, Pass,
Way) need more: capitals, or a word such as `at` in front.
"""

from __future__ import annotations

import re
from typing import Final

from keeper_grpc.privacy.text.matching import NUMBER_WORDS, Match, Recognizer, compiled
from keeper_grpc.privacy.text.word_lists import listed

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

_STREETS: Final = listed(
    "Street St Str Avenue Ave Av Aven Road Rd Boulevard Blvd Boul Parkway Pkwy Pky Highway Hwy "
    "Turnpike Tpke Expressway Expwy Expy Freeway Fwy Crescent Cres Causeway Cswy Terrace Terr Ter "
    "Alley Aly Esplanade Promenade Stravenue Throughway Trafficway Streets Roads Avenues Ln Dr Drv Ct Cir "
    "Trl Sq Pl Plz"
)
"""Suffixes that mean a street and nothing else."""
_LANES: Final = listed(
    "Lane Drive Drives Court Courts Circle Circles Trail Trails Square Squares Place Plaza Loop"
)
"""Suffixes of streets that are also counted: `2 hour drive`, `25 yard lane`."""
_EVERYDAY: Final = listed(
    "Way Ways Wy Annex Anx Arcade Arc Bayou Beach Bch Bend Bnd Bluff Bluffs Blf Bottom Branch Br "
    "Bridge Brg Brook Brooks Bypass Byp Camp Canyon Cyn Cape Center Centers Centre Ctr Cliff Cliffs "
    "Clf Club Clb Common Commons Corner Corners Cor Course Cove Coves Cv Creek Crk Crest Crossing "
    "Xing Crossroad Crossroads Curve Dale Dam Divide Estate Estates Est Extension Extensions Ext Fall "
    "Falls Ferry Fry Field Fields Fld Flat Flats Ford Fords Forest Forge Forges Fork Forks Fort Ft "
    "Garden Gardens Gdn Gdns Gateway Gtwy Glen Glens Gln Green Greens Grn Grove Groves Grv Harbor "
    "Harbors Harbour Hbr Haven Hvn Heights Hts Hill Hills Hl Hls Hollow Holw Inlet Island Islands Isle "
    "Junction Junctions Jct Key Keys Knoll Knolls Lake Lakes Land Landing Lndg Light Lights Loaf Lock "
    "Locks Lodge Mall Manor Manors Mnr Meadow Meadows Mdw Mews Mill Mills Mission Motorway Mount Mt "
    "Mountain Mountains Mtn Neck Orchard Oval Overpass Parade Park Parks Parkways Pass Passage Path "
    "Pike Pine Pines Plain Plains Point Points Port Ports Prairie Radial Ramp Ranch Rapid Rapids Rest "
    "Ridge Ridges Rdg River Riv Route Rte Row Rue Run Shoal Shoals Shore Shores Skyway Spring Springs "
    "Spg Spgs Spur Spurs Station Sta Stream Summit Trace Track Tunnel Underpass Union Unions Valley "
    "Valleys Vly Viaduct View Views Village Villages Ville Vista Walk Walks Wall Well Wells Close Gate "
    "Broadway Burg Burgs Via Missions Quay Yard"
)
"""Suffixes that are everyday words. All three lists are USPS Publication 28's, and a few British ones."""

_SUFFIXES: Final = "|".join((*_STREETS, *_LANES, *_EVERYDAY))
_STREET_SET: Final = frozenset(word.lower() for word in _STREETS)
_SPOKEN_STREETS: Final = frozenset(listed("street st avenue ave road rd blvd boulevard terrace"))
"""What may follow a house number in words: `twelve oak street`."""
_LANE_SET: Final = frozenset(word.lower() for word in _LANES)

_TIMES: Final = frozenset(
    listed(
        "minute minutes min mins hour hours hr hrs day days week weeks wk wks month months mo year "
        "years yr session sessions class classes visit visits client clients customer customers "
        "guest guests member members percent off points pack package packages people step steps "
        "times mile miles lap laps pound pounds stars seconds am pm rep reps set sets usd dollar "
        "dollars x person persons room rooms lane"
    )
)
"""What is counted in this trade. `30 day pass` and `2 hour park visit` have no street in them."""
_KINDS: Final = frozenset(
    listed(
        "free new easy time star key quick simple more great best top second point part full half "
        "extra hot deep yard way small large big private free open"
    )
)
"""What stands between a number and what it counts."""
_NO_STREETS: Final = frozenset(
    listed(
        "into on at is was were are he she it they we you and but from by with again for to of or in "
        "out the a an per off down up who that this these her his their our my your has have had if "
        "when then than as not no w"
    )
)
"""Words of a sentence: `typed 5119 into the field`. In a street's name they have a capital."""

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

_WORD: Final = r"(?:\pL{1,3}\.|[\pL\pN'’-]+)"
"""A full stop ends an abbreviation (`St. James`), or else the sentence and with it the street."""
_COMPASS: Final = r"(?:ne|nw|se|sw|n|s|e|w|north|south|east|west)"
_NUMERAL: Final = r"\b\d{1,6}(?:[-/](?:\d{1,4}|[a-z]\b))?[a-d]?(?:\s1/2)?"
_SPOKEN: Final = r"\b(?:(?:oh|and|" + NUMBER_WORDS + r")[\s-]){0,4}(?:" + NUMBER_WORDS + r")"
"""House numbers: `12`, `85-20`, `14b`; `one forty two`."""
_BEFORE: Final = r"(?:" + _COMPASS + r"\.?\s{1,2})?"
_AFTER: Final = r"(?:\s{1,2}" + _COMPASS + r"\b\.?)?"

_CUES: Final = re.compile(
    r"(?:^|\b(?:at|to|lives?|living|located|address|near|from|@|is|on|house|home|here)|@|[:(|,-])[\s:,]{0,3}$",
    re.IGNORECASE,
)
_PLACES: Final = re.compile(
    r"(?:\b(?:at|lives?|living|located|address)|@)[\s:,]{0,3}$", re.IGNORECASE
)
_LONGEST_CUE: Final = 14
_WORDS: Final = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def _split(match: Match) -> tuple[list[str], str]:
    """The words between house number and suffix, and the suffix, of the street that was matched."""
    found, suffixes = _WORDS.findall(match[2]), [match[3], *_WORDS.findall(match[4])]
    # `New Haven Street`: of several suffixes the one that says most; those before it are the name.
    best = next(
        (
            at
            for kinds in (_STREET_SET, _LANE_SET)
            for at, word in enumerate(suffixes)
            if word.lower() in kinds
        ),
        0,
    )
    return found + suffixes[:best], suffixes[best]


def _is_cued(match: Match) -> bool:
    start = match.span()[0]
    return _CUES.search(match.string[max(start - _LONGEST_CUE, 0) : start]) is not None


def _is_placed(match: Match) -> bool:
    """Whether a word stands in front behind which a count hardly does: `lives at`."""
    start = match.span()[0]
    return _PLACES.search(match.string[max(start - _LONGEST_CUE, 0) : start]) is not None


def _is_street(match: Match) -> bool:
    """Not a sentence that happens to end in a suffix, and not a count of something."""
    between, suffix = _split(match)
    kind = suffix.lower()
    if not between or _is_sentence(match, between, suffix):
        return False
    spoken = not match[1][:1].isdigit()
    first = between[0].lower()
    counted = (first in _TIMES or first in _KINDS) and len(between) == 1
    capitals = suffix[:1].isupper() and any(word[:1].isupper() for word in between)
    placed = _is_placed(match)
    if kind in _STREET_SET:
        return not spoken or (not counted and kind in _SPOKEN_STREETS)
    if kind in _LANE_SET:
        return capitals or (not (spoken and len(between) > 1) and (placed or not counted))
    if spoken or (first in _TIMES and not placed):
        return False
    if capitals:
        return not _goes_on(match) and (not counted or _is_cued(match))
    return placed and len(between) <= 2  # noqa: PLR2004  # Silver Creek Trail


def _is_sentence(match: Match, between: list[str], suffix: str) -> bool:
    """`4 at 247 Miller Ave`: a small function word, or another number."""
    if any(word.isdigit() for word in between[1:]):
        return True
    small = [
        at
        for at, word in enumerate(between)
        if word.lower() in _NO_STREETS and not (word[:1].isupper() and suffix[:1].isupper())
    ]
    if not small:
        return False
    # `at 19 the green`, `210 a street`, `500 terry a francois blvd`: an article or an initial.
    article = between[small[0]].lower() in {"the", "a"} and len(small) == 1
    if not article or (small[0] == 0 and not _is_placed(match)):
        return True
    return len(between) > 1 and (small[0] == 0 or suffix.lower() not in _STREET_SET)


def _goes_on(match: Match) -> bool:
    """Whether a capitalized word follows without a stop: `2 Hour Park Visit` is a title."""
    end = match.span()[1]
    rest = match.string[end : end + 2] if match[0][-1:] != "." else ""
    return rest[:1] == " " and rest[1:2].isupper()


_PARTICLES: Final = frozenset(listed("de la le du des del los las of the"))
_ROMANCE: Final = frozenset(listed("rue calle camino paseo avenida rua strada avenue"))


def _is_named_street(match: Match) -> bool:
    """`5 Avenue of the Americas`, `12 rue de la paix`, `9 The Crescent`: not `2 the same`."""
    kind, *name = _WORDS.findall(match[2])
    name = [word for word in name if word.lower() not in _PARTICLES]
    if kind.lower() in _ROMANCE:
        return bool(name)
    return bool(name) and all(word[:1].isupper() for word in (kind, *name))


def _is_unit_of_street(match: Match) -> bool:
    """`305 Main, unit 4B`: not `3 classes, unit 2`."""
    found = [word.lower() for word in _WORDS.findall(match[2])]
    return not any(word in _NO_STREETS or word in _TIMES for word in found)


_DIALLED: Final = re.compile(
    r"(?:\+\d{1,3}|\b00\d{1,3}|\(\d{1,4}\))[\s().-]{0,3}(?:\d{1,4}[\s().-]{1,3})?$"
)


def _follows_no_dialling_code(match: Match) -> bool:
    """`+55 11 91234-5678` ends with what is a ZIP code elsewhere."""
    start = match.span()[0]
    return _DIALLED.search(match.string[max(start - 20, 0) : start]) is None


def _is_house(match: Match) -> bool:
    """`3417 n kedzie`, `at 1600 pennsylvania`: not `120 n up`, `at 1500 steps`."""
    number, first = match[1], match[3].lower()
    if first in _TIMES or first in _NO_STREETS or first in _KINDS:
        return False
    placed = _is_placed(match)
    if not match[2]:
        return placed and len(number) > 3  # noqa: PLR2004  # `at 120 she left`
    with_or_and = match[2].strip(". ") in {"w", "n"}
    return placed or not (number[-1] in "05" and with_or_and)


_NO_CROSSINGS: Final = frozenset(
    listed("get last final second third fourth fifth every then up free beyond so on the next")
)


def _street(house: str, needs: tuple[str, ...]) -> Recognizer:
    """House number, up to five words, suffixes, and what may follow them."""
    return Recognizer(
        "address",
        compiled(
            rf"({house}),?\s{{1,3}}{_BEFORE}((?:{_WORD}\s{{1,3}}){{0,4}}?{_WORD})\s{{1,3}}({_SUFFIXES})\b\.?"
            rf"((?:\s{{1,2}}(?:{_SUFFIXES})\b\.?){{0,3}}){_AFTER}{_TAIL}"
        ),
        needs,
        accept=_is_street,
        resumes=True,
    )


ADDRESSES: Final[tuple[Recognizer, ...]] = (
    Recognizer(
        "address",
        compiled(r"\b(?:p\.?\s?o\.?\s?|post office )\s?box\s{0,2}#?\s{0,2}\d{1,8}" + _TAIL),
        ("box",),
    ),
    Recognizer(
        "address",
        compiled(
            r"\b(?:rr|rural route|hc|hcr|highway contract|star route)\.?\s{0,2}#?\s?\d{1,3},?\s{1,3}"
            r"box\s{0,2}#?\s?\d{1,6}[a-z]?" + _TAIL
        ),
        ("box",),
    ),
    Recognizer(
        "address",
        compiled(
            r"\b(?:(?:psc|cmr|unit|usns|uss|uscgc|usnv)\.?\s{1,2}[\pL\pN]+,?\s{1,2}(?:box\s{1,2}\d{1,6},?\s{1,2})?"
            r"(?:[apfd]po)\s{1,2}a[aep]\s{1,2}\d{5}(?:-\d{4})?)\b"
        ),
        ("box",),
    ),
    Recognizer(
        "address",
        compiled(
            r"("
            + _NUMERAL
            + r"),?\s{1,3}"
            + _BEFORE
            + r"((?:old |new |us |u\.s\. |state |county |farm to market |farm |ranch |rural |business |"
            r"(?:"
            + _STATES
            + r") )?(?:highway|hwy|route|rte|road|rd|interstate|freeway|loop|spur|fm|cr|sr|us|i)[\s-]{1,2}#?\d{1,5}[a-z]?)\b"
            + _AFTER
            + _TAIL
        ),
        ("highway",),
    ),
    Recognizer(
        "address",
        compiled(
            r"\b(?:(?:hwy|highway|interstate|county r(?:oa)?d|state r(?:oa)?d|state route|us route|rural route)\.?|(?-i:FM|SR|CR|US|RM))[\s-]"
            r"\d{1,4}\b(?:,?\s?#\s?\d{1,5})?"
        ),
        ("highway",),
    ),
    Recognizer(
        "address",
        compiled(
            r"\b(?-i:Pier|Terminal|Route|Rte|Exit|Channel|Studio|Building|Hangar|Lot)\s#?\d{1,4}[a-z]?\b"
        ),
        ("pier",),
    ),
    Recognizer(
        "address",
        compiled(r"\b\d{1,3}(?:st|nd|rd|th)\s(?:&|and)\s(\pL{3,})\b"),
        ("crossing",),
        accept=lambda match: (
            match[1].lower() not in _NO_CROSSINGS and ("&" in match[0] or match[1][0].isupper())
        ),
    ),
    _street(_NUMERAL, ("house",)),
    _street(_SPOKEN, ("street",)),
    Recognizer(
        "address",
        compiled(
            r"(\b\d{1,6}[a-d]?),?\s{1,3}"
            + _BEFORE
            + r"((?:"
            + _WORD
            + r"\s{1,3}){0,2}?"
            + _WORD
            + r"),?\s{1,3}(?:(?:apt|apartment|suite|ste|unit|spc|trlr|bldg)\.?\s{0,3}#?\s{0,2}[a-z0-9-]{1,6}|#\s?[a-z0-9-]{1,6})\b"
            + _TAIL
        ),
        ("digit", "unit"),
        accept=_is_unit_of_street,
        resumes=True,
    ),
    Recognizer(
        "address",
        compiled(
            r"(\b\d{1,6}[a-d]?),?\s{1,3}"
            + _BEFORE
            + r"((?:(?:avenue|ave|boulevard|road|place|court|route)\s(?:of|de|del|du|des)(?:\sthe|\sla|\slas|\slos)?"
            r"|rue|via|calle|camino|paseo|avenida|avenue|plaza|rua|strada|the)\s(?:(?:de|la|le|du|des|del|los|las)\s){0,2}[\pL'’-]+(?:\s(?-i:[A-Z])[\pL'’-]+)?)\b"
            + _TAIL
        ),
        ("named",),
        accept=_is_named_street,
        resumes=True,
    ),
    Recognizer(
        "address",
        compiled(
            r"\b\d{1,6}\s{1,3}"
            + _BEFORE
            + r"(?:broadway|\d{1,3}(?:st|nd|rd|th)\b(?:\s(?:st|ave|street|avenue))?)"
            + _TAIL
        ),
        ("broadway",),
    ),
    Recognizer(
        "address",
        compiled(
            r"\b(?:lives?|living|located|address|resides?|residence|deliver(?:y|ed)?|ship(?:ped)?|moved|card|mail(?:ed)?)\b"
            r"[\pL\s:,]{0,24}?\b((?:at|to|is|:|@)\s?\d{1,6}[a-d]?\s((?-i:[A-Z])[\pL'’-]+(?:\s(?-i:[A-Z])[\pL'’-]+){0,2}))"
        ),
        ("digit", "home"),
        accept=_is_unit_of_street,
        group=1,
    ),
    Recognizer(
        "address",
        compiled(r"(\b\d{3,6})\s((?:" + _COMPASS + r")\b\.?\s)?(\pL[\pL'’-]{2,})"),
        ("door",),
        accept=_is_house,
        resumes=True,
    ),
    Recognizer(
        "address",
        compiled(
            r"(?:[\pL.'’-]+\s{1,2}){0,3}[\pL.'’-]+,\s{0,3}(?:"
            + _STATES
            + r"),?\s{1,3}\d{5}(?:-\d{4})?\b"
            r"|\b(?:" + _STATES + r"),?\s{1,3}\d{5}(?:-\d{4})?\b|\b\d{5}-\d{4}\b"
            r"|\bzip(?:\s?code)?\s{0,2}(?:is|:|#)?\s{0,2}\d{5}(?:-\d{4})?\b"
        ),
        ("zip",),
        accept=_follows_no_dialling_code,
    ),
    Recognizer(
        "address",
        compiled(
            r"\b[a-z]{1,2}\d[a-z\d]?\s?\d[a-z]{2}\b|\b[abceghj-nprstvxy]\d[a-z]\s?\d[a-z]\d\b"
            r"|\b(?:apt|apartment|suite|ste)\b\.?\s{0,2}#?\s?\d{1,5}[a-z]?\b(?:,\s{0,2}\d{1,6}\s\pL[\pL'’-]+)?"
            r"|\bcorner of\s[\pL\pN]+(?:\s(?:st|street|ave|avenue|rd|road|blvd))?\s(?:and|&|at)\s[\pL\pN]+"
            r"|\b(?:hwy|highway|route|rte|interstate|i)[\s-]\d{1,4}\s(?:mile marker|mm|exit)\s\d{1,4}"
        ),
        ("postcode",),
    ),
)
"""The most particular first."""
