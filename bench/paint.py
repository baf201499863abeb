"""When a page of the dashboard is first painted, and how much of it moves afterwards, as the browser measures it.

    python -m bench.paint http://127.0.0.1:8080/ [--loads 5]

Open it with the address of a dashboard, the demo's for example (`make demo STAY=1`). Each load has a browser profile of
its own, so that nothing is cached. In turns with it a bare page with one heading is loaded from this machine: the ratio
tells of the page, the milliseconds of the machine as well. Printed are medians of

    first paint     first contentful paint: when something of the content is there
    largest paint   when the largest text or picture of the first screen is there
    moved           cumulative layout shift, until five seconds after the load: 0.1 is what web.dev calls good
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from playwright.async_api import Browser, ViewportSize, async_playwright

WINDOWS: dict[str, ViewportSize] = {
    "desktop": {"width": 1280, "height": 900},
    "phone": {"width": 360, "height": 740},
}

WATCH = """
window.seen = { first: 0, largest: 0, moved: 0 };
new PerformanceObserver((list) => {
  for (const entry of list.getEntriesByName('first-contentful-paint')) window.seen.first = entry.startTime;
}).observe({ type: 'paint', buffered: true });
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.seen.largest = entry.startTime;
}).observe({ type: 'largest-contentful-paint', buffered: true });
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.seen.moved += entry.value;
}).observe({ type: 'layout-shift', buffered: true });
"""
"""Before the page's own scripts. A shift right after somebody's input is that one's doing and does not count."""

BARE = b"<!doctype html><title>bare</title><h1>What the network has learned</h1>"

SETTLED = 5_000.0
"""Milliseconds after the load until which layout shifts are added up."""


@dataclass(frozen=True, slots=True)
class Painted:
    """What the browser saw of one load; milliseconds from the start of the navigation."""

    first: float
    largest: float
    moved: float


async def painted(
    browser: Browser, url: str, window: ViewportSize, *, settled: float = SETTLED
) -> Painted:
    """Load a page with nothing cached, and wait until it stands still."""
    profile = await browser.new_context(viewport=window)
    try:
        page = await profile.new_page()
        await page.add_init_script(WATCH)
        await page.goto(url, wait_until="load")
        await page.wait_for_timeout(settled)
        return Painted(**await page.evaluate("window.seen"))
    finally:
        await profile.close()


async def _answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(BARE)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + BARE)
    await writer.drain()
    writer.close()


async def measure(url: str, loads: int) -> None:
    """Load both pages in turns, and print."""
    bare = await asyncio.start_server(_answer, "127.0.0.1", 0)
    bare_url = f"http://127.0.0.1:{bare.sockets[0].getsockname()[1]}/"
    program = os.environ.get("KEEPER_TEST_CHROMIUM") or shutil.which("chromium")
    async with bare, async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        for name, window in WINDOWS.items():
            pages: list[Painted] = []
            plain: list[Painted] = []
            for _ in range(loads):
                pages.append(await painted(browser, url, window))
                plain.append(await painted(browser, bare_url, window, settled=200.0))
            print(_line(name, pages, plain), flush=True)
        await browser.close()


def _line(name: str, pages: Sequence[Painted], plain: Sequence[Painted]) -> str:
    first, bare = (statistics.median(each.first for each in seen) for seen in (pages, plain))
    largest = statistics.median(each.largest for each in pages)
    moved = max(each.moved for each in pages)
    return (
        f"{name:8} first paint {first:6.0f} ms ({first / bare:.1f} times the bare page's {bare:.0f} ms)"
        f"  largest paint {largest:6.0f} ms  moved at most {moved:.3f}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("url", help="the dashboard's address")
    parser.add_argument("--loads", type=int, default=5)
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.url, arguments.loads))


if __name__ == "__main__":
    main()
