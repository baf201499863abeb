"""Joinable names for accounts that say nothing about the account: keyed HMACs with a key id.

Keys come from the settings and are never stored; without them a stored key cannot be turned back
into an account, nor can a list of known account ids be tried against it.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

MINIMUM_KEY_BYTES = 32
"""The output size of SHA-256: a shorter key would be the weakest part of the HMAC (RFC 2104)."""

_OWNER = "owner\0"
"""The label of owners' hashes: no account id has a NUL, so that no account's key is ever an owner's."""

_TOMBSTONE = "tombstone\0"
"""The label of the hashes that stay of forgotten accounts: nothing else that was kept can be joined by them."""

_CHECK = b"check\0pseudonym key"
"""The label whose keyed hash recognizes a key. No account id has a NUL, so it is nobody's pseudonym."""


class Pseudonyms:
    """Turns account ids into account keys, and finds the keys an account had before a rotation.

    `keys` maps a key id to its secret; `current` names the one that new account keys are made with.
    Old keys stay in `keys` until no row carries their id any more. Raises ValueError when `current`
    has no key, when a key is shorter than MINIMUM_KEY_BYTES, or when an id holds the separator.
    """

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        if current not in keys:
            raise ValueError("the current pseudonym key id has no key")
        for key_id, secret in keys.items():
            if not key_id or ":" in key_id:
                raise ValueError("a pseudonym key id must be non-empty and without ':'")
            if len(secret) < MINIMUM_KEY_BYTES:
                raise ValueError(f"a pseudonym key needs at least {MINIMUM_KEY_BYTES} bytes")
        self._keys = dict(keys)
        self._current = current

    def key_of(self, account_id: str) -> str:
        """`<key id>:<hex HMAC-SHA256>` of the account under the current key."""
        return self._keyed(self._current, account_id)

    def all_keys_of(self, account_id: str) -> tuple[str, ...]:
        """The account's key under every known secret, the current one first: for lookups."""
        others = sorted(key_id for key_id in self._keys if key_id != self._current)
        return tuple(self._keyed(key_id, account_id) for key_id in (self._current, *others))

    def owner_keys_of(self, owner_id: str) -> tuple[str, ...]:
        """The owner's key under every known secret, the current one first: for lookups."""
        return self.all_keys_of(_OWNER + owner_id)

    def tombstone_keys_of(self, account_id: str) -> tuple[str, ...]:
        """The account's tombstone under every known secret, the current one first: for lookups."""
        return self.all_keys_of(_TOMBSTONE + account_id)

    def fingerprints(self, content: bytes) -> tuple[bytes, ...]:
        """Keyed hashes of a request's content, the current key's first: to tell a retry from a reuse.

        Keyed, because a plain hash would let whoever reads the ledger test guesses of its raw text.
        """
        others = sorted(key_id for key_id in self._keys if key_id != self._current)
        return tuple(
            hmac.digest(self._keys[key_id], b"request\0" + content, "sha256")
            for key_id in (self._current, *others)
        )

    def word_hash(self, word: str) -> str:
        """`<key id>:<hex HMAC-SHA256>` of a folded word under the current key.

        Keyed, because a plain hash of a word is undone by hashing a dictionary.
        """
        digest = hmac.digest(self._keys[self._current], b"word\0" + word.encode(), "sha256")
        return f"{self._current}:{digest.hex()}"

    def check_values(self) -> dict[str, bytes]:
        """A value by key id that recognizes the key, and from which it cannot be recovered."""
        return {
            key_id: hmac.digest(secret, _CHECK, "sha256") for key_id, secret in self._keys.items()
        }

    def _keyed(self, key_id: str, account_id: str) -> str:
        digest = hmac.digest(self._keys[key_id], account_id.encode(), "sha256")
        return f"{key_id}:{digest.hex()}"
