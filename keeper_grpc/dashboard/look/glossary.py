"""What the words of the pages mean. docs/dashboard.md has the same table, and a test holds them together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

GLOSSARY: Final[Mapping[str, str]] = {
    "Account": "One customer business. Of accounts with one owner, all count once.",
    "Pattern": "What several accounts saw to work, or to fail, in the same situation, merged into one.",
    "Advice": "A pattern that was given to an account as the answer to its question.",
    "Precision": "The share of successes where a learned condition holds, among owners who had no part in choosing it; below it the 90% interval.",
    "Lift": "How many times as often the action succeeds where the condition holds as where it does not.",
    "Lead time": "From a question to its outcome, median.",
    "Held out": "Questions whose advice chance kept back, so that there is something to compare with.",
    "Success rate": "Successful cases divided by all cases, in all situations together.",
    "At least": "The lower bound of a rate: with 95% certainty the true rate is no lower. Ranking uses it, so that 3 of 3 does not beat 190 of 200.",
    "Cases": "Reported outcomes that a number rests on.",
    "Accounts": "Owners of accounts that reported the cases; three at least for anything shown.",
    "95% interval": "Where the true number lies with 95% certainty, given the cases so far.",
    "Points": "A difference of two percentages: from 60% to 80% are 20 points.",
    "Uplift": "The success rate with advice less that of the held-out questions, counted as chance assigned them.",
    "Shown to help": "The whole interval of the uplift is above zero, on whichever day it is read.",
    "Fading": "A pattern that works less often of late than before; it is not applied until it recovers.",
    "Emerging": "What three accounts or more began to see in the last days, and what is no pattern yet.",
    "Novelty": "How unlike everything known an emerging pattern is: 100% is like nothing before.",
    "Potential value": "What the accounts estimated an insight to be worth, before anything was done.",
    "Withheld": "Too few accounts were active for a number to be shown without telling of one of them. It is not zero.",
    "Discovery rate": "Patterns first observed, by the week.",
    "Cross-application": "Of the patterns in use, the share that accounts of several owners use. The target is 60%.",
    "Success improvement": "The success rate with advice less that of the held-out questions, within the window.",
    "Time to first insight": "The time from an account's joining to the first advice that it got; the median of accounts.",
    "Pattern accuracy": "The share of patterns whose advice succeeded about as often as was foretold.",
    "Revenue per pattern": "Net revenue of the advice, divided by the patterns whose advice had an outcome.",
    "Retention improvement": "The share of customers who stayed with advice less that of the held-out questions.",
    "Value acceleration": "How many times sooner the first success comes to accounts whose first question got advice.",
    "New patterns": "Patterns that were first observed within the window.",
    "Advice that worked": "Reported outcomes of advice that were successful.",
    "Revenue from advice": "What outcomes of advice brought in, less its cost where that is known; some would have come anyway.",
    "Confidence added": "By how much advice raised an insight's confidence, on average.",
    "Given up to explore": "The success that trying other advice than the surest was expected to cost, a question.",
    "Time to insight": "The time from a pattern's first observation to the first advice that it gave, median.",
    "Cross-pollination": "The share of advice that came from another line of business.",
    "Questions answered": "The share of questions that got proven advice, those held out aside.",
}
