"""The values that the labels of the metrics may have."""

from __future__ import annotations

import re
from pathlib import Path

import grpc

import keeper_grpc
from keeper_grpc.admission.kinds import Kind
from keeper_grpc.admission.shed import Reason
from keeper_grpc.domain.advice.ranking import NoMatch
from keeper_grpc.domain.advice.reaction import Reaction
from keeper_grpc.domain.observation import Disposition
from keeper_grpc.domain.patterns.screen import Objection
from keeper_grpc.embedding.circuit import State
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2, network_service_pb2
from keeper_grpc.privacy.anonymizer import Anonymizer

PACKAGE = Path(keeper_grpc.__file__).parent


def _methods() -> set[str]:
    return {
        f"{service.name}/{method.name}"
        for file in (network_service_pb2, admin_service_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


def _drops() -> set[str]:
    """Reasons are constants of the privacy package, or name one of its layers."""
    sources = "".join(path.read_text() for path in (PACKAGE / "privacy").rglob("*.py"))
    layers = {f"{name.upper()}_LAYER_FAILED" for name in Anonymizer.default().layers}
    return set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', sources)) | layers


def _failures() -> set[str]:
    source = (PACKAGE / "embedding" / "openai.py").read_text()
    return set(re.findall(r'_Failure\(\s*"(\w+)"', source))


def _tables() -> set[str]:
    sources = "".join(
        path.read_text() for path in (PACKAGE / "storage/schema/migrations").rglob("*.sql")
    )
    return {*re.findall(r"CREATE TABLE (\w+)", sources), "schema_migrations"}


_RESULTS = {"ok", "unavailable", "error"}

VALUES = {
    "code": {code.name for code in grpc.StatusCode},
    "method": _methods(),
    "disposition": {value.value for value in Disposition} | {"replayed"},
    "result": {value.name.lower() for value in NoMatch}
    | {"enhanced"}
    | {"hit", "miss"}
    | {"loaded", "evicted", "failed"}
    | _RESULTS,
    "reaction": {value.value for value in Reaction} | {"replayed"},
    "reason": _drops()
    | _failures()
    | {objection.value for objection in Objection}
    | {reason.value for reason in Reason},
    "writer": {"scopes", "enhancements"},
    "memory": {"accounts", "insights", "texts"},
    "source": {"memory", "database", "model", "index"},
    "state": {"used", "idle"} | {state.value for state in State},
    "kind": {
        *(kind.value for kind in Kind),
        *("questions", "outcome_requests", "reaction_requests", "outcome_revisions"),
        *("audit_events", "vectors", "words"),
    },
    "table": _tables(),
    "stream": {"emerging_patterns", "network_metrics"},
    "model": {"text-embedding-3-small/1/sentence-1"},
}
"""By label. A label that is not here may have no value at all."""
