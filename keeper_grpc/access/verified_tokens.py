"""Tokens that were verified before, so that only the first of a token's calls pays for a signature."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict

from keeper_grpc.access.jwt_tokens import Verified

MOST = 10_000
"""Tokens remembered, about 11 MB."""


class VerifiedTokens:
    """Remembers tokens by a keyed hash, the most recently used ones: what is in memory is no token.

    `now` is in seconds since 1970.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, Verified] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def mark(self, token: str) -> bytes:
        """Under which the token is remembered."""
        return hashlib.blake2b(token.encode(), key=self._key, digest_size=32).digest()

    def find(self, mark: bytes, now: float) -> Verified | None:
        """What was verified, if it still holds."""
        known = self._known.get(mark)
        if known is None:
            return None
        if known.until is not None and known.until <= now:
            del self._known[mark]
            return None
        self._known.move_to_end(mark)
        return known

    def remember(self, mark: bytes, verified: Verified) -> None:
        """Remember it in place of the one that was used longest ago."""
        self._known[mark] = verified
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def clear(self) -> None:
        """Forget all: keys or identities have changed."""
        self._known.clear()
