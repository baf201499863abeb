from __future__ import annotations

import pytest

from keeper_grpc.environment import is_service_address, unknown_variables

PREFIX = "KEEPER_"
KNOWN = {"KEEPER_PORT", "KEEPER_DATABASE_URL", "KEEPER_DATA_DIR", "KEEPER_METRICS_PORT"}


def unknown(**environ: str) -> list[tuple[str, str | None]]:
    """Name and hint of each variable that is reported."""
    found = unknown_variables(environ.items(), PREFIX, KNOWN)
    return [(variable.name, variable.similar) for variable in found]


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("KEEPER_PROT", "KEEPER_PORT"),
        ("KEEPER_DB_URL", "KEEPER_DATABASE_URL"),
        ("KEEPER_DATADIR", "KEEPER_DATA_DIR"),
        ("keeper_prot", "KEEPER_PORT"),
        ("KEEPER_XYZZY", None),
        ("KEEPER_", None),
        ("KEEPER_SERVICE_HOSTS", None),
        ("KEEPER_PORT_50051_TPC", None),
    ],
)
def test_a_variable_that_is_no_setting_is_named(name: str, similar: str | None) -> None:
    """With the setting that it is most like, if it is like any."""
    assert unknown(**{name: "x"}) == [(name, similar)]


@pytest.mark.parametrize(
    "environ",
    [
        {"KEEPER_PORT": "1"},
        {"keeper_port": "1"},
        {"KEEPER_TEST_DATABASE_URL": "x"},
        {"OTHER": "x", "KEEPERS": "x", "XKEEPER_PROT": "x"},
    ],
)
def test_settings_in_any_case_and_others_variables_are_not_named(environ: dict[str, str]) -> None:
    """Only what begins with the prefix and is read by nothing is reported."""
    assert unknown(**environ) == []


@pytest.mark.parametrize("service", ["KEEPER", "KEEPER_METRICS", "KEEPER_POSTGRESQL", "KEEPER_A_B"])
def test_what_kubernetes_sets_for_a_service_is_not_named(service: str) -> None:
    """Whatever the Service of the namespace is called, all its variables are Kubernetes' own."""
    port = "tcp://10.96.0.12:50051"
    assert (
        unknown(
            **{
                f"{service}_SERVICE_HOST": "10.96.0.12",
                f"{service}_SERVICE_PORT": "50051",
                f"{service}_SERVICE_PORT_GRPC": "50051",
                f"{service}_PORT": port,
                f"{service}_PORT_50051_TCP": port,
                f"{service}_PORT_50051_TCP_PROTO": "tcp",
                f"{service}_PORT_50051_TCP_PORT": "50051",
                f"{service}_PORT_50051_TCP_ADDR": "10.96.0.12",
            }
        )
        == []
    )


def test_a_port_of_no_service_is_named() -> None:
    """The address distinguishes Kubernetes' KEEPER_X_PORT from an operator's."""
    assert [name for name, _ in unknown(KEEPER_XYZZY_PORT="5432")] == ["KEEPER_XYZZY_PORT"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("tcp://10.96.0.12:50051", True),
        ("udp://10.96.0.12:53", True),
        ("sctp://10.96.0.12:1", True),
        ("tcp://[fd00::1]:50051", True),
        ("tcp://10.96.0.12", False),
        ("tcp://keeper:50051", False),
        ("tcp://10.96.0.12:abc", False),
        ("tcp://10.96.0.12:50051/", False),
        ("http://10.96.0.12:50051", False),
        ("10.96.0.12:50051", False),
        ("tcp://10.96.0.12:50051\n", False),
    ],
)
def test_an_address_is_kubernetes_own_only_as_kubernetes_writes_it(
    value: str, expected: bool
) -> None:
    """Anything else is a person's mistake, and is to be said."""
    assert is_service_address(value) is expected
