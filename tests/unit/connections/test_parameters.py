from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.storage.connections.parameters import read_parameters
from keeper_grpc.storage.connections.unfit import DatabaseUrlInvalid

PASSWORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        (
            "postgresql://u:p@h:5433/d",
            {"user": "u", "password": "p", "host": "h", "port": "5433", "dbname": "d"},
        ),
        ("postgres://h/d", {"host": "h", "dbname": "d"}),
        ("postgresql://", {}),
        ("postgresql:///d?host=/run/s&port=1", {"dbname": "d", "host": "/run/s", "port": "1"}),
        ("postgresql://u@/d?sslmode=require", {"user": "u", "dbname": "d", "sslmode": "require"}),
        ("postgresql://a:1,b:2/d", {"host": "a,b", "port": "1,2", "dbname": "d"}),
        (
            "postgresql://[::1]:54,[fe80::2]/d",
            {"host": "::1,fe80::2", "port": "54,", "dbname": "d"},
        ),
        ("postgresql://%2Frun%2Fs/d", {"host": "/run/s", "dbname": "d"}),
        (
            "postgresql://h/d?application_name=a+b",
            {"host": "h", "dbname": "d", "application_name": "a+b"},
        ),
        ("host=h port = 5433  dbname=d", {"host": "h", "port": "5433", "dbname": "d"}),
        (r"host=h password='it\'s \\ x'", {"host": "h", "password": r"it's \ x"}),
        (r"password=a\ b user=u", {"password": "a b", "user": "u"}),
        ("dbname=a dbname=b", {"dbname": "b"}),
        ("host='' dbname=d", {"dbname": "d"}),
        ("database=d", {"dbname": "d"}),
    ],
)
def test_a_dsn_is_read_as_libpq_reads_it(dsn: str, expected: dict[str, str]) -> None:
    """URLs and keywords, hosts in lists and brackets, escapes of both kinds."""
    assert read_parameters(dsn) == expected


@pytest.mark.parametrize("password", ["p#x", "p?x", "p@x", "p:x", "p x", "p+x", "pé", "#", "@@"])
def test_a_password_that_can_only_be_one_needs_no_escape(password: str) -> None:
    """Whatever stands before the last @ of the authority is no part of a host."""
    assert read_parameters(f"postgresql://u:{password}@h/d?a=b")["password"] == password


@given(PASSWORDS)
def test_any_password_can_be_written_in_a_url(password: str) -> None:
    """Percent-encoded it arrives as it is, as part of the authority or of the query."""
    encoded = quote(password, safe="")
    assert read_parameters(f"postgresql://u:{encoded}@h/d")["password"] == password
    assert read_parameters(f"postgresql://h/d?password={encoded}")["password"] == password


@given(PASSWORDS)
def test_any_password_can_be_written_as_a_keyword(password: str) -> None:
    """Quoted, with a backslash before quotes and backslashes."""
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    assert read_parameters(f"host=h password='{escaped}' user=u")["password"] == password


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "mysql://u:hunter2@h/d",
        "hunter2",
        "postgresql://u:50%off@h/d",
        "postgresql://u:%C3@h/d",
        "postgresql://u:hunter2%00@h/d",
        "postgresql://[::1/d",
        "postgresql://[::1]x/d",
        "postgresql://h/d?hunter2",
        "host=h password='hunter2",
        "host=h password='hunter2'x",
    ],
)
def test_a_dsn_that_cannot_be_read_is_refused_without_quoting_it(dsn: str) -> None:
    """Any part of it may be the password's."""
    with pytest.raises(DatabaseUrlInvalid) as refused:
        read_parameters(dsn)
    assert "KEEPER_DATABASE_URL cannot be read" in str(refused.value)
    assert "hunter2" not in str(refused.value)
