from __future__ import annotations

import pytest

from keeper_grpc.health import own_address
from keeper_grpc.settings import Settings


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1:50051"),
        ("0.0.0.0", "127.0.0.1:50051"),  # noqa: S104 - not listened on
        ("10.1.2.3", "10.1.2.3:50051"),
        ("keeper.internal", "keeper.internal:50051"),
        ("[::]", "[::1]:50051"),
        ("::", "[::1]:50051"),
        ("fd00::1", "[fd00::1]:50051"),
        ("[fd00::1]", "[fd00::1]:50051"),
    ],
)
def test_a_server_is_asked_where_it_listens(host: str, address: str) -> None:
    """One that listens on one address does not answer on another; on every one, it does locally."""
    assert own_address(Settings(host=host, port=50051)) == address
