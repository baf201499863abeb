"""What the trade calls one thing, and the words that say little about an action.

The lexicon knows English; these lists hold what a dictionary does not say: that an extra is an add-on
here, that a guest and a client are both the customer, and that "offer", "give" and "suggest" are
mere ways to begin.
"""

from __future__ import annotations

import re
from typing import Final

CUSTOMER: Final = "customer"
CUSTOMERS: Final = frozenset(
    re.findall(
        r"\w+",
        "guest guests client clients member members student students customer customers visitor visitors"
        " patron patrons lady ladies woman women person people gymgoer gymgoers regular regulars",
    )
)
"""What the categories call whoever comes: each reads as CUSTOMER."""

SAME: Final = tuple(
    (re.compile(rf"\b(?:{pattern})\b"), word)
    for pattern, word in (
        (
            (
                r"at no (?:extra |additional |further )?(?:cost|charge)|free of charge|on the house"
                r"|without charge|costs? (?:her |him |them |you )?nothing|for nothing"
            ),
            "free",
        ),
        (r"wait(?:ing)?[- ]list(?:ed)?|waitlists", "waitlist"),
        (r"text[- ]messag\w+|sms|txts?|texts", "text"),
        (r"e-mail(?:s|ed|ing)?", "email"),
        (r"front desk|reception desk", "reception"),
        (r"add[- ]ons?|addons|extras", "addon"),
        (r"(?:check|sign)(?:s|ed|ing)?[- ]?in", "checkin"),
        (r"check(?:s|ed|ing)?[- ]?out", "checkout"),
        # What an insight of its type is for anyway.
        (r"win(?:s|ning)?[- ]?back", " "),
        (r"by hand|hand-?written", "handwritten"),
        (r"appts?", "appointment"),
        (r"msgs?", "message"),
        (r"timetables?", "schedule"),
        (r"bangs?", "fringe"),
        (r"haircuts?", "cut"),
        (r"pictures?|images?", "photo"),
        (r"rules?|polic(?:y|ies)", "policy"),
        (r"workouts?", "training"),
        (r"eve", "evening"),
    )
)
"""(pattern, word): names of one thing that no dictionary of the language has as synonyms."""

EMPTY: Final = frozenset(
    re.findall(
        r"\w+",
        """
    a an the this that these those and or but nor so if when while whenever whether who whom whose which what
    how why where of to in on at by for from with without within into onto out up down off over under about
    after before during until till as than then there here again also too just only both each every any all
    some such more most very much many few less least own same other another because since together along
    around ahead away beside between soon not no never don doesn won sure
    i me my myself you your yours yourself we us our ours ourselves he him his himself she her hers herself it
    its itself they them their theirs themselves
    is are was were be been being am do does did done doing have has had having will would can could shall
    should may might must let lets get gets got getting make makes made making take takes took taking put puts
    putting go goes going gone come comes coming came
    give gives gave given giving offer offers offered offering send sends sent sending provide provides bring
    brings brought invite invites invited inviting suggest suggests suggested suggesting propose proposes
    proposed proposing recommend recommends recommended recommending mention mentions mentioned mentioning
    tell tells told telling say says said ask asks asked asking show shows showed showing shown explain
    explains describe describes write writes wrote written writing hand hands lead leads led
    use uses used using want wants wanted like likes liked need needs see sees look looks know knows keep
    keeps run runs set sets hold holds start starts begin help helps happen happens happened allow allows
    please order way ways thing things time times new next last
    day days week weeks month months year years hour hours minute minutes one two three four five six seven
    eight nine ten first second third
    """,
    )
)
"""Function words, verbs by which anything is offered or said, and the words of times and numbers, which
`quantities` compares."""

VISITS: Final = frozenset(
    re.findall(
        r"\w+",
        "visit visits appointment appointments treatment treatments session sessions class classes"
        " booking",
    )
)
"""What the customer comes for in general: it is in an action or not, and replaces nothing."""

CHANNELS: Final = frozenset(
    re.findall(
        r"\w+",
        "phone phones telephone call calls called calling ring rings text texting texted email mail mails"
        " mailed message messages line",
    )
)
"""How she is reached. Two channels are kept apart by an axis of `action_words`; one of them takes the
place of no other word."""

BEFORE_A_THING: Final = frozenset(
    re.findall(
        r"\w+",
        "a an the this that these those her his their your our my its each every no some any for of with"
        " without at in on during by per into onto from about",
    )
)
"""After these a word that may be noun or verb is a noun: "the trim"."""

BEFORE_A_VERB: Final = frozenset(
    re.findall(
        r"\w+",
        "to she he they you we i who can will would could should may might must and or",
    )
)
"""After these it is a verb: "to trim"."""
