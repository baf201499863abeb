"""Frames of front-desk prose in which nothing but a person stands: `waiting on X`, `X party of 6`.

Notes are written in a hurry: without capitals, articles and stops. What the words right beside a name
say one by one is weak there; what they say together is not.
"""

from __future__ import annotations

import re
from typing import Final

from keeper_grpc.privacy.text import cues
from keeper_grpc.privacy.text.plain_uses import MADE_OF
from keeper_grpc.privacy.text.reading import NUMBER, SLOT, Reading
from keeper_grpc.privacy.text.word_lists import listed

_PAIRS_BEFORE: Final = frozenset(
    tuple(pair.split())
    for pair in [
        "waiting on",
        "waiting for",
        "wait for",
        "note on",
        "notes on",
        "check on",
        "checked on",
        "spoke to",
        "spoke with",
        "spoken to",
        "talk to",
        "talked to",
        "talked with",
        "speak to",
        "speak with",
        "heard from",
        "hear from",
        "back to",
        "back from",
        "for big",
        "for little",
        "ask big",
        "name is",
        "it was",
        "that was",
        "this is",
        "who is",
        "free for",
        "vm for",
        "voicemail for",
        "message for",
        "booking for",
        "booked for",
        "reservation for",
        "appt for",
        "appointment for",
        "slot for",
        "spot for",
        "file for",
        "cover for",
        "filling for",
        "sub for",
        "under name",
        "reservation under",
        "booked under",
        "filed under",
        "card under",
        "tab under",
        "is under",
        "name of",
        "stand for",
        "all but",
        "but not",
        "only but",
        "except for",
        "thanks to",
        "shout to",
        "happy bday",
        "bday for",
        "cake for",
        "room for",
        "towel for",
        "gift for",
        "gift from",
        "card from",
        "call from",
        "text from",
        "email from",
        "complaint from",
        "complaint by",
        "refund to",
        "refund for",
        "credit for",
        "charge for",
        "deposit from",
        "deposit for",
        "next up",
        "anyone reach",
        "could reach",
        "to reach",
        "waiver from",
        "waiver for",
        "wants big",
        "ask for",
        "asked for",
        "asking for",
        "asks for",
        "walk in",
        "ready for",
    ]
)
"""The two words before: `left a vm for X`. Articles between them do not count."""

_SPOKEN_TO: Final = frozenset(
    listed("vm voicemail message ask asked asking asks heard hear waiting")
)
"""`a message for June`: `a booking for June` is for the month."""

_VERBS_OF_DESK: Final = frozenset(
    listed(
        "per comp comped squeeze squeezed seat seated bump bumped swap swapped ring rang warn warned "
        "remind refund refunded charge charged rebook reschedule rescheduled waitlist checkin buzz "
        "page paged vip attn re cc told tell text txt txted dm ping pinged nudge msg msgd lmk w "
        "sub welcome pls congratulate greet ty thx tx sorry apologize pinging without besides"
    )
)
"""One word before is enough."""

_CALLED: Final = frozenset(
    listed("call calls calling called phone ring text texting txt get got bring take took have")
)
"""`call X back`."""

_PUT: Final = frozenset(listed("put pencil sign squeeze fit let move bump log get got"))
"""`put X down`, `squeeze X in`."""

FAMILY: Final = frozenset(
    listed(
        "account accounts family families household wedding twins boys girls kids brothers sisters "
        "siblings reservation party clan crew reunion anniversary appt appointment booking file "
        "residence house bride bachelorette bridesmaids shower funeral baby couple"
    )
)
"""What is a family's: `the X account`."""

_SIZES: Final = frozenset(
    listed(
        "small large big little short long full private best new next last first same whole early "
        "late good gold silver young main old other family corporate house party booking spa gift nail brow lash pedicure group team girls ladies "
        "booking baby happy "
        "entire royal bridal birthday wedding prom own day night joint master current"
    )
)
"""What stands in front of a party or an account and is nobody's name."""

