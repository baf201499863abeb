"""TLS on real sockets: who trusts whom, and certificates that are exchanged while the server serves."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from cryptography import x509

from keeper_grpc.client import Credentials, KeeperClient, Refused, Retries, TokenFile, Unavailable
from tests.access.certificates import Authority, Issued
from tests.rpc.access.identities import entry, token_of, write
from tests.rpc.service import Service, running

OURS, OTHERS, CLIENTS = Authority("ours"), Authority("somebody else's"), Authority("clients")
ONCE = Retries(attempts=1)


@dataclass
class Served:
    """A server with TLS, and the files of its certificate."""

    service: Service
    directory: Path

    @property
    def target(self) -> str:
        """Where it listens."""
        return f"localhost:{self.service.app.port}"

    @property
    def ca(self) -> Path:
        """The authority of its certificate."""
        return self.directory / "ca.pem"

    def client(self, token: str = "", **credentials: Path | None) -> KeeperClient:
        """A client that trusts the authority, unless told another one."""
        token_file = self.directory / "token"
        token_file.write_text(f"{token}\n")
        given = Credentials(
            **{"tls": True, "ca": self.ca, **credentials},  # type: ignore[arg-type]  # paths all of them
            token=TokenFile(token_file) if token else None,
        )
        return KeeperClient(self.target, timeout=30.0, retries=ONCE, credentials=given)

    def renew(self, issued: Issued) -> None:
        """Put another certificate and key in place."""
        for path, content in (
            (self.directory / "server.pem", issued.certificate),
            (self.directory / "server.key", issued.key),
        ):
            before = path.stat().st_mtime_ns
            path.write_bytes(content)
            os.utime(path, ns=(before + 10**9, before + 10**9))

    async def posted(self, token: str = "", files: tuple[Path, Path] | None = None) -> int:
        """The status of a call over HTTP, with a token, or with the files of a client certificate and its key."""
        url = (
            f"https://localhost:{self.service.app.http_port}"
            "/keeper.network.v1.NetworkLearningService/ListPatterns"
        )
        context = ssl.create_default_context(cafile=self.ca)
        if files is not None:
            context.load_cert_chain(*files)
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"

        def post() -> int:
            request = urllib.request.Request(url, b"{}", headers)
            try:
                with urllib.request.urlopen(request, context=context) as response:  # noqa: S310 - as above
                    return int(response.status)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code

        return await asyncio.to_thread(post)

    async def shown(self, port: int, protocol: str = "h2") -> int:
        """The serial number of the certificate that a new connection is shown."""

        def connect() -> int:
            context = ssl.create_default_context(cafile=self.ca)
            context.set_alpn_protocols([protocol])
            with (
                socket.create_connection(("127.0.0.1", port)) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as secure,
            ):
                found = secure.getpeercert(binary_form=True)
            assert found
            return x509.load_der_x509_certificate(found).serial_number

        return await asyncio.to_thread(connect)


def serial(issued: Issued) -> int:
    """The serial number of a certificate."""
    return x509.load_pem_x509_certificate(issued.certificate).serial_number


FIRST = OURS.server()


def laid_out(directory: Path) -> Path:
    """The files of a server, which knows tokens and certificates."""
    FIRST.write(directory, "server")
    (directory / "ca.pem").write_bytes(OURS.certificate)
    (directory / "clients.pem").write_bytes(CLIENTS.certificate)
    write(
        directory / "identities.yaml",
        entry("reader", "observe"),
        entry("engine", "observe", certificates=["spiffe://keeper/engine"]),
    )
    return directory


@pytest.fixture(scope="module")
async def served(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """A server with TLS and tokens, over HTTP as well."""
    directory = laid_out(tmp_path_factory.mktemp("tls"))
    async with running(
        database_url,
        tls_certificate=directory / "server.pem",
        tls_key=directory / "server.key",
        identities_file=directory / "identities.yaml",
        http_address=("127.0.0.1", 0),
    ) as service:
        yield Served(service, directory)


@pytest.fixture(scope="module")
async def mutual(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """A server that asks its clients for certificates."""
    directory = laid_out(tmp_path_factory.mktemp("mtls"))
    async with running(
        database_url,
        tls_certificate=directory / "server.pem",
        tls_key=directory / "server.key",
        tls_client_ca=directory / "clients.pem",
        identities_file=directory / "identities.yaml",
        http_address=("127.0.0.1", 0),
    ) as service:
        yield Served(service, directory)


async def test_a_client_that_trusts_the_authority_is_served(served: Served) -> None:
    """With its token; without one it is told so."""
    async with served.client(token_of("reader")) as client:
        await client.network_metrics()
    async with served.client() as client:
        with pytest.raises(Refused, match="CREDENTIALS_MISSING"):
            await client.network_metrics()


async def test_a_client_of_another_authority_sends_nothing(served: Served) -> None:
    """Nor does one without TLS get an answer."""
    other = served.directory / "other.pem"
    other.write_bytes(OTHERS.certificate)
    async with served.client(token_of("reader"), ca=other) as client:
        with pytest.raises(Unavailable):
            await client.network_metrics()
    async with KeeperClient(served.target, timeout=30.0, retries=ONCE) as client:
        with pytest.raises(Unavailable):
            await client.network_metrics()


async def test_a_token_follows_its_file(served: Served) -> None:
    """A client that runs for weeks gets its new token without a restart."""
    async with served.client("a-token-that-is-none") as client:
        with pytest.raises(Refused, match="TOKEN_INVALID"):
            await client.network_metrics()
        (served.directory / "token").write_text(token_of("reader"))
        await client.network_metrics()
        (served.directory / "token").write_text("")
        await client.network_metrics()


async def test_a_new_certificate_is_shown_to_the_next_connection(served: Served) -> None:
    """Connections that are there go on; one that is no good changes nothing."""
    app = served.service.app
    assert app.http_port
    async with served.client(token_of("reader")) as before:
        await before.network_metrics()
        second = OURS.server()
        served.renew(second)
        assert await served.shown(app.port) == serial(second)
        assert await served.shown(app.http_port, "http/1.1") == serial(second)
        await before.network_metrics()
        served.renew(Issued(OURS.server().certificate, FIRST.key))
        assert await served.shown(app.port) == serial(second)
        assert await served.shown(app.http_port, "http/1.1") == serial(second)
    async with served.client(token_of("reader")) as after:
        await after.network_metrics()


async def test_http_asks_for_the_token_too(served: Served) -> None:
    """Over the same TLS."""
    assert await served.posted(token_of("reader")) == 200
    assert await served.posted() == 401


async def test_a_certificate_is_an_identity(mutual: Served) -> None:
    """By its alternative name in the file, over HTTP too; a token is taken before it."""
    certificate, key = CLIENTS.issue("x", "spiffe://keeper/engine").write(
        mutual.directory, "client"
    )
    async with mutual.client(certificate=certificate, key=key) as client:
        await client.network_metrics()
    async with mutual.client("no-token", certificate=certificate, key=key) as client:
        with pytest.raises(Refused, match="TOKEN_INVALID"):
            await client.network_metrics()
    assert await mutual.posted("", (certificate, key)) == 200
    assert await mutual.posted("no-token", (certificate, key)) == 401


async def test_a_certificate_that_names_nobody_is_refused(mutual: Served) -> None:
    """Though its authority is trusted."""
    certificate, key = CLIENTS.issue("engine", "spiffe://keeper/other").write(
        mutual.directory, "stranger"
    )
    async with mutual.client(certificate=certificate, key=key) as client:
        with pytest.raises(Refused, match="CERTIFICATE_UNKNOWN"):
            await client.network_metrics()
    assert await mutual.posted("", (certificate, key)) == 401


@pytest.mark.parametrize("authority", [OTHERS, None], ids=["another authority", "none"])
async def test_without_a_trusted_certificate_there_is_no_connection(
    mutual: Served, authority: Authority | None
) -> None:
    """Not even with a token that holds."""
    certificate = key = None
    if authority:
        issued = authority.issue("x", "spiffe://keeper/engine")
        certificate, key = issued.write(mutual.directory, "untrusted")
    async with mutual.client(token_of("reader"), certificate=certificate, key=key) as client:
        with pytest.raises(Unavailable) as caught:
            await client.network_metrics()
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE
