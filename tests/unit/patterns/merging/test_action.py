from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.patterns.merging.action import compatible, says_enough, stance

OPPOSITES = (
    ("Raise the price of Saturday massages", "Lower the price of Saturday massages"),
    ("Raise prices by 10%", "Cut prices by 10%"),
    ("Increase the cancellation fee", "Decrease the cancellation fee"),
    ("Charge 10% more on weekends", "Charge 10% less on weekends"),
    ("Charge more for weekend slots", "Charge less for weekend slots"),
    ("Introduce a late-cancel fee", "Drop the late-cancel fee"),
    ("Introduce a late-cancel fee", "Scrap the late-cancel fee"),
    ("Add a late-cancel fee to full classes", "Remove the late-cancel fee for full classes"),
    ("Start charging a late-cancel fee", "Stop charging a late-cancel fee"),
    ("Charge a no-show fee", "Waive the no-show fee"),
    ("Charge a no-show fee", "Don't charge a no-show fee"),
    ("Charge a no-show fee", "Do not charge a no-show fee"),
    ("Send reminders the day before", "Stop sending reminders the day before"),
    ("Send reminder texts", "Don\N{RIGHT SINGLE QUOTATION MARK}t send reminder texts"),
    ("Text clients a reminder", "Turn off text reminders for regulars"),
    ("Text clients a reminder", "Turn text reminders off for regulars"),
    ("Reply publicly to the review", "Reply privately to the review"),
    ("Answer the review in public", "Answer the review in private"),
    ("Respond publicly to the complaint", "Message the guest privately about the complaint"),
    ("Offer 20% off the next visit", "Offer 10% off the next visit"),
    ("Offer twenty percent off", "Offer ten percent off"),
    ("Offer $20 off the next facial", "Offer $10 off the next facial"),
    ("Open an hour earlier on Saturdays", "Open an hour later on Saturdays"),
    ("Open earlier on Sundays", "Close earlier on Sundays"),
    ("Open on Mondays", "Close on Mondays"),
    ("Extend opening hours on Thursdays", "Shorten opening hours on Thursdays"),
    ("Hire another therapist for weekends", "Let go one therapist on weekends"),
    ("Put the massage on the menu", "Take the massage off the menu"),
    ("Put the facial back on the menu", "Take the facial off the menu"),
    ("Take walk-ins on Fridays", "Turn away walk-ins on Fridays"),
    ("Accept walk-ins on Fridays", "Refuse walk-ins on Fridays"),
    ("Allow walk-ins", "Ban walk-ins"),
    ("Allow phones in the sauna", "Forbid phones in the sauna"),
    ("Call the guest before the visit", "Call the guest after the visit"),
    ("Send the reminder before the appointment", "Send the reminder after the appointment"),
    ("Ask for the review before checkout", "Ask for the review after checkout"),
    ("Offer the discount to new members", "Offer the discount to existing members"),
    ("Book the next visit before she leaves", "Book the next visit after she leaves"),
    ("Require a deposit at booking", "Require no deposit at booking"),
    ("Require a deposit at booking", "Stop requiring a deposit at booking"),
    ("Ask for a deposit", "Ask for no deposit"),
    ("Require a deposit", "Make the deposit optional"),
    ("Upgrade the room", "Downgrade the room"),
    ("Keep the sauna open at night", "Close the sauna at night"),
    ("Freeze the membership", "Unfreeze the membership"),
    ("Pause the membership", "Resume the membership"),
    ("Enable online booking", "Disable online booking"),
    ("Turn on online booking", "Turn off online booking"),
    ("Turn online booking on", "Turn online booking off"),
    ("Make classes longer", "Make classes shorter"),
    ("Make class sizes bigger", "Make class sizes smaller"),
    ("Add more morning classes", "Offer fewer morning classes"),
    ("Expand the class schedule", "Trim the class schedule"),
    ("Turn the music up", "Turn the music down"),
    ("Turn up the heat in the yoga room", "Turn down the heat in the yoga room"),
    ("Subscribe the guest to the newsletter", "Unsubscribe the guest from the newsletter"),
    ("Include the towel in the price", "Exclude the towel from the price"),
    ("Apologize and refund the guest", "Apologize but do not refund the guest"),
    ("Offer a refund", "Refuse a refund"),
    ("Offer a refund", "Deny a refund"),
    ("Let members freeze their membership", "No longer let members freeze their membership"),
    ("Reply to the review within 2 hours", "Reply to the review within 2 days"),
    ("Call after 2 weeks", "Call after 6 weeks"),
    ("Call after two weeks", "Call after six weeks"),
    ("Send one reminder", "Send three reminders"),
    ("Offer a 60-minute massage", "Offer a 90-minute massage"),
    ("Offer the massage for $60", "Offer the massage for $90"),
    ("Text her", "Stop texting her"),
    ("Text her", "Avoid texting her"),
    ("Push retail at checkout", "Ease off retail at checkout"),
    ("Assign the senior stylist", "Assign the junior stylist"),
    ("Move the class to the morning", "Move the class to the evening"),
    ("Offer morning slots", "Offer evening slots"),
    ("Run the promotion on weekdays", "Run the promotion on weekends"),
    ("Discount peak hours", "Discount off-peak hours"),
    ("Call the guest", "Do nothing"),
    ("Double the referral reward", "Halve the referral reward"),
    ("Bring back the loyalty card", "Do away with the loyalty card"),
    ("Keep the loyalty card", "Get rid of the loyalty card"),
    ("Give the first class for free", "Charge for the first class"),
    ("Offer a free consultation", "Charge for the consultation"),
    ("Offer the add-on for free", "Charge for the add-on"),
    ("Hide the prices", "Show the prices"),
    ("Publish prices online", "Hide prices online"),
    ("Tighten the cancellation policy", "Loosen the cancellation policy"),
    ("Tighten the cancellation policy", "Relax the cancellation policy"),
    ("Make the cancellation policy stricter", "Make the cancellation policy more lenient"),
    ("Enforce the late-cancel fee", "Forgive the late-cancel fee"),
    ("Offer the upgrade before the treatment", "Offer the upgrade after the treatment"),
    ("Send the follow-up the same day", "Send the follow-up a week later"),
    ("Encourage tipping", "Discourage tipping"),
    ("Remind her by text", "Skip the reminder"),
    ("Lock the price for a year", "Unlock the price"),
    ("Merge the two morning classes", "Split the morning class in two"),
    ("Raise the membership price", "Keep the membership price"),
    ("Raise the membership price", "Freeze the membership price"),
    ("Call loyal guests first", "Call first-time guests"),
    ("Charge upfront", "Charge on the day"),
    ("Invite non-members to the class", "Invite members to the class"),
    ("Hire a front-desk person", "Fire the front-desk person"),
    ("Make deposits mandatory", "Make deposits optional"),
    ("Require a card on file", "Drop the card on file requirement"),
    ("Slow down the workout", "Speed up the workout"),
    ("Answer the negative review", "Ignore the negative review"),
    ("Respond to the bad review", "Leave the bad review unanswered"),
    ("Buy more towels", "Buy less towels"),
    ("Offer more than 20% off", "Offer less than 20% off"),
    ("Offer at least 20% off", "Offer at most 20% off"),
    ("Raise prices 5 percent", "Raise prices 15 percent"),
    ("Offer half off", "Offer a quarter off"),
    ("Give members 2 guest passes", "Give members 4 guest passes"),
    ("Open at 7am", "Open at 9am"),
    ("Pay trainers more", "Pay trainers less"),
    ("Offer a discount", "Offer no discount"),
    ("Mention the discount", "Do not mention the discount"),
    ("Call without offering a discount", "Call and offer a discount"),
    ("Send an email instead of a text", "Send a text instead of an email"),
    ("Reward staff for upsells", "Penalize staff for upsells"),
    ("Add a booking fee", "Abolish the booking fee"),
    ("Restock the shampoo", "Discontinue the shampoo"),
    ("Let clients bring children", "Ban children"),
    ("Extend the trial", "End the trial"),
    ("Renew the membership", "Cancel the membership"),
    ("Auto-renew the memberships", "Do not auto-renew the memberships"),
    ("Reinstate the late fee", "Suspend the late fee"),
)
"""What an owner would never want counted as one experience."""

ALIKE = (
    ("Offer a cut and colour package", "Suggest the cut and color package"),
    ("Offer a haircut with the color", "Suggest a cut with the color"),
    ("Invite her to drop by for a free tea", "Invite her to come by for a free tea"),
    ("Invite him to stop in for a free class", "Invite him to come in for a free class"),
    ("Charge a late-cancel fee", "Introduce a late-cancellation fee"),
    ("Explain the cancellation policy at booking", "Explain the cancelation policy when they book"),
    ("Send a cancellation list text", "Text the waitlist"),
    ("Drop her a line about the new facial", "Send her a note about the new facial"),
    ("Drop him a text", "Send him a text"),
    ("Call by the end of the week", "Call this week"),
    ("Offer it at the end of the treatment", "Offer it when the treatment finishes"),
    ("Don't forget to thank her", "Thank her"),
    ("Offer a blow dry, no obligation", "Offer a blow dry"),
    ("Offer a dry cut on weekdays", "Offer a dry haircut on weekdays"),
    ("Offer 20% off", "Offer a 20 percent discount"),
    ("Offer 20% off the next visit", "Send a discount for the next visit"),
    ("Follow up in 2 weeks", "Follow up in two weeks"),
    ("Recommend a leave-in conditioner", "Suggest a leave-in conditioner"),
    ("Offer a reduced-stress massage", "Offer a stress-relief massage"),
    ("Offer stress reduction massage", "Offer stress relief massage"),
    ("Offer a facial to reduce wrinkles", "Suggest the wrinkle facial"),
    ("Suggest a massage for lower back pain", "Suggest a massage for back pain"),
    ("Offer the lower-back massage", "Offer the back massage"),
    ("Offer a cool-down stretch after class", "Offer a stretch after class"),
    ("Offer a cool down session", "Offer a cooldown session"),
    ("Offer the hair removal package", "Offer the laser hair package"),
    ("Suggest gel removal", "Suggest a gel polish change"),
    ("Offer nail polish removal with the manicure", "Add polish removal to the manicure"),
    ("Suggest split-end trim", "Suggest a trim for split ends"),
    ("Suggest a trim for dry ends", "Suggest a treatment for dry ends"),
    ("Offer the weekend special", "Offer the Saturday special"),
    ("Offer the week-end special", "Offer the weekend special"),
    ("Sit down with the guest and listen", "Meet with the guest and listen"),
    ("Write down her goals", "Note her goals"),
    ("Offer a buzz cut", "Suggest a buzz cut"),
    ("Offer a kids' cut", "Suggest a kids' cut"),
    ("Invite her for a trim or cut", "Invite her for a trim"),
    (
        "Suggest a shorter blow-dry for busy mornings",
        "Suggest an express blow-dry for busy mornings",
    ),
    ("Offer the drop-in class", "Offer the open class"),
    ("Offer the drop in rate", "Offer the single-class rate"),
    ("Send no-show guests a friendly text", "Text no-shows in a friendly way"),
    ("Charge no-shows a fee", "Charge a no-show fee"),
    ("Suggest a sugar-free smoothie", "Suggest a smoothie without sugar"),
    ("Offer a no-chip manicure", "Suggest a gel manicure"),
    ("Offer a non-toxic polish", "Suggest a natural polish"),
    ("Introduce the new stylist", "Present the new stylist"),
    ("Win back guests who stopped coming", "Win back lapsed guests"),
    ("Text members who stopped coming", "Text members who vanished"),
    ("Call guests who have not been in for 60 days", "Call guests who have been away for 60 days"),
    ("Call members who haven't booked", "Call members with an open booking"),
    ("Call clients who cancelled", "Call clients after a cancellation"),
    ("Rebook guests who cancelled twice", "Rebook guests with two cancellations"),
    ("Fill cancelled slots from the waitlist", "Fill open slots from the waitlist"),
    ("Offer a last-minute slot to fill cancellations", "Offer a last-minute slot to fill gaps"),
    ("Ask why she cancelled", "Ask for the reason"),
    ("Call members who dropped out", "Call members who left"),
    ("Ask what was not right", "Ask what went wrong"),
    ("Ask if anything was not to her liking", "Ask what she would change"),
    ("Text clients whose visits dropped", "Text clients who come rarely now"),
    ("Write to members with declining visits", "Write to members who come rarely"),
    ("Offer it so they don't wait", "Offer it so they need no waiting"),
    ("Offer weight loss coaching", "Suggest the slimming coaching"),
    (
        "Never let a guest leave without booking the next visit",
        "Book the next visit before each guest leaves",
    ),
    ("Don't let her leave without a rebooking", "Rebook her at checkout"),
    ("Send a reminder 24 hours before", "Send a reminder one day before"),
    ("Send a reminder a day before", "Send a reminder the day before the visit"),
    ("Suggest the first-time package", "Suggest the intro package"),
    ("Offer the end-of-day slot", "Offer the evening slot"),
    ("Offer the year-end package", "Offer the holiday package"),
    (
        "Offer a deep-tissue massage for runners with tight legs",
        "Suggest sports massage for runners",
    ),
    ("Show how to cut frizz with the serum", "Recommend the serum for frizz"),
    ("Offer undercut and fade", "Offer a fade"),
    ("Offer a clean-cut shave", "Offer a shave"),
    ("Refer a friend, get less hassle", "Refer a friend"),
    ("Offer a gift card, no minimum", "Offer a gift card"),
    ("Offer the massage at no extra cost", "Offer the massage free of charge"),
    ("Add the scalp massage at no charge", "Add a complimentary scalp massage"),
    ("Thank the guest, not only with a card but a call", "Thank the guest with a card and a call"),
    ("Offer a touch-up for lowlights", "Suggest lowlights touch-up"),
    ("Invite quiet members to a class end party", "Invite quiet members to the closing party"),
    ("Close the sale with a free sample", "Give a free sample at the sale"),
    ("Ask in a closed-door talk", "Ask in a private talk"),
    ("Send a private message", "Send a personal message"),
    ("Offer private training", "Suggest personal training"),
    ("Suggest a new product for long-standing dryness", "Suggest a product for dryness"),
    ("Offer the guest a new appointment", "Offer the guest another appointment"),
    ("Show before and after photos", "Show after photos"),
    ("Post before-and-after pictures", "Post pictures of results"),
    ("Offer after-sun care", "Suggest sun care"),
    ("Offer the aftercare kit", "Suggest the aftercare kit"),
    ("Offer the after-work class", "Suggest the evening class"),
    ("Text her a day ahead", "Text her the day before"),
    ("Look after the guest", "Care for the guest"),
    ("Offer early-bird slots before 9", "Offer early-bird slots"),
    ("Run a two for one promotion", "Run a 2 for 1 promotion"),
    ("Give her a hand-written card", "Write her a card by hand"),
)
"""The same move in other words, with idioms that look like a step back and are none."""

