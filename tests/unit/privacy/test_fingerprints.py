from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.privacy.keys.pseudonyms import Pseudonyms

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
PSEUDONYMS = Pseudonyms({"new": NEW, "old": OLD}, "new")


@given(st.binary(), st.binary())
def test_only_equal_requests_have_equal_fingerprints(one: bytes, other: bytes) -> None:
    """A retry is told from a reuse."""
    assert (PSEUDONYMS.fingerprints(one) == PSEUDONYMS.fingerprints(other)) == (one == other)


def test_a_retry_is_known_after_the_key_was_rotated() -> None:
    """What the old key wrote is among what the rotated keys compute; the new key's comes first."""
    (before,) = Pseudonyms({"old": OLD}, "old").fingerprints(b"request")
    after = PSEUDONYMS.fingerprints(b"request")
    assert before in after
    assert after[0] == Pseudonyms({"new": NEW}, "new").fingerprints(b"request")[0] != before


def test_a_fingerprint_is_no_pseudonym() -> None:
    """A request that is nothing but an account id does not hash to that account's key."""
    (fingerprint, _) = PSEUDONYMS.fingerprints(b"acct-1")
    assert fingerprint.hex() not in PSEUDONYMS.key_of("acct-1")
    assert len(fingerprint) == 32
