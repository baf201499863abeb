"""The whole shipped catalog against questions as engines and front desks state them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.catalog.load import CatalogPattern, load_catalog
from keeper_grpc.domain.authored.matching import Match, MatchedBy, match
from keeper_grpc.domain.authored.triggers import (
    VOCABULARY,
    Kind,
    facts_of_conditions,
    parse_trigger,
)
from keeper_grpc.domain.insight import Identifiers, Insight, JsonValue
from keeper_grpc.privacy.anonymizer import Anonymizer

CATALOG = load_catalog()
PATTERNS = {pattern.key: pattern for pattern in CATALOG.patterns}
ANONYMIZER = Anonymizer.default(CATALOG.service_names)

Conditions = Mapping[str, JsonValue]

HOLD: Mapping[str, Conditions] = {
    "add_hours_for_demand": {"waitlist_length": 5},
    "add_value_when_quiet": {"schedule": {"occupancy": 0.3}},
    "ask_after_good_visit": {"visit": {"satisfaction": 9}},
    "ask_happy_regular": {"visit_count": 12},
    "birthday_add_on": {"days_until_birthday": 5},
    "birthday_guest_pass": {"days_until_birthday": 5},
    "break_in_pattern": {"days_since_visit": 60, "avg_frequency": 28},
    "cancellation_pause": {"cancellation_requested": True},
    "check_in_choice": {"time_of_day": "morning", "modifier_count": 0},
    "check_in_preorder": {"time_of_day": "Morning", "modifier_count": 0},
    "day_before_reminder": {"visit_count": 4},
    "during_the_service": {"modifier_count": 0},
    "employee_coaching_needed": {"modifier_rate": 0.1, "team_average": 0.3},
    "evening_wind_down": {"time_of_day": "evening", "modifier_count": 0},
    "first_visit_deposit": {"visit_count": 0},
    "full_class_release": {"schedule": {"occupancy": 1.0}},
    "happy_review_thanks": {"rating": 5},
    "high_value_at_risk": {"ltv": 2500, "frequency_declining": True},
    "lapsed_after_few_visits": {"days_since_visit": 130, "visit_count": 2},
    "long_lead_second_reminder": {"lead_time_days": 28},
    "longer_version": {"visit_count": 8, "modifier_count": 0},
    "mixed_review": {"rating": 3},
    "morning_modifier_boost": {"morning_modifier_rate": 0.3, "afternoon_modifier_rate": 0.1},
    "negative_review_recovery": {"rating": 1},
    "new_guest_check_in": {"tenure_days": 6, "visit_count": 1},
    "new_member_orientation": {"tenure_days": 6, "visit_count": 1},
    "off_peak_member_at_peak": {"membership_tier": "off-peak", "time_of_day": "evening"},
    "often_late": {"minutes_late": 15},
    "outgrown_tier": {"membership_tier": "standard", "avg_frequency": 4},
    "overdue_visit": {"days_since_visit": 45, "avg_frequency": 28},
    "package_expiring": {"package_visits_left": 3, "days_until_package_expiry": 20},
    "package_last_visit": {"package_visits_left": 1},
    "product_in_hand": {"retail_count": 0},
    "product_runs_out": {"days_since_retail_purchase": 75},
    "quiet_hours_for_flexible": {"schedule.occupancy": 0.4, "flexible_hours": "yes"},
    "quiet_hours_price": {"schedule": {"occupancy": 0.2}},
    "raise_when_full": {"schedule": {"occupancy": 0.9}},
    "rebook_after_cancellation": {"visit": {"cancelled": True}},
    "rebook_before_leaving": {"visit_count": 2},
    "rebook_coaching": {"rebooking_rate": 0.2, "team_average": 0.5},
    "rebook_standing_appointment": {"visit_count": 9},
    "renewal_review": {"days_until_renewal": 14},
    "repeated_no_show": {"no_show_count": 3},
    "savings_shown": {"membership_tier": "none", "avg_frequency": 10},
    "second_visit_invitation": {"visit_count": 1},
    "slipping_routine": {"frequency_declining": True, "ltv": 300},
    "thank_after_first_visit": {"visit": {"first": True}},
    "thank_the_referrer": {"referral_count": 1},
    "unanswered_review": {"review": {"days_unanswered": 4}},
    "unused_gift_card": {"customer": {"gift_card_balance": 60}},
    "usual_stylist_left": {"usual_staff_left": True},
    "usual_therapist_left": {"usual_staff_left": True},
    "usual_trainer_left": {"usual_staff_left": True},
    "waitlist_fill": {"waitlist_length": 4, "open_slots": 1},
    "waitlist_start": {"schedule": {"occupancy": 1}},
    "win_back_former_member": {"customer": {"former_member": True}},
    "win_back_lapsing": {"days_since_visit": 120},
    "win_back_long_lapsed": {"days_since_visit": 400},
}
"""Facts for which each trigger holds."""

WORDS: Sequence[tuple[str, Conditions]] = [
    ("add_hours_for_demand", {"trend": "demand is rising", "service": "Float Therapy"}),
    ("add_value_when_quiet", {"occupancy": "half of it empty", "day_of_week": "tuesday"}),
    ("ask_after_good_visit", {"satisfaction": "very high", "service": "Hot Stone Massage"}),
    ("ask_happy_regular", {"customer_type": "a regular", "service": "Blowout"}),
    ("birthday_add_on", {"occasion": "birthday month"}),
    ("birthday_guest_pass", {"occasion": "Birthday"}),
    ("break_in_pattern", {"churn_risk": "high", "service": "Balayage"}),
    ("cancellation_pause", {"signal": "request for cancellation"}),
    ("check_in_choice", {"time_of_day": "early morning", "service": "Signature Facial"}),
    ("check_in_preorder", {"time_of_day": "morning", "class_type": "spin"}),
    ("day_before_reminder", {"booking_status": "booked for tomorrow"}),
    ("during_the_service", {"modifier": "none so far", "service": "Highlights"}),
    ("employee_coaching_needed", {"modifier_rate": "half of the team average"}),
    ("evening_wind_down", {"time_of_day": "late evening", "service": "Deep Tissue Massage"}),
    ("first_visit_deposit", {"visit_type": "first visit ever", "day_of_week": "Saturday"}),
    ("full_class_release", {"class_type": "full", "time_of_day": "evening"}),
    ("happy_review_thanks", {"rating": "4 or 4 and higher"}),
    ("high_value_at_risk", {"visit_frequency": "declining lately"}),
    ("lapsed_after_few_visits", {"visit_count": "few visits"}),
    ("long_lead_second_reminder", {"lead_time_days": "more than two weeks"}),
    ("longer_version", {"upgrade": "never tried it"}),
    ("mixed_review", {"rating": "3"}),
    ("morning_modifier_boost", {"time_of_day": "late afternoon"}),
    ("negative_review_recovery", {"rating": "2 stars or lower"}),
    ("new_guest_check_in", {"tenure_days": "in the first month"}),
    ("new_member_orientation", {"tenure_days": "first month"}),
    ("off_peak_member_at_peak", {"membership_tier": "off-peak", "signal": "paid peak entry"}),
    ("often_late", {"behavior": "is often late"}),
    ("outgrown_tier", {"visit_frequency": "several times every week"}),
    ("overdue_visit", {"churn_risk": "medium", "service": "Full Color"}),
    ("package_expiring", {"package": "about to expire soon"}),
    ("package_last_visit", {"package": "the last visit of it"}),
    ("product_in_hand", {"product": "used in the service today"}),
    ("product_runs_out", {"product": "will run out"}),
    ("quiet_hours_for_flexible", {"preferred_time": "flexible"}),
    ("quiet_hours_price", {"occupancy": "mostly empty today"}),
    ("raise_when_full", {"occupancy": "nearly always full", "day_of_week": "Saturday"}),
    ("rebook_after_cancellation", {"booking_status": "cancelled today"}),
    ("rebook_before_leaving", {"booking_status": "nothing booked yet"}),
    ("rebook_coaching", {"rebooking_rate": "below the team average"}),
    ("rebook_standing_appointment", {"customer_type": "regular", "service": "Men's Cut"}),
    ("renewal_review", {"membership_status": "renewal is due"}),
    ("repeated_no_show", {"no_show_count": "several missed"}),
    ("savings_shown", {"membership_tier": "none", "service": "Yoga Class"}),
    ("second_visit_invitation", {"lifecycle": "new customer"}),
    ("slipping_routine", {"visit_pattern": "routine is slipping"}),
    ("thank_after_first_visit", {"first_visit": True, "service": "Lash Lift"}),
    ("thank_the_referrer", {"referral_source": "brought her friend"}),
    ("unanswered_review", {"topic": "review unanswered"}),
    ("unused_gift_card", {"payment_method": "gift card", "service": "Massage"}),
    ("usual_stylist_left", {"reason": "her stylist left", "service": "Balayage"}),
    ("usual_therapist_left", {"reason": "favorite therapist left"}),
    ("usual_trainer_left", {"reason": "the trainer left us"}),
    ("waitlist_fill", {"booking_status": "on the waitlist"}),
    ("waitlist_start", {"occupancy": "fully booked out"}),
    ("win_back_former_member", {"membership_status": "former member"}),
    ("win_back_lapsing", {"lifecycle": "lapsing"}),
    ("win_back_long_lapsed", {"lifecycle": "lapsed", "service": "Pedicure"}),
]
"""Conditions in other words than the author's, as a front desk puts them."""