QUANTITIES_APART = (
    ("Call within 2 hours", "Call within 2 days"),
    ("Call after 2 days and offer a 60 minute massage", "Call after 3 days, offer 60 minutes"),
    ("Offer 10% to new and 20% to returning guests", "Offer 20% off"),
    ("Offer [low_amount] off", "Offer [high_amount] off"),
    ("Offer [low_amount_10_14] off", "Offer [low_amount_50_74] off"),
    ("Offer [low_amount_under_5] off", "Offer [low_amount_5_9] off"),
    ("Offer [low_amount_75_99] off", "Offer [medium_amount_100_149] off"),
    ("Give $5 per referral", "Give 10 dollars per referral"),
)
QUANTITIES_ALIKE = (
    ("Call after 48 hours", "Call after 2 days"),
    ("Call after 2 days and offer a 60 minute massage", "Call after 2 days"),
    ("Offer a half-price facial", "Offer 50% off the facial"),
    ("Give 10 dollars per referral", "Give $10 per referral"),
    ("Offer [low_amount_10_14] off", "Take [low_amount_10_14] off the price"),
    ("Offer [low_amount_10_14] off", "Offer a discount"),
    ("Open at 7 a.m.", "Open at 7:00am"),
    ("Offer 15 percent", "Offer 15 per cent"),
)
WORDS = sorted({word for pair in OPPOSITES + ALIKE for text in pair for word in text.split()})
actions = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)


