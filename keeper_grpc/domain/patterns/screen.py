"""Which wordings are not handed out, however well they worked and however many owners used them.

A script is read out to customers in the network's name, so k owners that collude could let it ask for card
numbers, or insult. Here is what no business needs the network for. A wording that is stopped is kept as
evidence and shown nowhere. The screen errs towards stopping: there is always another wording.

It reads what a person would read: without markup's entities and invisible characters, letters of other
alphabets as the Latin ones that they look like, figures as the letters that they stand for, and letters with
gaps between them joined.
"""

from __future__ import annotations

import html
import re
import unicodedata
from enum import Enum
from functools import lru_cache
from typing import TypeAlias

from glin_profanity import Filter

MOST_READ = 20_000
"""Texts whose objection is kept: the same scripts are read in each question."""


class Objection(Enum):
    """Why a wording is not handed out."""

    MARKUP = "markup"
    PLACEHOLDER = "placeholder"
    SECRET = "secret"  # noqa: S105 - the name of a reason
    PAYMENT = "payment"
    LINK = "link"
    INSULT = "insult"
    THREAT = "threat"
    INSTRUCTION = "instruction"


def objection(text: str) -> Objection | None:
    """Why this script must not be handed out, or None where nothing speaks against it."""
    return _objection(text, to_staff=False)


def objection_to_action(text: str) -> Objection | None:
    """As `objection`, of what staff are to do, when and about what: they may ask for a payment, keep a card on
    file, hand out codes and write on a messenger.
    """
    return _objection(text, to_staff=True)


@lru_cache(MOST_READ)
def _objection(text: str, *, to_staff: bool) -> Objection | None:
    plain = _unescaped(text)
    if _MARKUP.search(plain) or _TURNED.search(text) or plain != _unescaped(plain):
        return Objection.MARKUP
    if (
        not all(_is_known(slot) for slot in _SLOT.findall(plain))
        or _LOOSE_BRACE.search(_SLOT.sub("", plain))
        or _TO_FILL_IN.search(plain)
    ):
        return Objection.PLACEHOLDER
    read = _SLOT.sub(" slot ", plain).casefold()
    forms = (read, _joined(read), read.translate(_LEET), _joined(read).translate(_LEET))
    for reason, expression in _REQUESTS if to_staff else _REQUESTS_OF_CUSTOMERS:
        if any(expression.search(form) for form in forms):
            return reason
    run_together = _RUN_TOGETHER if to_staff else _RUN_TOGETHER_TO_CUSTOMERS
    if any(run_together.search(re.sub(r"[^a-z]", "", form)) for form in forms[2:]):
        return Objection.SECRET
    # Joined already: with gaps the library takes seconds for eight kilobytes of single letters.
    # Likewise two seconds for as many equal figures.
    if _INSULTS.is_profane(_REPEATED.sub(r"\1\1\1", _joined(read))):
        return Objection.INSULT
    return None


def _unescaped(text: str) -> str:
    """The text as a reader sees it: entities decoded, folded, without what is invisible."""
    seen = unicodedata.normalize("NFKD", html.unescape(html.unescape(text)))
    kept = (c for c in seen if unicodedata.category(c) not in {"Cf", "Mn", "Me", "Co", "Cn"})
    return "".join(kept).translate(_LOOKALIKES)


def _joined(text: str) -> str:
    """With pieces of a letter or two, four or more, or three letters, as one word: "st u p i d", "c.v.v"."""
    return _SPELLED.sub(lambda match: re.sub(r"[\W_]", "", match[0]), text)


def _is_known(slot: str) -> bool:
    """Whether a placeholder is one that callers fill in: the last of its words names a thing of the visit."""
    if not _SLOT_NAME.fullmatch(slot):
        return False
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", slot).casefold())
    return bool(words) and words[-1] in _SLOT_WORDS and not _SECRET_SLOT.intersection(words)


