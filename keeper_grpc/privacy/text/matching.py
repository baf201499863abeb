# ruff: noqa: RUF001  # people type these quotes into addresses
"""Matching in linear time: RE2 expressions that turn into spans of a draft."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import re2  # type: ignore[import-untyped]  # the library ships no types

from keeper_grpc.privacy.text.draft import Draft, Span
from keeper_grpc.privacy.text.word_lists import listed


class Match(Protocol):
    """What this package needs of an RE2 match; the library ships no types."""

    def span(self, group: int = 0, /) -> tuple[int, int]: ...
    def __getitem__(self, group: int, /) -> str: ...

    @property
    def string(self) -> str: ...


class Pattern(Protocol):
    """What this package needs of an RE2 expression."""

    def finditer(self, text: str, /) -> Iterator[Match]: ...
    def search(self, text: str, at: int = 0, /) -> Match | None: ...


def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = 64 << 20  # Unicode classes make large automata; RE2's default is 8 MiB
    return options


def compiled(pattern: str) -> Pattern:
    """`pattern` in RE2, without regard to case. Groups are Perl's, lookaround does not exist."""
    expression: Pattern = re2.compile(pattern, _options())
    return expression


NUMBER_WORDS: Final = "|".join(
    listed(
        "seventeen thirteen fourteen nineteen eighteen fifteen sixteen seventy hundred eleven "
        "twelve twenty thirty eighty ninety thousand double triple forty fifty sixty three seven "
        "eight zero four five nine one two six ten"
    )
)
"""The longest first: RE2 takes the first alternative that matches."""

_MONTHS: Final = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"

NUMBERED_ROLES: Final = (
    "client|customer|cust|guest|patient|user|contact|lead|profile|case|file|record|loyalty|rewards?|card|voucher|receipt|"
    "transaction|txn|employee|staff|member|membership|account|acct|payment|subscription|folio"
)
"""What systems number. `NUMBERED_AS` is how: `customer_no`."""
NUMBERED_AS: Final = rf"(?:\b|_)(?:{NUMBERED_ROLES})s?[\s_-]{{0,2}}(?:id|no|nr|num|number|ref|#)"

_HINTS: Final[dict[str, str]] = {
    "@": "@",
    "*": r"\pL\*{1,8}\pL",
    ".": r"[^\s.]\.[^\s.]",
    "scheme": r"://|\bwww",
    "digit": r"\d",
    "digits": r"\d(?:[\pL-]{0,3}\d){3}",
    "number": r"\d(?:(?:[^\pL\d]|x){0,9}\d){6}",
    "run": r"\d(?:[^\pL\pN_\n]{0,3}\d){3}",
    "sequence": r"\d(?:[^\pL\d]{0,9}\d){6}|\d[^\pL\d]{0,9}(?:and then|then|and|dash|hyphen|dot|point|period|space|comma|slash|minus)\b[^\pL\d]{0,9}\d",
    "octets": r"\d\s{0,2}(?:dot|point|\.|\[\.\])\s{0,2}\d",
    "hex": r"[0-9a-f:]:[0-9a-f:]|[0-9a-f]-[0-9a-f]{2}-",
    "uuid": r"[0-9a-f]{8}-?[0-9a-f]{4}",
    "degrees": r"\d\.\d\d|\d\s?[°º]",
    "/": r"\d[-/.]\d",
    "money": r"[$€£¥₹]|\b(?:usd|eur|gbp|cad|aud|dollars?|bucks|euros?|pounds sterling|quid)\b",
    "paid": r"\b(?:spent|spend|pa(?:y|id)|worth|cost|price|charge|ltv|clv|value|revenue|budget|balance|ticket|tipped|owe|invoice|refund)",
    "month": rf"{_MONTHS}\.?\s(?:the\s)?\d|\d(?:st|nd|rd|th)?(?:\sof)?[\s-]{_MONTHS}",
    "ordinal": rf"\b{_MONTHS}\.?\s(?:the\s)?(?:\pL{{2,10}}|twenty|thirty)|(?:first|second|third|th)(?:\sday)?(?:\sof)?\s{_MONTHS}",
    "born": r"\b(?:born|birth|dob\b|d\.o\.b|class of)",
    "age": r"\b(?:aged?|turn(?:s|ed|ing)?)\b|\d[-\s]?y|\d[-\s]?olds?",
    "spelled": rf"\b(?:oh|o|{NUMBER_WORDS})\b[\s,.()-]{{0,8}}(?:\w{{1,6}}[\s,.-]{{1,4}})?(?:\d|\b(?:oh|o|{NUMBER_WORDS})\b)|\d(?:{NUMBER_WORDS})|\b(?:{NUMBER_WORDS})\d",
    "street": r"\b(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|terrace)\b",
    "house": r"\d(?:-?[a-z])?[\s,]{1,4}(?:[\pL.'’-]{1,30}|\d{1,4}\pL{2})\s",
    "box": r"\bbox\b|\b[apfd]po\b",
    "highway": r"(?:highway|hwy|route|rte|road|rd|interstate|freeway|loop|spur|fm|cr|sr|us|i)[\s-]{1,2}#?\d",
    "pier": r"\b(?:pier|terminal|route|rte|exit|channel|studio|building|hangar|lot)\s#?\d",
    "unit": r"\b(?:apt|apartment|suite|ste|unit|spc|trlr|bldg)\b|#",
    "named": r"\d[a-d]?,?\s{1,3}(?:\pL{1,5}\.?\s{1,2})?(?:avenue|ave|boulevard|road|place|court|route|rue|via|calle|camino|paseo|avenida|plaza|rua|strada|the)\s",
    "broadway": r"\d\s{1,3}(?:\pL{1,5}\.?\s{1,2})?(?:broadway|\d{1,3}(?:st|nd|rd|th)\b)",
    "home": r"\b(?:liv|locat|address|resid|deliver|ship|moved|card|mail)",
    "zip": r"\d{5}",
    "postcode": r"\b\pL{1,2}\d|\b(?:apt|apartment|suite|ste|corner of|mile marker|mm|exit)\b",
    "lookalike": r"\d[-. ][\dliogqsbz]{3}[-. ]",
    "called": r"\b(?:aka|nicknamed?|goes by|answers to)\b",
    "initials": r"\b\pL\.\pL\.",
    "door": r"\d{3}\s(?:\pL{1,5}\.?\s)?\pL{3}",
    "crossing": r"\d(?:st|nd|rd|th)\s(?:&|and)\s",
    "opens": r"\b(?:gate|door|alarm|buzzer|keypad|punch|cvv|cvc|code|combo|combination|pass|pw|pin|key|locker|cubby|fob|badge|keycard|plate|license|tag|vin|serial|confirmation|appt|appointment|booking|reservation|ref|room|rm|suite)",
    "numbered": rf"{NUMBERED_AS}|\bid\b",
    "numbered one": rf"\b(?:{NUMBERED_ROLES})\s#?\d{{4}}",
    "underscored": r"[a-z]_\d{4}",
    "extension": r"\b(?:ext|xtn)",
    "800": r"8(?:00|88|77|66|55|44|33)\)?[\s.-]|\d{3}[\s.)-]{1,2}\d{3}|\d{3}-\pL{4}",
    "platform": r"\b(?:insta|ig\b|snap|tiktok|twitter|facebook|fb|telegram|venmo|cash ?app|zelle|linkedin|discord|skype|wechat|line id|user|login)",
    "mailer": r"\b(?:gmail|yahoo|hotmail|outlook|icloud|aol|proton)",
    "at": r"\bat\b|\ba\)",
    "dot": r"\bdot\b|[.)\]}>]",
}
"""What a text must have for an expression to be tried on it. One pass over the text finds them all;
each expression that is not tried saves 3 us. An expression's hints must match wherever it can."""

