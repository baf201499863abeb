from __future__ import annotations

import asyncio
import http.client
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.e2e.dashboard.browsing import dashboard
from tests.e2e.server_process import environment

WITHOUT_NICEGUI = "import sys; sys.modules['nicegui'] = None; "
"""What Python holds for a module that cannot be imported."""

NOWHERE = "127.0.0.1:9"
"""A network that is not there."""

MAIN = "from keeper_grpc.cli import main; sys.exit(main(sys.argv[1:]))"


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_the_extra_the_command_says_how_to_get_it() -> None:
    """Exit code 1 and one line, not a traceback."""
    done = run(WITHOUT_NICEGUI + MAIN, "dashboard")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "keeper dashboard: the page needs NiceGUI: pip install 'keeper-grpc[dashboard]'\n"
    )


def test_other_commands_do_not_load_the_web_server() -> None:
    """Knowing the command costs nothing."""
    done = run("import sys, keeper_grpc.cli; print('nicegui' in sys.modules)")

    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--port", "70000"], "is not a whole number from 0 to 65535"),
        (["--stale-after", "0"], "is not a number from 0.001"),
        (["--host", "192.0.2.1", "--port", "0"], "cannot listen on 192.0.2.1:0"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(arguments: list[str], reason: str) -> None:
    """A port that is none, a silence that is none, an address that is not this machine's."""
    done = run("import sys; " + MAIN, "dashboard", *arguments)

    assert done.returncode in (1, 2)
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def handshake(address: str, origin: str, headers: Mapping[str, str]) -> int:
    """The status of the answer to a page of `origin` that opens the socket."""
    connection = http.client.HTTPConnection(address)
    try:
        query = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
        connection.request("GET", query, headers={"Origin": origin, **headers})
        return connection.getresponse().status
    finally:
        connection.close()


async def test_no_other_website_may_open_its_socket(make_directory: Callable[[], Path]) -> None:
    """A browser sends its login at the proxy along, whoever's script asks."""
    warns = "is not an accepted origin"
    async with dashboard(NOWHERE, make_directory(), warns=warns) as page:
        address = page.url.removeprefix("http://").rstrip("/")
        own = await asyncio.to_thread(handshake, address, f"http://{address}", {})
        other = await asyncio.to_thread(handshake, address, "http://elsewhere.example", {})
    assert (own, other) == (200, 400)


async def test_behind_a_proxy_its_own_website_is_the_proxys(
    make_directory: Callable[[], Path],
) -> None:
    """As the proxy tells it: the host and port that the browser asked for, and https."""
    told = {"Host": "keeper.example:8443", "X-Forwarded-Proto": "https"}
    warns = "is not an accepted origin"
    async with dashboard(NOWHERE, make_directory(), warns=warns) as page:
        address = page.url.removeprefix("http://").rstrip("/")
        own, elsewhere, other_port = [
            await asyncio.to_thread(handshake, address, f"https://{origin}", told)
            for origin in ("keeper.example:8443", "elsewhere.example:8443", "keeper.example")
        ]
    assert (own, elsewhere, other_port) == (200, 400, 400)
