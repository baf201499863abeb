"""The words by which actions of spas, salons and gyms oppose each other, and those that only seem to.

Patterns read lower-case text with single spaces. Gaps are a bounded number of words, so that every
pattern is linear in the text's length.
"""

from __future__ import annotations

import re
from typing import Final

_GAP: Final = r"(?:[^\s,.;:!?]{1,40} )"
_PEOPLE: Final = (
    r"(?:guests?|clients?|members?|customers?|people|visitors?|regulars?|everyone|someone|owners?)"
)
# What every treatment is against, and every manager: to lower it is no step back.
_UNWANTED: Final = (
    r"(?:stress\w*|pain\w*|tension|sore\w*|stiff\w*|wrinkles?|lines|frizz\w*|puff\w*|swelling|redness"
    r"|breakage|damage|dryness|anxiety|inflammation|cellulite|injur\w*|fatigue|blemish\w*|acne"
    r"|waits?|waiting(?! list)|wait times?|queues?|the line|lines|gaps|rush|crowd\w*|no-shows|churn"
    r"|cancellations|complaints|hassle|friction|confusion|surprises|mistakes|overbooking|weight"
    r"|polish|gel|make-?up|hair|lashes|extensions|callus\w*|dead skin|tattoos?|stains?)\b"
)
_LESSEN: Final = (
    r"(?:reduc|lower|cut|decreas|eliminat|remov|avoid|prevent|skip|stop|less|fewer|without)\w*"
)

HARMLESS: Final = re.compile(
    r"\b(?:"
    # Hair.
    r"(?:hair|dry|wet|first|fresh|new|buzz|clean|pixie|bob|kids'?|men's|women's|signature|express"
    r"|the|her|his|their|next|usual|free|trim or|and|or|plus|with)[- ]cuts?"
    r"(?! (?:the|our|prices?|rates?|fees?|hours|back|down|costs?|all)\b)"
    r"|cuts? (?:and|or|plus|with|\+|&) \w+|an? cuts?|cut(?:s|ting)? (?:the |her |his |their )?(?:hair|bangs"
    r"|fringe|ends)|split[- ]ends?|(?:dry|damaged|the) ends"
    # Fees, policies and lists that are named for what they are about.
    r"|late[- ]cancel\w*|cancel\w*(?= (?:fees?|polic\w+|list|window|rules?|charges?))"
    rf"|cancell?ed (?:slots?|spots?|appointments?|bookings?|class\w*|visits?|sessions?|{_PEOPLE})"
    r"|price[- ]drop alert"
    # To come by, to send a line.
    r"|(?:drop|stop)(?:s|ped|ping)?[- ](?:by|in|ins|off|over)\b|drop(?:s|ped|ping)? (?:an?|them|him|her|you"
    rf"|(?:the |every |each |your )?{_PEOPLE}) |drops of|\w+ drops\b"
    # The end of something.
    r"|(?:by the|at the|week|month|year|day|class|high|front|back)[- ]?end\b|end[- ]of|ends? meet"
    r"|(?:class|session|treatment|massage|facial|visit|appointment|trial|course|program|membership|month"
    r"|week|season) ends"
    rf"|end(?:s|ing)? (?:the|each|every|an?) {_GAP}{{0,2}}with"
    # Down, lower, less and shorter without a step back.
    r"|(?:cool|sit|write|writes|note|jot|wind|winding|calm|lie|break|settle|get)[- ]?down|down (?:payment"
    r"|the (?:road|line))|turn-?down service|up and down"
    r"|lower[- ](?:back|body|legs?|arms?|half|spine|abs|lashes)|less than (?:an?|\d+) (?:minute|hour|day)\w*"
    r"|in less|less is more|no less|shorter (?:blow|treatment|version|visit|wait|hair|style)"
    rf"|{_LESSEN} {_GAP}{{0,2}}{_UNWANTED}|reduced[- ]stress"
    r"|declining (?:visits?|attendance|bookings?|sales|frequency|engagement|numbers|retail|revenue)"
    r"|(?:visits?|bookings?|attendance|frequency|spend\w*|sales|ratings?|numbers|engagement|revenue)"
    r" (?:has |have |had )?(?:dropped|declined|ended|decreased|lowered|stopped|is down|are down|fell)"
    # No, not and without as a courtesy.
    r"|(?:do not|don't|never) (?:miss|forget|worry|wait|hesitate)"
    rf"|(?:do not|don't|never) let {_GAP}{{1,3}}(?:leave|go) without"
    r"|no (?:obligation|charge|strings|matter|chip|shows?|extra|additional|cost|minimum|problem"
    r"|pressure|appointment|need|one|later than|wait\w*|questions?|rush|hard sell)"
    r"|not (?:just|only|merely|later than)|if (?:there is |there's |they give )?no "
    rf"|{_PEOPLE} with(?: no|out) "
    r"|(?:costs? (?:her |him |them |you )?|for )nothing"
    r"|without (?:any |an? |extra |further |being )?(?:obligation|charge|cost|sugar|pressure|pushy"
    r"|pushing|delay|commitment|fuss|hesitation|strings|additional|selling)"
    r"|close(?:s|d|ly)? (?:to|the (?:sale|deal|loop|gap)|friends?|with|relation\w*|look)|up close"
    r"|closed[- ]door"
    # What the guest did or does not do is the occasion, not the action.
    r"|(?:who|that|which|they|she|he|what|anything|something|it|why|whose visits?)(?:'ve|'s)? "
    r"(?:(?:have|has|had|are|is|were|was|did|do|does|will|would|just|recently|suddenly|often|always"
    r"|she|he|they) ){0,3}(?:not|never|no longer|haven't|hasn't|hadn't|don't|doesn't|didn't|aren't"
    r"|isn't|won't|can't|wasn't|weren't|stopp\w+|cancel\w*|quit\w*|skip\w*|drop\w*|declin\w*"
    r"|refus\w*|avoid\w*|turned down|end\w*|ignor\w*|paus\w*)"
    r"|(?:haven't|hasn't|have not|has not) (?:been|booked|come|visited|returned|used|tried|shown)"
    # After as a name.
    r"|after[- ](?:sun|care|work|hours|school|party)|look(?:s|ing)? after|before[- ]and[- ]after"
    r")"
)
"""Removed before anything else is read."""

