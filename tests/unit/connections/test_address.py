from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from keeper_grpc.storage.connections.address import CONNECT_TIMEOUT, Address, Host
from keeper_grpc.storage.connections.unfit import DatabaseUrlInvalid, ParameterUnfit


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Libpq's variables and files of this machine decide nothing."""
    for name in ("PGHOST", "PGPORT", "PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def arguments(dsn: str) -> dict[str, object]:
    """What the driver gets for the first host."""
    address = Address.parse(dsn)
    return address.driver_arguments(address.hosts[0])


def test_every_host_has_its_port() -> None:
    """One port is all hosts'; a list has one for each."""
    one = Address.parse("postgresql://h/d?host=a,b&port=1")
    each = Address.parse("host=a,/run/b port=1,2")
    assert one.hosts == (Host("a", 1), Host("b", 1))
    assert each.hosts == (Host("a", 1), Host("/run/b", 2))


def test_the_environment_names_what_the_dsn_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for every libpq program."""
    monkeypatch.setenv("PGHOST", "a,b")
    monkeypatch.setenv("PGPORT", "5433")
    assert Address.parse("dbname=d").hosts == (Host("a", 5433), Host("b", 5433))
    assert Address.parse("host=c").hosts == (Host("c", 5433),)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://h:port/d",
        "postgresql://h:65536/d",
        "postgresql://h:0/d",
        "postgresql://h:-1/d",
        "host=a,b,c port=1,2",
        "host=a,,b",
        # A password with a slash: what follows the colon is no port.
        "postgresql://keeper:hunter2/x@127.0.0.1/keeper",
    ],
)
def test_hosts_and_ports_that_do_not_fit_are_refused(dsn: str) -> None:
    """Nothing of them is quoted."""
    with pytest.raises(DatabaseUrlInvalid) as refused:
        Address.parse(dsn)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7.0), ("0", CONNECT_TIMEOUT), ("-1", CONNECT_TIMEOUT)]
)
def test_connect_timeout_limits_an_attempt_at_one_host(value: str, seconds: float) -> None:
    """Libpq's "no limit" is ours."""
    assert Address.parse(f"host=h connect_timeout={value}").connect_timeout == seconds
    assert arguments(f"host=h connect_timeout={value}")["timeout"] == seconds


@pytest.mark.parametrize(
    "parameter",
    [
        "channel_binding=prefer",
        "channel_binding=disable",
        "keepalives_idle=30",
        "tcp_user_timeout=1000",
        "gssencmode=prefer",
        "client_encoding=UTF8",
        "target_session_attrs=read-write",
        "sslsni=1",
    ],
)
def test_parameters_of_libpq_that_change_nothing_never_reach_the_server(parameter: str) -> None:
    """The driver would send them to it as settings, which it refuses."""
    assert parameter.partition("=")[0] not in str(arguments(f"postgresql://h/d?{parameter}")["dsn"])


def test_what_only_the_server_knows_is_passed_on() -> None:
    """A setting of the session, beside the name of this program."""
    passed = str(arguments("postgresql://h/d?options=-c%20x.y%3D1&search_path=a")["dsn"])
    assert passed == "postgresql://?application_name=keeper&options=-c%20x.y%3D1&search_path=a"
    own = str(arguments("postgresql://h/d?application_name=mine")["dsn"])
    assert own == "postgresql://?application_name=mine"


@pytest.mark.parametrize(
    ("parameter", "line"),
    [
        ("channel_binding=require", "channel_binding can be prefer or disable only"),
        ("connect_timeout=hunter2", "connect_timeout is a whole number of seconds"),
        ("gssencmode=require", "gssencmode can be prefer or disable only"),
        ("client_encoding=LATIN1", "client_encoding can be UTF8 only"),
        ("require_auth=scram-sha-256", "require_auth cannot be enforced"),
        ("requirepeer=postgres", "requirepeer cannot be enforced"),
        ("replication=database", "replication makes no sense here"),
        ("load_balance_hosts=hunter2", "load_balance_hosts is disable or random"),
        ("target_session_attrs=standby", "target_session_attrs must let writes through"),
        ("sslcertmode=require", "sslcertmode can be allow only"),
        ("sslmode=hunter2", "sslmode is one of disable, allow"),
        ("sslmode=verify-full", "sslmode=verify-full needs the certificate"),
        ("sslmode=verify-ca", "sslmode=verify-ca needs the certificate"),
        ("sslmode=require&sslrootcert=system", "sslrootcert=system needs sslmode=verify-full"),
        (
            "sslmode=verify-full&sslrootcert=/none.pem",
            "sslrootcert names /none.pem, which cannot be read",
        ),
        ("sslcert=/none.crt&sslkey=/none.key", "sslcert and sslkey name /none.crt and /none.key"),
    ],
)
def test_a_parameter_that_cannot_be_had_is_named_with_its_cure(parameter: str, line: str) -> None:
    """Rather than dropped in silence: most of them are somebody's idea of security."""
    with pytest.raises(ParameterUnfit) as refused:
        Address.parse(f"postgresql://u:hunter2@h/d?{parameter}")
    message = str(refused.value)
    assert message.startswith(f"KEEPER_DATABASE_URL: {line}")
    assert "\n" not in message
    assert "hunter2" not in message


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    """Before anything connects."""
    (tmp_path / "authority.pem").write_text("hunter2")
    with pytest.raises(ParameterUnfit, match=r"authority\.pem, which holds no certificate"):
        Address.parse(f"host=h sslmode=verify-full sslrootcert={tmp_path / 'authority.pem'}")


def test_the_authorities_of_the_system_verify_the_name_as_well() -> None:
    """With sslmode=verify-full or without a mode, as libpq has it."""
    for mode in ("", " sslmode=verify-full"):
        context = arguments(f"host=h sslrootcert=system{mode}")["ssl"]
        assert isinstance(context, ssl.SSLContext)
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED


def test_hosts_are_tried_in_their_order_or_in_a_random_one() -> None:
    """load_balance_hosts=random has every host once."""
    dsn = "host=a,b,c,d,e,f,g,h"
    assert Address.parse(dsn).order() == Address.parse(dsn).hosts
    balanced = Address.parse(f"{dsn} load_balance_hosts=random")
    assert sorted(map(str, balanced.order())) == sorted(map(str, balanced.hosts))
    assert len({tuple(balanced.order()) for _ in range(50)}) > 1


def test_an_address_shows_no_secret() -> None:
    """Its repr may end in a log or a traceback."""
    assert "hunter2" not in repr(Address.parse("postgresql://u:hunter2@h/d"))
