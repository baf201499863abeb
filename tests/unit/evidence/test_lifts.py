from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.evidence import Evidence, Prior
from keeper_grpc.domain.evidence.lifts import (
    FEWEST_PATTERNS,
    NOTHING_LEARNED,
    Lift,
    Worded,
    learn_lifts,
    wording,
)
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Pattern, Scope, Script

RULE = PublicationRule(3)
TONES = ("Dear {name}, what a joy. %s", "Hi {name}. %s Yes?", "Only today, {name}! %s")
LINES = (
    "Your next massage is cheaper",
    "A towel waits for you",
    "Bring a friend along",
    "We kept your usual hour free",
    "The senior colorist has time",
    "Try the longer version once",
    "There is a new class in the morning",
    "Your package ends soon",
)
Effect = Callable[[int, int], float]


def world(effect: Effect, seed: int, trials: int = 40, patterns: int = 32) -> list[Worded]:
    """Patterns of one type with a script in each tone, whose log-odds differ by the effects of pattern and tone.

    Every fourth pattern speaks of the same thing, as the same idea does in four lines of business.
    """
    draw = np.random.default_rng(seed)
    found = []
    for number in range(patterns):
        level = draw.normal(0, 0.7)
        for tone, words in enumerate(TONES):
            rate = 1 / (1 + np.exp(-level - effect(number, tone)))
            text = words % f"{LINES[number // 4 % len(LINES)]} no. {number // 4}."
            good = int(draw.binomial(trials, rate))
            found.append(Worded(UUID(int=number), "win_back", text, trials, good))
    return found


def drawn(seed: int, size: tuple[int, int], at: Callable[[int], int]) -> Effect:
    """Effects with the spread of the simulation's tones, shared by the patterns that `at` puts together."""
    table = np.random.default_rng(1_000 + seed).normal(0, 0.25, size)
    return lambda number, tone: float(table[at(number), tone])


def by_tone(seed: int) -> Effect:
    """Every tone does alike in all patterns."""
    return drawn(seed, (1, 3), lambda number: 0)


