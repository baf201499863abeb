"""Whether a declared name that is a word is plainly that word where it stands.

What was declared is masked, so the burden lies with the word: it stays only inside a known phrase, as
a verb with its subject or object, as a date, as a measure, or as a thing behind an article.
"""

from __future__ import annotations

import re
from typing import Final

from keeper_grpc.privacy.text import cues
from keeper_grpc.privacy.text.reading import NUMBER, SLOT, Reading
from keeper_grpc.privacy.text.word_lists import listed

_OBJECTS: Final = frozenset(
    listed(
        "your every each all these those them it you us any some clients guests members customers "
        "patients visitors everyone anyone people lapsed"
    )
)
"""What a verb takes: `love your lashes`. Not `a`, which also follows a name: `mark a no show again`;
not `her` and `my`: `give hope my 4pm`."""
_APPOSED: Final = frozenset(listed("the our their this"))
"""`mark the file`, and `mark the regular`: what follows must be a thing."""
_THINGS: Final = cues.SERVICES | frozenset(
    listed(
        "file files card cards fee fees line lines calendar date dates account box record records "
        "balance note notes difference deposit door doors occasion record ticket invoice charge "
        "charges form forms chart folder spot screen page floor list queue lunch phone order step"
    )
)
_HOPES: Final = frozenset(listed("hope love wish trust"))
_HOPED: Final = frozenset(listed("see hear have welcome host meet"))
"""`Hope to see you`: not `hope to pay next week`."""

_BEFORE_VERB: Final = frozenset(
    listed(
        "to will would can could should must please pls lets let's don't dont do we you they i and "
        "or not never always just"
    )
)
_ASKED: Final = frozenset(listed("you i we they he she it there"))
"""`Will you`, `may I`: who is asked after."""

_DATED: Final = frozenset(
    listed("in this next last every each early late mid since until till during through throughout")
)
"""What stands before a month or a season and not before a person. `for`, `by`, `after` do both."""
_SEASONAL: Final = frozenset(
    listed(
        "special specials promo promos promotion promotions sale sales deal deals discount offer "
        "offers season calendar schedule newsletter break camp camps body glow tan package packages "
        "pass launch event events bride brides brides' clearance theme vibes collection campaign "
        "campaigns numbers bookings revenue month months day days night nights eve morning mornings "
        "evening evenings afternoon weekend weekends week weeks showers flowers spice refresh holiday "
        "schedule hours rush rate rates"
    )
)
"""`May special`, `summer camp`: what a time of the year is put before."""
_DAYS_OF_MONTH: Final = 31

_ARTICLES: Final = frozenset(listed("a an your every each any his their my"))
"""Behind these a small word is a thing. `the` also stands before a family: `the long account`."""

_ENDS_NOUN: Final = frozenset(
    listed(
        "is was are were of for to in on at by with and or that which will may can must should has "
        "goes went"
    )
)
"""`the price is`, `the hope of`: after an article and a noun."""

_BETWEEN_VERBS: Final = frozenset(
    listed("not also never always only just still probably likely soon definitely then either")
)
"""What stands between `will` and its verb."""
_NO_SUBJECTS: Final = frozenset(
    listed("is was has does this not and or also us yes as show tells says asks calls")
)
"""What looks like the subject of `will` and is none: `tell us will called`, `no show will again`."""

_DEGREES: Final = frozenset(listed("how too so very as more less most least quite pretty really"))
"""`how long`, `too short`: what follows is a measure."""

_UNITS: Final = frozenset(
    listed(
        "minutes minute mins min hours hour hrs hr days day weeks week wks months month years year "
        "inches inch feet ft cm mm meters miles pages sessions"
    )
)
_COUNTED: Final = frozenset(
    listed("day page hour minute foot hand mile week month year point star")
)
"""`30 day pass`: what a number counts."""

_PERSONAL: Final = cues.HUMAN | {"lost", "gained", "owes", "hit"}
"""`wk 3 may lost 4 lb`: what a person does behind a number that counts something else."""

_ROSE: Final = frozenset(listed("rose drew"))
_ROSE_BY: Final = frozenset(
    listed("by to from sharply slightly again last this in steadily over across after")
)
"""`prices rose last month`: the past of a verb that is a name as well."""

_FAMILY: Final = frozenset(
    listed(
        "account accounts family families household party parties wedding reservation reservations "
        "booking bookings appointment appointments appt group file files kids boys girls twins "
        "sisters brothers siblings couple bride order card package packages membership house "
        "residence crew clan reunion anniversary birthday bday invoice balance refund table tab"
    )
)
"""What is somebody's: `the long account`, `a price family package`."""


def plainly_a_word(reading: Reading, at: int) -> bool:
    """Whether the word, which is somebody's declared name, is no name here."""
    word = reading.words[at]
    if word.settled:
        return True
    if word.clitic == "'s":
        return False
    before, after = reading.before(at), reading.after(at)
    if word.key in cues.CALENDAR and is_time(reading, at, before, after):
        return True
    if word.capitalized and reading.cased and not reading.opens(at):
        return False
    return (
        is_modal(reading, at, before, after)
        or _is_verb(reading, at, before, after)
        or _is_measure(word.key, before, reading, at)
        or _is_thing(before, after)
        or _is_material(reading, at, before, after)
    )


