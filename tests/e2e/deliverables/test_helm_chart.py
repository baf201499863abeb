"""The Helm chart: what it renders is valid, complete, and refuses what would not run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from keeper_grpc.settings import PREFIX, Settings
from keeper_grpc.version import version
from tests.e2e.deliverables.chart import (
    CHART,
    PROGRAMS,
    RELEASES,
    SECURED,
    SMALLEST,
    Manifest,
    Values,
    helm,
    needs_helm,
    one,
    rendered,
    template,
)
from tests.e2e.server_process import REPOSITORY

SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields}
OTHERS = {"monitoring.coreos.com/v1"}
"""What Kubernetes itself has no schema of."""

pytestmark = needs_helm


def containers(manifests: list[Manifest]) -> Iterator[tuple[Manifest, Manifest]]:
    """Each container, after the pod that it is in."""
    for manifest in manifests:
        pod = manifest.get("spec", {}).get("template", {}).get("spec")
        for container in (pod or {}).get("containers", []):
            yield pod, container


@pytest.mark.parametrize("values", [SMALLEST, SECURED], ids=["smallest", "everything"])
def test_helm_finds_nothing_to_say(tmp_path: Path, values: Values) -> None:
    """The linter, strictly: warnings are errors."""
    done = helm(tmp_path, values, "lint", str(CHART), "--strict")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    not (PROGRAMS / "kubernetes-validate").exists(),
    reason="kubernetes-validate is not installed: `make delivery` installs it",
)
@pytest.mark.parametrize("values", [SMALLEST, SECURED], ids=["smallest", "everything"])
@pytest.mark.parametrize("release", RELEASES)
def test_kubernetes_takes_every_manifest(tmp_path: Path, values: Values, release: str) -> None:
    """By the schemas of the oldest release that Chart.yaml names and of the newest: no field that it does not know."""
    known = [m for m in rendered(tmp_path, values, release) if m["apiVersion"] not in OTHERS]
    file = tmp_path / "manifests.yaml"
    file.write_text(yaml.safe_dump_all(known))
    done = subprocess.run(
        [PROGRAMS / "kubernetes-validate", "--strict", "--kubernetes-version", release, file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", [SMALLEST, SECURED], ids=["smallest", "everything"])
def test_every_variable_is_a_setting(tmp_path: Path, values: Values) -> None:
    """The program takes an unknown one for a misspelt one, and tells nobody but its log."""
    named = {
        variable["name"]
        for _, container in containers(rendered(tmp_path, values))
        for variable in container.get("env", ())
    }
    assert "KEEPER_DATABASE_URL" in named
    assert {name for name in named if name.startswith(PREFIX)} <= SETTINGS


def test_every_setting_that_the_values_speak_of_exists() -> None:
    """In comments too, which are what an operator reads."""
    words = (CHART / "values.yaml").read_text().replace(":", " ").replace(",", " ").split()
    named = {word.strip('{}".') for word in words if word.strip('{}".').startswith(PREFIX)}
    assert named
    assert named <= SETTINGS


@pytest.mark.parametrize("values", [SMALLEST, SECURED], ids=["smallest", "everything"])
def test_no_container_may_more_than_it_needs(tmp_path: Path, values: Values) -> None:
    """Unprivileged, on a read-only root, without a token of the cluster, with bounded memory."""
    found = list(containers(rendered(tmp_path, values)))
    assert found
    for pod, container in found:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


def test_no_secret_is_in_a_manifest(tmp_path: Path) -> None:
    """They are named, and the chart makes none."""
    manifests = rendered(tmp_path, SECURED)
    assert not [m for m in manifests if m["kind"] == "Secret"]
    for _, container in containers(manifests):
        for variable in container.get("env", ()):
            if variable["name"] in {
                "KEEPER_DATABASE_URL",
                "KEEPER_REPLICA_DATABASE_URL",
                "KEEPER_PSEUDONYM_KEYS",
                "KEEPER_OPENAI_API_KEY",
            }:
                assert variable["valueFrom"]["secretKeyRef"]["name"] == "keeper"


def test_the_services_find_the_servers_and_only_them(tmp_path: Path) -> None:
    """Dashboard and migration have labels of their own."""
    manifests = rendered(tmp_path, SECURED)
    labels = {
        name: one(manifests, kind, name)["spec"]["template"]["metadata"]["labels"]
        for kind, name in [
            ("Deployment", "keeper"),
            ("Deployment", "keeper-dashboard"),
            ("Job", "keeper-migrate"),
        ]
    }
    for service, found in {
        "keeper": "keeper",
        "keeper-headless": "keeper",
        "keeper-admin": "keeper",
        "keeper-dashboard": "keeper-dashboard",
    }.items():
        selector = one(manifests, "Service", service)["spec"]["selector"]
        matching = [name for name, has in labels.items() if selector.items() <= has.items()]
        assert matching == [found]
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        spec = one(manifests, kind)["spec"]
        selector = (spec.get("selector") or spec["podSelector"])["matchLabels"]
        assert [n for n, has in labels.items() if selector.items() <= has.items()] == ["keeper"]


def test_every_named_port_is_a_containers(tmp_path: Path) -> None:
    """Of services, probes and network policies."""
    manifests = rendered(tmp_path, SECURED)
    ports = {
        port["name"]
        for _, container in containers(manifests)
        for port in container.get("ports", ())
    }
    assert ports == {"grpc", "http", "admin", "metrics"}
    assert set(named_ports(manifests)) <= ports


def named_ports(node: Any) -> Iterator[str]:
    """What stands behind `port` and `targetPort`, where it is a name, in all of the manifests."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"port", "targetPort"} and isinstance(value, str):
                yield value
            yield from named_ports(value)
    elif isinstance(node, list):
        for item in node:
            yield from named_ports(item)