_PREDICATES: Final = frozenset(
    listed(
        "allergic pregnant sick late early upset mad fainted overdue due again running waiting coming "
        "leaving asking crying here inside outside downstairs upstairs no-show noshow expecting "
        "moving getting having bringing paying stopping driving stuck hungover retired married "
        "engaged divorced diabetic vegan hurt injured sore dizzy bleeding sunburned sunburnt peeling "
        "texted txted rescheduling cancelling canceling refuses insists claims swears demands hates "
        "owes wants needs forgot cried bled slipped fell passed snapped yelled apologized wasnt isnt "
        "didnt doesnt wont cant couldnt wouldnt hasnt havent hadnt aint shouldnt"
    )
)
"""What is said of nothing but a person right behind the name."""

_ADJECTIVES: Final = frozenset(
    listed(
        "allergic pregnant sick late early upset mad overdue due running waiting retired married engaged "
        "divorced diabetic vegan injured sore expecting here inside outside again moving texted"
    )
)
"""Those that stand before a noun as well."""

_NO_PREDICATE_BEFORE: Final = cues.NOT_BEFORE_NAME | cues.QUESTIONS - {"and", "or", "but", "if"}

_MARK_BEFORE: Final = re.compile(
    r"(?:\b(?:no[ -]?shows?|late|late again|late cancel|cancell?ed|cancel|cxl|walk[ -]?in|walkin|vip|new|new client|re|"
    r"attn|fyi|name|client|guest|next|booked|confirmed|checked in|waitlist|vm|call|text|for|who|pt|member|"
    r"bday|dob|owner|referred by|ref)\s?[:\-]|#|\battn:?|\b(?:p|t)/?c)\s{0,2}$",
    re.IGNORECASE,
)
"""`no show: X`, `attn X`: a label in front."""
_MARK_AFTER: Final = re.compile(
    r"\s{0,2}(?:@\s?\d|\+\s?\d|\+\s?(?:guest|kids?|friend|baby|mom|dad|hubby|wife)|w/|n\s(?:her|his|the)\b"
    r"|/\s?[a-z]+\s?/|&\s(?:family|kids|guest)|\?\?|\(vip\)|,\sparty\s(?:of|4)|\son\sline\s\d|\sup\sfront\b"
    r"|\sat\sthe\s(?:desk|door|front)\b|\sin\s(?:room|chair|bed|booth)\s\d|\sstopped\sby\b|\sno[ -]showed|\sno\sshow"
    r"|\sstill\s(?:owes|waiting|here|coming)|\shere\b|\s(?:is|was)\s(?:up|here|late|out|next|sick|mad|upset)\b|\slocked\sout\b"
    r"|\sout\s(?:for|till|until|sick|with|today)\b|\sout\s*$|\sup\snext\b|\sfor\s\d{1,2}(?::\d\d|\s?[ap]m)?\b(?!\s?(?:%|min|x\b))"
    r"|\son\s(?:the\s)?(?:table|phone|line|schedule|books|sheet|list)\b|\sabout\s(?:the|her|his|a)\s(?:refund|fee|deposit|charge|bill)"
    r"|\sto\s(?:pay|come|call|sign|confirm|bring|reschedule|rebook|decide|cancel|pick|check\sin)\b|\splease\s(?:call|text|sign|pay|wait)"
    r"|\s(?:\W\s)?(?:owes|owed)\b|\s\d{1,2}\s(?:visits?|sessions?|classes|passes)\sleft|\spd\b|\spd\sw|\sdue\sfor\b|\s(?:jr|sr)\b\.?"
    r"|\s(?:cxl|cxld|n/s|r/s)\b|,\s\d{1,2}(?::\d\d|\s?[ap]m)\b)",
    re.IGNORECASE,
)
"""`X @ 3`, `X + 1`, `X w/ the new girl`, `X / wax / 5:30`: signs behind."""
_MARK_WORDS: Final = frozenset(
    listed(
        "n on up at in stopped no still here is was locked out pd due jr sr for about to please owes owed w cxl cxld r"
    )
)
"""The words that _MARK_AFTER begins with."""
_HAS_TIME: Final = re.compile(
    r"\s(?:(?:at|@)\s?\d{1,2}\b|\d{1,2}(?::\d\d|\s?[ap]m\b))", re.IGNORECASE
)
"""`rose facial at 3`: who, what and when."""
_CLOCK_AFTER: Final = re.compile(r"\s\d{1,2}(?::\d\d|\s?[ap]m)\b", re.IGNORECASE)
_LONGEST_MARK: Final = 20


