from __future__ import annotations

import csv
import io
import re
import struct
from collections.abc import Callable

import asyncpg
import pytest
from playwright.async_api import Browser, ViewportSize, expect

from bench.paint import WINDOWS, painted
from keeper_grpc.client import KeeperClient
from tests.e2e.dashboard.browsing import (
    MISSING,
    PHONE,
    Dashboard,
    chromium,
    opened,
    overflow,
    serious,
)
from tests.e2e.dashboard.network import ACTIONS, Network
from tests.e2e.waiting import SOON

if chromium() is None:
    pytest.skip(MISSING, allow_module_level=True)

expect.set_options(timeout=1000 * SOON)

DESK: ViewportSize = {"width": 1280, "height": 900}
GOOD = 0.1
"""Cumulative layout shift."""

NOT_THERE = re.compile(r"status of 404")


async def test_all_patterns_are_searched_ordered_and_shared_by_their_address(
    browser: Browser, served: Dashboard
) -> None:
    """From the overview to the list; a form narrows it, and its address shows the same to somebody else."""
    async with opened(browser, served.url) as page:
        await page.get_by_role("link", name="See all patterns").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("All patterns")
        table = page.get_by_role("table", name="All patterns")
        for action in ACTIONS:
            await expect(table).to_contain_text(action)
        await page.get_by_role("searchbox", name="Search").fill("hot STONE")
        await page.get_by_role("combobox", name="Order").select_option("cases")
        await page.get_by_role("button", name="Apply").click()
        await expect(table.locator("tbody tr")).to_have_count(1)
        await expect(table).to_contain_text("hot stone upgrade")
        await expect(page.get_by_text("1 to 1 of 1")).to_be_visible()
        await expect(page.get_by_role("combobox", name="Order")).to_have_value("cases")
        assert "search=hot+STONE" in page.url
        address = page.url
    async with opened(browser, address, viewport=PHONE, color_scheme="dark") as page:
        await expect(page.get_by_role("searchbox", name="Search")).to_have_value("hot STONE")
        assert await serious(page) == []
        assert await overflow(page) <= 0
        await page.get_by_role("link", name="hot stone upgrade").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("hot stone upgrade")
    async with opened(browser, f"{served.url}patterns?search=xylophone") as page:
        await expect(page.locator(".counted")).to_have_text("No pattern matches.")


@pytest.mark.parametrize("path", ["", "patterns", "emerging", "try"])
@pytest.mark.parametrize("window", WINDOWS)
async def test_nothing_moves_while_a_page_is_being_filled(
    browser: Browser, served: Dashboard, path: str, window: str
) -> None:
    """The browser's own sum of layout shifts stays below what web.dev calls good, a tenth."""
    seen = await painted(browser, f"{served.url}{path}", WINDOWS[window])
    assert seen.moved <= GOOD


async def test_a_pattern_says_what_outcomes_taught_and_what_its_author_wrote(
    browser: Browser, served: Dashboard, database_url: str
) -> None:
    """Both in one table, told apart by who says it; a phone shows the same."""
    database = await asyncpg.connect(database_url)
    pattern_id = await database.fetchval(
        """
        WITH pattern AS (
            UPDATE network_patterns SET trigger = 'customer.days_since_visit >= 45'
             WHERE shown_action LIKE 'Book the next%' RETURNING scope_id, id)
        INSERT INTO learned_triggers (scope_id, pattern_id, conditions, success_rate, rate_low, rate_high,
               lift, trials, owner_count, lead_days, learned_time, verified_time)
        SELECT scope_id, id, '[["membership_tier", "==", "premium"]]', 0.82, 0.74, 0.89, 1.6, 210, 18, 6, now(), now()
          FROM pattern RETURNING pattern_id
        """
    )
    await database.close()
    for window in (DESK, PHONE):
        async with opened(browser, f"{served.url}patterns/{pattern_id}", viewport=window) as page:
            rows = page.get_by_role("region", name="When it is suggested").locator("tbody tr")
            await expect(rows.first).to_contain_text("customer.days_since_visit >= 45")
            await expect(rows.first).to_contain_text("Its author")
            await expect(rows.last).to_contain_text("customer.membership_tier == 'premium'")
            for figure in (
                "Outcomes",
                "82%",
                "74% to 89%",
                "1.6 times",
                "6 days",
                "18",
                "210 cases",
            ):
                await expect(rows.last).to_contain_text(figure)
            assert await serious(page) == []
            assert await overflow(page) <= 0


