"""How much a word that may be a name stands as one: what its neighbours and its capital say.

A score of 0 is even. The weights were set by hand on the tuning half of the labelled set and on
sentences made from templates (see docs/adr/0004-anonymization-layers.md); an error to the safe side
costs a word of an insight, the other one a name.
"""

from __future__ import annotations

from typing import Final

from keeper_grpc.privacy.text import cues
from keeper_grpc.privacy.text.frames import frames_person, frames_surname, frames_trade_word
from keeper_grpc.privacy.text.plain_uses import is_modal, is_time
from keeper_grpc.privacy.text.reading import NUMBER, SLOT, Reading

NAME_FROM: Final = 2.0
"""A given name that is a word is masked at this score."""
FRAMED: Final = 4.0
"""What a frame of front-desk prose says: as much as a name beside it."""
BESIDE_A_NAME_FROM: Final = -2.0
"""The same in front of a word that is surely a name: only strong evidence against it counts."""
SURNAME_FROM: Final = 3.0
"""A surname that is a word, alone, needs more: thousands of common words are surnames."""


def given_score(reading: Reading, at: int) -> float:
    """How much this word, which may be a given name (Rose, Will), stands as one."""
    word = reading.words[at]
    before, after = reading.before(at), reading.after(at)
    if (word.key in cues.CALENDAR and is_time(reading, at, before, after)) or is_modal(
        reading, at, before, after
    ):
        return -FRAMED
    if frames_person(reading, at):
        return FRAMED
    full = reading.reads_full(at)
    owns = word.clitic == "'s" and (word.key not in cues.CALENDAR or after in cues.BELONGINGS)
    served = not (full or owns) and (
        after in cues.SERVICES or (after == "and" and reading.serves(at + 3))
    )
    score = _case(reading, at) + _before(reading, at, before) + _time(word.key, before, after)
    if word.key in reading.vocabulary.mostly_names:
        score += 1.0
    if owns:
        score += 3.0
    if reading.named(at - 1) or reading.named(at + 1):
        score += 4.0
    elif reading.beside_unknown(at):
        score += 3.0
    elif full:
        score += 2.0
    if served:
        return score - 5.0
    # Who owns what follows is no part of its name: `rose's card`.
    return score if owns and after not in cues.HUMAN else score + _after(reading, at, before, after)


def surname_score(reading: Reading, at: int) -> float:
    """How much this word, which may be a surname (Young, Stone), stands as one by itself."""
    word = reading.words[at]
    before, after = reading.before(at), reading.after(at)
    if not word.capitalized:
        return FRAMED if frames_surname(reading, at) else 0.0
    greeted = before in cues.GREETINGS
    ordinary = word.key in reading.vocabulary.trade or word.key in cues.SERVICES
    if not greeted and ordinary:
        return FRAMED if frames_trade_word(reading, at) else 0.0
    if frames_person(reading, at) and not reading.commands(at):
        return FRAMED
    score = _case(reading, at)
    owns = word.clitic == "'s" and reading.cased
    if owns:
        score += 2.0 if after in cues.BELONGINGS else 1.0
    score += _before(reading, at, before) / (1.0 if greeted else 2.0)
    if owns and after in cues.BELONGINGS:
        pass  # `Young's card`: nobody is called by a card
    elif after in cues.SERVICES or after in cues.TIMES:
        score -= 3.0
    elif reading.instructs(at, after):
        score -= 1.0
    elif _does(reading, after):
        score += 2.0
    elif after in cues.INSTRUCTED and reading.opens(at):
        score -= 1.0
    return score - 2.0 if reading.in_phrase(at) else score


def _case(reading: Reading, at: int) -> float:
    capitalized = reading.words[at].capitalized
    if not reading.cased:
        return 0.5 if capitalized else 0.0
    if not capitalized:
        return -1.0
    return 1.0 if reading.opens(at) else 3.0


def _before(reading: Reading, at: int, before: str) -> float:
    """What the word before says. The first rule that knows it decides."""
    word = reading.words[at]
    of_role = before == "of" and at > 1 and reading.words[at - 2].key in cues.ROLES
    score = 0.0
    if before in cues.ROLES or before in cues.SHORT_TITLES or of_role:
        score = 3.0
    elif before in cues.GREETINGS:
        score = 3.0 if word.capitalized else 2.0
    elif before == "to" and word.key in cues.VERBS and not word.capitalized:
        score = -3.0
    elif word.key in cues.MODALS and not word.capitalized and reading.determined(at - 1):
        score = -3.0  # `the waitlist will move`
    elif before in cues.BEFORE_NAME:
        score = 2.0
    elif before in cues.QUESTIONS:
        # `did star pay`: who is asked about stands before what is asked.
        asked = at > 0 and reading.opens(at - 1) and reading.acts(at + 1)
        score = 2.0 if asked and before not in {"please", "let", "lets", "or", "and"} else 1.0
    elif before in cues.WEAK_BEFORE_NAME:
        score = 0.0 if word.capitalized and reading.cased else -1.5
    elif before in cues.NOT_BEFORE_NAME or before == NUMBER:
        score = -3.0
    return score


def _after(reading: Reading, at: int, before: str, after: str) -> float:
    """What the word after says. The first rule that knows it decides."""
    score = 0.0
    if reading.opens(at) and reading.words[at].key in cues.VERBS and after in cues.PEOPLE:
        score = -2.0
    elif after in cues.HUMAN:
        score = 3.0
    elif _does(reading, after):
        score = 2.0
    elif after in cues.INSTRUCTED and reading.opens(at):
        score = -2.0
    elif reading.addressed(at, after) or reading.speaks(at):
        score = 2.0
    elif reading.compound(at, after):
        score = -1.5
    elif not after and not before and len(reading.words) > 1:
        score = 1.0
    return score


def _does(reading: Reading, after: str) -> bool:
    return after in cues.HUMAN or after in cues.AFTER_NAME or after in reading.vocabulary.verb_forms


def _time(key: str, before: str, after: str) -> float:
    """Against `clients will call` and `by late june`."""
    score = 0.0
    plural = before.endswith("s") and before not in cues.QUESTIONS
    if key in cues.MODALS and (before in cues.SUBJECTS or before == SLOT or plural):
        score -= 4.0
    if key in cues.CALENDAR and (
        before in cues.BEFORE_TIME
        or before in cues.TIMES
        or (after in cues.TIMES and after not in cues.MODALS)
        or after == NUMBER
    ):
        score -= 4.0
    return score