@pytest.mark.parametrize(("one", "other"), OPPOSITES + QUANTITIES_APART)
def test_opposites_are_never_one_pattern(one: str, other: str) -> None:
    """Two actions that undo each other, or name other numbers, are incompatible in either order."""
    assert not compatible(one, other)
    assert not compatible(other, one)


@pytest.mark.parametrize(("one", "other"), ALIKE + QUANTITIES_ALIKE)
def test_idioms_do_not_keep_one_move_apart(one: str, other: str) -> None:
    """Words of the trade that merely contain a negative word do not split a pattern."""
    assert compatible(one, other)
    assert compatible(other, one)


@settings(max_examples=50)
@given(actions, actions)
def test_compatibility_is_symmetric(one: str, other: str) -> None:
    """The order in which two observations arrive does not decide whether they merge."""
    assert compatible(one, other) == compatible(other, one)


@settings(max_examples=50)
@given(st.one_of(actions, st.text(max_size=60)))
def test_every_action_is_compatible_with_itself(action: str) -> None:
    """A repeated action always finds its own pattern, whatever it says."""
    assert compatible(action, action)


@settings(max_examples=50)
@given(actions)
def test_writing_habits_say_nothing(action: str) -> None:
    """Case, line breaks and double spaces do not change what an action means."""
    assert stance(action.upper()) == stance("  " + action.replace(" ", " \n ")) == stance(action)