async def test_the_list_is_saved_as_csv(browser: Browser, served: Dashboard) -> None:
    """The same filters, a line for each pattern, with its numbers."""
    async with opened(browser, f"{served.url}patterns?search=stone") as page:
        link = page.get_by_role("link", name="Save the list as CSV")
        async with page.expect_download() as started:
            await link.click()
        path = await (await started.value).path()
        rows = list(csv.DictReader(io.StringIO(path.read_text())))
    (row,) = rows
    assert row["action"] == ACTIONS[2]
    assert (row["occurrence_count"], row["success_count"], row["account_count"]) == ("4", "3", "4")
    assert (row["success_rate"], row["state"]) == ("0.75", "active")


async def test_what_emerges_has_a_page_for_all_and_one_for_each(
    browser: Browser, served: Dashboard
) -> None:
    """A row opens; what does not emerge any more is said so."""
    async with opened(browser, f"{served.url}emerging", viewport=PHONE) as page:
        row = page.get_by_role("table", name="Emerging patterns").get_by_role("link").first
        await expect(row).to_be_visible()
        name = await row.inner_text()
        assert await serious(page) == []
        await row.click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(name)
        seen = page.get_by_role("region", name="What is seen")
        await expect(seen).to_contain_text("Novelty")
        assert await serious(page) == []
        assert await overflow(page) <= 0
        await page.get_by_role("link", name="All that is emerging").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("All that is emerging")
    async with opened(browser, f"{served.url}emerging/none-of-them") as page:
        await expect(page.get_by_role("heading", level=1)).to_have_text(
            "Nothing of this is emerging now"
        )


async def test_an_insight_is_tried_without_a_trace(
    browser: Browser, served: Dashboard, network: Network
) -> None:
    """Each step is shown: what is masked, what is found, what is answered; the address keeps nothing of it."""
    async with opened(browser, f"{served.url}try") as page, KeeperClient(network.address) as keeper:
        before = await keeper.network_metrics()
        await page.get_by_label("Conditions").fill("days_since_visit: 60")
        await page.get_by_label("Action, if one is planned").fill(f"{ACTIONS[0]} for Ottoline")
        await page.get_by_label("Names of customers in it").fill("Ottoline")
        await page.get_by_role("button", name="Show what the network would say").click()
        steps = page.locator(".steps")
        await expect(steps).to_contain_text("Masked: 1")
        await expect(steps).not_to_contain_text("Ottoline")
        found = page.get_by_role("table", name="Patterns that were considered")
        await expect(found).to_contain_text(ACTIONS[0])
        await expect(found).to_contain_text("at least")
        await expect(steps.locator("li").last).to_contain_text("Answered")
        assert await serious(page) == []
        assert page.url == f"{served.url}try"
        after = await keeper.network_metrics()
        assert list(after.days) == list(before.days)

        await page.get_by_label("Conditions").fill("x" * 70 + ": 1")
        await page.get_by_role("button", name="Show what the network would say").click()
        await expect(page.get_by_role("alert")).to_contain_text("insight.conditions")
        await expect(steps).to_be_hidden()


async def test_a_condition_that_cannot_be_read_is_named_and_not_left_out(
    browser: Browser, served: Dashboard
) -> None:
    """A line without a colon is none: an answer without it would look like an answer with it."""
    async with opened(browser, f"{served.url}try") as page:
        conditions = page.get_by_label("Conditions")
        await conditions.fill("days_since_visit: 60\n\nlapsed")
        await page.get_by_role("button", name="Show what the network would say").click()
        await expect(page.get_by_role("alert")).to_contain_text("Line 3 of the conditions")
        await expect(page.locator(".steps")).to_be_hidden()

        await conditions.fill("days_since_visit: 60\n\n")
        await page.get_by_role("button", name="Show what the network would say").click()
        await expect(page.locator(".steps")).to_contain_text("days since visit")
        await expect(page.get_by_role("alert")).to_be_hidden()