def is_function_word(key: str) -> bool:
    """Whether the word is too common to be masked for its own sake: `you`, `an`, `so`."""
    return key in cues.FUNCTION_WORDS and key not in cues.MODALS


def is_time(reading: Reading, at: int, before: str, after: str) -> bool:
    """Whether the word, one of cues.CALENDAR, is a month, a season or a part of the day."""
    spanned = before == "of" and at > 1 and reading.words[at - 2].key in {"end", "start", "month"}
    if before in _DATED or spanned or (after in cues.TIMES and after != reading.words[at].key):
        return after not in cues.HUMAN
    if after in _SEASONAL and after != reading.words[at].key:
        return True
    if after == NUMBER:
        return reading.is_day(at)
    return before == NUMBER and after not in _PERSONAL and reading.is_day(at, before=True)


def is_modal(reading: Reading, at: int, before: str, after: str) -> bool:
    """Whether the word is `will` or `may` with its subject and verb: `clients will call`."""
    key = reading.words[at].key
    if key not in cues.MODALS:
        return False
    if reading.opens(at) and after in _ASKED:
        return True
    acts = after in reading.vocabulary.base_verbs or after in _BETWEEN_VERBS
    subject = (
        (before in cues.SUBJECTS and before not in _NO_SUBJECTS)
        or before == SLOT
        or (before.endswith("s") and before not in _NO_SUBJECTS)
        or (at > 1 and reading.determined(at - 1) and before not in _NO_SUBJECTS)
    )
    return subject and acts


def _is_verb(reading: Reading, at: int, before: str, after: str) -> bool:
    key = reading.words[at].key
    if key in _ROSE:
        return before.endswith("s") and (after in _ROSE_BY or after == NUMBER)
    if key not in reading.vocabulary.base_verbs or key in cues.MODALS:
        return False
    if before in _BEFORE_VERB or before.endswith("n't") or reading.opens(at):
        third = reading.words[at + 2].key if at + 2 < len(reading.words) else ""
        return (
            after in _OBJECTS
            or (after in _APPOSED and third in _THINGS)
            or (after == "to" and key in _HOPES and third in _HOPED)
        )
    return False


def _is_measure(key: str, before: str, reading: Reading, at: int) -> bool:
    if before in _DEGREES and key not in reading.vocabulary.given_words:
        return True
    if before in _UNITS and at > 1 and reading.before(at - 1) == NUMBER:
        return key in {"long", "short", "old", "early", "late"}
    counted = before == NUMBER and key in _COUNTED and reading.after(at) not in _PERSONAL
    return counted and not reading.after_clock(at)


def _is_thing(before: str, after: str) -> bool:
    if after in cues.HUMAN or after in _FAMILY:
        return False
    if before in _ARTICLES:
        return after not in cues.AFTER_NAME or after in _ENDS_NOUN
    return before == "the" and (not after or after == "," or after in _ENDS_NOUN)


def _is_material(reading: Reading, at: int, before: str, after: str) -> bool:
    """`rose facial`, `gold package`: what a treatment or a tier is named for."""
    if before == NUMBER or reading.words[at].key not in MATERIALS or reading.after_clock(at):
        return False
    if after in cues.TIERED and reading.words[at].key in cues.TIERS:
        return True
    if after not in MADE_OF or not reading.adjoins(at):
        return False
    return _BOOKED.match(reading.text, reading.words[at + 1].end) is None


_BOOKED: Final = re.compile(r"\s{0,2}(?:at|@|for|on|/|-)?\s{0,2}\d{1,2}(?!\d|\s?(?:%|min|x\b))")
"""`rose facial 2pm`: who it is for stands before what she has, and then the time."""


MADE_OF: Final = frozenset(
    listed(
        "facial facials massage massages scrub scrubs wrap wraps soak soaks bath baths oil oils candle "
        "candles mask masks masque polish tea quartz roller rollers stone stones water mist petal "
        "petals milk salt salts scent lotion balm butter serum toner therapy ritual pedicure manicure "
        "extract infusion blend powder peel glaze"
    )
)
"""What is made of a material, not of a client: not her brows, her color or her back."""


MATERIALS: Final = frozenset(
    listed(
        "rose jasmine ginger sage basil rosemary violet lily olive hazel iris poppy fern heather "
        "willow laurel cherry honey amber jade ruby pearl crystal opal coral diamond emerald ivory "
        "scarlet hyacinth camellia magnolia blossom coco pepper azalea clover juniper berry lavender "
        "sterling stone stones wood woods gold silver platinum bronze salt clay mud sand brown black "
        "white gray grey green red blue pink cotton silk glass shell wax bell fox cat mint lemon"
    )
)
"""Scents, stones, woods and colours that treatments are made of."""
