"""Where the provider's keys come from: rotation, outages, and how often it is asked."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from keeper_grpc.access import key_sources
from keeper_grpc.access.authenticator import Authenticator
from keeper_grpc.access.jwt_tokens import JwtRules, JwtTokens
from keeper_grpc.access.key_sources import AT_ONCE, PAUSE, FileKeys, UrlKeys
from keeper_grpc.access.signing_keys import parse_key_set
from keeper_grpc.access.watched_file import FileUnusable
from keeper_grpc.domain.access.identity import Identity
from keeper_grpc.domain.access.limits import UNLIMITED
from keeper_grpc.domain.access.peer import PeerNames
from keeper_grpc.domain.errors import KeysUnavailable, TokenInvalid
from tests.access.provider import AUDIENCE, ISSUER, Signer, key_set, published

OLD, NEW = Signer("old"), Signer("new")
ALLOWED = ("ES256", "RS256")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def authenticator(keys: UrlKeys | FileKeys) -> Authenticator:
    """Of the tests' provider."""
    rules = JwtRules(
        ISSUER,
        (AUDIENCE,),
        frozenset(ALLOWED),
        timedelta(seconds=5),
        "keeper_roles",
        "keeper_accounts",
        "keeper_owners",
        UNLIMITED,
    )
    return Authenticator(identities=None, jwt=JwtTokens(rules, keys), keys=keys, certificates=False)


async def name_of(who: Authenticator, token: str) -> str:
    """The name of the identity that a token has."""
    found = who.authenticate([f"Bearer {token}"], PeerNames)
    return (found if isinstance(found, Identity) else await found).name


async def test_a_rotated_key_is_fetched_when_a_token_needs_it() -> None:
    """The first call with the new key passes, and the retired key's tokens no longer do, remembered or not."""
    with published(key_set(OLD)) as provider:
        who = authenticator(UrlKeys(provider.url, ALLOWED))
        token = OLD.token()
        assert await name_of(who, token) == "jwt:service-1"
        assert await name_of(who, token) == "jwt:service-1"
        provider.content = key_set(NEW)
        assert await name_of(who, NEW.token()) == "jwt:service-1"
        with pytest.raises(TokenInvalid):
            await name_of(who, token)


async def test_callers_that_wait_share_one_look() -> None:
    """However many tokens of a new key come at once."""
    with published(key_set(NEW)) as provider:
        who = authenticator(UrlKeys(provider.url, ALLOWED))
        await asyncio.gather(*(name_of(who, NEW.token(jti=str(n))) for n in range(20)))
        assert provider.asked == 1


async def test_made_up_keys_do_not_flood_the_provider() -> None:
    """A few looks at once, then one every few seconds."""
    clock = Clock()
    with published(key_set(OLD)) as provider:
        who = authenticator(UrlKeys(provider.url, ALLOWED, clock))
        for number in range(30):
            with pytest.raises(TokenInvalid):
                await name_of(who, Signer(f"made-up-{number}").token())
        assert provider.asked == int(AT_ONCE)
        clock.now += PAUSE
        with pytest.raises(TokenInvalid):
            await name_of(who, Signer("another").token())
        assert provider.asked == int(AT_ONCE) + 1


@pytest.mark.parametrize("status", [500, 404, 302])
async def test_the_former_keys_stay_while_the_provider_is_away(status: int) -> None:
    """An outage, or a page that is no key set, is no reason to refuse what was good."""
    with published(key_set(OLD)) as provider:
        keys = UrlKeys(provider.url, ALLOWED)
        await keys.renew()
        who = authenticator(keys)
        provider.status = status
        await keys.renew()
        assert await name_of(who, OLD.token()) == "jwt:service-1"
        provider.status = 200
        for content in (b"<html>maintenance</html>", b'{"keys": []}', b"[]", b"{" * 10_000):
            provider.content = content
            await keys.renew()
        assert await name_of(who, OLD.token(jti="2")) == "jwt:service-1"


async def test_without_any_keys_a_token_is_not_refused_but_put_off() -> None:
    """It may be good: nobody knows before the provider answers."""
    clock = Clock()
    with published(key_set(OLD)) as provider:
        provider.status = 503
        who = authenticator(UrlKeys(provider.url, ALLOWED, clock))
        with pytest.raises(KeysUnavailable):
            await name_of(who, OLD.token())
        provider.status = 200
        assert await name_of(who, OLD.token()) == "jwt:service-1"


async def test_nobody_listening_is_an_outage_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused, or hanging for longer than we wait."""
    monkeypatch.setattr(key_sources, "TIMEOUT", 0.2)
    with published(key_set(OLD)) as provider:
        url = provider.url
    keys = UrlKeys(url, ALLOWED)
    await keys.renew()
    assert keys.keys is None


async def test_keys_in_a_file_follow_the_file(tmp_path: Path) -> None:
    """Also when a token of a new key comes before anybody has looked at the file."""
    path = tmp_path / "keys.json"
    path.write_bytes(key_set(OLD))
    who = authenticator(FileKeys(path, ALLOWED))
    assert await name_of(who, OLD.token()) == "jwt:service-1"
    path.write_bytes(key_set(OLD, NEW))
    assert await name_of(who, NEW.token()) == "jwt:service-1"
    path.write_bytes(b"no keys")
    with pytest.raises(TokenInvalid):
        await name_of(who, Signer("third").token())
    assert await name_of(who, OLD.token(jti="2")) == "jwt:service-1"


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric", "alg": "HS256"},
        OLD.jwk(use="enc"),
        OLD.jwk(alg="ES384"),
        OLD.jwk(kid=7),
        OLD.jwk(x="not base64!"),
        OLD.jwk(crv="secp256k1"),
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": ["EC"]},
        {},
        "a string",
    ],
)
def test_keys_that_verify_nothing_are_left_out(entry: object) -> None:
    """A set may have them beside usable ones; alone they are no set."""
    beside = json.dumps({"keys": [entry, NEW.jwk()]}).encode()
    assert len(parse_key_set(beside, ALLOWED, "here")) == 1
    with pytest.raises(FileUnusable, match="has no key for any of"):
        parse_key_set(json.dumps({"keys": [entry]}).encode(), ALLOWED, "here")


def test_a_short_rsa_key_is_left_out() -> None:
    """Its signatures can be made up."""
    short = Signer("short", rsa.generate_private_key(65537, 1024), "RS256")  # noqa: S505 - the point
    with pytest.raises(FileUnusable):
        parse_key_set(key_set(short), ALLOWED, "here")
