"""JSON Web Tokens: what is refused, and what the claims become."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keeper_grpc.access.jwt_tokens import JwtRules, JwtTokens, KeyUnknown
from keeper_grpc.access.key_sources import FileKeys
from keeper_grpc.access.signing_keys import ALGORITHMS
from keeper_grpc.domain.access.identity import Identity, Role
from keeper_grpc.domain.access.limits import UNLIMITED
from keeper_grpc.domain.errors import TokenExpired, TokenInvalid
from tests.access.provider import AUDIENCE, ISSUER, RSA_KEYS, Signer, key_set

ES = Signer("es")
RS = Signer("rs", RSA_KEYS[0], "RS256")
STRANGER = Signer("es")


def rules(*algorithms: str) -> JwtRules:
    """Those of the tests' provider."""
    return JwtRules(
        issuer=ISSUER,
        audiences=(AUDIENCE,),
        algorithms=frozenset(algorithms or ("ES256", "RS256")),
        leeway=timedelta(seconds=30),
        roles_claim="keeper_roles",
        accounts_claim="keeper_accounts",
        owners_claim="keeper_owners",
        limits=UNLIMITED,
    )


def verifier(directory: Path, *algorithms: str, keys: bytes | None = None) -> JwtTokens:
    """Knows the keys ES and RS."""
    path = directory / "keys.json"
    path.write_bytes(keys or key_set(ES, RS))
    return JwtTokens(rules(*algorithms), FileKeys(path, rules(*algorithms).algorithms))