TAKING_AWAY: Final = re.compile(
    r"\b(?:not|never|no(?!-)|nothing|don't|doesn't|won't|shouldn't|mustn't|cannot|can't|without"
    r"|instead of|rather than|refrain\w*|stop(?:s|ped|ping)?|avoid(?:s|ed|ing)?|skip(?:s|ped|ping)?"
    r"|ceas(?:e|es|ed|ing)|cancel(?:s|led|ed|ling|ing)?|end(?:s|ed|ing)?|quit|halt(?:s|ed|ing)?"
    r"|discontinu(?:e|es|ed|ing)|suspend(?:s|ed|ing)?|disabl(?:e|es|ed|ing)|deactivat(?:e|es|ed|ing)"
    r"|lower(?:s|ed|ing)?|decreas(?:e|es|ed|ing)|reduc(?:e|es|ed|ing)|(?:price|fee|rate|cost) reductions?|cut(?:s|ting)?"
    r"|drop(?:s|ped|ping)?|halv(?:e|es|ed|ing)|shorten(?:s|ed|ing)?|shorter|smaller|less|fewer"
    r"|cheaper|down|shrink(?:s|ing)?|limit(?:s|ed|ing)? the number|trim(?:s|med|ming)? the "
    r"(?:class )?(?:schedule|menu|hours|prices?|list|team)"
    r"|remov(?:e|es|ed|ing)|delet(?:e|es|ed|ing)|eliminat(?:e|es|ed|ing)|abolish(?:es|ed|ing)?"
    r"|scrap(?:s|ped|ping)?|axe|ditch(?:es|ed|ing)?|withdraw(?:s|n|ing)?|revok(?:e|es|ed|ing)"
    r"|exclud(?:e|es|ed|ing)|unsubscrib\w+|uninstall\w*|hid(?:e|es|ing)|conceal\w*"
    r"|turn(?:s|ed|ing)? (?:away|down)|opt(?:s|ed|ing)? out|leav(?:e|es|ing) (?:out|alone)"
    r"|(?:ease|eases|back|hold|lay|call|put|scale|dial|pull)(?:s|d|ing)? (?:off|back)|let(?:s|ting)? go"
    r"|do(?:es|ing)? away with|g[eo]t(?:s|ting)? rid of|phas(?:e|es|ed|ing) out|waiv(?:e|es|ed|ing)"
    r"|forgiv(?:e|es|ing)|refus(?:e|es|ed|ing)|declin(?:e|es|ed|ing)|den(?:y|ies|ied)"
    r"|reject(?:s|ed|ing)?|ignor(?:e|es|ed|ing)|unanswered|downgrad(?:e|es|ed|ing)"
    r"|ban(?:s|ned|ning)?|forbid(?:s|ding)?|prohibit(?:s|ed|ing)?|disallow\w*|discourag\w+"
    r"|penali[sz]\w+|punish\w*|dismiss\w*)\b"
    rf"|\b(?:turn|switch)(?:s|es|ed|ing)? {_GAP}{{0,4}}off\b"
    rf"|\b(?:take|taking|pull|pulling) {_GAP}{{0,4}}(?:away|from|off the (?:menu|list|schedule|shelf"
    r"|shelves|site|website|calendar|market|price list))\b"
)
"""By these an action takes away, lowers, ends or refrains. Whether one stands in an action must agree:
"charge a late fee" and "scrap the late fee" meet on no other word."""

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

