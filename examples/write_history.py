# ruff: noqa: INP001 - a script that is run by its path, not a package
# ruff: noqa: S311 - the seeded generator makes the sample reproducible; nothing here is secret
"""Writes `history.jsonl`: sample captures of 24 invented accounts, oldest first.

    python examples/write_history.py            rewrites examples/history.jsonl
    python examples/write_history.py --check    exits 1 when the file differs from what would be written

Every wording below was written for this project by hand; the generator only decides who says which
wording when, with what outcome. People, businesses, addresses, phones and e-mails are invented.
Slots in angle brackets are filled with an account's or a customer's identifiers and declared as such;
placeholders in braces ({name}) belong to the script and stay.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import unicodedata
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

HISTORY = Path(__file__).with_name("history.jsonl")
SEED = 20_260_401
REQUEST_NAMESPACE = uuid.UUID("6f0d2c52-7f8e-4a43-9d0b-3d6a4f1b8e11")
"""A random UUID under which the request ids of the sample are derived, so that a rerun replays."""

HISTORY_DAYS = 60.0
RECENT_DAYS = 7.0
RECENT_SHARE = 0.5
"""Half of the history is of the last week, so that the weekly figures of a demo are not empty."""

EMERGING_DAYS = 2.0
PERSONAL_EVERY = 5
"""Every fifth observation of a pattern uses one of its personal wordings, which name people."""

MEASURED_SHARE = 0.7
"""Not everyone measures response rates: the rest of the outcomes leave them out."""

LOSS_SHARES = (0.0, 0.0, 0.1, 0.25)
"""A failure mostly earns nothing and sometimes costs the gift, the hour or the coupon."""

Range: TypeAlias = tuple[float, float]
Choice: TypeAlias = list[Any]


@dataclass(frozen=True)
class Account:
    """One invented business and the one employee it mentions."""

    account_id: str
    business: str
    employee: str
    address: str


@dataclass(frozen=True)
class Pattern:
    """One true pattern: what the merged observations should turn out to be.

    `conditions` maps a key to a range to draw from (a pair) or to values to choose from (a list).
    `value` is the mean revenue of a success. `actions` and `scripts` are the ways in which accounts
    put it; `personal` are pairs of action and script that hold identifier slots.
    """

    key: str
    category: str
    type: str
    observations: int
    success_rate: float
    value: float
    conditions: Mapping[str, Range | Choice]
    actions: tuple[str, ...]
    scripts: tuple[str, ...]
    personal: tuple[tuple[str, str], ...] = ()


BUSINESSES: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "spa": (
        ("Quillmoss Day Spa", "Marisela Ontanaro", "418 Ferncastle Lane"),
        ("Vellamar Bathhouse", "Tovenna Brightwall", "27 Saltmarrow Street"),
        ("Oonagh Pines Retreat", "Rashmika Pillaveri", "1902 Dunmerry Road"),
        ("Tisselwood Spa", "Keshawn Abernold", "66 Larkhollow Avenue"),
        ("Hallowfen Wellness Rooms", "Yevgenia Stroikova", "8 Candlegrove Court"),
        ("Nine Willowmere", "Solvejg Harstadli", "530 Brindlewick Drive"),
        ("Ambrelle Spa House", "Tamsin Curnowell", "1145 Pellbrook Boulevard"),
        ("Kestrelmoor Springs", "Folasade Ogunbiyide", "73 Osterfield Place"),
    ),
    "salon": (
        ("Tarnwick Cuts", "Delphine Rouxelard", "211 Copperquay Street"),
        ("Maison Ferrablanc", "Zuleika Barzanova", "940 Wrenfield Avenue"),
        ("The Gilded Thrum", "Mthunzi Dlaminova", "12 Hatherstone Row"),
        ("Braid and Bellweather", "Keziah Umberstone", "3307 Molasky Road"),
        ("Ochretide Hair", "Carlotta Benavidello", "58 Sandhurrow Lane"),
        ("Studio Vintergaard", "Haruka Mizunobe", "1620 Tallowmere Street"),
        ("Lumenhair Collective", "Sorcha Kilbrannan", "401 Eastmarch Court"),
        ("Pomadour Parlor", "Devendra Kulkanti", "79 Quarrymoss Way"),
    ),
    "gym": (
        ("Ironpeal Gym", "Bartholomew Skellign", "2500 Foundergate Road"),
        ("Kettlewrath Fitness", "Noemi Szaboveri", "14 Trellinghurst Street"),
        ("Northrook Athletic", "Jamarion Whitlocke", "615 Bridleford Avenue"),
        ("Pulsequarry", "Ekaterini Vasilopou", "902 Gantryside Drive"),
        ("Stonehollow Strength", "Tuivasa Faleolo", "31 Millrace Hollow Road"),
        ("Veloharbor Club", "Annikka Saarivirta", "1288 Pennantry Lane"),
        ("Barrowgate Training", "Renato Figueiras", "47 Cinderbank Street"),
        ("Highmettle Studio", "Shanthini Rajeswar", "760 Oxbowmere Place"),
    ),
}

CUSTOMERS = (
    "Priyanka Venkataraman", "Oluwaseun Adeyinka", "Mirela Dragomirescu", "Thandeka Mabuzela",
    "Xiaoling Zhuangwei", "Siobhán Garvaghy", "Kateryna Holubenko", "Yusuf Karabulak",
    "Hyejin Baekwon", "Guadalupe Xicohtli", "Anahera Tupaearoa", "Bjørnhild Lauvdalen",
    "Farrukh Tashmatov", "Leilani Kahananui", "Zainab Qureshani", "Joaquín Berruezo",
    "Thuylinh Dangvo", "Aigerim Nurbekova", "Wojciech Pietrzalka", "Ngozika Okwuosah",
    "Harumi Tokushiro", "Esperanza Villaquirán", "Dimitra Kalogridou", "Alasdair Penhallick",
    "Winifred Oakenhurst", "Desmond Trelawicz", "Shoshana Perlmutzky", "Tatsuya Kirigahara",
    "Ludmila Zvonareva", "Abebech Tessalanko", "Ximena Quispealta", "Sunniva Rostadmo",
    "Rukmini Balasundar", "Faisal Al-Haraziq", "Nasreen Chaudhuriya", "Kwabena Ofosuhene",
    "Marguerite Delaunoy", "Giuseppina Tarantello", "Lindiwe Khuzwayana", "Temperance Holloweth",
    "Chidinma Ezenwaka", "Rasmus Vinterkjær", "Beatriz Maldonaro", "Kalinda Wijeratna",
)  # fmt: skip
"""Invented people. Their names are long and rare on purpose: a scan for them finds no other word."""

AREA_CODES = ("206", "415", "512", "617", "303", "718")

SPA = (
    Pattern(
        key="spa_lapsing_regular_call",
        category="spa",
        type="churn_prevention",
        observations=24,
        success_rate=0.83,
        value=210,
        conditions={
            "days_since_visit": (46, 84),
            "avg_frequency": [21, 28, 28, 30],
            "service": ["Swedish Massage", "Deep Tissue Massage", "Swedish Massage"],
            "churn_risk": ["high"],
        },
        actions=(
            "Phone the guest yourself and offer a time with the therapist she usually sees",
            "Have the owner ring lapsed regulars in person and hold an appointment with their usual therapist",
            "Make a personal call to the guest, with a time held for her with her favorite therapist",
            "Pick up the phone: the usual therapist calls the overdue guest and suggests a time this week",
            "Call overdue regulars personally and keep their preferred therapist free for them",
            "Let the guest's own therapist telephone her and invite her back to her usual massage appointment",
            "Reach out by phone in the owner's name and invite the guest back to her usual therapist",
            "Ring guests who broke their rhythm and book them in with the therapist they know, over the phone",
        ),
        scripts=(
            "Hi {name}, it's {owner_name}. We've missed you! {therapist} has a quiet hour on {day} and I thought of you. Shall I put your {favorite_service} in?",
            "Hello {name}, this is {owner_name} at {business_name}. It has been a while since your last {favorite_service}. I'm holding {day} with {therapist} for you, would that suit?",
            "Hi {name}, {therapist} here. My {day} afternoon is open and I'd love to have you back for your {favorite_service}. May I keep it for you?",
        ),
        personal=(
            (
                "Phone <customer> on <phone> and offer a time with <employee first>, the usual therapist",
                "Hi <customer first>, it's <employee first> from <business>. We've missed you! I kept {day} free for your {favorite_service}.",
            ),
            (
                "Have the owner call <customer first> personally and hold <customer first>'s usual appointment with <employee first>",
                "Hello <customer first lower>, <employee first>'s {day} afternoon is open. Shall I book your {favorite_service}?",
            ),
        ),
    ),
    Pattern(
        key="spa_high_value_upgrade",
        category="spa",
        type="churn_prevention",
        observations=17,
        success_rate=0.71,
        value=340,
        conditions={
            "ltv": [1250, 1480, 1900, 2400, 3100],
            "visit_frequency": ["declining"],
            "membership_tier": ["gold", "gold", "platinum"],
            "service": ["Hot Stone Massage", "Signature Facial"],
        },
        actions=(
            "Gift a complimentary upgrade to a longer treatment on the next visit",
            "Invite her back with a free treatment upgrade on her next visit, as a thank-you for her loyalty",
            "Send a handwritten note with a complimentary treatment upgrade for the next visit",
            "Surprise the guest with a complimentary longer treatment at her next visit",
            "Offer an upgrade on the house: a longer treatment when she next visits",
            "Thank your best guests with a complimentary treatment upgrade, good on their next visit",
            "Write to the guest and promise a free upgrade to the longer treatment next time she visits",
        ),
        scripts=(
            "Dear {name}, thank you for {years} lovely years. On your next visit we'd like to extend your {favorite_service} with our compliments.",
            "Hi {name}, a small thank-you from all of us: your next {favorite_service} is upgraded to the longer treatment, on the house.",
        ),
        personal=(
            (
                "Write to <customer> at <email> and gift a complimentary upgrade to a longer treatment on the next visit",
                "Dear <customer first>, your next {favorite_service} at <business> is upgraded, with our compliments. Warmly, <employee first>",
            ),
            (
                "Surprise <customer first lower> with a complimentary longer treatment at <customer first>'s next visit",
                "Hi <customer first>, a thank-you from <employee>: your next {favorite_service} is the long one, on the house.",
            ),
        ),
    ),
    Pattern(
        key="spa_half_price_blast",
        category="spa",
        type="churn_prevention",
        observations=18,
        success_rate=0.22,
        value=60,
        conditions={
            "days_since_visit": (95, 200),
            "visit_count": [1, 1, 2],
            "churn_risk": ["medium", "high"],
        },
        actions=(
            "E-mail a half-price coupon to every guest who has lapsed",
            "Send all lapsed guests a half-price coupon by e-mail",
            "Mail out a coupon for a half-price treatment to the whole lapsed guest list",
            "Blast the lapsed list with a half-price coupon e-mail",
            "Run a half-price coupon e-mail campaign to guests who have lapsed",
            "Put a half-price coupon in an e-mail and send it to everyone on the lapsed guest list",
        ),
        scripts=(
            "We want you back! Enjoy half price on any treatment this month. Show this coupon at {business_name}.",
            "{name}, here is your half-price coupon. Book by {date} and save on any treatment.",
        ),
        personal=(
            (
                "E-mail a half-price coupon to lapsed guests, starting with <customer> (<email>)",
                "<customer first>, here is your half-price coupon for <business>, <address>. Book by {date}.",
            ),
        ),
    ),
    Pattern(
        key="spa_morning_aromatherapy",
        category="spa",
        type="modifier_opportunity",
        observations=20,
        success_rate=0.78,
        value=28,
        conditions={
            "time_of_day": ["morning"],
            "day_of_week": ["Monday", "Tuesday", "Wednesday", "Thursday"],
            "service": ["Swedish Massage", "Swedish Massage", "Prenatal Massage"],
        },
        actions=(
            "Offer an aromatherapy add-on at check-in",
            "Ask guests at check-in whether they would like aromatherapy added to the massage",
            "At check-in, let the guest smell two aromatherapy oils and add the one she picks",
            "Suggest adding aromatherapy oils while the guest is checking in",
            "Have the front desk mention the aromatherapy add-on at check-in",
            "Propose aromatherapy as an add-on to the massage when the guest arrives for check-in",
            "Put the aromatherapy oils on the check-in counter and offer them as an add-on",
        ),
        scripts=(
            "Good morning {name}! Would you like eucalyptus or orange blossom in your {favorite_service} today? It's a lovely way to wake up.",
            "Welcome, {name}. Many of our morning guests add aromatherapy. May I show you today's two oils?",
            "Before you go in, {name}: lavender to stay calm, or citrus to start the day?",
        ),
        personal=(
            (
                "Have <employee first> offer <customer> an aromatherapy add-on at check-in",
                "Good morning <customer first>! <employee first> has eucalyptus or orange blossom for your {favorite_service} today. Which one?",
            ),
        ),
    ),
    Pattern(
        key="spa_therapist_coaching",
        category="spa",
        type="modifier_opportunity",
        observations=15,
        success_rate=0.67,
        value=190,
        conditions={
            "modifier_rate": [0.08, 0.1, 0.11, 0.13],
            "team_average": [0.27, 0.29, 0.31],
        },
        actions=(
            "Coach the therapist by role-playing the add-on offer with the strongest colleague",
            "Role-play add-on offers with the therapist until the wording feels natural",
            "Sit down with the therapist, role-play how to offer add-ons and coach the wording",
            "Pair the therapist with your best colleague for coaching on how to offer add-ons",
            "Let the therapist shadow the top colleague, then role-play the add-on offer together",
            "Practice the add-on offer with the therapist in a short coaching role-play",
            "Give the therapist a coaching session with role-play on offering add-ons",
        ),
        scripts=(
            "{employee_name}, your guests love you. Let's practice one sentence for offering add-ons: 'Your shoulders feel tight, shall I add the hot stones?'",
            "Could you spend your next free hour with {mentor_name}? Listen for how the add-on comes up after the first question, then try it with me.",
        ),
        personal=(
            (
                "Coach <employee> by role-playing the add-on offer with the strongest colleague",
                "<employee first>, your guests love you. Ask about the shoulders first, then offer the stones, the way <customer> liked it.",
            ),
            (
                "Sit down with <employee first>, role-play how therapists offer add-ons and coach <employee first>'s wording",
                "<employee first lower>, let's practice together: ask about sleep, then suggest the scalp massage.",
            ),
        ),
    ),
    Pattern(
        key="spa_low_rating_owner_call",
        category="spa",
        type="review_response",
        observations=19,
        success_rate=0.74,
        value=160,
        conditions={
            "rating": [1, 2, 2],
            "visit_count": [1, 2, 3],
            "service": ["Signature Facial", "Deep Tissue Massage", "Signature Facial"],
        },
        actions=(
            "Call the guest the same day, apologize and offer to redo the treatment for free",
            "Let the owner apologize by phone and invite the guest to a free repeat of the treatment",
            "Apologize to the guest in a personal call and offer the treatment again, on the house",
            "Ring the unhappy guest the same day, say sorry and offer to repeat the treatment free of charge",
            "Have the owner call to apologize and redo the disappointing treatment for free",
            "Phone the guest the same day, listen, apologize, and offer the treatment again free of charge",
            "Offer a free repeat of the treatment in an apology call from the owner",
        ),
        scripts=(
            "Hello {name}, this is {owner_name}. I read your review and I am sorry: that is not the visit we want for you. May I invite you to have your {service} again, as our guest?",
            "{name}, thank you for telling us honestly. I'd like to make it right with a new appointment on us. Which day would suit you?",
            "I'm {owner_name}, the owner. You were right to be disappointed, {name}. Please let {therapist} show you how it should have been.",
        ),
        personal=(
            (
                "Call <customer> on <phone> the same day, apologize and offer to redo the treatment for free",
                "Hello <customer first>, this is <employee> of <business>. I am sorry about your visit. Please be our guest for a new {service}.",
            ),
            (
                "Let the owner apologize by phone and invite <customer first> to a free repeat of <customer first>'s treatment",
                "dear <customer lower>, you were right to be disappointed. Write to me and we'll find a day.",
            ),
        ),
    ),
    Pattern(
        key="spa_five_star_referral",
        category="spa",
        type="review_response",
        observations=14,
        success_rate=0.64,
        value=95,
        conditions={
            "rating": [5],
            "visit_count": [3, 6, 9, 14],
            "membership_tier": ["silver", "gold", "none"],
        },
        actions=(
            "Thank the guest for the glowing review and give her a guest pass to bring a friend",
            "Reply with thanks and enclose a bring-a-friend pass",
            "Answer the happy review with a thank-you and an invitation to bring a friend along",
            "Send a thank-you for the review together with a pass for a friend",
            "Invite the delighted reviewer to bring a friend, with a guest pass as thanks for the review",
            "Say thank you for the kind review and offer a friend's pass for the next visit",
        ),
        scripts=(
            "Thank you, {name}! Your words made {therapist}'s day. Bring a friend next time, the enclosed pass is for them.",
            "What a lovely review, {name}. Here is a pass for someone you'd like to treat.",
        ),
        personal=(
            (
                "Thank <customer> for the glowing review and give <customer first> a guest pass to bring a friend",
                "Thank you, <customer first>! Your words made <employee first>'s day. Bring a friend to <business> next time.",
            ),
        ),
    ),
    Pattern(
        key="spa_raise_saturday_price",
        category="spa",
        type="pricing",
        observations=14,
        success_rate=0.71,
        value=420,
        conditions={
            "day_of_week": ["Saturday"],
            "service": ["Swedish Massage", "Hot Stone Massage"],
            "occupancy": ["full", "nearly full"],
        },
        actions=(
            "Raise the price of Saturday massages by 10%",
            "Increase Saturday massage prices by 10%",
            "Put the Saturday massage price up 10%",
            "Charge 10% more for massages on Saturdays",
            "Raise Saturday massage rates 10%, starting with the next price list",
        ),
        scripts=(
            "From {date} our Saturday massages carry a weekend rate. Your weekday price stays as it is, {name}.",
            "A heads-up, {name}: weekend massages change to {new_price} on {date}. Weekday appointments keep today's price.",
        ),
        personal=(
            (
                "Raise the price of Saturday massages by 10%, as <employee first> suggested",
                "From {date} Saturday massages at <business> carry a weekend rate. Questions? Ask <employee first>.",
            ),
        ),
    ),
    Pattern(
        key="spa_lower_saturday_price",
        category="spa",
        type="pricing",
        observations=12,
        success_rate=0.42,
        value=180,
        conditions={
            "day_of_week": ["Saturday"],
            "service": ["Swedish Massage", "Hot Stone Massage"],
            "occupancy": ["half empty", "half empty", "nearly full"],
        },
        actions=(
            "Lower the price of Saturday massages by 10%",
            "Reduce Saturday massage prices by 10%",
            "Cut the Saturday massage price by 10%",
            "Charge 10% less for massages on Saturdays",
            "Drop Saturday massage rates 10% for the season",
        ),
        scripts=(
            "Saturdays just got sweeter, {name}: weekend massages are now {new_price}.",
            "Good news, {name}. Our Saturday massage costs less from {date}. Shall I find you a time?",
        ),
        personal=(
            (
                "Lower the price of Saturday massages by 10% and tell <customer> first",
                "Good news, <customer first>. Saturday massages at <business> cost less from {date}.",
            ),
        ),
    ),
    Pattern(
        key="spa_first_visit_deposit",
        category="spa",
        type="no_show_reduction",
        observations=16,
        success_rate=0.81,
        value=120,
        conditions={
            "visit_count": [0],
            "service": ["Couples Massage", "Signature Facial", "Body Wrap"],
            "day_of_week": ["Friday", "Saturday", "Sunday"],
        },
        actions=(
            "Ask first-time guests for a small card deposit when they book",
            "Take a small deposit by card at booking from guests on their first visit",
            "Require a small deposit to confirm a new guest's booking",
            "Secure first bookings with a small card deposit that counts toward the treatment",
            "Request a small booking deposit from every first-time guest",
            "Hold the appointment of a new guest against a small card deposit at booking",
        ),
        scripts=(
            "We're looking forward to meeting you, {name}. A small deposit keeps your room reserved, and it comes off your bill on the day.",
            "To confirm your first visit, {name}, we take a small deposit. It's yours to use on the treatment.",
        ),
        personal=(
            (
                "Ask first-time guests such as <customer> (<phone>) for a small card deposit when they book",
                "We look forward to meeting you at <address>, <customer first>. A small deposit keeps your room reserved.",
            ),
        ),
    ),
    Pattern(
        key="spa_membership_at_checkout",
        category="spa",
        type="membership_upgrade",
        observations=15,
        success_rate=0.66,
        value=480,
        conditions={
            "visit_count": [6, 7, 8, 10],
            "avg_frequency": [13, 14, 15],
            "membership_tier": ["none"],
            "service": ["Swedish Massage", "Signature Facial"],
        },
        actions=(
            "Show the guest at checkout what a monthly membership would have saved",
            "At checkout, compare what she paid with the monthly membership and offer to sign her up",
            "Explain at checkout how much a monthly membership would save on her visits",
            "Print the savings of a monthly membership on the receipt and mention it at checkout",
            "Offer the monthly membership at checkout with the guest's own savings worked out",
            "Work out for the guest what the monthly membership saves, and offer it at checkout",
        ),
        scripts=(
            "You've been with us {visit_count} times this year, {name}. With the Gold package you would have saved {savings}. Shall I switch you over?",
            "{name}, you come often enough that the membership pays for itself. May I show you on your receipt?",
        ),
        personal=(
            (
                "Show <customer> at checkout what a monthly membership would have saved",
                "<customer first>, with the Gold package you'd have saved {savings} at <business>. <employee first> can switch you over.",
            ),
        ),
    ),
)

SALON = (
    Pattern(
        key="salon_overdue_color_text",
        category="salon",
        type="churn_prevention",
        observations=19,
        success_rate=0.8,
        value=145,
        conditions={
            "days_since_visit": (62, 95),
            "avg_frequency": [42, 42, 45, 49],
            "service": ["Root Touch-Up", "Full Color", "Root Touch-Up"],
            "churn_risk": ["high", "medium"],
        },
        actions=(
            "Text the client an open root touch-up time with her own stylist",
            "Send a text offering a touch-up appointment with the stylist who knows her color",
            "Have her stylist text her and offer a time for the overdue root touch-up",
            "Message the client by text: her stylist has a root touch-up time for her",
            "Let the stylist send a personal text with an open touch-up appointment",
            "Text overdue color clients from their stylist's phone and offer a root touch-up time",
            "Offer the overdue root touch-up by text, with a time already picked with the usual stylist",
        ),
        scripts=(
            "Hi {name}, {stylist} here! Your roots must be saying hello. I have {day} at {time}, want it?",
            "{name}, it's been a while since we did your color. I saved {day} for a touch-up, just answer yes.",
            "Hey {name}! Your formula is on my shelf and {day} is free. Shall I mix it? {stylist}",
        ),
        personal=(
            (
                "Text <customer> on <phone> an open root touch-up time with <employee first>, the usual stylist",
                "Hi <customer first>, <employee first> here! I have {day} at {time} for your roots, want it?",
            ),
            (
                "Have stylist <employee first> text <customer first lower> and offer a time for the overdue root touch-up",
                "hey <customer first lower>, your formula is still on <employee first>'s shelf. {day}?",
            ),
        ),
    ),
    Pattern(
        key="salon_stylist_left_rematch",
        category="salon",
        type="churn_prevention",
        observations=14,
        success_rate=0.57,
        value=130,
        conditions={
            "reason": ["stylist left"],
            "visit_count": (6, 20),
            "service": ["Cut and Style", "Balayage"],
        },
        actions=(
            "Introduce a new stylist who suits the client and offer a free consultation",
            "Match the client with a new stylist and invite her to a free consultation",
            "Invite her to a free consultation to get to know her new stylist",
            "Offer a free consultation with a new stylist chosen for her hair",
            "Write to the client, introduce the new stylist and offer a consultation for free",
            "Present a new stylist with a similar hand and give the client a free consultation",
        ),
        scripts=(
            "Hi {name}, {former_stylist} has moved on and left us your notes. {stylist} loves your kind of hair. Come for a coffee and a free consultation?",
            "{name}, we'd hate to lose you. May I introduce {stylist}? The consultation is on us.",
        ),
        personal=(
            (
                "Introduce <employee>, a new stylist who suits <customer>, and offer a free consultation",
                "Hi <customer first>, may I introduce <employee first>? The consultation at <business> is on us.",
            ),
        ),
    ),
    Pattern(
        key="salon_balayage_gloss",
        category="salon",
        type="modifier_opportunity",
        observations=18,
        success_rate=0.75,
        value=42,
        conditions={
            "service": ["Balayage", "Highlights", "Balayage"],
            "time_of_day": ["afternoon"],
        },
        actions=(
            "Offer a gloss at the shampoo bowl",
            "Suggest a gloss treatment while the client is at the shampoo bowl",
            "Recommend adding a gloss to seal the color, at the shampoo bowl",
            "Mention the gloss add-on at the shampoo bowl, when the client asks how to keep the tone",
            "At the bowl, propose a gloss treatment after the shampoo",
            "Have the assistant offer the gloss treatment at the shampoo bowl",
            "Show the difference a gloss makes and offer it at the shampoo bowl",
        ),
        scripts=(
            "Your tone came out beautifully, {name}. A gloss now keeps it this way for six weeks. Shall I?",
            "While you're lying back, {name}: would you like the gloss? It takes ten minutes and you'll see it in the light.",
        ),
        personal=(
            (
                "Let <employee first> offer <customer> a gloss treatment at the shampoo bowl",
                "<customer first>, your tone came out beautifully. <employee first> can seal it with a gloss, shall we?",
            ),
        ),
    ),
    Pattern(
        key="salon_retail_coaching",
        category="salon",
        type="modifier_opportunity",
        observations=14,
        success_rate=0.64,
        value=230,
        conditions={
            "modifier_rate": [0.05, 0.07, 0.09],
            "team_average": [0.19, 0.21, 0.22],
        },
        actions=(
            "Coach the stylist to recommend the products she uses while she is styling",
            "Train the stylist to talk about each product as she applies it",
            "Coach the stylist to name the products in her hands and recommend them for home",
            "Have a senior coach show the stylist how to recommend products during styling",
            "Practice with the stylist how to recommend the styling products she is using",
            "Teach the stylist to explain and recommend each product while styling",
        ),
        scripts=(
            "{employee_name}, try this: say what is in your hand and why. 'This is the heat cream, it is what keeps your ends soft.' Nothing more.",
            "Let's sit together after {mentor_name}'s next client. Watch how she hands the bottle over.",
        ),
        personal=(
            (
                "Coach <employee> to recommend products while styling",
                "<employee first>, try what worked with <customer>: say what is in your hand and why.",
            ),
        ),
    ),
    Pattern(
        key="salon_color_correction",
        category="salon",
        type="review_response",
        observations=18,
        success_rate=0.77,
        value=175,
        conditions={
            "rating": [1, 2, 2],
            "service": ["Full Color", "Balayage", "Highlights"],
            "complaint": ["color"],
        },
        actions=(
            "Apologize and offer a free color correction with the senior colorist",
            "Invite the client back for a free correction by the senior colorist",
            "Answer with an apology and book a free color correction with a senior colorist",
            "Have the senior colorist correct the color free of charge and apologize in person",
            "Offer to fix the color for free, with the senior colorist",
            "Reply to the review, apologize, and let the senior colorist correct the color free of charge",
            "Promise a free correction by your senior colorist in the apology",
        ),
        scripts=(
            "{name}, I'm sorry your color isn't what you hoped for. {colorist}, our senior colorist, would like to put it right, free of charge. When could you come?",
            "Thank you for the honest words, {name}. Please give us one more chance: {colorist} will correct it and take all the time it needs.",
        ),
        personal=(
            (
                "Apologize to <customer> (<email>) and offer a free color correction with <employee first>, the senior colorist",
                "<customer first>, I'm sorry your color isn't what you hoped for. <employee> would like to put it right at <address>.",
            ),
            (
                "Invite <customer first> back for a free correction of <customer first>'s color by the senior colorist",
                "Thank you for the honest words, <customer lower>. Call <phone> and we'll find a time.",
            ),
        ),
    ),
    Pattern(
        key="salon_send_reminders",
        category="salon",
        type="no_show_reduction",
        observations=18,
        success_rate=0.83,
        value=85,
        conditions={
            "avg_frequency": [35, 42, 49],
            "visit_count": [4, 5, 6, 8],
            "service": ["Cut and Style", "Full Color"],
        },
        actions=(
            "Send a text reminder the day before the appointment",
            "Text clients a reminder a day ahead of their appointment",
            "Remind clients by text the day before they are due",
            "Send appointment reminders by text one day ahead",
            "Have the booking system text a reminder to the client the day before the appointment",
            "Send each client a text the day before as a reminder of the appointment",
        ),
        scripts=(
            "Hi {name}, see you tomorrow at {time} with {stylist}. Reply C to confirm or M to move it.",
            "A little reminder, {name}: {service} tomorrow, {time}. Can't make it? Just text us today.",
        ),
        personal=(
            (
                "Send a text reminder to <customer> on <phone> the day before the appointment",
                "Hi <customer first>, see you tomorrow at {time} with <employee first>. Reply C to confirm.",
            ),
        ),
    ),
    Pattern(
        key="salon_stop_reminders",
        category="salon",
        type="no_show_reduction",
        observations=12,
        success_rate=0.33,
        value=20,
        conditions={
            "avg_frequency": [28, 35, 42],
            "visit_count": [14, 16, 18],
            "service": ["Cut and Style", "Full Color"],
        },
        actions=(
            "Stop sending reminders to regular clients",
            "Stop texting reminders to clients who come regularly",
            "Stop appointment reminders for regulars, who find them annoying",
            "Stop the reminder texts for regular clients",
            "Turn off text reminders for regulars",
        ),
        scripts=(
            "You know your way here, {name}, so we'll stop the reminder texts. Tell us if you'd like them back.",
            "No more nagging, {name}! Your appointments stand as booked.",
        ),
        personal=(
            (
                "Stop sending reminders to regular clients like <customer>",
                "You know your way to <business>, <customer first>, so we'll stop the reminder texts.",
            ),
        ),
    ),
    Pattern(
        key="salon_rebook_in_chair",
        category="salon",
        type="rebooking",
        observations=20,
        success_rate=0.85,
        value=110,
        conditions={
            "visit_count": [1, 2, 2, 3],
            "service": ["Cut and Style", "Full Color", "Cut and Style"],
        },
        actions=(
            "Book the next appointment while the client is still in the chair",
            "Have the stylist book the client's next appointment from the chair",
            "Make the client's next appointment in the chair, with the calendar open",
            "Let the stylist book the client's next appointment at the chair",
            "Agree on the client's next appointment while she is in the chair, as the stylist finishes",
            "Ask the client in the chair for her next appointment and book it on the spot",
            "Propose the next appointment while drying, with the client still in the chair, and book it",
        ),
        scripts=(
            "To keep this shape, {name}, I'd see you again in {weeks} weeks. {day} or {other_day}?",
            "Shall we put your next one in now, {name}? Then you get the time you like.",
            "Your color will look its best until about {date}. I'll pencil you in, all right?",
        ),
        personal=(
            (
                "Have <employee first> book the next appointment while <customer> is still in the chair",
                "To keep this shape, <customer first>, <employee first> would see you again in {weeks} weeks. {day}?",
            ),
            (
                "Let the stylist book <customer first>'s next appointment at the chair",
                "shall we put your next one in now, <customer first lower>?",
            ),
        ),
    ),
    Pattern(
        key="salon_blowout_package",
        category="salon",
        type="membership_upgrade",
        observations=15,
        success_rate=0.6,
        value=260,
        conditions={
            "service": ["Blowout"],
            "avg_frequency": [7, 8, 10],
            "membership_tier": ["none"],
        },
        actions=(
            "Offer a monthly blowout package to weekly clients",
            "Suggest the monthly blowout package to clients who come every week",
            "Invite weekly blow-dry clients to switch to the monthly blowout package",
            "Tell clients with a weekly blowout about the monthly package and sign them up",
            "Propose the monthly package of blowouts when a client comes in weekly",
            "Sell the monthly blowout package to the clients you see weekly",
        ),
        scripts=(
            "You're my {day} ritual, {name}! Four blowouts a month in one package saves you {savings}. Shall I set it up?",
            "{name}, since you come weekly, the blowout package would be cheaper for you. Want to try it for a month?",
        ),
        personal=(
            (
                "Offer <customer> and other weekly clients a monthly blowout package",
                "You're my {day} ritual, <customer first>! The blowout package at <business> saves you {savings}. <employee first>",
            ),
        ),
    ),
)

GYM = (
    Pattern(
        key="gym_absent_member_trainer_text",
        category="gym",
        type="churn_prevention",
        observations=20,
        success_rate=0.7,
        value=95,
        conditions={
            "days_since_visit": (18, 35),
            "avg_frequency": [3, 3, 4],
            "membership_tier": ["standard", "premium"],
            "churn_risk": ["high"],
        },
        actions=(
            "Have a trainer text the member personally and ask about her training goal",
            "Let the trainer send a personal text that asks about the member's goal and invites her to train",
            "Text the absent member from her trainer, ask about the goal she set and invite her back",
            "A trainer should text members who vanished, personally, and pick up their goal again",
            "Ask the trainer who knows the member to text and check in on the member's goal",
            "Send a personal text from a trainer to check on the member's goal",
            "Get the member's trainer to write a personal text about the goal they set together",
        ),
        scripts=(
            "Hey {name}, it's {trainer}. You were two sessions away from your {goal} goal! Want to train with me on {day}?",
            "{name}, we miss you on the floor. How is the {goal} plan going? I have time on {day} to look at it with you. {trainer}",
            "No pressure, {name}, just checking in. Life got busy? Let's find one hour this week.",
        ),
        personal=(
            (
                "Have trainer <employee first> text <customer> (<phone>) personally and ask about the training goal",
                "Hey <customer first>, it's <employee first> from <business>. You were two sessions away from your {goal} goal!",
            ),
            (
                "Let <employee first> send a personal text that asks about <customer first>'s goal and suggests a day to train",
                "<customer first lower>, we miss you on the floor. How is the {goal} plan going?",
            ),
        ),
    ),
    Pattern(
        key="gym_cancel_request_pause",
        category="gym",
        type="churn_prevention",
        observations=16,
        success_rate=0.68,
        value=180,
        conditions={
            "signal": ["cancellation request"],
            "membership_tier": ["standard", "premium"],
            "visit_count": (20, 90),
        },
        actions=(
            "Offer to pause the membership for up to three months",
            "Propose a membership pause of up to three months to the member who wants to leave",
            "Suggest freezing the membership for up to three months",
            "Answer with an offer to pause the membership, up to three months",
            "Let the member freeze her membership for up to three months",
            "Give the member the choice to pause her membership up to three months",
        ),
        scripts=(
            "I understand, {name}. Would a pause help? Three months at no cost, and your rate stays as it is.",
            "Before I close it, {name}: we can freeze your membership until {month}. You'd come back to the same locker and rate.",
        ),
        personal=(
            (
                "Offer <customer> (<email>) to pause the membership for up to three months",
                "I understand, <customer first>. Would a pause help? <employee first> can freeze it today.",
            ),
        ),
    ),
    Pattern(
        key="gym_new_member_orientation",
        category="gym",
        type="churn_prevention",
        observations=18,
        success_rate=0.79,
        value=150,
        conditions={
            "tenure_days": [6, 7, 10, 14],
            "visit_count": [1, 2],
            "membership_tier": ["standard", "trial"],
        },
        actions=(
            "Book a free orientation with a coach for the new member",
            "Invite the new member to a free orientation session with a coach",
            "Call new members and set up their free orientation with a coach",
            "Schedule a free coach-led orientation for members who just joined",
            "Welcome the new member with a free orientation where a coach explains the machines",
            "Offer every new member a free orientation with one of the coaches",
            "Set a date for the new member's free orientation with a coach",
        ),
        scripts=(
            "Welcome, {name}! Let {coach} walk you through the machines, it's part of your membership. {day} at {time}?",
            "Hi {name}, your first month matters most. Shall we set up your free orientation this week?",
        ),
        personal=(
            (
                "Book a free orientation with coach <employee first> for <customer>, our new member",
                "Welcome to <business>, <customer first>! Let <employee first> walk you through the machines. {day} at {time}?",
            ),
        ),
    ),
    Pattern(
        key="gym_morning_smoothie",
        category="gym",
        type="modifier_opportunity",
        observations=17,
        success_rate=0.69,
        value=9,
        conditions={
            "time_of_day": ["morning"],
            "service": ["HIIT Class", "Spin Class", "HIIT Class"],
        },
        actions=(
            "Let members pre-order a protein smoothie when they check in for class",
            "Offer a protein smoothie to pre-order at class check-in",
            "Take protein smoothie orders at class check-in and have the shake ready as class ends",
            "At class check-in, ask members whether a protein smoothie should be ready when it ends",
            "Add a protein smoothie pre-order to the class check-in",
            "Ask members checking in for class to pre-order a protein smoothie",
        ),
        scripts=(
            "Morning, {name}! Shall I have a smoothie waiting when you come out? Berry or peanut today.",
            "Off to {class_name}? Order your shake now and skip the line.",
        ),
        personal=(
            (
                "Let <customer> pre-order a protein smoothie with <employee first> at class check-in",
                "Morning, <customer first>! <employee first> will have your berry smoothie waiting.",
            ),
        ),
    ),
    Pattern(
        key="gym_trainer_coaching",
        category="gym",
        type="modifier_opportunity",
        observations=14,
        success_rate=0.57,
        value=310,
        conditions={
            "modifier_rate": [0.04, 0.06, 0.07],
            "team_average": [0.15, 0.16, 0.18],
        },
        actions=(
            "Coach the trainer to close each session by offering the next personal training package",
            "Train the trainer to offer a personal training package at the end of a session",
            "Role-play with the trainer how to offer the next personal training package",
            "Have the head coach practice the personal training package offer with the trainer",
            "Let the trainer observe how the head coach offers personal training packages",
            "Mentor the trainer on offering personal training packages when a session ends",
        ),
        scripts=(
            "{employee_name}, end with what changed: 'Your squat is deeper than last week. In eight sessions we'd be at {goal}. Shall we?'",
            "Stand in on {mentor_name}'s next two sessions and write down how the package comes up.",
        ),
        personal=(
            (
                "Coach <employee> to close each session by offering the next personal training package",
                "<employee first>, end with what changed, the way you told <customer>: 'Your squat is deeper than last week.'",
            ),
        ),
    ),
    Pattern(
        key="gym_equipment_complaint",
        category="gym",
        type="review_response",
        observations=16,
        success_rate=0.65,
        value=70,
        conditions={
            "rating": [1, 2, 2],
            "complaint": ["equipment"],
            "membership_tier": ["standard", "premium"],
        },
        actions=(
            "Reply publicly with a photo of the repaired equipment",
            "Fix the equipment and answer the review in public with a photo of the repair",
            "Post a public reply that shows a photo of the repaired machine",
            "Answer the complaint publicly: what was repaired, with a photo of the equipment",
            "Repair the machine, then reply to the review in public and attach a photo",
            "Respond in public with a photo proving that the equipment has been repaired",
        ),
        scripts=(
            "You were right, {name}. The {machine} has a new cable since {day}, photo attached. Thank you for pushing us.",
            "Fixed, {name}! Come and try it, and tell {manager} if anything else squeaks.",
        ),
        personal=(
            (
                "Reply publicly to <customer> with a photo of the repaired equipment",
                "You were right, <customer first>. The {machine} at <address> has a new cable. <employee first>",
            ),
        ),
    ),
    Pattern(
        key="gym_charge_late_cancel",
        category="gym",
        type="no_show_reduction",
        observations=15,
        success_rate=0.6,
        value=130,
        conditions={
            "service": ["HIIT Class", "Spin Class", "Reformer Pilates"],
            "time_of_day": ["evening"],
            "class_type": ["full"],
        },
        actions=(
            "Introduce a late-cancel fee for full classes",
            "Start charging a late-cancel fee when the class is full",
            "Introduce a fee for members who cancel a full class late",
            "Add a late-cancel fee to full classes",
            "Begin to charge a fee for late cancellations of full classes",
        ),
        scripts=(
            "Hi {name}, because so many people wait for a place, late cancellations now carry a small fee. Cancel by {time} and it's free.",
            "From {date}: please give your place back in time, {name}, someone on the waitlist will be glad. Late cancellations cost {fee}.",
        ),
        personal=(
            (
                "Introduce a late-cancel fee for full classes, beginning with <employee first>'s",
                "Hi <customer first>, late cancellations at <business> now carry a small fee.",
            ),
        ),
    ),
    Pattern(
        key="gym_drop_late_cancel_fee",
        category="gym",
        type="no_show_reduction",
        observations=12,
        success_rate=0.42,
        value=40,
        conditions={
            "service": ["HIIT Class", "Spin Class", "Yoga Class"],
            "time_of_day": ["evening", "morning"],
            "class_type": ["full", "nearly full"],
        },
        actions=(
            "Remove the late-cancel fee for full classes",
            "Stop charging a late-cancel fee when the class is full",
            "Drop the late-cancel fee on full classes",
            "Abolish the fee for members who cancel a full class late",
            "Do away with the late-cancel fee for full classes",
        ),
        scripts=(
            "Good news, {name}: no more late-cancel fee. If you can't come, a tap is enough.",
            "Life happens, {name}. We've dropped the fee, just let us know.",
        ),
        personal=(
            (
                "Remove the late-cancel fee for full classes, as <customer> asked",
                "Good news, <customer first>: no more late-cancel fee at <business>.",
            ),
        ),
    ),
    Pattern(
        key="gym_off_peak_upgrade",
        category="gym",
        type="membership_upgrade",
        observations=14,
        success_rate=0.64,
        value=220,
        conditions={
            "membership_tier": ["off-peak"],
            "visit_count": (9, 30),
            "time_of_day": ["evening"],
        },
        actions=(
            "Offer the off-peak member an all-hours membership when she pays for peak entry again",
            "Suggest an upgrade to the all-hours membership to off-peak members who keep paying for peak entry",
            "When an off-peak member pays peak entry again, offer the all-hours membership",
            "Invite the off-peak member to upgrade to all-hours, crediting the peak entry she just paid",
            "Offer an all-hours upgrade at the desk to the off-peak member paying for peak entry",
            "Credit the peak entry toward an all-hours upgrade for the off-peak member",
        ),
        scripts=(
            "That's your third evening this month, {name}. All-hours would cost less than the day passes. Shall I move you over?",
            "{name}, I can count today's entry toward the all-hours membership, if you like.",
        ),
        personal=(
            (
                "Offer <customer>, an off-peak member, an all-hours membership at the next peak entry",
                "That's your third evening at <business>, <customer first>. <employee first> can move you to all-hours.",
            ),
        ),
    ),
)

PATTERNS = (*SPA, *SALON, *GYM)

EMERGING_CONDITIONS: Mapping[str, Range | Choice] = {
    "time_of_day": ["evening"],
    "service": ["Magnesium Soak", "Magnesium Soak", "Sleep Massage"],
}
EMERGING = (
    (0, True, "Open evening magnesium soak sessions for guests who ask for help with sleep"),
    (2, False, "Try a late evening sleep recovery session with a magnesium soak"),
    (3, True, "Add a sleep recovery session in the evening: magnesium soak, dim light and a short massage"),
    (5, True, "Offer guests who sleep badly a magnesium soak in the evening, as a recovery session"),
    (0, False, "Extend the magnesium soak for sleep recovery to every evening of the week"),
    (7, False, "Put evening sleep sessions with a magnesium soak on the menu, since guests keep asking"),
)  # fmt: skip
"""Account (by position), success, wording: a topic that five spas met in the last two days.
examples/README.md holds one more wording, which a demo can send live."""

EMERGING_SCRIPTS = (
    "Sleeping badly, {name}? Stay for a magnesium soak tonight, we dim the lights at {time}.",
    "{name}, we've started evening sleep sessions. Warm magnesium water, quiet, home by {time}.",
)

PHONE_FORMS = ("({0}) {1} {2}", "{0}.{1}.{2}", "{0}{1}{2}", "{0} {1}-{2}", "+1 {0} {1} {2}")
SLOT = re.compile(r"<([a-z ]+)>")
FIELD_OF_SLOT = {
    "customer": "customer_names",
    "phone": "customer_phones",
    "email": "customer_emails",
    "business": "business_names",
    "employee": "employee_names",
    "address": "addresses",
}


def accounts() -> dict[str, list[Account]]:
    """The invented accounts by business category."""
    return {
        category: [
            Account(f"acct-{category}-{number:02d}", *business)
            for number, business in enumerate(businesses, start=1)
        ]
        for category, businesses in BUSINESSES.items()
    }


class Person:
    """Fills the slots of one record and remembers what has to be declared for it."""

    def __init__(self, rng: random.Random, account: Account) -> None:
        number = rng.randrange(len(CUSTOMERS))
        area = rng.choice(AREA_CODES)
        line = f"01{number:02d}"  # 555-0100 to 555-0199 are reserved for fiction
        name = CUSTOMERS[number]
        self._declared: dict[str, str] = {
            "customer": name,
            "phone": f"+1 {area}-555-{line}",
            "email": f"{_ascii(name).lower().replace(' ', '.')}@example.com",
            "business": account.business,
            "employee": account.employee,
            "address": account.address,
        }
        self._phone = rng.choice(PHONE_FORMS).format(area, "555", line)
        self._used: set[str] = set()

    def fill(self, text: str) -> str:
        return SLOT.sub(lambda slot: self._value(slot.group(1)), text)

    def identifiers(self) -> dict[str, list[str]]:
        return {
            field: [self._declared[slot]]
            for slot, field in FIELD_OF_SLOT.items()
            if slot in self._used
        }

    def _value(self, slot: str) -> str:
        kind, *form = slot.split(" ")
        self._used.add(kind)
        value = self._phone if kind == "phone" else self._declared[kind]
        if "first" in form:
            value = value.split(" ")[0]
        return value.lower() if "lower" in form else value


def history() -> list[dict[str, Any]]:
    """Every row of the sample, oldest first. The same rows at every call."""
    rng = random.Random(SEED)
    by_category = accounts()
    rows = [
        row
        for pattern in PATTERNS
        for row in _observations(rng, pattern, by_category[pattern.category])
    ]
    rows.extend(_emerging(rng, by_category["spa"]))
    rows.sort(key=lambda row: (-row["days_ago"], row["request_id"]))
    return rows


def _observations(
    rng: random.Random, pattern: Pattern, category_accounts: list[Account]
) -> Iterator[dict[str, Any]]:
    seen_by = rng.sample(category_accounts, k=rng.randint(5, len(category_accounts)))
    won = round(pattern.observations * pattern.success_rate)
    outcomes = [True] * won + [False] * (pattern.observations - won)
    rng.shuffle(outcomes)
    offset = rng.randrange(len(pattern.actions))
    for number, success in enumerate(outcomes):
        account = seen_by[number % len(seen_by)]
        person = Person(rng, account)
        conditions = _conditions(rng, pattern.conditions)
        if pattern.personal and number % PERSONAL_EVERY == PERSONAL_EVERY - 1:
            turn = number // PERSONAL_EVERY
            action, script = pattern.personal[turn % len(pattern.personal)]
            conditions |= _personal_condition(turn, pattern.type, conditions)
        else:
            action = pattern.actions[(offset + number) % len(pattern.actions)]
            script = rng.choice(pattern.scripts)
        yield _row(
            rng,
            name=f"{pattern.key}/{number}",
            account=account,
            person=person,
            pattern_type=pattern.type,
            conditions=conditions,
            action=action,
            script=script,
            value=pattern.value,
            success=success,
            days_ago=_days_ago(rng),
        )


def _emerging(rng: random.Random, spas: list[Account]) -> Iterator[dict[str, Any]]:
    for number, (position, success, action) in enumerate(EMERGING):
        yield _row(
            rng,
            name=f"emerging/{number}",
            account=spas[position],
            person=Person(rng, spas[position]),
            pattern_type="service_demand",
            conditions=_conditions(rng, EMERGING_CONDITIONS),
            action=action,
            script=EMERGING_SCRIPTS[number % len(EMERGING_SCRIPTS)],
            value=65,
            success=success,
            days_ago=round(rng.uniform(0.05, EMERGING_DAYS - 0.1), 3),
        )


def _row(
    rng: random.Random,
    *,
    name: str,
    account: Account,
    person: Person,
    pattern_type: str,
    conditions: dict[str, Any],
    action: str,
    script: str,
    value: float,
    success: bool,
    days_ago: float,
) -> dict[str, Any]:
    at_stake = round(value * rng.uniform(0.8, 2.5), 2)
    earned = value * rng.uniform(0.6, 1.6) if success else -value * rng.choice(LOSS_SHARES)
    measured_rate = rng.random() < MEASURED_SHARE
    filled = {key: _filled(person, item) for key, item in conditions.items()}
    insight = {
        "insight_id": f"ins-{rng.getrandbits(40):010x}",
        "type": pattern_type,
        "business_category": account.account_id.split("-")[1],
        "conditions": filled,
        "action": person.fill(action),
        "script": person.fill(script),
        "confidence": round(rng.uniform(0.45, 0.8), 2),
        "dollar_value": at_stake,
        "potential_value": round(at_stake * rng.uniform(1.1, 3.0), 2),
    }
    outcome: dict[str, Any] = {
        "success": success,
        "revenue_impact": round(earned, 2) + 0.0,  # no "-0.0"
        "customer_retained": rng.random() < (0.9 if success else 0.3),
    }
    if measured_rate:
        outcome["response_rate"] = round(
            rng.uniform(0.4, 0.95) if success else rng.uniform(0.02, 0.35), 2
        )
    return {
        "request_id": str(uuid.uuid5(REQUEST_NAMESPACE, name)),
        "account_id": account.account_id,
        "days_ago": days_ago,
        "insight": insight,
        "outcome": outcome,
        "identifiers": person.identifiers(),
    }


def _conditions(rng: random.Random, spec: Mapping[str, Range | Choice]) -> dict[str, Any]:
    drawn: dict[str, Any] = {}
    for key, values in spec.items():
        if isinstance(values, tuple):
            low, high = values
            drawn[key] = rng.randint(int(low), int(high))
        else:
            drawn[key] = rng.choice(values)
    return drawn


def _personal_condition(
    turn: int, pattern_type: str, conditions: Mapping[str, Any]
) -> dict[str, Any]:
    """What careless callers put into conditions: a forbidden key, a note, a name in a good key."""
    if pattern_type in {"churn_prevention", "review_response"}:
        forms: list[dict[str, Any]] = [
            {"customer_name": "<customer>"},
            {"notes": "<customer first> prefers <employee first>, call <phone>"},
        ]
        if "service" in conditions:
            forms.append({"service": f"{conditions['service']} with <employee first>"})
        return forms[turn % len(forms)]
    return {"employee_name": "<employee>"} if turn % 2 else {}


def _filled(person: Person, value: Any) -> Any:
    return person.fill(value) if isinstance(value, str) else value


def _days_ago(rng: random.Random) -> float:
    if rng.random() < RECENT_SHARE:
        return round(rng.uniform(0.05, RECENT_DAYS - 0.1), 3)
    return round(rng.uniform(RECENT_DAYS + 0.1, HISTORY_DAYS), 3)


def _ascii(text: str) -> str:
    """Letters that an e-mail address takes; what has no plain form ('ø') is left out."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in plain if letter.isascii())


def render_lines() -> str:
    """The exact content of `history.jsonl`."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in history())


def main() -> int:
    """Write the file, or say whether it is up to date."""
    parser = argparse.ArgumentParser(description="Write examples/history.jsonl.")
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 on a difference")
    content = render_lines()
    if parser.parse_args().check:
        return int(HISTORY.read_text(encoding="utf-8") != content)
    HISTORY.write_text(content, encoding="utf-8")
    sys.stdout.write(f"{content.count(chr(10))} captures written to {HISTORY}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
