from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from keeper_grpc.listening import is_loopback
from keeper_grpc.operations.doctor.checks.database import judged_clock
from keeper_grpc.operations.doctor.checks.process import judged_disk, listening
from keeper_grpc.operations.doctor.finding import Verdict, ok, problem, unknown, warning
from keeper_grpc.operations.doctor.look import worst
from keeper_grpc.settings import Settings
from tests.access.certificates import Authority

GB = 2**30


@pytest.mark.parametrize(
    ("free", "total", "verdict"),
    [
        (100 * GB, 200 * GB, Verdict.OK),
        (100 * GB, 4_000 * GB, Verdict.WARNING),
        (1 * GB, 4 * GB, Verdict.WARNING),
        (GB // 8, 4 * GB, Verdict.PROBLEM),
    ],
)
def test_a_disk_is_judged_by_what_is_free_and_by_its_share(
    free: int, total: int, verdict: Verdict
) -> None:
    """A gigabyte is little on any disk, and so is a fortieth of a large one."""
    assert judged_disk(Path("/data"), free, total).verdict is verdict


@pytest.mark.parametrize(
    ("ahead", "round_trip", "verdict", "word"),
    [
        (0.5, 0.1, Verdict.OK, "agree"),
        (5.0, 4.0, Verdict.OK, "agree"),
        (-5.0, 0.1, Verdict.WARNING, "behind"),
        (3_600.0, 0.1, Verdict.PROBLEM, "ahead"),
    ],
)
def test_a_clock_is_judged_by_what_the_way_does_not_explain(
    ahead: float, round_trip: float, verdict: Verdict, word: str
) -> None:
    """A slow answer is no skew."""
    found = judged_clock(ahead, round_trip)
    assert found.verdict is verdict
    assert word in found.found


def test_who_listens_beyond_the_machine_is_warned() -> None:
    """By address or by name; a name that is not this machine's own is taken for another's."""
    assert is_loopback("127.0.0.9")
    assert is_loopback("[::1]")
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")  # noqa: S104 - looked at, not listened on
    assert listening(Settings(host="keeper.example")).verdict is Verdict.WARNING


@pytest.mark.parametrize(
    ("days", "verdict", "word"),
    [
        (365, Verdict.OK, "asks who calls"),
        (3, Verdict.WARNING, "expires on"),
        (-1, Verdict.PROBLEM, "has expired"),
    ],
)
def test_a_certificate_is_renewed_before_its_end(
    tmp_path: Path, days: int, verdict: Verdict, word: str
) -> None:
    """Two weeks before; one that no server would start with is a problem."""
    issued = Authority("doctor").issue("keeper", "localhost", valid=timedelta(days=days))
    certificate, key = issued.write(tmp_path, "server")
    (tmp_path / "identities.yaml").write_text("identities: []")
    found = listening(
        Settings(
            host="keeper.example",
            tls_certificate=certificate,
            tls_key=key,
            identities_file=tmp_path / "identities.yaml",
        )
    )
    assert (found.verdict, word in found.found) == (verdict, True)


def test_one_problem_decides() -> None:
    """Warnings and what could not be looked at do not fail the command."""
    fine = [ok("a", ""), warning("b", "", ""), unknown("c", "")]
    assert worst(fine) is Verdict.WARNING
    assert worst([*fine, problem("d", "", "")]) is Verdict.PROBLEM