AXES: Final[tuple[tuple[str, ...], ...]] = (
    (r"before|ahead|earlier|beforehand", r"after|afterwards|later"),
    (r"public(?:ly)?", r"private(?:ly)?(?! (?:training|trainer|class|session|lesson|room|suite))"),
    (
        rf"(?:first[- ]time|new) (?:\w+ )?{_PEOPLE}|newcomers?|first-timers?",
        rf"(?:existing|returning|loyal|long-?standing|regular|current) (?:\w+ )?{_PEOPLE}|regulars",
    ),
    (r"up ?front|prepay\w*|prepaid|in advance", r"on the day|pay later|at checkout"),
    (r"open(?:s|ed|ing)?", r"clos(?:e|es|ed|ing)|shut(?:s|ting)?"),
    (r"senior", r"junior"),
    (r"(?<!non-)(?<!non )members?", r"non[- ]?members?"),
    (r"peak(?<!off-peak)(?<!off peak)", r"off[- ]peak"),
    (r"mandatory|compulsory|requir\w+", r"optional|voluntar\w+"),
    (
        r"tighten\w*|stricter|strictly|enforc\w+",
        rf"loosen\w*|lenient\w*|relax(?:es|ed|ing)? {_GAP}{{1,3}}(?:polic\w+|rules?|limits?|window)",
    ),
    (
        r"(?<!-)free(?! (?:slot|spot|time|hour|day|member))|complimentary|on the house|gratis",
        r"charg(?:e|es|ed|ing) (?:for|extra)|paid|for a fee|surcharg\w+",
    ),
    (
        r"rais(?:e|es|ed|ing)|increas\w+|hik(?:e|es|ed|ing)",
        rf"(?:keep|hold|freeze|lock)(?:s|ing)? {_GAP}{{0,3}}(?:prices?|rates?|fees?)",
    ),
    (
        r"freez(?:e|es|ing)|paus(?:e|es|ed|ing)|lock(?:s|ed|ing)?",
        r"unfreez\w+|resum\w+|reactivat\w+|unlock\w*",
    ),
    (r"hir(?:e|es|ed|ing)|recruit\w*", r"fir(?:e|es|ed|ing) (?:the|an?|one|two)"),
    (r"merg(?:e|es|ed|ing)|combin(?:e|es|ed|ing)", r"split(?:s|ting)?|separat(?:e|es|ed|ing)"),
    (r"at least|minimum|or more|more than", r"at most|maximum|up to"),
    (r"speed(?:s|ing)? up|faster|quicker", r"slow(?:s|ing)? down|slower"),
    (r"longer|lengthen\w*|extend\w*", r"short(?:er|en)\w*"),
    (r"mornings?", r"evenings?|nights?"),
    # By what a message travels. A message, and what is written or mailed, may travel by several.
    (
        r"phone(?:s|d)?|telephone(?:s|d)?|phoning|call(?:s|ed|ing)?|ring(?:s|ing)?|voicemails?",
        r"text(?:s|ed|ing)?|sms|txts?|messag(?:e|es|ed|ing)",
        r"e-?mail(?:s|ed|ing)?|newsletters?|messag(?:e|es|ed|ing)|mail(?:s|ed|ing)?",
        r"letters?|by post|postcards?|hand-?written|by hand|(?<!e-)mail(?:s|ed|ing)?",
        r"push|app|messag(?:e|es|ed|ing)",
        r"flyers?|leaflets?|posters?",
    ),
    (
        r"land[- ]?lines?|fixed[- ]lines?|(?:home|house) phones?",
        r"mobiles?|cells?|cell-?phones?|smart-?phones?",
    ),
    # What the anonymizer makes of money.
    (r"low_amount\w*", r"medium_amount\w*", r"high_amount\w*"),
)
"""Each axis is a set of directions of which none takes away. Two actions that name directions of one
axis must have one in common."""

DAYS: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    *((rf"{day}s?", frozenset({day})) for day in _WEEKDAYS),
    (r"week-?ends?", frozenset(_WEEKDAYS[5:])),
    (r"week-?days?", frozenset(_WEEKDAYS[:5])),
)
"""Days of the week are one more axis, on which some words name several."""

WITH: Final = re.compile(r"\bwith (?:an? |the |her |his |their |your |our |any )?([a-z-]{2,30})")
"""What an action includes; "with her name" is not "without her name"."""

WITHOUT: Final = re.compile(
    r"\b(?:without|with no) (?:an? |the |her |his |their |your |our |any )?([a-z-]{2,30})"
)

INSTEAD: Final = re.compile(r"\b(?:instead of|rather than) (?:an? |the |to )?([a-z-]{2,30})")
"""What is given up: "a text instead of an e-mail" is not "an e-mail instead of a text"."""