_LOOKALIKES = str.maketrans(
    # Cyrillic, then Greek and others. Written as numbers: in letters nobody could tell them apart.
    "".join(
        map(
            chr,
            [
                *(
                    0x430,
                    0x432,
                    0x435,
                    0x456,
                    0x43A,
                    0x43C,
                    0x43D,
                    0x43E,
                    0x440,
                    0x441,
                    0x442,
                    0x443,
                    0x445,
                ),
                *(0x455, 0x458, 0x501, 0x4BB, 0x51B, 0x51D),
                *(
                    0x410,
                    0x412,
                    0x415,
                    0x406,
                    0x41A,
                    0x41C,
                    0x41D,
                    0x41E,
                    0x420,
                    0x421,
                    0x422,
                    0x423,
                    0x425,
                ),
                *(0x405, 0x408),
                *(0x261, 0x131, 0x3B9, 0x3BF, 0x3B5, 0x3B1, 0x3C1, 0x3C4, 0x3C5, 0x3BD, 0x3BA),
                *(
                    0x391,
                    0x392,
                    0x395,
                    0x399,
                    0x39A,
                    0x39C,
                    0x39D,
                    0x39F,
                    0x3A1,
                    0x3A4,
                    0x3A5,
                    0x3A7,
                ),
                *(0x2039, 0x203A),
            ],
        )
    ),
    "abeikmhopctyxsjdhqwABEIKMHOPCTYXSJgiioeaptuvkABEIKMNOPTYX<>",
)
"""Letters of other alphabets that look like Latin ones, of those that Unicode lists as confusable."""

_LEET = str.maketrans("0134578@$!|", "oieastbasil")

_SPELLED = re.compile(
    r"(?<![^\W_])(?:[^\W_]{1,2}[\W_]{1,3}){3,}[^\W_]{1,2}(?![^\W_])|(?<![^\W_])(?:[^\W_][\W_]{1,3}){2}[^\W_](?![^\W_])"
)

_REPEATED = re.compile(r"(.{1,4}?)\1{3,}", re.DOTALL)

_SLOT = re.compile(r"\{([^{}]{0,80})\}")
_LOOSE_BRACE = re.compile(r"[{}]")
_SLOT_NAME = re.compile(r" {0,2}[A-Za-z][A-Za-z0-9]*(?:[ _.][A-Za-z0-9]+)* {0,2}")
_TO_FILL_IN = re.compile(r"\[[^\[\]\n]{0,80}[A-Za-z] [^\[\]\n]{0,80}\]")
"""[insert amount here]. A role that the anonymizer writes is one word."""

_SLOT_WORDS = frozenset(
    re.findall(
        r"\w+",
        "address amenity appointment benefit business category change client class coach colorist color count credit"
        " customer date day days deal discount drink duration email employee event expert fee frequency friend gift"
        " goal guest hour hours idea instructor item location machine manager membership mentor minutes modifier month"
        " months name offer owner package period perk phone plan price product program promo promotion rating reason"
        " result reward room salon savings season service session specialist spot staff stylist team technician"
        " therapist tier time tip topic trainer treatment value visit visits week weeks weekday year years",
    )
)
_SECRET_SLOT = frozenset(
    re.findall(
        r"\w+",
        "account bank card code credential credentials cvc cvv iban login otp passcode password payment pin"
        " routing secret ssn token url link",
    )
)

_MARKUP = re.compile(
    # <tag>, </tag>, <!--, <?; a template's or a shell's slots; Markdown's and other links; code.
    r"<\s*[a-z/!?]|\{\{|\{%|\$\{|\$\(|\]\s*\(|javascript:|`|%\w+%|\[/?(?:url|img|b|i)\b\s*=?",
    re.IGNORECASE,
)

