from __future__ import annotations

from grpc import StatusCode

from keeper_grpc.client import ServerError
from keeper_grpc.client.errors import Detail
from keeper_grpc.dashboard.sections.notice import said


def test_a_problem_is_said_with_its_code() -> None:
    """Whether anything is shown all the same makes a difference to who reads it."""
    problem = ServerError(StatusCode.INTERNAL, "SELECT failed", Detail())

    assert said("The list", problem, known=True) == (
        "The list may be out of date and cannot be read now (INTERNAL). Trying again."
    )
    assert said("The list", problem, known=False) == (
        "The list cannot be read now (INTERNAL). Trying again."
    )


def test_a_defect_is_said_without_what_it_raised() -> None:
    """Where it lies is for the log."""
    assert said("The list", KeyError("internals"), known=False) == (
        "The list cannot be read now (a defect of this page). Trying again."
    )


def test_what_the_dashboards_token_does_not_allow_is_no_failure() -> None:
    """Trying again would not help, and the page does not say that it does."""
    refused = ServerError(StatusCode.PERMISSION_DENIED, "no", Detail())
    assert said("The list", refused, known=False) == (
        "The list is not for this dashboard to read (PERMISSION_DENIED): its token does not allow it."
    )