_HINT_NAMES: Final = tuple(_HINTS)
_ALL_HINTS: Final = frozenset(_HINTS)


def _hint_set() -> re2.Set:
    found = re2.Set.SearchSet(_options())
    for expression in _HINTS.values():
        found.Add(expression)
    found.Add("")  # matches every text that the set could be run on
    found.Compile()
    return found


_HINT_SET: Final = _hint_set()


def hints(text: str) -> frozenset[str]:
    """The hints that `text` gives. Masking never adds one.

    A set that ran out of memory says that nothing matches; then every hint counts as given.
    """
    found: set[int] = set(_HINT_SET.Match(text) or ())
    if len(_HINT_NAMES) not in found:
        return _ALL_HINTS
    return frozenset(_HINT_NAMES[at] for at in found if at < len(_HINT_NAMES))


def hints_of(draft: Draft) -> frozenset[str]:
    """The hints of a draft's text, found once."""
    if draft.hinted is None:
        draft.hinted = hints(draft.text)
    return draft.hinted


def _always(_match: Match) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Recognizer:
    """One kind of identifier.

    needs: the text is searched only when it gives all of these hints.
    accept: a second look at a match: checksums, lengths.
    group: the part of the match that is masked.
    name: the kind as a match tells it, where it is not always `kind`.
    coarse: what takes the place of the match; `[kind]` unless given.
    resumes: after a match that is not accepted, go on behind its first word instead of behind it:
        `4 at 247 Miller Ave` is no address, and hides one.
    """

    kind: str
    pattern: Pattern
    needs: tuple[str, ...] = ()
    accept: Callable[[Match], bool] = _always
    group: int = 0
    name: Callable[[Match], str] | None = None
    coarse: Callable[[Match], str] | None = None
    resumes: bool = False

    def spans(self, text: str) -> Iterator[Span]:
        for match in self._matches(text):
            start, end = match.span(self.group)
            kind = self.name(match) if self.name else self.kind
            replacement = self.coarse(match) if self.coarse else f"[{kind}]"
            yield Span(start, end, kind, replacement)

    def _matches(self, text: str) -> Iterator[Match]:
        if not self.resumes:
            yield from filter(self.accept, self.pattern.finditer(text))
            return
        at = 0
        while (match := self.pattern.search(text, at)) is not None:
            start, end = match.span()
            if self.accept(match):
                yield match
                at = max(end, start + 1)
            else:
                blank = _BLANK.search(text, start)
                at = blank.end() if blank else len(text)

    def mask(self, draft: Draft) -> None:
        """Replaces what it matches."""
        if hints_of(draft).issuperset(self.needs):
            draft.record.check_time()
            draft.replace(self.spans(draft.text))


_BLANK: Final = re.compile(r"\s+")