ABSURD: Sequence[tuple[str, Conditions]] = [
    ("negative_review_recovery", {"rating": 5}),
    ("negative_review_recovery", {"rating": "4 or higher"}),
    ("happy_review_thanks", {"rating": 1}),
    ("happy_review_thanks", {"rating": 5, "open_complaint": True}),
    ("mixed_review", {"rating": 5}),
    ("unanswered_review", {"days_unanswered": 9, "rating": 1}),
    ("ask_after_good_visit", {"satisfaction": 9, "open_complaint": True}),
    ("break_in_pattern", {"days_since_visit": 20, "avg_frequency": 28}),
    ("overdue_visit", {"days_since_visit": 28, "avg_frequency": 28}),
    ("overdue_visit", {"churn_risk": "low"}),
    ("lapsed_after_few_visits", {"days_since_visit": 130, "visit_count": 40}),
    ("new_member_orientation", {"tenure_days": 900, "visit_count": 1}),
    ("rebook_before_leaving", {"visit_count": 2, "days_since_visit": 90}),
    ("second_visit_invitation", {"visit_count": 7}),
    ("second_visit_invitation", {"visit_count": 1, "open_complaint": True}),
    ("first_visit_deposit", {"visit_count": 12, "first": False}),
    ("day_before_reminder", {"visit_count": 12, "has_booking": False}),
    ("repeated_no_show", {"no_show_count": 0}),
    ("waitlist_start", {"schedule": {"occupancy": 1, "waitlist_length": 4}}),
    ("waitlist_fill", {"waitlist_length": 0, "open_slots": 3}),
    ("savings_shown", {"membership_tier": "platinum"}),
    ("savings_shown", {"membership_tier": "none", "avg_frequency": 10, "visit_count": 1}),
    ("outgrown_tier", {"membership_tier": "premium", "avg_frequency": 3}),
    ("off_peak_member_at_peak", {"membership_tier": "premium", "time_of_day": "evening"}),
    ("renewal_review", {"days_until_renewal": 200}),
    ("renewal_review", {"days_until_renewal": 10, "cancellation_requested": True}),
    ("package_expiring", {"package_visits_left": 0, "days_until_package_expiry": 3}),
    ("birthday_add_on", {"days_until_birthday": 200}),
    ("birthday_guest_pass", {"days_until_birthday": -1}),
    ("raise_when_full", {"occupancy": 0.2}),
    ("add_value_when_quiet", {"occupancy": 0.95}),
    ("quiet_hours_price", {"occupancy": "fully booked"}),
    ("ask_happy_regular", {"visit_count": 20, "rating": 1}),
    ("ask_happy_regular", {"visit_count": 20, "days_since_visit": 150}),
    ("longer_version", {"visit_count": 20, "modifier_count": 0, "open_complaint": True}),
    ("unused_gift_card", {"gift_card_balance": 0}),
    ("often_late", {"minutes_late": 0}),
    ("product_runs_out", {"days_since_retail_purchase": 3}),
    ("win_back_lapsing", {"days_since_visit": 5}),
]
"""What a pattern must not be offered for, however similar the words are."""

