"""The same certificate for the HTTP port, which takes Python's own TLS."""

from __future__ import annotations

import ssl

import structlog

from keeper_grpc.access.certificates import Files, ServerTls

log = structlog.get_logger()


def http_context(files: Files, tls: ServerTls) -> ssl.SSLContext:
    """For one port: every handshake gets the newest good certificate.

    The authorities of the clients' certificates are those of the start: Python cannot change them for a port that
    listens.
    """
    first = _loaded(files)
    given, newest = tls.version, first

    def choose(connection: ssl.SSLObject, *_: object) -> None:
        nonlocal given, newest
        tls.look()
        if tls.version != given:
            given = tls.version
            try:
                newest = _loaded(files)
            except (OSError, ssl.SSLError) as error:
                # Changed again since it was checked; the next version will be another look.
                log.error("certificate_not_loaded", error=type(error).__name__)  # noqa: TRY400 - as for other files
        connection.context = newest

    first.sni_callback = choose  # called without a name, too
    return first


def _loaded(files: Files) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.client_ca)
    context.load_cert_chain(files.certificate, files.key)
    context.set_alpn_protocols(["http/1.1"])
    if files.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