async def test_an_account_of_which_nothing_is_known_is_no_account_of_zeros(
    browser: Browser, served: Dashboard
) -> None:
    """A mistyped id looks like a customer whom the network never helped, so the page asks about it."""
    async with opened(browser, f"{served.url}account", viewport=DESK) as page:
        doubt = page.get_by_text("The network has nothing of this account")
        for account, known in (("mistyped", False), ("spa-spa-1", True)):
            await page.get_by_label("Account", exact=True).fill(account)
            await page.get_by_role("button", name="Show").click()
            await expect(page.get_by_role("region", name="What it gave to others")).to_be_visible()
            await expect(doubt).to_be_visible(visible=not known)


async def test_an_address_of_nothing_has_a_page_that_leads_on(
    browser: Browser, served: Dashboard
) -> None:
    """Status 404, in words, with links; nothing of the address is repeated."""
    profile = await browser.new_context()
    page = await profile.new_page()
    answer = await page.goto(f"{served.url}no-such-page")
    assert answer is not None
    assert answer.status == 404
    await expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    await expect(page.locator("body")).not_to_contain_text("no-such-page")
    assert await serious(page) == []
    await page.get_by_role("link", name="All patterns").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("All patterns")
    await profile.close()


async def test_sections_begin_folded_on_a_phone_and_open_on_a_desk(
    browser: Browser, served: Dashboard
) -> None:
    """The first two are open: the page is a few screens long. What is unfolded stays so when numbers change."""
    async with opened(browser, served.url, viewport=PHONE) as page:
        folds = page.locator("details.fold")
        await expect(page.locator("details.fold[open]")).to_have_count(2)
        assert await folds.count() > 4
        height = await page.evaluate("document.documentElement.scrollHeight")
        assert height < 4 * PHONE["height"]
        await page.get_by_text("Targets", exact=True).click()
        await expect(page.locator(".tile").first).to_be_visible()
    async with opened(browser, served.url, viewport=DESK) as page:
        await expect(page.locator("details.fold:not([open])")).to_have_count(0)


async def test_one_account_sees_what_the_network_is_worth_to_it(
    browser: Browser, served: Dashboard
) -> None:
    """What it was told and gave, on a phone too; neither account nor token is in the address."""
    async with opened(browser, f"{served.url}account", viewport=PHONE) as page:
        assert await serious(page) == []
        await page.get_by_label("Account", exact=True).fill("spa-spa-1")
        await page.get_by_label("Token").fill("not-needed-here")
        await page.get_by_role("button", name="Show").click()
        given = page.get_by_role("region", name="What it gave to others")
        await expect(given).to_contain_text("it has evidence in")
        await expect(given).to_contain_text("outcomes in the window")
        await expect(page.get_by_role("region", name="What advice brought")).to_contain_text(
            "Not measured"
        )
        await expect(page.get_by_role("region", name="Others of its kind")).to_contain_text(
            "Too few others"
        )
        assert await serious(page) == []
        assert await overflow(page) <= 0
        assert page.url == f"{served.url}account"

        await page.get_by_label("Account", exact=True).fill("x\u200by")
        await page.get_by_role("button", name="Show").click()
        await expect(page.get_by_role("alert")).to_contain_text("account_id")
        await expect(given).to_be_hidden()


