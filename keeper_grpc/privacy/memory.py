"""What was anonymized before, so that the same text need not be read for names again.

Nothing raw is in it: what is looked up is a keyed hash under a key of this process that is written nowhere, and what
is found is what the anonymizer let pass. It says as little as the embedding cache does: that some caller has sent
this before, by the time of an answer.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

MOST: Final = 10_000
"""Entries of one memory, some 1.5 KB each; the least recently used go first."""
_HASH_BYTES: Final = 16

T = TypeVar("T")


class Memory(Generic[T]):
    """Values by the keyed hash of what they were made of. Counts `hits` and `misses`."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._key = secrets.token_bytes(32)
        self._values: OrderedDict[bytes, T] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        """Values that are held."""
        return len(self._values)

    def hashed(self, raw: str) -> bytes:
        """The key of what a value was made of."""
        # A surrogate cannot come over the wire, and must not stop the anonymizer.
        content = raw.encode(errors="surrogatepass")
        return hashlib.blake2b(content, key=self._key, digest_size=_HASH_BYTES).digest()

    def get(self, hashed: bytes) -> T | None:
        """The value, if it is held."""
        value = self._values.get(hashed)
        if value is None:
            self.misses += 1
            return None
        self.hits += 1
        self._values.move_to_end(hashed)
        return value

    def put(self, hashed: bytes, value: T) -> None:
        """Hold the value."""
        self._values[hashed] = value
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def clear(self) -> None:
        """Hold nothing: what may pass has changed."""
        self._values.clear()


@dataclass(frozen=True, slots=True)
class MaskedText:
    """A text as it may be kept, and what was masked in it after what was declared, by kind."""

    kept: str
    masked: Mapping[str, int]
