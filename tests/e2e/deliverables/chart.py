"""The Helm chart, rendered as `helm install` would."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.server_process import REPOSITORY

CHART = REPOSITORY / "deploy/helm/keeper"
PROGRAMS = REPOSITORY / ".venv-delivery/bin"
HELM = PROGRAMS / "helm"

RELEASES = ("1.29", "1.37")
"""Of Kubernetes: the oldest that Chart.yaml takes, and the newest whose schemas are here."""

Manifest = dict[str, Any]
Values = dict[str, Any]

SMALLEST: Values = {"secret": {"name": "keeper"}, "allowUnauthenticated": True}
"""What has no default: where the secrets are, and who may call."""

SECURED: Values = {
    "secret": {
        "name": "keeper",
        "replicaDatabaseUrl": "replica-database-url",
        "openaiApiKey": "openai-api-key",
    },
    "identities": {"secretName": "keeper-identities"},
    "jwt": {
        "keys": "https://login.example.com/.well-known/jwks.json",
        "issuer": "https://login.example.com/",
        "audience": "keeper-network",
    },
    "tls": {"secretName": "keeper-tls", "clientCa": {"secretName": "keeper-client-ca"}},
    "settings": {"KEEPER_MIN_ACCOUNTS": 5, "KEEPER_SEED_CATALOG": False},
    "extraEnv": [{"name": "OTEL_SERVICE_NAME", "value": "keeper"}],
    "extraVolumes": [{"name": "database-ca", "configMap": {"name": "database-ca"}}],
    "extraVolumeMounts": [{"name": "database-ca", "mountPath": "/etc/keeper/database"}],
    "http": {"enabled": True, "origins": ["https://app.example.com", "https://example.com"]},
    "admin": {"enabled": True},
    "autoscaling": {"enabled": True},
    "imagePullSecrets": [{"name": "registry"}],
    "image": {"digest": "sha256:" + "0" * 64},
    "podLabels": {"team": "growth"},
    "podAnnotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "networkPolicy": {
        "callers": [{"podSelector": {"matchLabels": {"keeper": "caller"}}}],
        "operators": [{"namespaceSelector": {"matchLabels": {"team": "operations"}}}],
        "monitoring": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
    },
    "dashboard": {
        "enabled": True,
        "token": {"secretName": "keeper-dashboard"},
        "ca": {"secretName": "keeper-tls"},
        "certificate": {"secretName": "keeper-dashboard-tls"},
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True},
    "grafanaDashboard": {"enabled": True},
}
"""Every part of the chart at once."""

needs_helm = pytest.mark.skipif(
    not HELM.exists(), reason="helm is not built: `make delivery` builds it"
)


def helm(directory: Path, values: Values, *command: str) -> subprocess.CompletedProcess[str]:
    """Run helm on the chart with these values."""
    file = directory / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    return subprocess.run(
        [HELM, *command, "--values", file],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(directory), "PATH": "/usr/bin:/bin"},
    )


def template(
    directory: Path, values: Values, release: str = RELEASES[-1]
) -> subprocess.CompletedProcess[str]:
    """Render a release called `keeper` for this release of Kubernetes."""
    return helm(
        directory,
        values,
        *("template", "keeper", str(CHART), "--namespace", "learning", "--kube-version", release),
    )


def rendered(directory: Path, values: Values, release: str = RELEASES[-1]) -> list[Manifest]:
    """What it consists of, its hooks too."""
    done = template(directory, values, release)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def one(manifests: list[Manifest], kind: str, name: str = "keeper") -> Manifest:
    """The manifest of this kind and name."""
    (found,) = (m for m in manifests if (m["kind"], m["metadata"]["name"]) == (kind, name))
    return found
