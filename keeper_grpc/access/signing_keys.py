"""The public keys of an identity provider: a JSON Web Key Set (RFC 7517)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from keeper_grpc.access.watched_file import FileUnusable

log = structlog.get_logger()

LEAST_RSA_BITS = 2048
"""Shorter ones are refused (RFC 7518, 3.3)."""

MOST_KEYS = 200
"""Of one set. Providers publish two or three."""

_FAMILIES: Mapping[tuple[str, str | None], tuple[str, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""The algorithms that a key can verify, by its type and curve. Symmetric keys verify none here: whoever knows one could
sign as well."""

ALGORITHMS = tuple(algorithm for family in _FAMILIES.values() for algorithm in family)
"""What may be allowed at all."""


class KeySet:
    """The keys of one set, by key id and algorithm."""

    def __init__(self, keys: Mapping[tuple[str | None, str], jwt.PyJWK]) -> None:
        self._keys = dict(keys)
        alone = Counter(algorithm for _, algorithm in keys)
        self._only = {
            algorithm: key for (_, algorithm), key in keys.items() if alone[algorithm] == 1
        }

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key of a token. One without a key id is verified by the only key for its algorithm."""
        if key_id is None:
            return self._only.get(algorithm)
        return self._keys.get((key_id, algorithm))


def parse_key_set(content: bytes, allowed: Collection[str], where: str) -> KeySet:
    """Read a set, less the keys that cannot verify a token of an allowed algorithm.

    Raises FileUnusable, which begins with `where`, for what is no set, or leaves no key.
    """
    try:
        entries = json.loads(content)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        entries = None
    if not isinstance(entries, list) or len(entries) > MOST_KEYS:
        raise FileUnusable(f"{where} is no JSON Web Key Set")
    keys = {
        (key_id, algorithm): key
        for entry in entries
        if isinstance(entry, dict)
        for key_id, algorithm, key in _usable(entry, allowed)
    }
    if not keys:
        raise FileUnusable(f"{where} has no key for any of {', '.join(sorted(allowed))}")
    return KeySet(keys)


def _usable(
    entry: dict[str, Any], allowed: Collection[str]
) -> Iterator[tuple[str | None, str, jwt.PyJWK]]:
    """What a key is good for, once for each algorithm."""
    kind, curve, key_id = entry.get("kty"), entry.get("crv"), entry.get("kid")
    if entry.get("use", "sig") != "sig" or not isinstance(key_id, str | None):
        return
    if not isinstance(kind, str) or not isinstance(curve, str | None):
        return
    for algorithm in _FAMILIES.get((kind, None if kind == "RSA" else curve), ()):
        if algorithm not in allowed or entry.get("alg", algorithm) != algorithm:
            continue
        # A private key that was published by mistake is not for us to load.
        public = {name: value for name, value in entry.items() if name != "d"}
        try:
            key = jwt.PyJWK(public, algorithm=algorithm)
        except (jwt.PyJWTError, ValueError, TypeError):
            log.warning("signing_key_unusable", algorithm=algorithm)
            continue
        if isinstance(key.key, RSAPublicKey) and key.key.key_size < LEAST_RSA_BITS:
            log.warning("signing_key_unusable", algorithm=algorithm, bits=key.key.key_size)
            continue
        yield key_id, algorithm, key