OUTREACH = ("churn_prevention", "win_back", "second_visit", "referral", "birthday", "gift_cards")
"""Types whose advice is a message to a customer, or an invitation."""


def seen(pattern: CatalogPattern, category: str, conditions: Conditions) -> Conditions:
    """The conditions as they pass the anonymizer."""
    asked = Insight("", pattern.pattern_type, category, conditions, "", "", 0.5)
    return ANONYMIZER.anonymize(asked, Identifiers()).insight.conditions


def matched(
    pattern: CatalogPattern, conditions: Conditions, *, similar: bool = False
) -> Match | None:
    """Whether the pattern is about a question of its first category with these conditions."""
    category = pattern.business_categories[0]
    return match(
        parse_trigger(pattern.trigger),
        seen(pattern, category, pattern.conditions),
        facts_of_conditions(conditions),
        seen(pattern, category, conditions),
        similar=similar,
    )


def test_the_tables_name_every_pattern() -> None:
    """A new pattern needs an example of facts and one of words."""
    assert set(HOLD) == {key for key, _ in WORDS} == set(PATTERNS)


@pytest.mark.parametrize("key", sorted(PATTERNS))
def test_every_trigger_holds_for_some_facts_and_for_nothing_stated_never(key: str) -> None:
    """None asks for the impossible, and none speaks up where nothing is known."""
    found = matched(PATTERNS[key], HOLD[key])
    assert found == Match(MatchedBy.TRIGGER, 1.0)
    assert matched(PATTERNS[key], {}) is None


