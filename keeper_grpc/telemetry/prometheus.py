"""The endpoint that Prometheus scrapes, and that probes ask."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, make_wsgi_app, start_http_server

from keeper_grpc.telemetry.probes import Probes
from keeper_grpc.telemetry.unusable import TelemetryUnusable


class Endpoint:
    """Serves a registry and probes over HTTP in a thread of its own, until it is closed.

    Raises TelemetryUnusable when it cannot listen on the address.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry, probes: Probes) -> None:
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise TelemetryUnusable(
                f"cannot serve metrics ({error.strerror}): "
                "set KEEPER_METRICS_PORT or KEEPER_METRICS_HOST"
            ) from error
        self._server.set_app(probes.in_front_of(make_wsgi_app(registry)))

    @property
    def port(self) -> int:
        """The port that Prometheus connects to."""
        return self._server.server_port

    def close(self) -> None:
        """Stop serving; takes up to half a second."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
