"""Which pseudonym keys a database knows, and whether a process holds the same ones.

    PseudonymKeysUnfit           stops the start of a process; names the key id and what to do
     +- PseudonymKeyWrong        another key is known under this id
     +- PseudonymKeyMissing      accounts carry this id, and the process has no key for it

With a wrong or a missing key every account looks new: it counts once more, its retries are not recognized,
and it cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keeper_grpc.operator_error import OperatorError


class PseudonymKeysUnfit(OperatorError):
    """The keys of this process are not those of the database. No message holds a key."""


class PseudonymKeyWrong(PseudonymKeysUnfit):
    """The database knows another key under this id."""

    def __init__(self, source: str, key_id: str) -> None:
        super().__init__(
            f"{source}: the key with the id {key_id!r} is not the one that this database knows: "
            "take that one from a host that serves this database, or from its backup; "
            "a new key needs a new id"
        )


class PseudonymKeyMissing(PseudonymKeysUnfit):
    """Accounts of the database carry this id. `held_as` is the id that the same key has here, if any."""

    def __init__(self, source: str, key_id: str, held_as: str | None) -> None:
        super().__init__(
            f"{source}: accounts of this database carry the key id {key_id!r}, which has no key here: "
            + (
                "take the key from a host that serves this database, or from its backup"
                if held_as is None
                else f"it is the key that has the id {held_as!r} here; give it its old id back"
            )
        )


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """What a database says: check values by key id, and the key ids that its accounts carry."""

    check_values: Mapping[str, bytes]
    carried: frozenset[str]


def require_agreement(
    held: Mapping[str, bytes], known: KnownKeys, source_of: Callable[[str], str]
) -> None:
    """Raise PseudonymKeysUnfit unless a process that holds these keys recognizes every account.

    `held` are check values by key id. `source_of` says where the key of an id comes from: a setting or a
    file, to begin the message with. A key id that the database does not know is a new key and fits.
    """
    for key_id, check_value in held.items():
        if known.check_values.get(key_id, check_value) != check_value:
            raise PseudonymKeyWrong(source_of(key_id), key_id)
    for key_id in sorted(known.carried - held.keys()):
        value = known.check_values.get(key_id)
        held_as = next((ours for ours, theirs in held.items() if theirs == value), None)
        raise PseudonymKeyMissing(source_of(key_id), key_id, held_as)
