from __future__ import annotations

import pytest

from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.privacy.anonymizer import Anonymizer
from keeper_grpc.privacy.text.spelling import Spelling
from keeper_grpc.privacy.text.vocabulary import default_vocabulary

ANONYMIZER = Anonymizer.default()


@pytest.fixture(scope="module")
def spelling() -> Spelling:
    """Over this package's word lists."""
    return Spelling(default_vocabulary())


def test_words_that_accounts_approve_make_no_other_index(spelling: Spelling) -> None:
    """A process indexes its word lists once, however many anonymizers it makes."""
    approved = default_vocabulary().with_approved(frozenset({"glowzilla"}))
    again = Spelling(approved)
    assert vars(again)["_words"] is vars(spelling)["_words"]
    assert vars(again)["_names"] is vars(spelling)["_names"]


def masked(action: str, identifiers: Identifiers | None = None) -> str:
    """What the anonymizer leaves of an action."""
    insight = Insight("i", "churn_prevention", "spa", {}, action, "", 0.5)
    return ANONYMIZER.anonymize(insight, identifiers or Identifiers()).insight.action


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("teh", "the"),
        ("geust", "guest"),
        ("cleint", "client"),
        ("recomend", "recommend"),
        ("reccomend", "recommend"),
        ("apointment", "appointment"),
        ("conditoner", "conditioner"),
        ("membreship", "membership"),
        ("handwriten", "handwritten"),
        ("masage", "massage"),
        ("pedicur", "pedicure"),
        ("convinient", "convenient"),
        ("txt", "text"),
        ("appt", "appointment"),
    ],
)
def test_a_slip_of_the_pen_is_put_right(spelling: Spelling, word: str, meant: str) -> None:
    """Letters swapped, once instead of twice, missing, too many or wrong."""
    assert spelling.meant(word, may_be_a_name=False) == meant


@pytest.mark.parametrize(
    "word",
    [
        "smiht",  # Smith
        "jonh",  # John
        "katheryne",  # Katheryn
        "fosse",
        "benning",
        "grazde",  # Grande, or grazed
        "gaols",  # goals or galls
        "underbook",  # a word, though nobody has it in a list; not undertook
        "rebraid",
        "xq",
        "zzyzx",
    ],
)
def test_what_may_be_a_name_or_two_words_stays(spelling: Spelling, word: str) -> None:
    """A name is as near, two words are equally near, or none is."""
    assert spelling.meant(word, may_be_a_name=False) is None


def test_where_a_name_could_stand_a_near_name_is_doubt(spelling: Spelling) -> None:
    """Freund is a surname; at the beginning of a sentence "Freind" may be one misspelt."""
    assert spelling.meant("freind", may_be_a_name=False) == "friend"
    assert spelling.meant("freind", may_be_a_name=True) is None


def test_no_name_is_corrected_to_a_word(spelling: Spelling) -> None:
    """Names less their last letter, or with two letters swapped, are no slips of words but of names."""
    vocabulary = default_vocabulary()
    names = sorted(vocabulary.given_names | vocabulary.surnames)[::97]
    slips = [name[:-1] for name in names] + [
        name[0] + name[2] + name[1] + name[3:] for name in names if len(name) > 4
    ]
    unknown = [
        slip for slip in slips if not vocabulary.knows(slip) and not vocabulary.is_name(slip)
    ]
    assert len(unknown) > 500
    assert [slip for slip in unknown if spelling.meant(slip, may_be_a_name=True)] == []


def test_a_misspelt_action_reads_as_the_right_one() -> None:
    """So that two spellings of one action have one sentence, and one vector."""
    assert masked("Reccomend teh conditoner for colored hair") == (
        "Recommend the conditioner for colored hair"
    )


def test_words_behind_a_corrected_one_are_masked_where_they_are() -> None:
    """A correction moves the words behind it."""
    assert masked("teh apointment of zzyzxq is on Monday, call teh cleint and qqzzyx") == (
        "the appointment of [other] is on Monday, call the client and [other]"
    )


def test_a_capitalized_word_within_a_sentence_stays_masked() -> None:
    """It is a name or a brand, whatever word it looks like."""
    assert "Massage" not in masked("Give the card to Masage today")


def test_a_declared_name_is_masked_before_it_could_be_corrected() -> None:
    """Even one that is a word with two letters swapped."""
    action = masked("Ask geust to come back", Identifiers(customer_names=("Geust",)))
    assert "guest" not in action.lower()
