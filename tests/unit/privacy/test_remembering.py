"""The anonymizer's memory: it changes no answer, and holds nothing that came."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.privacy.anonymizer import Anonymizer
from keeper_grpc.privacy.approved import KAccountWords
from keeper_grpc.privacy.evaluation.labelled import labelled_sentences
from keeper_grpc.privacy.memory import Memory
from keeper_grpc.privacy.remembering import RememberingAnonymizer
from keeper_grpc.privacy.text.word_lists import listed

CATALOG = ("grace period facial", "hot stone massage")
WORDS = st.sampled_from(
    listed(
        "Offer Text Grace grace period Rose rose Will will Jane Doe doe Quillonia zumbafex the a guest 20% off {name} "
        "{first_name} {jane} massage hot stone facial call 512-555-0134 jane@example.com and, at 3pm. London wrap Dr. "
        "Young young J. Barber barber $25 it's Grace's"
    )
)
TEXTS = st.lists(WORDS, max_size=9).map(" ".join)
NAMES = st.lists(
    st.sampled_from(["Grace Young", "Jane Doe", "Will Rose", "Period Barber", "Stone"]), max_size=2
)


def asked(action: str, script: str = "", **conditions: Any) -> Insight:
    """An insight with these texts."""
    return Insight("", "churn_prevention", "spa", conditions, action, script, 0.5)


def counting() -> Anonymizer:
    """An anonymizer that hands out the words that nobody knows."""
    return Anonymizer.default(CATALOG, hash_word=lambda word: f"hash of {len(word)} letters")


def remembering(inner: Anonymizer | None = None) -> RememberingAnonymizer:
    """One that remembers."""
    return RememberingAnonymizer(inner or counting(), KAccountWords(lambda word: word))


WARM, COLD = remembering(), counting()


@settings(max_examples=400, deadline=None)
@given(st.tuples(TEXTS, TEXTS, TEXTS), st.tuples(NAMES, NAMES, NAMES))
def test_what_is_remembered_is_what_would_be_made_again(
    texts: tuple[str, str, str], names: tuple[list[str], list[str], list[str]]
) -> None:
    """With a memory that all other examples have filled, the answer is that of no memory at all."""
    action, script, label = texts
    insight = asked(action, script, service=label, favorite_service=action)
    customers, employees, businesses = map(tuple, names)
    identifiers = Identifiers(
        customer_names=customers, employee_names=employees, business_names=businesses
    )
    expected = COLD.anonymize(insight, identifiers)
    assert WARM.anonymize(insight, identifiers) == expected
    assert WARM.anonymize(insight, identifiers) == expected


def test_the_labelled_cases_come_out_the_same_the_second_time() -> None:
    """Of every labelled sentence, held-out ones included, the memory of texts says what reading says."""
    warm = counting()
    warm.texts = Memory()
    for sentence in (*labelled_sentences("all"), *labelled_sentences("all", "front_desk")):
        insight = asked(sentence.text)
        warm.anonymize(insight, sentence.declared)
        again = warm.anonymize(insight, sentence.declared)
        assert again == COLD.anonymize(insight, sentence.declared)


def test_figures_are_not_remembered() -> None:
    """The same question with other figures has its own."""
    warm = remembering()
    for value in (123.0, 4567.0):
        insight = Insight("", "upsell", "spa", {}, "Offer a robe", "", value / 10_000, value, value)
        kept = warm.anonymize(insight, Identifiers()).insight
        assert kept.confidence == value / 10_000
        assert kept.potential_value == pytest.approx(value, rel=0.1)
    assert warm.insights.hits == 1


def test_a_memory_holds_no_text_that_came() -> None:
    """Nothing that is reachable from it has a planted name, number or word, nor its plain hash."""
    planted = ("Quillonia", "zumbafex", "512-555-0134", "quillonia@example.com")
    warm = remembering()
    text = "Ask Quillonia for her zumbafex, call 512-555-0134 or write to quillonia@example.com"
    for identifiers in (Identifiers(customer_names=("Quillonia Vex",)), Identifiers()):
        warm.anonymize(asked(text, text, service=f"zumbafex {text}"), identifiers)
        warm.anonymize(asked("Offer a robe"), identifiers)
    assert len(warm.insights)
    said = [each for memory in (warm.insights, warm.texts) for each in _strings(memory)]
    assert any("robe" in each for each in said)
    for word in planted:
        assert not [each for each in said if word.lower() in each.lower()]


def test_other_approved_words_empty_the_memory() -> None:
    """A word that begins to pass, or ceases to, is read anew."""
    approved = KAccountWords(lambda word: word)
    inner = Anonymizer.default(approved=approved, hash_word=lambda word: word)
    warm = RememberingAnonymizer(inner, approved)
    insight = asked("Offer a zumbafex to the guest")
    assert "zumbafex" not in warm.anonymize(insight, Identifiers()).insight.action
    approved.replace(frozenset({"zumbafex"}))
    assert "zumbafex" in warm.anonymize(insight, Identifiers()).insight.action
    approved.replace(frozenset())
    assert "zumbafex" not in warm.anonymize(insight, Identifiers()).insight.action


def test_a_failure_is_not_remembered() -> None:
    """A text that a failing layer dropped passes once the layer works again."""
    inner = Anonymizer.default()
    warm = remembering(inner)
    whole = inner.layers["names"]

    def broken(_: object) -> None:
        raise RuntimeError

    inner.layers["names"] = broken
    assert warm.anonymize(asked("Offer a robe"), Identifiers()).insight.action == ""
    inner.layers["names"] = whole
    assert warm.anonymize(asked("Offer a robe"), Identifiers()).insight.action == "Offer a robe"


def test_a_memory_is_bounded() -> None:
    """The least recently used value goes first."""
    memory: Memory[int] = Memory(2)
    keys = [memory.hashed(str(number)) for number in range(3)]
    for number, key in enumerate(keys[:2]):
        memory.put(key, number)
    assert memory.get(keys[0]) == 0
    memory.put(keys[2], 2)
    assert [memory.get(key) for key in keys] == [0, None, 2]


def test_two_processes_hash_differently() -> None:
    """The hash of a guess is worth nothing elsewhere."""
    first: Memory[int] = Memory()
    second: Memory[int] = Memory()
    assert first.hashed("a guess") != second.hashed("a guess")
    assert first.hashed("a guess") == first.hashed("a guess")


def _strings(root: object) -> Iterator[str]:
    """Every text and every bytes that the object leads to, classes and functions aside."""
    seen: set[int] = set()
    waiting: list[object] = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type) or callable(one):
            continue
        seen.add(id(one))
        if isinstance(one, str):
            yield one
        elif isinstance(one, bytes):
            yield one.decode("latin-1")
        else:
            waiting.extend(gc.get_referents(one))
