# ruff: noqa: RUF001  # people type these quotes and primes into coordinates
"""Layer 3: identifiers that have a form: e-mail, URL, handle, IP, coordinates, addresses, numbers, codes.

Every expression runs in RE2, which is linear in the text whatever the text is, and only when the text
gives the hints that it needs. What only looks like an identifier (a run of seven digits that is no
phone number) is masked as well, as `number`.
"""

from __future__ import annotations

import functools
from typing import Final

from keeper_grpc.privacy.layers.addresses import ADDRESSES
from keeper_grpc.privacy.layers.figures import FIGURES
from keeper_grpc.privacy.layers.numbers import NUMBERS
from keeper_grpc.privacy.text.draft import Draft
from keeper_grpc.privacy.text.matching import Match, Recognizer, compiled, hints, hints_of
from keeper_grpc.privacy.text.word_lists import listed

_MAC_DASHES: Final = 5
_CLOCK_COLONS: Final = 2
"""12:30:00 is a time; an address of a network has more colons."""
_LARGEST_OCTET: Final = 255


_NO_NICKNAMES: Final = frozenset(
    listed(
        "the a an her his their my our your so too very fast quick quickly slowly us that this name it"
    )
)
"""`goes by fast`."""
_ABBREVIATIONS: Final = frozenset(
    listed(
        "am pm eg ie us uk usa dc ny nyc la nj eu un ca ad bc ac dj rn md dds pa phd tv id pr ps rsvp vip aka "
        "diy faq spf uv ph led iv hr pt bo po eta tba tbd fyi asap"
    )
)
"""Dotted letters that are nobody's initials."""


def _is_spoken_ip(match: Match) -> bool:
    return all(int(match[group]) <= _LARGEST_OCTET for group in range(1, 5))


