"""Keys of `conditions` that hold an identifier, in their usual spellings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final, Literal, TypeAlias

from keeper_grpc.privacy.text.word_lists import listed

IdentifierKind: TypeAlias = Literal[
    "customer_names",
    "customer_emails",
    "customer_phones",
    "business_names",
    "employee_names",
    "addresses",
]
"""The field of `Identifiers` that a forbidden value joins."""

_PERSON: Final = listed("customer client guest member patient user contact person lead visitor")
_STAFF: Final = listed(
    "employee staff therapist stylist trainer instructor coach technician esthetician aesthetician "
    "barber manager owner provider practitioner receptionist masseuse team"
)
_BUSINESS: Final = listed("business company salon spa gym studio shop store account merchant brand")
_PLACE: Final = listed("home work billing personal shipping mailing postal street")
_NAME: Final = listed(
    "name names fullname firstname lastname surname nickname full_name first_name last_name "
    "middle_name maiden_name given_name family_name display_name initials"
)
_EMAIL: Final = listed("email emails email_address mail e_mail")
_PHONE: Final = listed("phone phones phone_number mobile mobile_number cell telephone tel")
_ADDRESS: Final = listed("address addresses street location city zip postcode neighborhood")

_ALONE: Final[dict[IdentifierKind, tuple[str, ...]]] = {
    "customer_names": listed(
        "customer customers client clients guest guests member patient referred_by referrer spouse "
        "partner_name author reviewer reviewer_name sender recipient emergency_contact cardholder "
        "attn who"
    ),
    "employee_names": listed("assigned_to booked_with served_by performed_by seen_by"),
    "business_names": listed("competitor competitor_name competitors location_name branch"),
    "customer_emails": listed("contact_email"),
    "customer_phones": listed("contact_phone cell_phone fax whatsapp sms_number"),
    "addresses": listed(
        "specific_address specific_addresses zip_code zipcode postal_code town geo coordinates "
        "latitude longitude lat lng lat_lng gps"
    ),
}


def _spellings() -> Iterator[tuple[str, IdentifierKind]]:
    everyone = ("", *_PERSON, *_STAFF, *_BUSINESS, *_PLACE)
    for who, word in product(everyone, _EMAIL):
        yield who + word, "customer_emails"
    for who, word in product(everyone, _PHONE):
        yield who + word, "customer_phones"
    for who, word in product(everyone, _ADDRESS):
        yield who + word, "addresses"
    for who, word in product(("", *_PERSON), _NAME):
        yield who + word, "customer_names"
    for who, word in product(_STAFF, ("", "s", *_NAME)):
        yield who + word, "employee_names"
        yield f"preferred{who}{word}", "employee_names"
    for who, word in product(_BUSINESS, ("", *_NAME)):
        yield who + word, "business_names"
    for kind, words in _ALONE.items():
        for word in words:
            yield word, kind


_AMBIGUOUS: Final = listed("contact location contacts lead")
"""Spellings that are a channel, a kind of site or a number more often than somebody's name."""

FORBIDDEN_KEYS: Final[dict[str, IdentifierKind]] = {
    key.replace("_", ""): kind for key, kind in _spellings() if key not in _AMBIGUOUS
}
"""Forbidden spellings (lower case, no separators) and the identifiers that their values join."""
