"""The wordings of accounts: situations, and ideas in several phrasings. Written for this project.

`$guest` and `$visit` are the category's own words, `$n` is an idea's level. Placeholders in braces
belong to a script and stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NOUNS: Mapping[str, Mapping[str, str]] = {
    "spa": {"guest": "guest", "visit": "treatment"},
    "salon": {"guest": "client", "visit": "appointment"},
    "gym": {"guest": "member", "visit": "session"},
    "yoga_studio": {"guest": "student", "visit": "class"},
}

SERVICES: Mapping[str, Sequence[str]] = {
    "spa": ("Swedish Massage", "Deep Tissue Massage", "Signature Facial", "Body Scrub"),
    "salon": ("Balayage", "Highlights", "Blowout", "Root Touch-Up"),
    "gym": ("HIIT Class", "Spin Class", "Personal Training", "Boxing Class"),
    "yoga_studio": ("Vinyasa Flow", "Yin Yoga", "Hatha Yoga", "Hot Yoga"),
}

TONES: Mapping[str, str] = {
    "warm": "Hi {name}, it is always a pleasure to see you. $line We would love to hear from you.",
    "brief": "Hello {name}. $line Reply yes and it is done.",
    "urgent": "Only this week, {name}! $line Book now, while there are places left.",
}
MARKERS: Mapping[str, str] = {
    "warm": "always a pleasure",
    "brief": "Reply yes",
    "urgent": "Only this week",
}
"""Words by which a tone is recognized, also after anonymization."""


@dataclass(frozen=True, slots=True)
class Idea:
    """Something an account can do. Each level is an action of its own; an idea without levels is one.

    `line` is the sentence of its scripts, which differ in tone.
    """

    key: str
    wordings: tuple[str, ...]
    line: str
    levels: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Kind:
    """One insight type: the situations it comes in, told apart by facts, and the ideas for them.

    `details` are further facts that vary within a situation and mean nothing.
    """

    type: str
    value: float
    situations: tuple[Mapping[str, str | int], ...]
    details: Mapping[str, tuple[str | int, ...]]
    ideas: tuple[Idea, ...]


KINDS = (
    Kind(
        type="churn_prevention",
        value=180,
        situations=(
            {"churn_risk": "high", "visit_pattern": "weekly visits stopped"},
            {"churn_risk": "medium", "visit_pattern": "longer breaks between visits"},
            {"churn_risk": "high", "visit_pattern": "only one visit so far"},
        ),
        details={"days_since_visit": (35, 50, 70, 100)},
        ideas=(
            Idea(
                "personal_call",
                (
                    "Phone the $guest yourself and offer a time that suits",
                    "Call the $guest in person and suggest a convenient time",
                    "Make a personal phone call to the $guest and offer a good time",
                    "Have the owner ring the $guest and suggest a time that suits",
                ),
                "I have kept a good time for you.",
            ),
            Idea(
                "reminder_discount",
                (
                    "Send a reminder with $n% off the next $visit",
                    "Send the $guest a reminder and take $n% off the next $visit",
                    "Remind the $guest with a coupon for $n% off the next $visit",
                    "Send out a reminder that offers $n% off the next $visit",
                ),
                "Your next $visit is $n% off.",
                (10, 20, 30),
            ),
            Idea(
                "handwritten_note",
                (
                    "Send a handwritten note that says the $guest is missed",
                    "Write a note by hand and tell the $guest that she is missed",
                    "Mail a handwritten card to say that the $guest is missed",
                    "Post a card, written by hand, that says we miss the $guest",
                ),
                "We miss you and wanted to say so.",
            ),
            Idea(
                "loyalty_points",
                (
                    "Give the $guest bonus loyalty points for coming back",
                    "Offer bonus loyalty points when the $guest comes back",
                    "Add bonus points to the loyalty account when the $guest returns",
                    "Credit extra loyalty points for the $guest's return",
                ),
                "Bonus points are waiting for you.",
            ),
            Idea(
                "feedback_survey",
                (
                    "Ask with a short survey what went wrong",
                    "Send a short survey to find out what went wrong",
                    "Send the $guest a few survey questions about what went wrong",
                    "Find out by a short survey what the $guest was unhappy with",
                ),
                "Would you tell us in three questions how we did?",
            ),
            Idea(
                "event_invitation",
                (
                    "Invite the $guest to an evening event within $n days",
                    "Send an invitation to an evening event that takes place within $n days",
                    "Invite her to an event in the evening within the next $n days",
                    "Ask the $guest to come to an evening event in the next $n days",
                ),
                "We have an evening event in the next $n days and you are invited.",
                (7, 14, 30),
            ),
        ),
    ),
    Kind(
        type="modifier_opportunity",
        value=35,
        situations=(
            {"time_of_day": "morning", "customer_type": "regular"},
            {"time_of_day": "evening", "customer_type": "regular"},
            {"time_of_day": "afternoon", "customer_type": "first visit"},
        ),
        details={"day_of_week": ("Monday", "Tuesday", "Thursday", "Saturday")},
        ideas=(
            Idea(
                "check_in_offer",
                (
                    "Offer an add-on at check-in",
                    "Ask the $guest at check-in whether she would like an add-on",
                    "Suggest an add-on while the $guest is checking in",
                    "Mention the add-on at the front desk during check-in",
                ),
                "Would you like to add something to your $visit today?",
            ),
            Idea(
                "free_sample",
                (
                    "Let the $guest try a small sample of the add-on",
                    "Give the $guest a small sample of the add-on to try",
                    "Offer a small taste of the add-on so that the $guest can try it",
                    "Hand out a small sample so that the $guest tries the add-on",
                ),
                "We have a small sample for you to try.",
            ),
            Idea(
                "bundle_discount",
                (
                    "Bundle the add-on with the $visit at $n% off",
                    "Offer the $visit and the add-on as a bundle at $n% off",
                    "Sell the add-on in a bundle with $n% off",
                    "Put $visit and add-on together in a bundle for $n% off",
                ),
                "Together with the add-on everything is $n% off.",
                (10, 15, 25),
            ),
            Idea(
                "team_role_play",
                (
                    "Practice the add-on offer with the team in a role-play",
                    "Train the team on the add-on offer with a role-play",
                    "Coach the team by role-playing how to offer the add-on",
                    "Run a role-play with the team about offering the add-on",
                ),
                "My team would be happy to show you what goes well with it.",
            ),
            Idea(
                "confirmation_mail",
                (
                    "Describe the add-on in the booking confirmation",
                    "Put a line about the add-on into the booking confirmation",
                    "Mention the add-on in the e-mail that confirms the booking",
                    "Advertise the add-on in the confirmation of the booking",
                ),
                "You can add it to your booking with one click.",
            ),
            Idea(
                "extra_minutes",
                (
                    "Suggest $n extra minutes at the end of the $visit",
                    "Offer to extend the $visit by $n minutes",
                    "Ask the $guest whether she would like $n more minutes",
                    "Propose an extension of $n minutes to the $guest",
                ),
                "Shall we stay $n minutes longer?",
                (15, 30, 45),
            ),
        ),
    ),
    Kind(
        type="review_response",
        value=120,
        situations=(
            {"rating": 1, "complaint": "unfriendly service"},
            {"rating": 2, "complaint": "long wait"},
            {"rating": 3, "complaint": "price"},
        ),
        details={"review_platform": ("Google", "Yelp", "Facebook", "website")},
        ideas=(
            Idea(
                "apology_call",
                (
                    "Call the $guest and apologize in person",
                    "Apologize to the $guest in a personal phone call",
                    "Phone the $guest yourself to say sorry",
                    "Have the manager ring the $guest and apologize",
                ),
                "I am sorry about your $visit and would like to make it right.",
            ),
            Idea(
                "public_reply",
                (
                    "Answer the review in public and thank the $guest",
                    "Reply publicly to the review with thanks",
                    "Post a public answer under the review that thanks the $guest",
                    "Thank the $guest in a public reply to the review",
                ),
                "Thank you for telling us, we have read every word.",
            ),
            Idea(
                "partial_refund",
                (
                    "Refund $n% of the $visit",
                    "Give the $guest $n% of the money back",
                    "Offer the $guest a refund of $n%",
                    "Pay back $n% of the price to the $guest",
                ),
                "We are giving you $n% of the price back.",
                (20, 50, 75),
            ),
            Idea(
                "redo_visit",
                (
                    "Invite the $guest to repeat the $visit with the best colleague",
                    "Offer to repeat the $visit with the most experienced colleague",
                    "Let the best colleague repeat the $visit for the $guest",
                    "Repeat the $visit for the $guest with your most experienced colleague",
                ),
                "We would like to repeat your $visit with our best colleague.",
            ),
            Idea(
                "show_change",
                (
                    "Tell the $guest what was changed because of the review",
                    "Write to the $guest what has changed since the review",
                    "Explain to the $guest which changes the review led to",
                    "Describe to the $guest what you changed because of her review",
                ),
                "We have changed something because of what you wrote.",
            ),
            Idea(
                "quick_message",
                (
                    "Send a message from the manager within $n hours",
                    "Let the manager write to the $guest within $n hours",
                    "Have the manager send the $guest a message within $n hours",
                    "See that the manager messages the $guest within $n hours",
                ),
                "The manager would like to hear more from you.",
                (2, 24, 72),
            ),
        ),
    ),
    Kind(
        type="no_show_reduction",
        value=70,
        situations=(
            {"appointment_type": "first visit", "time_of_day": "morning"},
            {"appointment_type": "weekend slot", "time_of_day": "afternoon"},
            {"appointment_type": "group", "time_of_day": "evening"},
        ),
        details={"lead_time_days": (2, 7, 14, 28)},
        ideas=(
            Idea(
                "text_reminder",
                (
                    "Send a text message reminder $n hours before the $visit",
                    "Remind the $guest by text message $n hours before the $visit",
                    "Text the $guest a reminder $n hours before the $visit",
                    "Send a reminder text to the $guest $n hours before",
                ),
                "Your $visit is in $n hours.",
                (4, 24, 48),
            ),
            Idea(
                "confirmation_call",
                (
                    "Ask the $guest on the phone to confirm the $visit",
                    "Call the $guest to confirm the $visit",
                    "Phone the $guest and have the $visit confirmed",
                    "Have the front desk call the $guest to confirm",
                ),
                "May I confirm your $visit?",
            ),
            Idea(
                "deposit",
                (
                    "Ask for a deposit of $n% when booking",
                    "Take a deposit of $n% at the time of booking",
                    "Require a $n% deposit with the booking",
                    "Request $n% of the price as a deposit when the $guest books",
                ),
                "With a deposit of $n% your place is certain.",
                (10, 25, 50),
            ),
            Idea(
                "easy_rescheduling",
                (
                    "Put a rescheduling link into the reminder",
                    "Add a link for rescheduling to the reminder",
                    "Let the $guest reschedule with a link in the reminder",
                    "Include a reschedule link in each reminder",
                ),
                "If the time does not suit, choose another with one click.",
            ),
            Idea(
                "waitlist",
                (
                    "Keep a waitlist and fill the slot from it",
                    "Fill the slot from a waitlist",
                    "Start a waitlist from which open slots are filled",
                    "Maintain a waitlist and give the slot to the next in line",
                ),
                "A place has become available for you.",
            ),
            Idea(
                "punctuality_reward",
                (
                    "Reward the $guest with points for showing up",
                    "Give points to each $guest who shows up",
                    "Thank the $guest for showing up with reward points",
                    "Award points for every $visit that the $guest shows up to",
                ),
                "You earn points when you come.",
            ),
        ),
    ),
    Kind(
        type="membership_upgrade",
        value=260,
        situations=(
            {"membership_tier": "basic", "visit_pattern": "comes every week"},
            {"membership_tier": "standard", "visit_pattern": "brings friends"},
            {"membership_tier": "none", "visit_pattern": "buys single visits"},
        ),
        details={"visit_count": (8, 12, 18, 26)},
        ideas=(
            Idea(
                "desk_offer",
                (
                    "Offer the upgrade at the desk when the $guest is about to leave",
                    "Mention the upgrade at the desk on the way out",
                    "Have the desk suggest the upgrade when the $guest leaves",
                    "Propose the upgrade to the $guest at the desk on leaving",
                ),
                "The next membership may suit you better.",
            ),
            Idea(
                "trial_weeks",
                (
                    "Let the $guest try the higher membership for $n weeks",
                    "Offer a trial of the higher membership for $n weeks",
                    "Give the $guest $n weeks of the higher membership as a trial",
                    "Invite the $guest to a trial membership of $n weeks",
                ),
                "Try the higher membership for $n weeks.",
                (1, 2, 4),
            ),
            Idea(
                "first_months_discount",
                (
                    "Take $n% off the first months of the upgrade",
                    "Offer the upgrade with $n% off the first months",
                    "Discount the first months of the higher membership by $n%",
                    "Give $n% off the upgrade for the first months",
                ),
                "The first months are $n% off.",
                (10, 20, 40),
            ),
            Idea(
                "show_savings",
                (
                    "Show the $guest how much the upgrade would have saved her",
                    "Calculate for the $guest what she would have saved with the upgrade",
                    "Send the $guest a calculation of her savings with the upgrade",
                    "Tell the $guest in numbers what the upgrade saves",
                ),
                "I have calculated what you would have saved.",
            ),
            Idea(
                "guest_passes",
                (
                    "Include passes for friends in the upgrade",
                    "Add passes for friends to the higher membership",
                    "Offer the upgrade together with passes for friends",
                    "Give passes for friends to everyone who takes the upgrade",
                ),
                "You can bring friends with it.",
            ),
            Idea(
                "consultation",
                (
                    "Book a personal consultation about goals and suggest the upgrade there",
                    "Suggest the upgrade in a personal consultation about goals",
                    "Sit down with the $guest for a consultation on goals and propose the upgrade",
                    "Talk about goals in a personal consultation and recommend the upgrade",
                ),
                "Let us talk about your goals.",
            ),
        ),
    ),
)