_TURNED = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that turn the direction of what follows, so that it reads as something else."""

_ASK = (
    r"(?:send|tell|give|reply|text|forward|share|read|provide|confirm|type|e-?mail|message|repl(?:y|ies)"
    r"|respond|answer|dm|whisper|need|require|verify)"
)
_CARD = r"(?:card|plastic|visa|mastercard|amex)"
_Requests: TypeAlias = tuple[tuple[Objection, re.Pattern[str]], ...]


def _compiled(*requests: tuple[Objection, str]) -> _Requests:
    return tuple((reason, re.compile(expression)) for reason, expression in requests)


_REQUESTS = _compiled(
    (
        Objection.SECRET,
        (
            rf"\b(?<!loyalty )(?<!membership )(?<!punch )(?<!stamp ){_CARD}s?(?:'s)? ?(?:number|no\b|num\b|nr\b|#|details?|info\w*|digits?|data|pin|expir\w*)"
            rf"|\b(?:numbers?|digits?|details?|photo|picture)\W+(?:\w+\W+){{0,6}}?{_CARD}s?\b"
            rf"|\b(?:front|back|side)s? of (?:your|ur|both)\W+(?:\w+\W+)?{_CARD}s?\b|\bbank account\b"
            rf"|\b(?:long|big|embossed|sixteen|16|three|four|3|4|last)[- ]?(?:digit )?(?:digits?|numbers?)\b"
            r"|\bdigits\b|\bexpir\w+ date\b"
            r"|\bcv[vc]2?\b|\bpass ?(?:word|code|phrase|wd)s?\b|\bpass ?number|\bpin ?(?:number|code)\b|\b(?:your|time) pin\b"
            r"|\b(?:your|the) cc\b"
            r"|\b(?:security|verification|access|sms|one[- ]?time|confirmation|authenticat\w+|auth|log-?in|door"
            r"|gate|alarm|bank|activation|recovery|unlock) ?codes?\b|\botp\b|\b2fa\b"
            r"|\b(?:log ?-?in|sign ?-?in) (?:details?|data|info\w*|name)|\bcredentials?\b|\busername\b|\byour log-?in\b"
            r"|\b(?:bank|account|routing|sort|iban|social security|passport|licen[cs]e|insurance|tax)"
            r" ?(?:number|details?|code|info\w*|data)\b|\bssn\b|\biban\b|\bsocial security\b"
            r"|\bmaiden name\b|\bsecurity question\b"
        ),
    ),
    (
        Objection.PAYMENT,
        r"\b(?:western union|moneygram|bitcoin|btc|crypto\w*|usdt|ethereum)\b",
    ),
    (
        Objection.LINK,
        (
            r"h(?:tt|xx)ps?\b|://|\bwww\b|[\[(]\.[\])]|\w ?(?:\(dot\)|\[dot\]| dot ) ?\w"
            r"|\w ?\. ?(?:com|org)\b|\w\.(?:net|info|biz|xyz|ly)\b"
            r"|\w\.(?:io|co|ru|link|click|top|site|me|app|shop|online|us|uk|de|cn|club|store|page|dev)\b(?:/|\b)"
            r"|\b(?:bit ?ly|tiny ?url)\b|\b(?:t|wa)\.me\b"
            r"|\bclick (?:here|the link|this|on|below)\b"
        ),
    ),
    (
        Objection.INSULT,
        (
            r"\b(?:stupid|idiots?|idiotic|morons?|imbeciles?|losers?|pathetic|worthless|scum|scumbags?|dumb(?:ass|o)?"
            r"|jerks?|liars?|cretins?|halfwits?|simpletons?|ugl(?:y|ier)|fatso|lowlife)\b"
            r"|\bshut up\b|\bscrew you\b|\bget lost\b|\bdrop dead\b|\bgo to hell\b"
            r"|\b(?:we|i|everyone) (?:all )?(?:hate|despise|detest)s? (?:you|your|people)\b"
            r"|\byou(?:'re| are|r)? (?:all )?(?:disgusting|repulsive|garbage|trash|fat|crazy|insane)\b"
        ),
    ),
    (
        Objection.THREAT,
        (
            r"\bor else\b|\bregret (?:it|this|that)\b|\bwill regret\b|\bknow where you (?:live|work)\b"
            r"|\b(?:hurt|kill|sue|beat|punish|harm|expose|report) you\b|\blegal action\b|\bwatch your back\b"
            r"|\bcome after you\b|\b(?:last|final) warning\b|\byou will pay\b(?! (?:less|only|nothing|just|half)\b)|\bconsequences\b|\bcollections? agency\b"
            r"|\bcall the police\b|\blawsuit\b"
        ),
    ),
    (
        Objection.INSTRUCTION,
        (
            r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}"
            r"\b(?:instructions?|prompts?|rules|directions|messages?|guidelines?|said|told|above)\b"
            r"|\bsystem (?:prompt|message)\b|\b(?:you are|act as) (?:now )?(?:an? )?(?:helpful )?(?:ai|assistant|chatbot|bot)\b"
            r"(?! (?:coach|instructor|manager|stylist|teacher|trainer)\b)"
            r"|\bfrom now on,? you (?:\w+ )?(?:act|answer|ignore|reply|respond|say)\b"
            r"|\bas an ai\b|\b(?:system|assistant|user) ?:|\bnew instructions\b|\bjailbreak\b|\bdeveloper mode\b"
        ),
    ),
)
"""What is asked in no text at all."""

_REQUESTS_OF_CUSTOMERS_ALONE = _compiled(
    (Objection.SECRET, rf"\b(?:credit|debit|bank|payment) ?{_CARD}s?\b"),
    (
        Objection.SECRET,
        # A code that is asked for, not one that is offered: "use code" and "your promo code" pass.
        (
            rf"\b{_ASK}\b(?! you\b)(?:(?!\b(?:promo\w*|discount|coupon|voucher|offer|referral|welcome|you an?)\b).){{0,60}}"
            r"\bcodes?\b(?! of\b)"
        ),
    ),
    (
        Objection.PAYMENT,
        (
            r"\b(?:venmo|zelle|paypal|cash ?app)\b"
            r"|\b(?:wire|bank) ?transfer"
            r"|(?<!by to )(?<!in to )\b(?:send|wire|transfer|pay|remit|deposit|give|owe)\b(?! you\b)[^.!?]{0,30}"
            r"\b(?:money(?! back)|cash(?! back)|dollars?|bucks|funds|payment|deposit|fee|balance|bill|invoice|gift ?cards?)\b"
            r"(?! (?:reminder|receipt|confirmation|policy)\b)"
            r"|\bpay (?:us|me|now|here|by|via|through|to|on)\b|(?<!by to )(?<!in to )\bpay (?:the|your)\b"
            r"|\bpay\w*\b[^.!?]{0,20} (?:over|by|via) (?:the )?(?:phone|text|message|sms|reply)\b"
            r"|\b(?:send|text|wire|transfer) (?:us|me)\b[^.!?]{0,20} [$€£] ?\d"
            r"|\bmake (?:a|your|the) payment\b|\bpayment (?:link|is due|due|now|info\w*|details?)\b"
            r"|\b(?:settle|clear) (?:your|the) (?:balance|bill|invoice|account)\b"
        ),
    ),
    (Objection.LINK, r"\b(?:whats ?app|telegram)\b"),
)
"""What is asked in no script: these are read out to customers."""

_REQUESTS_OF_CUSTOMERS = tuple(
    sorted(
        _REQUESTS + _REQUESTS_OF_CUSTOMERS_ALONE,
        key=lambda request: list(Objection).index(request[0]),
    )
)

_RUN_TOGETHER = re.compile(
    r"password|passcode|(?<!gift)(?<!loyalty)(?<!membership)(?<!punch)(?<!stamp)cardnumber|carddetails|securitycode|verificationcode"
    r"|socialsecurity|routingnumber|bankdetails|accountnumber"
)
"""What is looked for across all gaps as well: long enough not to arise from two innocent words."""

_RUN_TOGETHER_TO_CUSTOMERS = re.compile(rf"{_RUN_TOGETHER.pattern}|creditcard|debitcard")

_INSULTS = Filter(
    {
        "languages": ["english"],
        "detect_leetspeak": True,
        # The trade's: a nude polish, a butt facial, a breast or a nipple wax.
        "ignore_words": [
            "nude",
            "nudes",
            "butt",
            "breast",
            "breasts",
            "nipple",
            "nipples",
            "bikini",
        ],
    }
)
"""glin-profanity's English list. A word of another language is unknown to the anonymizer, which masks it."""
