"""Layer 5: a health detail of one person cannot be masked word by word, so its text is dropped.

"She had her mastectomy in March" identifies without a name, and is protected in its own right. A
treatment for many ("massage for guests in chemotherapy") is the trade's, and passes.
"""

from __future__ import annotations

import re
from typing import Final

from keeper_grpc.privacy.text import cues
from keeper_grpc.privacy.text.draft import PERSON_KINDS, Draft, is_slot
from keeper_grpc.privacy.text.tokens import keys
from keeper_grpc.privacy.text.vocabulary import Vocabulary
from keeper_grpc.privacy.text.word_lists import listed

_DETAILS: Final = frozenset(
    listed(
        "surgery surgeries mastectomy lumpectomy hysterectomy chemo chemotherapy biopsy transplant "
        "dialysis miscarriage miscarried abortion stillbirth cesarean cancer tumor tumour leukemia "
        "lymphoma hiv hepatitis herpes syphilis chlamydia lupus fibromyalgia epilepsy epileptic seizure "
        "seizures diabetes diabetic insulin bipolar schizophrenia schizophrenic depression depressed "
        "antidepressants ptsd overdose overdosed anorexia anorexic bulimia bulimic autism autistic adhd "
        "dementia alzheimers alzheimer parkinsons parkinson crohns colitis ostomy diagnosed diagnosis "
        "hospitalized psychiatric psychiatrist suicide suicidal hernia aneurysm pacemaker stent "
        "catheter sober relapse relapsed vasectomy hysteroscopy methadone sterile infertile rehab covid "
        "stroke ivf csection gallbladder appendix tonsils hysterectomies lupus ozempic wegovy thinners "
        "concussion melanoma endometriosis mono shingles meningitis lyme sciatica detoxing"
    )
)
"""Diagnoses, operations and drugs. Not what the trade treats (acne, eczema) or asks about (allergies,
injuries, pregnancy)."""

_DATED: Final = re.compile(
    r"\b(?:(?:in|since|til|till|until|last|next|this|on|was|back) (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
    r"|mon|tue|wed|thu|fri|sat|sun|spring|summer|fall|autumn|winter|year|yr|month|mo|week|wk)"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day$"
    r"|\d{1,2} (?:days?|weeks?|wks?|months?|mos?|years?|yrs?) ago)",
    re.IGNORECASE,
)
"""`dx'd w lupus last fall`: a date makes a detail one person's, though no word says whose."""
_MANY: Final = frozenset(
    listed(
        "clients guests members customers patients people anyone everyone those women men moms "
        "survivors offer promo special campaign package month awareness classes fundraiser"
    )
)
"""A text about many: `offer a discount to clients in chemo this fall`."""

_ONE_PERSON: Final = frozenset(listed("she he her his him hers herself himself"))

_EVENT: Final = re.compile(
    r"\bhad (?:her|his)((?: [a-z-]+){1,3}?) (?:back |out |removed |replaced |tied )?(?:in|on|last|this|over|around|right before) ",
    re.IGNORECASE,
)
"""`had her ... in March`: a date makes an event of a person's life of it."""
_NO_EVENTS: Final = frozenset(
    listed("fee fees refund deposit complaint birthday wedding party trial order first last photo")
)


class HealthDetail(Exception):
    """A text holds a health detail of one person."""


class Health:
    """Refuses a text with a health detail of one person. It masks nothing."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def __call__(self, draft: Draft) -> None:
        found = draft.keys()
        if not _DETAILS.isdisjoint(found) and _is_of_one(draft):
            raise HealthDetail
        if "had" in found and any(map(self._is_event, _EVENT.findall(draft.text))):
            raise HealthDetail

    def _is_event(self, thing: str) -> bool:
        """Whether somebody had it other than as a client."""
        return not any(
            key in self._vocabulary.trade or key in cues.SERVICES or key in _NO_EVENTS
            for key in keys(thing)
        )


def _is_of_one(draft: Draft) -> bool:
    if not _ONE_PERSON.isdisjoint(draft.keys()):
        return True
    if _MANY.isdisjoint(draft.keys()) and _DATED.search(draft.text):
        return True
    return any(
        is_slot(char) and draft.record.kind(char) in PERSON_KINDS
        for char in ("" if draft.text.isascii() else draft.text)
    )
