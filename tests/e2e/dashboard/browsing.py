"""A dashboard in a process of its own, and a real browser that looks at it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    ViewportSize,
    async_playwright,
)

from tests import program
from tests.e2e.server_process import START, STOP, environment
from tests.e2e.waiting import SOON, until

LOG = "dashboard.log"

STALE_AFTER = 3.0
"""Seconds of silence that make the page stale; the server under test sends a heartbeat every half."""

PHONE: ViewportSize = {"width": 360, "height": 740}
"""The smallest window that the pages are made for."""

MISSING = (
    "the dashboard's browser tests need Chromium: apt-get install chromium, "
    "or name a browser in KEEPER_TEST_CHROMIUM"
)

OFTEN = re.compile(
    r"WebSocket connection to .* failed|net::ERR_CONNECTION_REFUSED|reloading because"
)
"""What a browser says about a server that is down; only tests that stop the dashboard expect it."""


def chromium() -> str | None:
    """The browser's program, if there is one."""
    named = os.environ.get("KEEPER_TEST_CHROMIUM")
    for name in (named,) if named else ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    return None


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """A headless Chromium for the length of the block."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Dashboard:
    """A running `keeper dashboard`."""

    process: program.Started
    log: Path
    target: str
    port: int = 0
    options: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def launch(
        cls,
        target: str,
        directory: Path,
        options: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> Dashboard:
        """Start the process, which writes below `directory` only; it does not serve yet."""
        log = directory / LOG
        chosen = settings or {}
        process = _process(target, log, 0, options, chosen)
        return cls(process, log, target, options=options, settings=chosen)

    async def serving(self) -> None:
        """Wait until it serves."""

        def announced() -> re.Match[str] | None:
            said = self.log.read_text()
            assert self.process.poll() is None, f"the dashboard ended:\n{said}"
            return re.fullmatch(r"dashboard on http://127\.0\.0\.1:(\d+) .*\n", said)

        self.port = int((await until(announced, within=START, what="the dashboard serves"))[1])

    async def start_again(self) -> None:
        """Serve at the same address, after it has ended."""
        self.process = _process(self.target, self.log, self.port, self.options, self.settings)
        await self.serving()

    def left_behind(self) -> list[str]:
        """What lies in its directory."""
        return sorted(entry.name for entry in self.log.parent.iterdir())

    @property
    def url(self) -> str:
        """Where the overview is."""
        return f"http://127.0.0.1:{self.port}/"

    async def end(self) -> int:
        """SIGTERM, and its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        await until(lambda: self.process.poll() is not None, within=STOP, what="the page ends")
        return self.process.wait()


def _process(
    target: str, log: Path, port: int, options: Sequence[str], settings: Mapping[str, str]
) -> program.Started:
    arguments = ["--target", target, "--port", str(port), "--stale-after", str(STALE_AFTER)]
    arguments += options
    with log.open("wb") as stream:
        return program.start(
            ["dashboard", *arguments],
            env=environment(**settings),
            cwd=log.parent,
            stdout=stream,
            stderr=stream,
        )


@asynccontextmanager
async def dashboard(
    target: str,
    directory: Path,
    *,
    warns: str = "",
    options: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Dashboard]:
    """Serve the pages of the network at `target`; everything is written below `directory`.

    `warns` stands in the one warning that is expected; `options` are of the command, `settings` its environment.
    """
    started = Dashboard.launch(target, directory, options, settings)
    try:
        await started.serving()
        yield started
    finally:
        code = await started.end()
        assert (code, started.left_behind()) == (0, [LOG]), started.log.read_text()
        # The line that says where it serves is all: no other warning, no traceback.
        _, *lines = started.log.read_text().splitlines()
        assert (len(lines), warns in "".join(lines)) == (bool(warns), True), lines


@dataclass
class Watched:
    """A page, and what it did that it should not have done."""

    page: Page
    own: str
    tolerated: re.Pattern[str] | None = None
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        self.page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        if self.tolerated is None or not self.tolerated.search(message.text):
            self.complaints.append(f"{message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != self.own:
            self.complaints.append(f"request to another host: {request.url}")


@asynccontextmanager
async def opened(
    browser: Browser,
    url: str,
    *,
    tolerated: re.Pattern[str] | None = None,
    **context: Any,
) -> AsyncIterator[Page]:
    """Open a page in a browser profile of its own, and see that it did nothing wrong."""
    profile = await browser.new_context(**context)
    try:
        page = await profile.new_page()
        watched = Watched(page, urlsplit(url).netloc, tolerated)
        await page.goto(url)
        await page.get_by_text("Live", exact=True).wait_for()
        yield page
        # Whatever the last actions caused has a moment to be said.
        await asyncio.wait_for(page.evaluate("new Promise((r) => setTimeout(r, 50))"), SOON)
        assert watched.complaints == []
    finally:
        await profile.close()


async def serious(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical."""
    # The framework's own bar has no name while something is fetched.
    await page.wait_for_function(
        "[...document.querySelectorAll('.q-loading-bar')].every((bar) => bar.ariaHidden === 'true')"
    )
    found = await Axe().run(page)
    return [
        f"{violation['id']}: {node['target']}"
        for violation in found.response["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


async def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(await page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))