def frames_person(reading: Reading, at: int) -> bool:
    """Whether the word stands where nothing but a person does, capitals or not."""
    before, after = reading.before(at), reading.after(at)
    if before in cues.DETERMINERS and before != "the":
        return False
    handled = (after == "back" and before in _CALLED) or (
        after in {"down", "in", "on"} and before in _PUT
    )
    if handled or _is_family(reading, at, before, after):
        return True
    served = after in cues.TREATMENTS and after not in {"back", "red"}
    if served and reading.adjoins(at) and _HAS_TIME.match(reading.text, reading.words[at + 1].end):
        return reading.opens(at) or before in _VERBS_OF_DESK or before in cues.BEFORE_NAME
    if reading.after_clock(at) or before in {"pm", "am"}:
        # `3pm jade brows` is hers; `3pm jade facial` may be one with jade.
        return after not in MADE_OF or reading.after(at + 1) in {"", ",", SLOT, NUMBER, "only"}
    if served or before == "the":
        return False
    return (
        _pair_before(reading, at, before)
        or before in _VERBS_OF_DESK
        or _has_predicate(reading, at, before, after)
        or _marked_after(reading, at, after)
        or _marked(reading, at)
        or _is_aside(reading, at)
        or _is_booked(reading, at, after)
    )


def frames_surname(reading: Reading, at: int) -> bool:
    """Whether a surname in small letters stands as one: `price party of 6`, `banks called twice`."""
    before, after = reading.before(at), reading.after(at)
    return _is_family(reading, at, before, after) or (after in cues.HUMAN and reading.opens(at))


def frames_nickname(reading: Reading, at: int) -> bool:
    """Whether a capitalized word that is nobody's name on any list stands as one within a sentence.

    `tell Duchess her chair is open`, `everyone calls her Peaches`, `our regular Cupcake wants a refund`, `text M
    about Friday`. At the start of a sentence only a letter does: `Q booked again`.
    """
    word = reading.words[at]
    key = word.key
    letter = len(key) == 1
    if not letter and (at == 0 or reading.words[at - 1].key not in _BEFORE_NICKNAME):
        return False  # most words
    if not reading.cased or key in _NO_NICKNAMES or (word.shouted and not letter):
        return False
    before, after = reading.before(at), reading.after(at)
    if letter:
        return _is_initial(reading, at, before, after)
    return not (reading.opens(at) or reading.adjoins_capital(at)) and (
        (before in _CALLED_SO and at > 1 and reading.words[at - 2].key in _NAMING)
        or (before in _SOMEBODY and (after in cues.HUMAN or after in {"is", "was", "has"}))
        or (before in _SAID_TO and after in _SAID)
    )


def _is_initial(reading: Reading, at: int, before: str, after: str) -> bool:
    """`J said the wax hurt`: not `plan B`, `T zone` or `vitamin C`."""
    if not reading.adjoins(at) or before in cues.LETTERED:
        return False
    return (reading.opens(at) and after in cues.HUMAN) or (before in _SAID_TO and after in _SAID)


_NO_NICKNAMES: Final = (
    cues.PEOPLE
    | cues.ROLES
    | cues.FUNCTION_WORDS
    | cues.TIMES
    | cues.SERVICES
    | frozenset(
        listed(
            "i a staff team teams everyone everybody anyone anybody nobody someone reception management marketing "
            "support housekeeping accounting sales people women men ladies moms dads parents kids teens seniors "
            "students nurses teachers brides grooms athletes families groups employees patrons shoppers leads"
        )
    )
)
_CALLED_SO: Final = frozenset(listed("her him them himself herself"))
_NAMING: Final = frozenset(listed("call calls called calling named nickname nicknamed"))
_SOMEBODY: Final = frozenset(
    listed(
        "client customer guest member patient regular stylist therapist barber trainer receptionist dog cat puppy "
        "daughter son husband wife sister brother niece nephew friend boyfriend girlfriend grandma grandpa"
    )
)
"""Whose name stands right behind: `our regular Cupcake wants`, `his dog Biscuit is`."""
_SAID_TO: Final = frozenset(
    listed("ask asked tell told remind reminded text texted call called warn warned ping thank")
)
_BEFORE_NICKNAME: Final = _CALLED_SO | _SOMEBODY | _SAID_TO
_SAID: Final = frozenset(
    listed(
        "to her his that about if she he we when whether back again for at on and she's he's not"
    )
)
"""`ask Peanut to call`, `text Bear that`."""