def by_idea(seed: int) -> Effect:
    """Every tone does alike where the same thing is said."""
    return drawn(seed, (8, 3), lambda number: number // 4)


def by_pattern(seed: int) -> Effect:
    """Tones have nothing in common."""
    return drawn(seed, (32, 3), lambda number: number)


def seen(scripts: Sequence[Worded], *, learned: bool) -> list[Pattern]:
    """The patterns as readers see them, with lifts or without."""
    lifts = learn_lifts(scripts).lifts if learned else {}
    patterns = []
    for pattern_id in sorted({script.pattern for script in scripts}):
        own = [script for script in scripts if script.pattern == pattern_id]
        patterns.append(
            Pattern(
                pattern_id=pattern_id,
                scope=Scope("win_back", "spa", "model"),
                conditions={},
                action="Write to the customer",
                evidence=Evidence(sum(s.trials for s in own), sum(s.successes for s in own), 9),
                scripts=[
                    Script(
                        s.text,
                        Evidence(s.trials, s.successes, 5),
                        lift=lifts.get((s.pattern, s.text)),
                    )
                    for s in own
                ],
                first_discovered=None,
                last_validated=None,
                prior=Prior(1.0, 1.0),
            )
        )
    return patterns


def best_found(effects: Callable[[int], Effect], *, learned: bool) -> float:
    """The share of patterns whose proven script is in the tone that truly does best, over ten worlds."""
    hits = []
    for seed in range(10):
        effect = effects(seed)
        for number, pattern in enumerate(seen(world(effect, seed), learned=learned)):
            texts = [script.template for script in pattern.scripts]
            best = max(range(3), key=lambda tone: effect(number, tone))
            hits.append(pattern.proven_script(RULE) == texts[best])
    return float(np.mean(hits))


@pytest.mark.parametrize(("effects", "gain"), [(by_tone, 0.1), (by_idea, 0.1)])
def test_where_tones_do_alike_the_best_script_is_found_more_often(
    effects: Callable[[int], Effect], gain: float
) -> None:
    """Forty outcomes of each say little by themselves."""
    assert best_found(effects, learned=True) > best_found(effects, learned=False) + gain


def test_where_tones_have_nothing_in_common_nothing_is_lost() -> None:
    """What is believed to be shared goes to zero, lifts are none, and as many best scripts are found."""
    learned = [learn_lifts(world(by_pattern(seed), seed)) for seed in range(10)]
    assert np.mean([each.shared for each in learned]) < 0.5
    means = [abs(lift.mean) for each in learned for lift in each.lifts.values()]
    assert np.mean(means) < 0.05
    assert best_found(by_pattern, learned=True) >= best_found(by_pattern, learned=False) - 0.01


@pytest.mark.parametrize("effects", [by_tone, by_idea, by_pattern])
def test_bounds_of_the_chosen_script_hold(effects: Callable[[int], Effect]) -> None:
    """What is chosen by lifts is bounded by its own outcomes: 95% of the bounds are below the truth."""
    held = []
    for seed in range(10):
        draw = np.random.default_rng(seed)
        effect = effects(seed)
        levels = []
        for _ in range(32):
            levels.append(draw.normal(0, 0.7))
            for tone in range(3):
                rate = 1 / (1 + np.exp(-levels[-1] - effect(len(levels) - 1, tone)))
                draw.binomial(40, rate)
        for number, pattern in enumerate(seen(world(effect, seed), learned=True)):
            proven = pattern.proven_script(RULE)
            (tone,) = (at for at, s in enumerate(pattern.scripts) if s.template == proven)
            truth = 1 / (1 + np.exp(-levels[number] - effect(number, tone)))
            held.append(pattern.script_bound(pattern.scripts[tone]) <= truth)
    assert np.mean(held) >= 0.95


def test_a_script_is_lifted_by_others_and_not_by_itself() -> None:
    """What happened in its own pattern, however much, hardly moves what is expected of it before."""
    common = world(by_tone(3), 3)
    own = common[0].pattern
    turned = [
        replace(script, successes=script.trials - script.successes)
        if script.pattern == own
        else script
        for script in common
    ]
    before, after = learn_lifts(common).lifts, learn_lifts(turned).lifts
    for script in common[:3]:
        key = (own, script.text)
        assert before[key].mean == pytest.approx(after[key].mean, abs=0.05)


def test_scripts_of_another_type_teach_nothing_but_how_much_is_shared() -> None:
    """Tones that win in one type say nothing of the tones of another."""
    taught = world(by_tone(5), 5)
    other = [
        Worded(UUID(int=900 + number), "pricing", text % "A note.", 30, 15)
        for number in range(FEWEST_PATTERNS)
        for text in TONES
    ]
    lifts = learn_lifts([*taught, *other]).lifts
    assert all(abs(lifts[script.pattern, script.text].mean) < 0.05 for script in other)


@pytest.mark.parametrize(
    "text",
    [
        "Hi {name}, it is a joy. Come in!",
        "Hi [customer], it is a joy. Come in! [employee_1]",
        "hi {first_name} it is a joy come in !",
        "[person] Hi {name}, it is a joy. Come in!",
    ],
)
def test_scripts_that_differ_in_names_or_marks_are_one_wording(text: str) -> None:
    """The anonymizer leaves masks where accounts wrote names."""
    assert wording(text) == wording("Hi {name}, it is a joy. Come in!")
    assert wording(text) != wording("Hi {name}, it is no joy. Come in!")


def test_outcomes_of_one_wording_count_together() -> None:
    """As one script with all of them, for others and for themselves."""
    whole = world(by_tone(7), 7)
    parts = []
    for script in whole:
        half = script.trials // 2
        good = min(script.successes, half)
        parts += [
            replace(script, trials=half, successes=good),
            replace(
                script,
                text=script.text.replace("{name}", "[customer]"),
                trials=script.trials - half,
                successes=script.successes - good,
            ),
        ]
    together, apart = learn_lifts(whole).lifts, learn_lifts(parts).lifts
    assert {key: apart[key] for key in together} == together
    assert len(apart) == 2 * len(together)
    by_whole = seen(whole, learned=True)
    for one, other in zip(by_whole, seen(parts, learned=True), strict=True):
        assert wording(one.proven_script(RULE)) == wording(other.proven_script(RULE))


def test_too_few_patterns_teach_nothing() -> None:
    """And a pattern with one script has nothing that it differs from."""
    few = world(by_tone(1), 1, patterns=FEWEST_PATTERNS - 1)
    assert learn_lifts(few) == NOTHING_LEARNED
    alone = Worded(UUID(int=99), "win_back", "Hello", 50, 25)
    assert learn_lifts([*few, alone]) == NOTHING_LEARNED
    assert learn_lifts([]) == NOTHING_LEARNED


@given(st.randoms())
def test_the_order_of_scripts_makes_no_difference(rng: object) -> None:
    """A rebuild reads them in another order."""
    scripts = world(by_tone(2), 2, patterns=6)
    shuffled = list(scripts)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' Random
    assert learn_lifts(shuffled).lifts == learn_lifts(scripts).lifts


@given(
    st.lists(
        st.builds(
            Worded,
            st.integers(1, 8).map(lambda number: UUID(int=number)),
            st.sampled_from(["win_back", "pricing"]),
            st.text(max_size=20),
            st.integers(0, 500),
            st.just(0),
        ).flatmap(
            lambda script: st.integers(0, script.trials).map(
                lambda good: replace(script, successes=good)
            )
        ),
        max_size=24,
        unique_by=lambda script: (script.pattern, script.text),
    )
)
def test_any_outcomes_give_lifts_that_can_be_used(scripts: list[Worded]) -> None:
    """Scripts that always or never succeed, without words, or with none in common."""
    for lift in learn_lifts(scripts).lifts.values():
        assert np.isfinite(lift.mean)
        assert lift.deviation > 0


@given(
    st.floats(0.01, 0.99),
    st.floats(-3, 3),
    st.floats(0.01, 2),
)
def test_a_belief_is_the_rate_moved_by_the_lift(rate: float, mean: float, deviation: float) -> None:
    """In log-odds; the surer the lift, the more outcomes it is worth."""
    belief = Lift(mean, deviation).belief(rate)
    moved = np.log(belief.mean / (1 - belief.mean)) - np.log(rate / (1 - rate))
    assert moved == pytest.approx(mean, abs=1e-6)
    surer = Lift(mean, deviation / 2).belief(rate)
    assert surer.successes + surer.failures >= belief.successes + belief.failures >= 2
