"""Take the pictures of the dashboard that README.md and docs/dashboard.md show.

Plays the demo, looks at its dashboard with the machine's Chromium, in both themes and on a phone, and
ends it: `.venv/bin/python tools/screenshot_dashboard.py`.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"

PICTURES: dict[str, dict[str, Any]] = {
    "dashboard.png": {"viewport": {"width": 1280, "height": 1010}, "color_scheme": "light"},
    "dashboard-dark.png": {"viewport": {"width": 1280, "height": 1010}, "color_scheme": "dark"},
    "dashboard-phone.png": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}

BIGGEST = 300_000
"""Bytes of a picture: the repository keeps every version of it."""


def take(address: str) -> None:
    """Save every picture."""
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, profile in PICTURES.items():
            page = browser.new_page(**profile)
            page.goto(f"{address}?days=90")
            page.locator("caption", has_text="Top patterns").wait_for(state="attached")
            page.locator("figure svg").first.wait_for(state="attached")
            page.locator(".brought .value").first.wait_for()
            page.locator(".next a").first.wait_for()
            save(page, name)
        desk = PICTURES["dashboard.png"]
        page = browser.new_page(**desk)
        page.goto(f"{address}patterns?search=guest")
        page.locator("tbody tr").first.wait_for()
        save(page, "dashboard-patterns.png")
        page = browser.new_page(**desk)
        page.goto(f"{address}try")
        page.get_by_label("Conditions").fill("days_since_visit: 60")
        page.get_by_label("Action, if one is planned").fill("Call Ottoline and offer a facial")
        page.get_by_label("Names of customers in it").fill("Ottoline")
        page.get_by_role("button", name="Show what the network would say").click()
        page.get_by_role("table", name="Patterns that were considered").wait_for()
        save(page, "dashboard-try.png")
        page = browser.new_page(**desk)
        page.goto(f"{address}operate")
        page.get_by_role("button", name="Sign in").click()
        page.locator("caption", has_text="Calls a second").wait_for(state="attached")
        # Rates need two looks at the processes.
        page.get_by_role("row").filter(has_text="EnhanceInsight").first.wait_for()
        save(page, "dashboard-operate.png")
        browser.close()


def save(page: Page, name: str) -> None:
    """Save what the window shows."""
    page.screenshot(path=IMAGES / name)
    size = (IMAGES / name).stat().st_size
    print(f"{name}: {size:,} bytes")
    if size > BIGGEST:
        raise SystemExit(f"{name} is bigger than {BIGGEST:,} bytes")


def main() -> None:
    """Play, look, end."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "keeper_grpc.cli", "demo", "--stay"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for line in demo.stdout or ():
            if found := re.search(r"open (http://\S+)", line):
                take(f"{found[1]}/")
                break
        else:
            raise SystemExit("the demo did not get as far as its dashboard")
    finally:
        demo.send_signal(signal.SIGINT)
        demo.communicate()


if __name__ == "__main__":
    main()