def frames_trade_word(reading: Reading, at: int) -> bool:
    """The same for a capitalized surname that is a word of the trade: `the Stone family package`."""
    before, after = reading.before(at), reading.after(at)
    if _is_family(reading, at, before, after):
        return True
    word = reading.words[at]
    if reading.cased and word.capitalized and not reading.opens(at):
        return frames_person(reading, at)
    return after in {"", ","} and _marked(reading, at)


def _has_predicate(reading: Reading, at: int, before: str, after: str) -> bool:
    """`rose late again`: not `overdue regulars`, where it stands before a noun."""
    if after not in _PREDICATES or before in _NO_PREDICATE_BEFORE:
        return False
    following = reading.after(at + 1)
    return (
        following in {"", ",", SLOT, NUMBER}
        or following in cues.FUNCTION_WORDS
        or following in cues.AFTER_PERSON
        or following in cues.NOT_BEFORE_NAME
        or after not in _ADJECTIVES
    )


def _is_family(reading: Reading, at: int, before: str, after: str) -> bool:
    """`the X account`, `X party of 6`, `X wedding` where a note begins."""
    key = reading.words[at].key
    if not reading.adjoins(at) or after not in FAMILY:
        return False
    written = reading.words[at].capitalized and reading.cased and not reading.opens(at)
    if key in _SIZES and not written:
        return False
    if after == "party":
        return _follow(reading, at, ("party", "of")) or before == "the"
    return before == "the" or reading.opens(at) or written


def _follow(reading: Reading, at: int, words: tuple[str, ...]) -> bool:
    found = reading.words[at + 1 : at + 1 + len(words)]
    return tuple(word.key for word in found) == words


def _pair_before(reading: Reading, at: int, before: str) -> bool:
    if at < 2 or not before or before in {SLOT, NUMBER}:  # noqa: PLR2004  # two words
        return False
    first = at - 2
    if reading.words[first].key in {"the", "a", "an", "her", "his"} and first:
        first -= 1
    pair = (reading.words[first].key, reading.words[at - 1].key)
    if reading.words[at].key in cues.CALENDAR and pair[1] in {"for", "from"}:
        return pair[0] in _SPOKEN_TO
    return pair in _PAIRS_BEFORE


def _is_aside(reading: Reading, at: int) -> bool:
    """`(rose)`, `"rose"`: the word alone in brackets or quotation marks."""
    word = reading.words[at]
    around = reading.text[word.start - 1 : word.start] + reading.text[word.end : word.end + 1]
    return around in {"()", '""', "\u201c\u201d"}


def _is_booked(reading: Reading, at: int, after: str) -> bool:
    """`mercy 2pm brows`: a note opens with who comes when."""
    if after != NUMBER or reading.words[at].key in cues.CALENDAR or not reading.opens(at):
        return False
    return _CLOCK_AFTER.match(reading.text, reading.words[at].end) is not None


def _marked_after(reading: Reading, at: int, after: str) -> bool:
    if after not in _MARK_WORDS and reading.adjoins(at):
        return False  # most words: the expression need not be tried
    return _MARK_AFTER.match(reading.text, reading.words[at].end) is not None


def _marked(reading: Reading, at: int) -> bool:
    start = reading.words[at].start
    if at and reading.words[at - 1].key not in {"attn", "c"} and reading.adjoins(at - 1):
        return False
    return _MARK_BEFORE.search(reading.text, max(start - _LONGEST_MARK, 0), start) is not None
