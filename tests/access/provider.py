"""An identity provider: signs tokens, and publishes its keys on a real HTTP server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from jwt.algorithms import get_default_algorithms

ISSUER = "https://login.example.test/"
AUDIENCE = "keeper-network"

RSA_KEYS = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
"""Making one takes a while."""


class Signer:
    """One key of the provider; tokens of one without an id name none."""

    def __init__(self, key_id: str, key: Any = None, algorithm: str = "ES256") -> None:
        self.key_id = key_id
        self.algorithm = algorithm
        self.key: PrivateKeyTypes = key or ec.generate_private_key(ec.SECP256R1())

    def token(
        self, headers: Mapping[str, Any] | None = None, without: str = "", **claims: Any
    ) -> str:
        """A token that holds for an hour, with these claims in place of the usual ones."""
        all_claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "service-1",
            "exp": time.time() + 3600,
            "keeper_roles": ["enhance"],
            "keeper_accounts": "all",
        } | claims
        all_claims.pop(without, None)
        return jwt.encode(
            all_claims,
            self.key,  # type: ignore[arg-type]  # every kind that this makes
            algorithm=self.algorithm,
            headers={**({"kid": self.key_id} if self.key_id else {}), **(headers or {})},
        )

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """The public key as the provider publishes it."""
        algorithm = get_default_algorithms()[self.algorithm]
        public: dict[str, Any] = json.loads(algorithm.to_jwk(self.key.public_key()))
        return public | {"kid": self.key_id, "use": "sig", "alg": self.algorithm} | changes


def key_set(*signers: Signer) -> bytes:
    """The JSON Web Key Set of these keys."""
    return json.dumps({"keys": [signer.jwk() for signer in signers]}).encode()


class Provider:
    """Publishes `content` with `status`, and counts who asks."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.status = 200
        self.asked = 0
        self.url = ""


@contextmanager
def published(content: bytes) -> Iterator[Provider]:
    """A provider on a port of its own."""
    provider = Provider(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.asked += 1
            self.send_response(provider.status)
            if 300 <= provider.status < 400:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(provider.content)))
            self.end_headers()
            self.wfile.write(provider.content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.url = f"http://127.0.0.1:{server.server_port}/keys"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