@pytest.mark.parametrize(("key", "conditions"), WORDS)
def test_every_pattern_is_found_by_words_of_a_front_desk(key: str, conditions: Conditions) -> None:
    """By its conditions, without any similarity of sentences."""
    assert matched(PATTERNS[key], conditions) is not None


@pytest.mark.parametrize(("key", "conditions"), ABSURD)
def test_no_pattern_is_offered_where_it_is_absurd(key: str, conditions: Conditions) -> None:
    """However similar the words are."""
    assert matched(PATTERNS[key], conditions, similar=True) is None


@pytest.mark.parametrize("key", sorted(PATTERNS))
def test_nobody_who_is_booked_or_wants_no_messages_is_written_to(key: str) -> None:
    """A guest with a visit to come gets no win-back, and one who opted out gets no advertising."""
    pattern = PATTERNS[key]
    if pattern.pattern_type not in OUTREACH or key == "cancellation_pause":
        return
    assert matched(pattern, {**HOLD[key], "opted_out": True}, similar=True) is None
    if pattern.pattern_type == "win_back" and "former" not in key:
        assert matched(pattern, {**HOLD[key], "has_booking": "yes"}, similar=True) is None
    if key in ("break_in_pattern", "high_value_at_risk", "overdue_visit", "slipping_routine"):
        assert matched(pattern, {**HOLD[key], "has_booking": True}, similar=True) is None


_VALUES = {
    Kind.NUMBER: st.integers(-5, 400) | st.floats(0, 1),
    Kind.FLAG: st.booleans(),
    Kind.TEXT: st.sampled_from(["none", "standard", "off-peak", "morning", "evening"]),
    Kind.TEXTS: st.lists(st.just("Facial"), max_size=2),
}


@given(
    st.fixed_dictionaries(
        {}, optional={name: _VALUES[kind] for name, kind in VOCABULARY.items()}
    ).map(lambda facts: {**facts, "customer.has_booking": True, "customer.opted_out": True})
)
def test_whatever_else_is_known_a_booked_guest_is_not_won_back(facts: Conditions) -> None:
    """No combination of facts brings an invitation back, nor one that is asked not to be sent."""
    for pattern in CATALOG.patterns:
        if pattern.pattern_type in ("win_back", "second_visit", "birthday", "referral"):
            assert parse_trigger(pattern.trigger).verdict(facts_of_conditions(facts)) is not True
