"""Businesses and places by the noun that ends their name: `Velvet Touch Spa`, `Harbor Boulevard`.

Their other words are everyday ones, so that no list of names has them. Capitals within a sentence tell them, and what
stands around: a legal form, a preposition behind which no service stands, a rival that is compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keeper_grpc.privacy.text import cues
from keeper_grpc.privacy.text.draft import Draft, Span
from keeper_grpc.privacy.text.reading import Reading
from keeper_grpc.privacy.text.tokens import Word
from keeper_grpc.privacy.text.vocabulary import Vocabulary
from keeper_grpc.privacy.text.word_lists import listed

MOST_WORDS: Final = 5
"""Of a name, in front of the noun that ends it."""

LEGAL_FORMS: Final = frozenset(
    listed(
        "llc llp pllc inc incorporated ltd limited corp corporation gmbh ug kg ag sarl srl bv pty plc"
    )
)
_UNSURE_FORMS: Final = frozenset(listed("limited corporation ag kg ug"))
"""Words and units besides: with a capital, and behind a capital, they are legal forms all the same."""

PLACES: Final = frozenset(
    listed(
        "street avenue ave road boulevard blvd highway parkway turnpike lane drive court square plaza mall wharf pier "
        "district hospital church cathedral chapel university college airport station stadium arena hotel resort inn "
        "museum bridge harbor harbour marina terminal heights tower towers library theater theatre casino hills "
        "village park school lake island estate estates mount"
    )
)
"""What streets, quarters and buildings are called; nothing of the trade."""

TRADES: Final = frozenset(
    listed(
        "spa spas salon salons gym studio studios fitness nails barbers barbershop barber wellness yoga pilates medspa "
        "clinic lounge parlor parlour boutique club clips cuts tanning resort retreat aesthetics lashes brows hair beauty "
        "bar collective co company dental care"
    )
)
"""What businesses of the trade are called; services are called so as well."""

_GENERIC: Final = cues.NOT_BEFORE_NAME | frozenset(
    listed(
        "day med medi medical mini home open kids hot express mobile virtual group unlimited premium hair nail "
        "beauty full private personal luxury couples teen mens womens ladies senior vip online outdoor indoor "
        "power prenatal gentle aerial chair high middle elementary swim dance driving public local main side "
        "spray hydration charging coffee makeup blow dry lash brow foot head deep tissue hydra tan bridal member "
        "members family monthly annual basic gold silver platinum fitness wellness spa salon yoga pilates health "
        "skin body group training intro trial unlimited club class classes massage facial recovery relaxation "
        "steam sauna pool oxygen juice smoothie protein water"
    )
)
"""With nothing else in front, the noun is a kind of thing: `Day Spa`, `Wellness Center`, `High School`."""

_AT_PLACES: Final = frozenset(
    listed(
        "at from than near over via by behind across beside opposite versus vs into joined left visited rival"
    )
)
"""In front of a capitalized name, without an article between: somewhere else."""
_TO: Final = frozenset(
    listed("went goes going go switched moved over back lost sent drove walked used")
)
"""`switched to Iron House Gym`: `upgrade to Unlimited Fitness` is none."""
_WITH: Final = frozenset(
    listed(
        "compare compared compares comparing us merged merge partner partnered partnering compete competes competing joint teamed"
    )
)
"""`compared us with Planet Fitness`: `sign up with Early Bird Pilates` is none."""
_OF_SERVICES: Final = frozenset(
    listed(
        "package packages menu menus class classes day days pass passes treatment treatments plan plans bundle special"
    )
)
"""What follows a service, and no business: `Spa Day`, `Yoga class`."""
_MASKS: Final = {"business_name": "[business]", "address": "[address]"}
_JOINS: Final = frozenset({" ", " & ", "-", "'s ", "\u2019s ", " + "})


class Establishments:
    """Masks capitalized names of businesses as `[business]` and of places as `[address]`."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def __call__(self, draft: Draft) -> None:
        if draft.keys().isdisjoint(_LAST):
            return
        draft.record.check_time()
        draft.replace(list(_spans(Reading.of(draft, self._vocabulary))))


_LAST: Final = LEGAL_FORMS | PLACES | TRADES


def _spans(reading: Reading) -> Iterator[Span]:
    end = 0
    for at, word in enumerate(reading.words):
        if word.key not in _LAST or not word.capitalized or word.settled:
            continue
        if _named_on(reading, at):  # a longer name ends further on
            continue
        first = _first(reading, at)
        start = reading.words[first].start
        if start < end or first == at or not _in_prose(reading, first, at):
            continue
        kind = _kind(reading, first, at)
        if kind:
            end = word.end
            yield Span(start, end, kind, _MASKS[kind])


def _first(reading: Reading, last: int) -> int:
    """Where the run of capitalized words begins that this one ends."""
    first = last
    while first and last - first < MOST_WORDS:
        before, word = reading.words[first - 1], reading.words[first]
        gap = reading.text[before.end : word.start]
        saint = before.key == "st" and gap == ". "
        if (gap not in _JOINS and not saint) or not _may_name(before):
            break
        first -= 1
    return first


def _in_prose(reading: Reading, first: int, last: int) -> bool:
    """Whether capitals mark names around the run: half of the other words within sentences are small.

    `Reading.cased` asks it of the whole text, most of which a long name may be.
    """
    inner = [
        word
        for at, word in enumerate(reading.words)
        if not first <= at <= last and len(word.key) > 1 and not reading.opens(at)
    ]
    small = sum(not word.capitalized for word in inner)
    return small > 0 and small * 2 >= len(inner)


def _named_on(reading: Reading, at: int) -> bool:
    if at + 1 == len(reading.words):
        return False
    word, following = reading.words[at], reading.words[at + 1]
    gap = reading.text[word.end : following.start]
    return gap in _JOINS and following.capitalized and following.key in _LAST


def _may_name(word: Word) -> bool:
    return (
        word.capitalized
        and not word.settled
        and word.key not in cues.FUNCTION_WORDS - {"the", "you"}
    )


def _kind(reading: Reading, first: int, last: int) -> str:
    """What the run is: `business`, `place`, or nothing that identifies."""
    run = reading.words[first : last + 1]
    noun = run[-1]
    kinds = _GENERIC | TRADES if noun.key in TRADES else _GENERIC
    named = [word for word in run[:-1] if word.key not in kinds]
    opens = reading.opens(first)
    if noun.key in LEGAL_FORMS or (
        noun.key == "co" and "&" in reading.text[run[-2].end : noun.start]
    ):
        return "business_name" if noun.key not in _UNSURE_FORMS or not opens else ""
    if not named or (opens and len(named) == 1 and named[0] is run[0]):
        return ""
    if noun.key in PLACES and not opens:
        # `Beach Body Park`, but no treatment that is called for a place.
        return "address" if named[-1].key not in cues.TREATMENTS else ""
    if noun.key in TRADES and not _is_service(reading, first, last):
        return "business_name" if _elsewhere(reading, first) else ""
    return ""


def _is_service(reading: Reading, first: int, last: int) -> bool:
    return reading.after(last) in _OF_SERVICES or all(
        word.key in cues.SERVICES or word.key in _GENERIC for word in reading.words[first:last]
    )


def _elsewhere(reading: Reading, first: int) -> bool:
    """Whether what stands before the run says that it is a business."""
    if reading.opens(first):
        return False
    before = reading.before(first)
    if before in {"to", "with"}:
        verbs = _TO if before == "to" else _WITH
        return first > 1 and reading.words[first - 2].key in verbs
    return before in _AT_PLACES