CONTAINERS: Final[tuple[Recognizer, ...]] = (
    Recognizer(
        "email",
        compiled(r"[\pL\pN._%+'-]+\s?@\s?[\pL\pN-]+(?:\s?\.\s?[\pL\pN-]+){1,6}"),
        ("@",),
    ),
    Recognizer(
        "email",
        compiled(
            r"(?:[\pL\pN_%+-]+\s{1,2}(?:dot|underscore|dash|hyphen)\s{1,2}){0,3}"
            r"[\pL\pN._%+-]+\s{0,2}(?:\(|\[|\{|\s|<|_|-)\s{0,2}at\s{0,2}(?:\)|\]|\}|\s|>|_|-)\s{0,2}"
            r"[\pL\pN-]+(?:\s{0,2}(?:\.|\(dot\)|\[dot\]|\{dot\}|<dot>|\sdot\s)\s{0,2}[\pL\pN-]+){0,3}"
            r"\s{0,2}(?:\.|\(dot\)|\[dot\]|\{dot\}|<dot>|\sdot\s)\s{0,2}(?:com|net|org|edu|gov|io|co|us|info|biz|me|uk|ca|de|fr|es|it|mx)\b(?:[/?#][^\s<>]*)?"
        ),
        ("at", "dot"),
    ),
    # With brackets around both it is an address whatever it ends with.
    Recognizer(
        "email",
        compiled(
            r"[\pL\pN._%+-]+\s{0,2}[(<{]\s{0,2}at\s{0,2}[)>}]\s{0,2}[\pL\pN-]+"
            r"(?:\s{0,2}(?:\.|[(<{]\s{0,2}dot\s{0,2}[)>}])\s{0,2}[\pL\pN-]+){1,4}"
        ),
        ("at", "dot"),
    ),
    Recognizer(
        "email",
        compiled(
            r"[\pL\pN._%+-]+\s{1,2}(?:at|\(a\)|@)\s{1,2}(?:gmail|yahoo|hotmail|outlook|icloud|aol|proton(?:mail)?)\b(?:\s?dot\s?com)?"
        ),
        ("at", "mailer"),
    ),
    Recognizer(
        "url",
        compiled(r"\b(?:[a-z][a-z0-9+.-]{1,15}://|www\d?\.)[^\s<>\"')\]}]+"),
        ("scheme",),
    ),
    Recognizer(
        "url",
        compiled(
            r"\b[a-z0-9][a-z0-9-]+(?:\.[a-z0-9-]{2,63}){0,4}\.[a-z]{2,24}\b(?:[:/?#][^\s<>\"')\]}]*)?"
        ),
        (".",),
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
        (".",),
    ),
    Recognizer("id", compiled(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b"), ("uuid",)),
    Recognizer(
        "ip",
        compiled(
            r"\b(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}\b(?:/\d{1,2})?(\.\d)?"
        ),
        (".",),
        accept=lambda match: not match[1],  # five groups are a telephone number
    ),
    Recognizer(
        "ip",
        compiled(
            r"\b(\d{1,3})\s{0,2}(?:dot|point|\.|\[\.\])\s{0,2}(\d{1,3})\s{0,2}(?:dot|point|\.|\[\.\])\s{0,2}(\d{1,3})"
            r"\s{0,2}(?:dot|point|\.|\[\.\])\s{0,2}(\d{1,3})\b"
        ),
        ("octets",),
        accept=_is_spoken_ip,
    ),
    Recognizer(
        "ip",
        compiled(
            r"(?:[0-9a-f]{1,4}:){2,7}[0-9a-f]{1,4}(?:/\d{1,3})?|(?:[0-9a-f]{1,4}:){1,7}:(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?(?:/\d{1,3})?"
            r"|::(?:[0-9a-f]{1,4}:){0,6}[0-9a-f]{1,4}|\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b"
        ),
        ("hex",),
        accept=lambda match: _is_network(match[0]),
    ),
    Recognizer(
        "handle",
        compiled(
            r"(?:^|[^\pL\pN])(@[\pL_][\pL\pN_.-]*|@\d[\pL\pN_.-]{4,}|@\s[\pL][\pL\pN-]*[_.\d][\pL\pN_.-]*)"
        ),
        ("@",),
        group=1,
    ),
    # An address of a network of one's own, or a letter in disguise: `lena@frontdesk`, `t@sha`.
    Recognizer("handle", compiled(r"\b[\pL\pN._-]*\pL@\pL[\pL\pN-]*"), ("@",)),
    Recognizer(
        "handle",
        compiled(r"\b[\pL*]*\pL\*{1,8}\pL[\pL*]*"),
        ("*",),
    ),
    Recognizer(
        "handle",
        compiled(
            r"\b(?:instagram|insta|ig|snapchat|snap|tiktok|twitter|facebook|fb|telegram|venmo|cashapp|cash app|"
            r"zelle|linkedin|discord|skype|wechat|line id|username|user name|user id|login)\s{0,2}(?:handle|user|name|id|account)?"
            r"\s{0,2}(?::|=|\bis\b|@)\s{0,2}([\pL\pN_][\pL\pN_.-]+)"
        ),
        ("platform",),
        group=1,
    ),
    Recognizer(
        "coordinates",
        compiled(
            r"[-+]?\d{1,3}\.\d{3,12}\s{0,2}°?\s?[ns]?\s{0,2}[,;/ ]\s{0,3}[-+]?\d{1,3}\.\d{3,12}\s{0,2}°?(?:\s?[ew]\b)?"
            r"|\d{1,3}\s?[°º]\s?\d{1,2}(?:\.\d{1,8})?\s?['′’]\s?(?:\d{1,2}(?:\.\d{1,8})?\s?(?:\"|″|”|''))?\s?[nsew]?"
            r"(?:[\s,]{1,3}\d{1,3}\s?[°º]\s?\d{1,2}(?:\.\d{1,8})?\s?['′’]\s?(?:\d{1,2}(?:\.\d{1,8})?\s?(?:\"|″|”|''))?\s?[nsew]?)?"
            r"|-?\d{1,3}\.\d{2,12}\s?[°º]\s?[nsew]?"
            r"|\blat(?:itude)?[\s:=]{1,3}-?\d{1,3}\.\d{1,12}[\s,;]{1,3}(?:lon|lng|long|longitude)[\s:=]{1,3}-?\d{1,3}\.\d{1,12}"
        ),
        ("degrees",),
    ),
    Recognizer(
        "person",
        compiled(r"\b(?:aka|nicknamed?|goes by|answers to)(?:\sis)?[\s:\"'“]{1,3}(\pL[\pL'’-]+)"),
        ("called",),
        accept=lambda match: match[1].lower() not in _NO_NICKNAMES,
        group=1,
    ),
    Recognizer(
        "person",
        compiled(r"\b(\pL\.(?:\pL\.){1,2})(?:\W|$)"),
        ("initials",),
        accept=lambda match: match[1].lower().replace(".", "") not in _ABBREVIATIONS,
        group=1,
    ),
)
"""What may contain other kinds, in this order: an e-mail address holds a domain name."""

NUMBERED: Final = (*ADDRESSES, *NUMBERS)
"""What is told by its digits."""


def _is_network(text: str) -> bool:
    """An IPv6 or MAC address, not a time (12:30:00) or a score."""
    colons = text.count(":")
    return (
        colons > _CLOCK_COLONS
        or "::" in text
        or text.count("-") == _MAC_DASHES
        or any(c in "abcdefABCDEF" for c in text)
    )


_IDENTIFIERS: Final = (*CONTAINERS, *NUMBERED)
_ALL: Final = (*CONTAINERS, *FIGURES, *NUMBERED)


class Recognizers:
    """Masks every span that a recognizer knows, and makes figures coarse on the way.

    Figures come in between: after what may contain a date (a URL), before what a date may be
    mistaken for (a telephone number).
    """

    def __call__(self, draft: Draft) -> None:
        for recognizer in _masking(hints_of(draft)):
            recognizer.mask(draft)


def recognized(text: str) -> str | None:
    """The kind of the first identifier that is still in `text`, if any: the second look."""
    for recognizer in _identifying(hints(text)):
        for span in recognizer.spans(text):
            return span.kind
    return None


@functools.lru_cache(maxsize=1_024)
def _masking(hinted: frozenset[str]) -> tuple[Recognizer, ...]:
    """The recognizers that may find something in texts with these hints; most texts have one of few sets."""
    return tuple(each for each in _ALL if hinted.issuperset(each.needs))


@functools.lru_cache(maxsize=1_024)
def _identifying(hinted: frozenset[str]) -> tuple[Recognizer, ...]:
    """The same of those that the second look is for."""
    return tuple(each for each in _IDENTIFIERS if hinted.issuperset(each.needs))
