"""Metrics between protos and the domain."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, time, timedelta
from typing import TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from keeper_grpc.domain.metrics.experiment import Experiment
from keeper_grpc.domain.metrics.formulas import (
    ENOUGH_TO_COMPARE,
    Kpi,
    KpiName,
    Metric,
    MetricsReport,
    NetworkMetrics,
    Status,
    Unit,
)
from keeper_grpc.domain.metrics.inputs import Day
from keeper_grpc.gen.keeper.network.v1 import metrics_pb2, network_service_pb2
from keeper_grpc.rpc.convert import adoption
from keeper_grpc.usecases.stream_lifetime import Heartbeat

Request: TypeAlias = (
    network_service_pb2.GetNetworkMetricsRequest
    | network_service_pb2.StreamNetworkMetricsRequest
    | network_service_pb2.GetAccountValueRequest
)

_UNITS = {unit: metrics_pb2.Metric.Unit.Value(f"UNIT_{unit.name}") for unit in Unit}
_NAMES = {name: metrics_pb2.Kpi.Name.Value(f"NAME_{name.name}") for name in KpiName}
_STATUSES = {status: metrics_pb2.Kpi.Status.Value(f"STATUS_{status.name}") for status in Status}


def window(request: Request) -> timedelta | None:
    """The requested window; None is the default."""
    return request.window.ToTimedelta() if request.HasField("window") else None


def report(found: MetricsReport) -> network_service_pb2.GetNetworkMetricsResponse:
    """Write a GetNetworkMetricsResponse."""
    return network_service_pb2.GetNetworkMetricsResponse(
        metrics=_metrics(found.metrics) if found.metrics else None,
        kpis=[_kpi(kpi) for kpi in found.kpis],
        as_of_time=timestamp(found.as_of),
        days=[_day(day) for day in found.days],
        window_start_time=timestamp(found.window_start),
        withheld=found.metrics is None,
        published_pattern_count=found.published_patterns,
        business_categories=found.categories,
        uplift=_uplift(found.uplift) if found.uplift else None,
        adoption=adoption.message(found.adoption),
    )


def feed_message(
    message: MetricsReport | Heartbeat,
) -> network_service_pb2.StreamNetworkMetricsResponse:
    """Write a StreamNetworkMetricsResponse."""
    response = network_service_pb2.StreamNetworkMetricsResponse
    if isinstance(message, Heartbeat):
        return response(heartbeat=response.Heartbeat(server_time=timestamp(message.server_time)))
    return response(report=report(message))


def _metrics(found: NetworkMetrics) -> metrics_pb2.NetworkMetrics:
    # One name for one thing: the proto's fields are the domain's.
    return metrics_pb2.NetworkMetrics(
        **{field.name: metric(getattr(found, field.name)) for field in fields(found)}
    )


def metric(metric: Metric) -> metrics_pb2.Metric:
    """Write a Metric."""
    return metrics_pb2.Metric(
        value=metric.value,
        unit=_UNITS[metric.unit],
        sample_size=metric.sample_size,
        interval=metrics_pb2.Interval(lower=metric.interval[0], upper=metric.interval[1])
        if metric.interval
        else None,
    )


def difference(found: Experiment) -> metrics_pb2.Metric:
    """How much more often advised questions succeed than held-out ones; no value while too few are compared."""
    outcomes = found.advised.trials + found.held_out.trials
    return metric(
        Metric(found.difference, Unit.SHARE, outcomes, found.interval)
        if _comparable(found)
        else Metric(None, Unit.SHARE, outcomes)
    )


def successes_brought(found: Experiment) -> metrics_pb2.Metric:
    """The successes that there would not have been without advice; no value while too few are compared."""
    brought, least, most = found.successes_brought
    return metric(
        Metric(brought, Unit.COUNT, found.advised.trials, (least, most))
        if _comparable(found)
        else Metric(None, Unit.COUNT, found.advised.trials)
    )


def _comparable(found: Experiment) -> bool:
    return min(found.advised.trials, found.held_out.trials) >= ENOUGH_TO_COMPARE


def _uplift(found: Experiment) -> metrics_pb2.Uplift:
    known = _comparable(found) and found.followed.trials >= ENOUGH_TO_COMPARE
    treated = found.as_treated
    return metrics_pb2.Uplift(
        difference=difference(found),
        successes_brought=successes_brought(found),
        advised_count=found.advised.trials,
        advised_success_count=found.advised.successes,
        held_out_count=found.held_out.trials,
        held_out_success_count=found.held_out.successes,
        owner_count=found.owners,
        as_treated=metric(
            Metric(treated.effect, Unit.SHARE, found.followed.trials, treated.interval)
            if known and treated.effect is not None
            else Metric(None, Unit.SHARE, found.followed.trials)
        ),
        followed_count=found.followed.trials,
    )


def _kpi(kpi: Kpi) -> metrics_pb2.Kpi:
    return metrics_pb2.Kpi(
        name=_NAMES[kpi.name],
        metric=metric(kpi.metric),
        target=kpi.target,
        status=_STATUSES[kpi.status],
    )


def _day(day: Day) -> metrics_pb2.NetworkDay:
    return metrics_pb2.NetworkDay(
        start_time=timestamp(datetime.combine(day.day, time(), UTC)),
        patterns_discovered=day.patterns_discovered,
        observation_count=day.observations,
        question_count=day.questions,
        enhanced_count=day.enhanced,
        advised_count=day.advised.trials,
        advised_success_count=day.advised.successes,
        held_out_count=day.held_out.trials,
        held_out_success_count=day.held_out.successes,
    )


def timestamp(moment: datetime) -> Timestamp:
    """Write a Timestamp."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message
