"""Account pseudonyms: keyed, joinable, rotatable."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from keeper_grpc.privacy.keys.pseudonyms import Pseudonyms

OLD = b"o" * 32
NEW = b"n" * 32


def test_a_key_is_the_key_id_and_the_hmac_of_the_account() -> None:
    """Anyone with the secret can recompute the stored account key."""
    expected = hmac.new(NEW, b"acct-1", hashlib.sha256).hexdigest()
    assert Pseudonyms({"2026": NEW}, "2026").key_of("acct-1") == f"2026:{expected}"


def test_a_rotation_keeps_the_old_keys_for_lookups() -> None:
    """After a rotation new rows get the new key, and old rows are still found."""
    before = Pseudonyms({"a": OLD}, "a")
    after = Pseudonyms({"a": OLD, "b": NEW}, "b")
    assert after.key_of("acct-1") != before.key_of("acct-1")
    assert after.all_keys_of("acct-1") == (after.key_of("acct-1"), before.key_of("acct-1"))


def test_accounts_and_secrets_do_not_collide() -> None:
    """Two accounts, or two secrets, never share a key."""
    one, two = Pseudonyms({"a": OLD}, "a"), Pseudonyms({"a": NEW}, "a")
    assert len({one.key_of("x"), one.key_of("y"), two.key_of("x"), two.key_of("y")}) == 4


@pytest.mark.parametrize(
    ("keys", "current"),
    [({"a": b"short"}, "a"), ({"a": OLD}, "b"), ({"a:b": OLD}, "a:b"), ({"": OLD}, "")],
)
def test_unusable_keys_stop_the_start(keys: dict[str, bytes], current: str) -> None:
    """A short secret, a missing current key or an ambiguous key id is refused at once."""
    with pytest.raises(ValueError, match="pseudonym key"):
        Pseudonyms(keys, current)