def test_a_pod_gets_the_time_that_it_needs_to_drain(tmp_path: Path) -> None:
    """The kubelet kills what has not ended by itself after the delay and the grace."""
    values = {**SMALLEST, "drainGrace": 45, "drainDelay": 7}
    pod = one(rendered(tmp_path, values), "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    given = {v["name"]: v.get("value") for v in container["env"]}
    assert (given["KEEPER_DRAIN_DELAY"], given["KEEPER_DRAIN_GRACE"]) == ("7", "45")
    assert pod["terminationGracePeriodSeconds"] >= 7 + 45 + 10


def test_the_alerts_and_the_dashboard_are_the_repositorys(tmp_path: Path) -> None:
    """Word by word, though Prometheus' templates look like Helm's."""
    manifests = rendered(tmp_path, SECURED)
    alerts = yaml.safe_load((REPOSITORY / "deploy/prometheus/alerts.yml").read_text())
    assert one(manifests, "PrometheusRule")["spec"] == alerts
    board = one(manifests, "ConfigMap", "keeper-grafana")["data"]["keeper.json"]
    assert json.loads(board) == json.loads((REPOSITORY / "deploy/grafana/keeper.json").read_text())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"allowUnauthenticated": True}, "secret.name"),
        ({"secret": {"name": "keeper"}}, "say who may call"),
        (SMALLEST | {"tls": {"clientCa": {"secretName": "ca"}}}, "needs tls.secretName"),
        (SMALLEST | {"jwt": {"keys": "https://a.example"}}, "jwt.issuer"),
        (
            SMALLEST | {"dashboard": {"enabled": True, "token": {"secretName": "t"}}},
            "not sent in clear text",
        ),
        (SMALLEST | {"settings": {"MIN_ACCOUNTS": "5"}}, "MIN_ACCOUNTS"),
        (SMALLEST | {"replica": 3}, "replica"),
    ],
)
def test_values_that_would_not_run_are_refused(tmp_path: Path, values: Values, said: str) -> None:
    """Before anything reaches a cluster, by a line that names the value."""
    done = template(tmp_path, values)
    assert done.returncode != 0
    assert said in done.stderr


def test_the_chart_deploys_the_program_of_this_version() -> None:
    """The images carry the version as their tag."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == version()
