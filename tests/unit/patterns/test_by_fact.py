from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.evidence import Share, Shares
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.by_fact import MOST_FACTS, by_fact

K = 3
RULE = PublicationRule(K)


def owners(*names: str, trials: int = 4, successes: int = 3) -> Shares:
    """The same outcomes of each of these owners."""
    return {name: Share(trials, successes) for name in names}


def together(facts: Mapping[str, Shares]) -> Shares:
    """All that is in them."""
    whole: dict[str, Share] = {}
    for shares in facts.values():
        for owner, share in shares.items():
            had = whole.get(owner, Share(0, 0))
            whole[owner] = Share(had.trials + share.trials, had.successes + share.successes)
    return whole


def shown(facts: Mapping[str, Shares], whole: Shares | None = None) -> list[tuple[str, object]]:
    """Key and value of what may be shown."""
    found = by_fact(facts, together(facts) if whole is None else whole, RULE)
    return [(each.key, each.value) for each in found]


def test_a_fact_of_k_owners_is_shown_with_its_evidence() -> None:
    """Where it works, and where not."""
    facts = {
        'day="monday"': owners("a", "b", "c"),
        'day="friday"': owners("a", "b", "c", "d", successes=1),
    }
    friday, monday = by_fact(facts, together(facts), RULE)
    assert (friday.key, friday.value, friday.evidence.success_rate) == ("day", "friday", 0.2)
    assert (monday.value, monday.evidence.trials, monday.evidence.accounts) == ("monday", 10, 3)


def test_one_outcome_more_is_not_seen() -> None:
    """Neither that it is there nor how it ended, unless a tenth is crossed; and fewer than five are not shown."""
    before = owners("a", "b", "c", trials=7, successes=7)
    evidence = []
    for last in (Share(7, 7), Share(8, 8), Share(8, 7)):
        facts = {'day="monday"': {**before, "c": last}}
        ((only),) = by_fact(facts, together(facts), RULE)
        evidence.append(only.evidence)
    assert evidence[0] == evidence[1] == evidence[2]
    assert shown({'day="monday"': owners("a", "b", "c", trials=1, successes=1)}) == []


def test_what_the_screen_stops_is_no_fact_that_is_shown() -> None:
    """Owners that collude put an insult no more into a fact than into a condition; the others' facts stay."""
    facts = {
        'mood="you are an idiot"': owners("a", "b", "c", "d"),
        'mood="calm"': owners("e", "f", "g"),
        'day="monday"': owners("a", "b", "c"),
    }
    whole = owners("a", "b", "c", "d", "e", "f", "g")
    assert shown(facts, whole) == [("day", "monday"), ("mood", "calm")]


def test_what_too_few_owners_observed_is_not_the_difference_either() -> None:
    """Two owners of the rest would be the whole less what is shown: then nothing of the key is."""
    facts = {"days=60": owners("a", "b", "c"), "days=90": owners("d", "e")}
    assert shown(facts) == []
    facts["days=120"] = owners("f", "g", "h")
    # With the fact of fewest owners withheld too, five are left, of whom nobody is told apart.
    assert shown(facts) == [("days", 120)]


def test_observations_without_the_key_are_left_as_well() -> None:
    """One owner that did not say the day would be told from the others."""
    facts = {'day="monday"': owners("a", "b", "c")}
    assert shown(facts) == [("day", "monday")]
    assert shown(facts, {**together(facts), "d": Share(2, 0)}) == []
    assert shown(facts, {**together(facts), **owners("d", "e", "f")}) == [("day", "monday")]


def test_a_value_of_which_only_a_hash_is_kept_is_not_shown() -> None:
    """It is prose, and counts in what is left."""
    facts = {"note#abc": owners("a", "b", "c"), "days=60": owners("a", "b", "c")}
    assert shown(facts, owners("a", "b", "c")) == [("days", 60)]


def test_the_facts_of_most_owners_are_shown() -> None:
    """A page has room for so many."""
    facts = {f"key{number}=1": owners("a", "b", "c") for number in range(MOST_FACTS)}
    facts["zz=1"] = owners("a", "b", "c", "d")
    whole = owners("a", "b", "c", "d")
    found = shown({**facts, **{key: owners("a", "b", "c", "d") for key in facts}}, whole)
    assert len(found) == MOST_FACTS
    assert all(key != "zz" or value == 1 for key, value in found)


cell = st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 9), max_size=7)


@given(st.dictionaries(st.integers(0, 5), cell, max_size=6), cell)
def test_never_does_a_difference_tell_of_too_few(
    values: dict[int, dict[str, int]], without: dict[str, int]
) -> None:
    """The whole less all that is shown of a key is of no owner, or of k or more, whatever was observed."""
    facts = {
        f"days={value}": {owner: Share(trials, 0) for owner, trials in cell.items()}
        for value, cell in values.items()
    }
    rest = {"": {owner: Share(trials, 0) for owner, trials in without.items()}}
    whole = together({**facts, **rest})
    told = {value for _, value in shown(facts, whole)}
    left = {
        owner
        for owner, share in whole.items()
        if share.trials
        > sum(values[value].get(owner, 0) for value in told if isinstance(value, int))
    }
    assert not told or not left or len(left) >= K
    assert all(len(values[value]) >= K for value in told if isinstance(value, int))