def part(value: object) -> str:
    """One part of a token."""
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def forged(algorithm: str, secret: bytes) -> str:
    """A token signed symmetrically, with whatever is at hand as the secret."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "exp": time.time() + 60}
    signed = f"{part({'alg': algorithm, 'kid': 'rs'})}.{part(claims)}"
    digest = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{urlsafe_b64encode(digest).decode().rstrip('=')}"


def public_pem() -> bytes:
    """The public key that anybody may read, as an attacker would use it."""
    key: Any = RSA_KEYS[0].public_key()
    return bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize("signer", [ES, RS])
def test_a_good_token_becomes_an_identity(tmp_path: Path, signer: Signer) -> None:
    """By its claims; roles of other services are no roles here."""
    token = signer.token(
        keeper_roles=["capture", "billing"], keeper_accounts=["a-1"], keeper_owners=["o-1"]
    )
    verified = verifier(tmp_path).verify(token, {})
    assert verified.identity == Identity(
        "jwt:service-1",
        frozenset({Role.CAPTURE}),
        frozenset({"a-1"}),
        frozenset({"o-1"}),
        loggable=False,
    )
    assert verified.until is not None
    assert 3590 < verified.until - time.time() <= 3630.5


def test_roles_may_be_words(tmp_path: Path) -> None:
    """As OAuth writes scopes."""
    verified = verifier(tmp_path).verify(ES.token(keeper_roles="openid enhance observe"), {})
    assert verified.identity.roles == {Role.ENHANCE, Role.OBSERVE}


def test_a_token_without_our_claims_may_nothing(tmp_path: Path) -> None:
    """It is somebody, who has no role and speaks for nobody."""
    identity = (
        verifier(tmp_path).verify(ES.token(keeper_roles=[], without="keeper_accounts"), {}).identity
    )
    assert identity.roles == frozenset()
    assert identity.accounts == frozenset()


def test_the_file_may_name_a_subject(tmp_path: Path) -> None:
    """For providers whose claims nobody here can change."""
    engine = Identity("engine", frozenset({Role.ENHANCE}), None)
    verified = verifier(tmp_path).verify(ES.token(keeper_roles=["operate"]), {"service-1": engine})
    assert verified.identity is engine


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda: ES.token(aud="another-service"), id="audience of another service"),
        pytest.param(lambda: ES.token(iss="https://evil.test/"), id="another issuer"),
        pytest.param(lambda: ES.token(nbf=time.time() + 60), id="not valid yet"),
        pytest.param(lambda: ES.token(without="exp"), id="without an end"),
        pytest.param(lambda: ES.token(without="aud"), id="without an audience"),
        pytest.param(lambda: ES.token(without="iss"), id="without an issuer"),
        pytest.param(lambda: ES.token(without="sub"), id="without a subject"),
        pytest.param(lambda: ES.token(sub=""), id="empty subject"),
        pytest.param(lambda: ES.token(sub="a\nb"), id="line break in the subject"),
        pytest.param(lambda: ES.token(exp=1e400), id="infinite end"),
        pytest.param(lambda: ES.token(keeper_roles=[1]), id="roles that are no words"),
        pytest.param(lambda: ES.token(keeper_accounts="a-1"), id="one account that is no list"),
        pytest.param(lambda: ES.token(keeper_accounts=["a\u200b"]), id="an id that is none"),
        pytest.param(lambda: ES.token(keeper_owners="all"), id="all owners"),
        pytest.param(STRANGER.token, id="another key under a known id"),
        pytest.param(lambda: forged("HS256", public_pem()), id="symmetric with the public key"),
        pytest.param(lambda: forged("none", b""), id="none"),
        pytest.param(lambda: forged("RS256", public_pem()), id="no RSA signature"),
        pytest.param(lambda: forged("None", b"")[:-3], id="none in other letters"),
        pytest.param(lambda: ES.token().rpartition(".")[0] + ".", id="no signature"),
        pytest.param(lambda: "a.b.c", id="no token"),
        pytest.param(lambda: "..", id="nothing"),
        pytest.param(lambda: ES.token(filler="x" * 20_000), id="too long"),
        pytest.param(lambda: ES.token({"crit": ["b64"], "b64": False}), id="unknown extension"),
    ],
)
def test_a_bad_token_is_refused_without_a_reason(tmp_path: Path, token: Callable[[], str]) -> None:
    """The answer is the same for all of them."""
    with pytest.raises(TokenInvalid) as caught:
        verifier(tmp_path).verify(token(), {})
    assert str(caught.value) == "the token is not valid here"


def test_an_expired_token_says_so(tmp_path: Path) -> None:
    """Its holder has to get another one; within the leeway it still holds."""
    verifier(tmp_path).verify(ES.token(exp=time.time() - 20), {})
    with pytest.raises(TokenExpired):
        verifier(tmp_path).verify(ES.token(exp=time.time() - 40), {})


def test_an_algorithm_that_is_not_allowed_is_refused(tmp_path: Path) -> None:
    """Whatever keys the provider publishes."""
    with pytest.raises(TokenInvalid):
        verifier(tmp_path, "ES256").verify(RS.token(), {})


def test_a_key_serves_its_own_algorithm_only(tmp_path: Path) -> None:
    """A token cannot choose another one for a key that names its own."""
    other = Signer("rs", RSA_KEYS[0], "PS256")
    with pytest.raises(KeyUnknown):
        verifier(tmp_path, "RS256", "PS256").verify(other.token(), {})


def test_a_token_without_a_key_id_needs_the_only_key(tmp_path: Path) -> None:
    """Of two keys nobody guesses."""
    token = Signer("", ES.key).token()
    assert verifier(tmp_path).verify(token, {})
    two = key_set(ES, Signer("es-2"))
    with pytest.raises(KeyUnknown):
        verifier(tmp_path, keys=two).verify(token, {})


def test_an_unknown_key_is_no_answer_yet(tmp_path: Path) -> None:
    """The provider may have a new one."""
    with pytest.raises(KeyUnknown):
        verifier(tmp_path).verify(Signer("new").token(), {})


def test_nothing_symmetric_can_be_allowed() -> None:
    """Nor a token that nobody signed."""
    assert not [name for name in ALGORITHMS if name.startswith("HS") or name.lower() == "none"]