async def test_chosen_dates_are_part_of_the_address(browser: Browser, served: Dashboard) -> None:
    """A form chooses them and keeps the line of business; what is measured up to now is not shown for the past."""
    async with opened(browser, f"{served.url}?category=spa") as page:
        dates = page.get_by_role("form", name="Dates")
        await dates.get_by_label("From").fill("2026-01-05")
        await dates.get_by_label("To").fill("2026-01-11")
        await dates.get_by_role("button", name="Show these dates").click()
        await expect(page).to_have_url(f"{served.url}?category=spa&from=2026-01-05&to=2026-01-11")
        within = page.get_by_role("region", name="Within these dates")
        await expect(within).to_contain_text("05 Jan 2026 to 11 Jan 2026")
        await expect(within).to_contain_text("choose dates that end today")
        await expect(page.get_by_role("region", name="Targets")).to_have_count(0)
        lines = page.get_by_role("navigation", name="Line of business")
        await expect(lines.get_by_role("link", name="All")).to_have_attribute(
            "href", "?from=2026-01-05&to=2026-01-11"
        )
        assert await serious(page) == []
    async with opened(browser, f"{served.url}?from=2026-11-01", viewport=PHONE) as page:
        # Up to now, so that targets are of these dates.
        await expect(page.get_by_role("region", name="Targets")).to_have_count(1)
        assert await overflow(page) <= 0


async def test_a_chart_is_saved_as_a_picture(browser: Browser, served: Dashboard) -> None:
    """Drawn in the browser, in its colours and twice its size; no other host has a part in it."""
    async with opened(browser, served.url, color_scheme="dark") as page:
        chart = page.locator("figure").filter(has_text="Patterns over time")
        await expect(chart.locator("svg path").first).to_be_attached()
        async with page.expect_download() as started:
            await chart.get_by_role("button", name="Save as PNG").click()
        saved = await started.value
        assert saved.suggested_filename == "patterns-over-time.png"
        picture = (await saved.path()).read_bytes()
        width, height = struct.unpack(">II", picture[16:24])
        box = await chart.locator("svg").first.bounding_box()
    assert picture.startswith(b"\x89PNG")
    assert box is not None
    assert (width, height) == (
        pytest.approx(2 * (box["width"] + 32), abs=2),
        pytest.approx(2 * (box["height"] + 88), abs=2),
    )


async def test_the_page_says_what_to_try_next_how_sure_that_is_and_why(
    browser: Browser, served: Dashboard
) -> None:
    """For one line of business, in sentences; the suggestion leads to its pattern."""
    async with opened(browser, f"{served.url}?category=spa", viewport=PHONE) as page:
        advice = page.get_by_role("region", name="What to try next").get_by_role("listitem").first
        await expect(advice).to_contain_text("with 95% certainty at least")
        await expect(advice).to_contain_text("3 of 4 reported cases succeeded, at 4 owners")
        await expect(advice).to_contain_text("first seen when days since visit")
        title = await advice.get_by_role("link").inner_text()
        await advice.get_by_role("link").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(title)


PAINT = """
window.seen = {shift: 0, paint: 0};
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.seen.shift += entry.value;
}).observe({type: "layout-shift", buffered: true});
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (entry.name === "first-contentful-paint") window.seen.paint = entry.startTime;
}).observe({type: "paint", buffered: true});
"""


@pytest.mark.parametrize("viewport", [DESK, PHONE])
@pytest.mark.parametrize("path", ["", "patterns", "emerging"])
async def test_a_page_is_painted_once_and_nothing_moves(
    browser: Browser,
    served: Dashboard,
    viewport: ViewportSize,
    path: str,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """By the browser's own account, once the dashboard has read what it shows. The time of the paint is recorded."""
    async with opened(browser, f"{served.url}{path}"):
        pass
    profile = await browser.new_context(viewport=viewport)
    page = await profile.new_page()
    await page.add_init_script(PAINT)
    await page.goto(f"{served.url}{path}")
    await page.get_by_text("Live", exact=True).wait_for()
    await page.wait_for_function("window.seen.paint > 0")
    seen = await page.evaluate("window.seen")
    name = f"first paint of /{path} at {viewport['width']} pixels, in ms"
    record_testsuite_property(name, round(seen["paint"]))
    await profile.close()
    assert seen["shift"] < 0.1  # what Web Vitals call good; a section that comes late moves more
    assert seen["paint"] < 1000 * SOON
