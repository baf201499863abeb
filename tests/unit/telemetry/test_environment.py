from __future__ import annotations

import socket
import sys

import pytest

from keeper_grpc.telemetry.environment import Asked, asked
from keeper_grpc.telemetry.exporting import open_telemetry
from keeper_grpc.telemetry.unusable import TelemetryUnusable

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}
SECRET = "hunter2"

NOTHING = Asked(traces=False, metrics=False, disabled=False)
BOTH = Asked(traces=True, metrics=True, disabled=False)
TRACES = Asked(traces=True, metrics=False, disabled=False)
METRICS = Asked(traces=False, metrics=True, disabled=False)


@pytest.mark.parametrize(
    ("environ", "answer"),
    [
        ({}, NOTHING),
        (ENDPOINT, BOTH),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, NOTHING),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4317"}, TRACES),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4317"}, METRICS),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, TRACES),
        ({"OTEL_METRICS_EXPORTER": "OTLP"}, METRICS),
        (ENDPOINT | {"OTEL_METRICS_EXPORTER": "none"}, TRACES),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, METRICS),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, BOTH),
        (
            ENDPOINT
            | {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
                "OTEL_METRICS_EXPORTER": "none",
            },
            TRACES,
        ),
        ({"OTEL_SERVICE_NAME": "keeper"}, NOTHING),
        (
            ENDPOINT | {"OTEL_SDK_DISABLED": "true"},
            Asked(traces=False, metrics=False, disabled=True),
        ),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "false"}, BOTH),
    ],
)
def test_the_standard_variables_say_what_is_sent(environ: dict[str, str], answer: Asked) -> None:
    """An exporter or an endpoint asks for a signal; the signal's own variable goes before."""
    assert asked(environ) == answer


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_METRICS_EXPORTER": "prometheus"}, "KEEPER_METRICS_PORT"),
        (
            ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        ),
        (
            ENDPOINT | {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        ),
    ],
)
def test_what_cannot_be_done_stops_the_start(environ: dict[str, str], named: str) -> None:
    """The line names the variable to mend, or the setting that does what was meant."""
    with pytest.raises(TelemetryUnusable, match=named):
        asked(environ)


async def test_unless_asked_for_nothing_is_made() -> None:
    """No port, no thread, no span; counting is free and harmless."""
    async with open_telemetry("127.0.0.1", None) as telemetry:
        telemetry.instruments.captured("created")
        assert telemetry.metrics_port is None
        assert not telemetry.spans.on


@pytest.mark.parametrize(
    ("variable", "exporter"),
    [("OTEL_TRACES_EXPORTER", "trace"), ("OTEL_METRICS_EXPORTER", "metric")],
)
async def test_otlp_without_its_extra_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, variable: str, exporter: str
) -> None:
    """The line says what to install."""
    monkeypatch.setenv(variable, "otlp")
    monkeypatch.setitem(
        sys.modules, f"opentelemetry.exporter.otlp.proto.grpc.{exporter}_exporter", None
    )
    with pytest.raises(TelemetryUnusable, match=r"keeper-grpc\[otlp\]"):
        async with open_telemetry("127.0.0.1", None):
            pass


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", SECRET, "OTEL_EXPORTER_OTLP_"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", SECRET, "OTEL_EXPORTER_OTLP_"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1", "OTEL_BSP_"),
    ],
)
async def test_a_bad_value_of_the_sdk_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, named: str
) -> None:
    """The SDK raises this and that, with the value; the line names the family, and no value."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv(variable, value)
    with pytest.raises(TelemetryUnusable, match=named) as refused:
        async with open_telemetry("127.0.0.1", None):
            pass
    assert SECRET not in str(refused.value)


async def test_a_port_that_is_taken_is_a_clear_error() -> None:
    """Also when it is taken by another endpoint of this program."""
    async with open_telemetry("127.0.0.1", 0) as first:
        assert first.metrics_port
        with pytest.raises(TelemetryUnusable, match="KEEPER_METRICS_PORT"):
            async with open_telemetry("127.0.0.1", first.metrics_port):
                pass


async def test_a_host_that_is_not_this_machines_is_a_clear_error() -> None:
    """192.0.2.1 belongs to no host (RFC 5737)."""
    with pytest.raises(TelemetryUnusable, match="KEEPER_METRICS_HOST"):
        async with open_telemetry("192.0.2.1", 0):
            pass


async def test_the_endpoint_is_gone_at_the_end() -> None:
    """The port is free again, so that a process may open it again."""
    async with open_telemetry("127.0.0.1", 0) as telemetry:
        port = telemetry.metrics_port
    assert port
    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_a_disabled_sdk_serves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_SDK_DISABLED is the switch for everything."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    async with open_telemetry("127.0.0.1", 0) as telemetry:
        assert telemetry.metrics_port is None
