"""Which keys of `conditions` may be shared, and how exactly: the spa, salon and gym trade's own.

KEEPER_SHARED_KEYS adds an operator's keys to these; none of them can be a forbidden key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from keeper_grpc.privacy.text.word_lists import listed

Coarse: TypeAlias = Literal[
    "text", "money", "days", "weeks", "months", "count", "ratio", "percent", "age", "time", "number"
]
"""How a number of this key is made coarse. Texts are masked whatever the key says."""

SHARED_KEYS: Final[Mapping[str, Coarse]] = {
    # How long ago and how often, in days, weeks and months.
    **dict.fromkeys(
        listed(
            "days_since_visit days_since_last_visit last_visit_days days_since_purchase "
            "days_since_booking days_since_contact days_overdue days_until_expiry days_to_event "
            "days_inactive days_before days_after days tenure_days avg_frequency "
            "avg_frequency_days average_frequency visit_frequency_days visit_interval "
            "visit_interval_days lead_time_days recency"
        ),
        "days",
    ),
    **dict.fromkeys(
        listed("weeks_since_visit weeks_since_last_visit weeks"),
        "weeks",
    ),
    **dict.fromkeys(
        listed("months_since_visit membership_months tenure_months months tenure"),
        "months",
    ),
    # How many.
    **dict.fromkeys(
        listed(
            "visit_count visits visits_last_month visits_per_month booking_count bookings "
            "class_count classes_left sessions_left no_show_count no_shows cancellation_count "
            "cancellations referral_count referrals review_count reviews campaigns contact_count "
            "contacts previous_contacts previous party_size open_slots staff_count stock_level "
            "occurrences frequency visit_frequency loyalty_points"
        ),
        "count",
    ),
    # Money: ranges, never figures.
    **dict.fromkeys(
        listed(
            "ltv lifetime_value customer_ltv customer_lifetime_value average_ticket avg_ticket "
            "ticket_size average_order_value revenue revenue_at_risk total_spend spend "
            "average_spend avg_spend monthly_spend price service_price amount value dollar_value "
            "potential_value deal_value gift_card_balance balance budget cost tip_amount "
            "value_range"
        ),
        "money",
    ),
    # Shares and scores.
    **dict.fromkeys(
        listed(
            "modifier_rate add_on_rate rebooking_rate retention_rate conversion_rate open_rate "
            "click_rate response_rate no_show_rate cancellation_rate show_rate utilization "
            "occupancy capacity churn_risk churn_score churn_probability risk_score "
            "engagement_score satisfaction sentiment_score similarity probability score rating "
            "average_rating review_rating stars nps adoption_rate attendance_rate"
        ),
        "ratio",
    ),
    # Changes and discounts, in percent.
    **dict.fromkeys(
        listed(
            "discount_percent discount discount_rate change_percent growth_percent "
            "decline_percent visit_decline frequency_drop price_change_percent"
        ),
        "percent",
    ),
    # Age, as a band.
    **dict.fromkeys(
        listed("age customer_age average_age"),
        "age",
    ),
    # Who, as one of many; what; why; through which channel.
    **dict.fromkeys(
        listed(
            "age_band age_group gender job occupation marital marital_status education "
            "has_children housing loan default segment customer_segment customer_type client_type "
            "persona new_customer is_new is_member is_vip is_first_visit first_visit is_active "
            "high_value loyalty_tier loyalty_status loyalty_member membership membership_tier "
            "membership_type membership_status member_status tier plan status lifecycle "
            "lifecycle_stage stage goal fitness_goal fitness_level experience_level skin_type "
            "hair_type language service services favorite_service favourite_service last_service "
            "next_service service_category service_type category subcategory business_category "
            "business_type business_size vertical industry treatment modifier modifiers add_on "
            "add_ons addon upgrade product product_category product_type package class_type "
            "equipment role staff_role skill offer offer_type promotion promotion_type "
            "campaign_type incentive reward event event_type occasion trigger trigger_type signal "
            "reason churn_reason cancel_reason cancellation_reason complaint complaint_type issue "
            "objection review_sentiment sentiment mood tone topic theme platform review_platform "
            "source referral_source lead_source channel preferred_channel contact_channel contact "
            "contact_method previous_outcome poutcome last_outcome outcome risk risk_level "
            "churn_risk_level priority urgency severity trend direction weather payment_method "
            "payment_status booking_status appointment_status appointment_type visit_type "
            "visit_pattern pattern behavior behaviour interest interests preference preferences "
            "tags"
        ),
        "text",
    ),
    # When, as month, season, weekday or part of the day.
    **dict.fromkeys(
        listed(
            "time_of_day day_of_week weekday day month season quarter holiday week_of_month hour "
            "time date last_visit last_visit_date next_visit visit_date appointment_time "
            "booking_time preferred_time preferred_day peak is_peak is_weekend off_peak expiry "
            "renewal_date start_date end_date joined since"
        ),
        "time",
    ),
    # Durations of a service.
    **dict.fromkeys(
        listed("duration duration_minutes minutes service_minutes session_minutes"),
        "number",
    ),
}
