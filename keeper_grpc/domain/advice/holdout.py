"""Which questions are left without advice, to measure what advice is worth."""

from __future__ import annotations

import hashlib


def in_holdout(account_key: str, rendered: str, share: float) -> bool:
    """Whether this account is left alone with this insight: always or never, for a given share.

    Decided by a hash, so that asking again does not change the answer, and a larger share contains
    a smaller one.
    """
    if share <= 0:
        return False
    digest = hashlib.blake2b(f"{account_key}\0{rendered}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64
