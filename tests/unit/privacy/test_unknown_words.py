"""Which words the anonymizer hands out by keyed hash, and what k accounts can approve."""

from __future__ import annotations

import pytest

from keeper_grpc.domain.insight import Anonymized, Identifiers, Insight, UnknownWord
from keeper_grpc.privacy.anonymizer import MOST_UNKNOWN, Anonymizer
from keeper_grpc.privacy.approved import KAccountWords
from keeper_grpc.privacy.keys.pseudonyms import Pseudonyms
from keeper_grpc.privacy.text.draft import Draft

KEYS = Pseudonyms({"a": bytes(32), "b": bytes(range(32))}, "a")
DECLARED = Identifiers(
    customer_names=("Zorabella Quintavalle",),
    business_names=("Moonquartz Retreat",),
    customer_emails=("zorabella@mailbox.example",),
    addresses=("742 Larkspurry Terrace, Brimhollow",),
)


def plain(word: str) -> str:
    """Stands for the keyed hash, so that a test can read what would be hashed."""
    return word


def anonymized(
    text: str, declared: Identifiers, anonymizer: Anonymizer, script: str = ""
) -> Anonymized:
    """The answer for an action and a script."""
    insight = Insight("", "churn_prevention", "spa", {"service": text}, text, script, 0.5)
    return anonymizer.anonymize(insight, declared)


def test_only_words_that_nobody_knows_are_handed_out() -> None:
    """What was declared, has a form, or is or may be a name is not among them."""
    text = (
        "offer the glowzilla soak to zorabella, zorabela and QUINTAVALLE of moonquartz, "
        "zorabella@mailbox.example, www.zoraspace.example/zora, @zora_space, 742 larkspurry terrace in "
        "brimhollow, and to xiomara okonkwo, Ingravelda Tsokovic and J-a-n-e at 192.0.2.7"
    )
    answer = anonymized(text, DECLARED, Anonymizer.default(hash_word=plain))
    assert answer.insight.action != ""
    assert answer.unknown_words == (UnknownWord("glowzilla", "7-9"),)


@pytest.mark.parametrize(
    ("word", "letters"),
    [
        ("soak", "4-6"),
        ("fascia", "4-6"),
        ("balayage", "7-9"),
        ("dermaplane", "10+"),
        ("x" * 40, "10+"),
    ],
)
def test_a_word_tells_a_person_about_how_many_letters_it_has(word: str, letters: str) -> None:
    """Three sizes: enough to doubt by, too few to guess the word from."""
    assert UnknownWord.of(word, "hash").letters == letters


def test_a_text_that_is_dropped_hands_out_nothing() -> None:
    """Nobody vouches for its words either."""
    anonymizer = Anonymizer.default(hash_word=plain)
    anonymizer.recheck = lambda _: "phone"
    assert anonymized("offer the glowzilla soak", DECLARED, anonymizer).unknown_words == ()


def test_the_words_of_a_failing_last_layer_are_not_handed_out() -> None:
    """A layer that saw words and then failed has vouched for none."""
    anonymizer = Anonymizer.default(hash_word=plain)
    threshold = anonymizer.layers["unknown_words"]

    def masks_then_fails(draft: Draft) -> None:
        threshold(draft)
        raise RuntimeError

    anonymizer.layers["unknown_words"] = masks_then_fails
    assert anonymized("offer the glowzilla soak", DECLARED, anonymizer).unknown_words == ()


def test_an_insight_hands_out_a_bounded_number() -> None:
    """A text of nothing but inventions cannot flood the table."""
    letters = "bcdfghjklm"
    words = [f"zyx{a}o{b}u" for a in letters for b in letters]
    text = " ".join(f"offer the {word} to a guest" for word in words[:60])
    answer = anonymized(text, Identifiers(), Anonymizer.default(hash_word=plain))
    assert len(answer.unknown_words) == MOST_UNKNOWN


def test_hashes_are_keyed_and_tell_nothing_of_the_word() -> None:
    """Under another key the same word has another hash; the word stands in neither."""
    hashed = KEYS.word_hash("glowzilla")
    assert hashed.startswith("a:")
    assert "glowzilla" not in hashed
    assert hashed != Pseudonyms({"b": bytes(range(32))}, "b").word_hash("glowzilla")
    assert hashed.partition(":")[2] != KEYS.key_of("glowzilla").partition(":")[2]


def test_an_approved_word_stays_and_is_masked_again_when_approval_ends() -> None:
    """What k accounts use is looked up anew each time; types and categories never heed it."""
    approved = KAccountWords(KEYS.word_hash)
    anonymizer = Anonymizer.default(approved=approved)
    insight = Insight("", "glowzilla_upsell", "glowzilla", {}, "offer Glowzilla soaks", "", 0.5)

    def seen() -> tuple[str, str, str]:
        safe = anonymizer.anonymize(insight, Identifiers()).insight
        return safe.type, safe.business_category, safe.action

    before = seen()
    approved.replace(frozenset({KEYS.word_hash("glowzilla")}))
    assert seen() == ("other", "other", "offer Glowzilla soaks")
    approved.replace(frozenset())
    assert seen() == before == ("other", "other", "offer [person] soaks")


def test_the_words_of_types_and_categories_are_not_handed_out() -> None:
    """What no approval lets pass need not be counted; the report says that it became `other`."""
    insight = Insight("", "glowzilla_upsell", "moonquartz", {}, "call", "", 0.5)
    answer = Anonymizer.default(hash_word=plain).anonymize(insight, Identifiers())
    assert answer.unknown_words == ()
    assert [(drop.field, drop.reason) for drop in answer.report.dropped] == [
        ("type", "NOT_PLAUSIBLE"),
        ("business_category", "NOT_PLAUSIBLE"),
    ]


def test_no_number_of_accounts_approves_a_name_or_what_was_declared() -> None:
    """Listed names are masked whatever is approved, and so is a declared word."""
    words = ("xiomara", "okonkwo", "zorabella", "moonquartz", "glowzilla")
    approved = KAccountWords(KEYS.word_hash)
    approved.replace(frozenset(map(KEYS.word_hash, words)))
    anonymizer = Anonymizer.default(approved=approved, hash_word=plain)
    text = "offer xiomara okonkwo and zorabella of moonquartz a glowzilla soak"
    answer = anonymized(text, DECLARED, anonymizer)
    assert "glowzilla" in answer.insight.action
    assert not [word for word in words[:-1] if word in answer.insight.action]
    assert answer.unknown_words == ()
