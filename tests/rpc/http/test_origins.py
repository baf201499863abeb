from __future__ import annotations

import pytest

from tests.rpc.http.browser import NETWORK, Answer, post, sent
from tests.rpc.http.conftest import ORIGIN
from tests.rpc.http.test_json import port_of
from tests.rpc.service import Service

LIST = f"{NETWORK}ListPatterns"


async def preflight(service: Service, origin: str) -> Answer:
    """What a browser asks before it lets a page call."""
    async with sent(
        port_of(service),
        LIST,
        b"",
        method="OPTIONS",
        origin=origin,
        access_control_request_method="POST",
        access_control_request_headers="authorization,content-type",
    ) as exchange:
        return await exchange.answer()


async def test_a_page_that_is_named_may_call(service: Service) -> None:
    """The browser is told so before the call, and the page may read the answer and its request id."""
    asked = await preflight(service, ORIGIN)
    answer = await post(port_of(service), LIST, {}, origin=ORIGIN)

    assert asked.status == 204
    assert asked.headers["access-control-allow-origin"] == ORIGIN
    assert "authorization" in asked.headers["access-control-allow-headers"].split(",")
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "x-request-id" in answer.headers["access-control-expose-headers"].split(",")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", f"{ORIGIN}.evil.example", "http://127.0.0.1"]
)
async def test_a_page_that_is_not_named_is_refused(service: Service, origin: str) -> None:
    """Also a page that made its own name point here, to which its browser would show every answer."""
    asked = await preflight(service, origin)
    answer = await post(port_of(service), LIST, {}, origin=origin)

    assert (asked.status, answer.status) == (403, 403)
    assert "access-control-allow-origin" not in asked.headers
    assert answer.body == b""


async def test_an_error_may_be_read_by_the_page(service: Service) -> None:
    """Without the grant on errors a page would see a network failure in the place of a typed error."""
    answer = await post(port_of(service), f"{NETWORK}GetPattern", {"patternId": "x"}, origin=ORIGIN)

    assert answer.status == 400
    assert answer.headers["access-control-allow-origin"] == ORIGIN