@pytest.mark.parametrize(
    "word", ["turn the ", "who they have ", "reduce the ", "cut", "2 new ", "-"]
)
def test_a_hostile_text_is_read_in_linear_time(word: str) -> None:
    """Reading four times the text takes about four times as long, not sixteen."""

    def seconds(size: int) -> float:
        text = (word * size)[:size]
        runs = []
        for _ in range(5):
            start = time.process_time()
            stance(text)
            runs.append(time.process_time() - start)
        return min(runs)

    # 2,000 characters are the longest action; a quadratic pattern would be beyond 16 here.
    assert seconds(16_000) < 10 * seconds(4_000) + 0.005


@pytest.mark.parametrize(
    ("action", "enough"),
    [
        ("", True),
        ("Offer a facial", True),
        ("Call [person]", True),
        ("Text [customer] about the lapsed membership", True),
        ("Offer the [other] soak to lapsed guests on weekdays", True),
        ("Spend [medium_amount] on flyers", True),
        ("[other] [other]", False),
        ("Offer [other] [other]", False),
        ("Offer the [other] soak", False),
        ("[person] [person_2] set", False),
    ],
)
def test_an_action_of_masks_says_too_little_to_be_merged(action: str, enough: bool) -> None:
    """Every product that nobody knows reads the same."""
    assert says_enough(action) is enough
